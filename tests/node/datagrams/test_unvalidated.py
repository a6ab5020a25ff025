"""Questions to and from strangers: one way and back, and nobody gets more for them than was sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from tests.node.datagrams.test_protocol import (
    COOKIE,
    FAR,
    FAR_WHERE,
    SECRET,
    Note,
    SentDatagrams,
    WireTestCase,
    opened,
)
from tests.raw_datagram import NONCE, PAD, RawSocket
from twisted_bazaar.node.control import Cookie, Stale
from twisted_bazaar.node.datagrams.cookies import Cookies
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.role import Role
from twisted_bazaar.sim.engine.network_conditions import Conditions
from twisted_bazaar.testing import SimulatedNetwork
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.wire.message import Message, Text

GIVE: Final = "abcdef0123456789"
QUESTION_BYTES: Final = 1200


class Question(Message, tag="test-question"):
    """Something that anybody may ask.

    @ivar want: how long the answer is to be.
    """

    is_question: ClassVar[bool] = True
    want: int = 0
    how: Text = "once"


class Reply(Message, tag="test-reply"):
    """The answer."""

    text: Text = ""


class Oracle(Role):
    """Answers questions, in the way that they want it, and keeps what comes."""

    def __init__(self) -> None:
        self.heard: list[Message] = []
        self.datagrams = {Question: self._asked, Reply: self._take, Note: self._take}

    def start(self, node: Any) -> None:
        """Begin."""
        self._node = node

    def _asked(self, question: Question, address: Address, key: str | None) -> None:
        self.heard.append(question)
        reply = Reply(text="x" * question.want)
        match question.how:
            case "fault":
                raise RuntimeError("boom")
            case "later":
                self._node.clock.callLater(0.01, self._node.send_datagram, reply, [address])
            case "twice":
                self._node.send_datagram(reply, [address])
                self._node.send_datagram(reply, [address])
            case "elsewhere":
                self._node.send_datagram(reply, [FAR])
            case "once":
                self._node.send_datagram(reply, [address])

    def _take(self, message: Message, address: Address, key: str | None) -> None:
        self.heard.append(message)


class AskedTests(WireTestCase):
    """A node that is asked by a socket played by hand."""

    def setUp(self) -> None:
        """Start them."""
        self.network = SimulatedNetwork()
        self.oracle = Oracle()
        self.node = self.network.add_node(self.oracle, udp=True)
        self.socket = RawSocket(self.network, self.node, "10.9.0.1")

    def ask(self, size_bytes: int = QUESTION_BYTES, give: str = GIVE, **keys: Any) -> None:
        """Ask without a cookie."""
        data = msgspec.json.encode({"type": "test-question", **keys, "give": give, "pad": ""})
        self.socket.put(data[:-2] + b"0" * (size_bytes - len(data)) + data[-2:])

    def remembered(self) -> int:
        """How many addresses the node remembers."""
        return len(self.node.datagrams._acquaintances.table)

    def test_answered(self) -> None:
        """Who asks without a cookie is answered once, with what it gives, and gets the cookie for what comes next."""
        self.ask(want=3)
        [answer] = self.answers()
        self.assertEqual(answer, {"type": "test-reply", "text": "xxx", "give": answer["give"], "cookie": GIVE})
        self.socket.tell("test-note", text="hi", cookie=answer["give"])
        self.network.run(0.05)
        self.assertEqual(self.oracle.heard, [Question(want=3), Note(text="hi")])

    def test_has_shown(self) -> None:
        """Where somebody asks from without a cookie, it need not be; when it shows the cookie, it is there."""
        self.assertFalse(self.node.has_validated(self.socket.address))
        self.ask()
        [answer] = self.answers()
        self.assertFalse(self.node.has_validated(self.socket.address))
        self.socket.tell("test-note", text="hi", give=GIVE, cookie=answer["give"])
        self.network.run(0.05)
        self.assertTrue(self.node.has_validated(self.socket.address))

    def test_nothing_remembered(self) -> None:
        """It is not remembered: neither the address, nor the cookie that it may have made up."""
        for number in range(10):
            self.ask(give=f"{number:016x}")
        self.network.run(0.05)
        self.assertEqual((self.remembered(), len(self.node.datagrams._acquaintances.knocking)), (0, 0))

    def test_forged_give(self) -> None:
        """Nobody can have a node show another cookie to an address than that address has given."""
        cookie = self.socket.cookie(self.network)
        self.socket.tell("test-note", give=COOKIE, cookie=cookie)
        self.network.run(0.05)
        self.ask()
        self.socket.tell("test-note", give=GIVE)
        self.socket.tell("test-note", give=GIVE, cookie="0" * 16)
        self.socket.tell("stale", give=GIVE)
        self.socket.tell("cookie", nonce=NONCE, give=GIVE)
        self.network.run(0.05)
        self.node.send_datagram(Note(), [self.socket.address])
        self.assertEqual(self.answers()[-1], {"type": "test-note", "cookie": COOKIE})

    def test_long_answer(self) -> None:
        """An answer that is longer than its question does not go; it is answered when asked again with the cookie."""
        self.ask(size_bytes=200, want=500)
        [refusal] = self.answers()
        self.assertEqual(refusal, {"type": "stale", "give": refusal["give"], "cookie": GIVE})
        self.socket.tell("test-question", want=500, give=GIVE, cookie=refusal["give"])
        self.assertEqual(self.answers()[-1], {"type": "test-reply", "text": "x" * 500, "cookie": GIVE})

    def test_never_more_bytes(self) -> None:
        """However long question and answer are, no more bytes go out than came in, to a known address as well."""
        known = self.socket.cookie(self.network)
        for is_known in (False, True):
            if is_known:
                self.socket.tell("test-note", give=COOKIE, cookie=known)
            for how in ("once", "twice", "none", "elsewhere"):
                for size_bytes in (60, 90, 120, 300, 1200):
                    for want in (0, size_bytes - 100, size_bytes - 70, size_bytes - 60, 1140):
                        self.network.run(1)
                        received, sent = self.socket.bytes_received, self.socket.bytes_sent
                        self.ask(size_bytes=size_bytes, want=max(0, min(want, 1140)), how=how)
                        self.network.run(0.05)
                        self.assertLessEqual(self.socket.bytes_received - received, self.socket.bytes_sent - sent)

    def test_not_one_answer(self) -> None:
        """Who is not answered, or more than once or later, is told to ask with a cookie; what is not for it goes."""
        for how in ("none", "twice", "fault", "elsewhere"):
            self.ask(how=how)
            self.assertEqual(self.answers()[-1]["type"], "stale", how)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(self.node.datagrams.counts, {"faults": 1})
        self.assertEqual([address for _, address, _ in self.network.datagrams].count(FAR), 1)
        self.socket.received.clear()
        self.ask(how="later")
        self.assertEqual([answer["type"] for answer in self.answers()], ["stale", "knock"])

    def test_others_are_not_heard(self) -> None:
        """What is no question, or shows a wrong cookie, or gives none, is not taken."""
        give = {"give": GIVE, "pad": "0" * 1000}
        self.socket.tell("test-note", **give)
        self.socket.tell("test-question", **give, cookie=COOKIE)
        self.socket.tell("test-question", pad="0" * 1000)
        for no_cookie in ("", "x" * 16, "0" * 17):
            self.socket.tell("test-question", give=no_cookie)
        stales: list[dict[str, Any]] = [{"type": "stale"} for _ in range(6)]
        stales[1]["was"] = COOKIE
        self.assertEqual((self.answers(), self.oracle.heard), (stales, []))
        self.assertEqual(self.node.datagrams.counts, {"unshown": 6})

    def test_rubbish(self) -> None:
        """A question that breaks its table costs a count."""
        self.ask(want="many")
        self.assertEqual((self.answers(), self.node.datagrams.counts), ([], {"rubbish": 1}))

    def test_share(self) -> None:
        """One host gets no more answers to these than to anything else; the others are not even read."""
        for _ in range(500):
            self.ask()
            self.socket.knock()
        self.assertEqual((len(self.answers()), len(self.oracle.heard)), (50, 25))
        self.assertEqual(self.node.datagrams.counts, {"unanswered": 950})

    def test_from_everywhere(self) -> None:
        """Of those from everywhere 500 are answered in a second; all others are told to ask with a cookie."""
        sent, heard = SentDatagrams(), list[Message]()
        datagrams = opened(sent, Limits(strangers_a_second=1e6))

        def asked(question: Question, address: Address, key: str | None) -> None:
            heard.append(question)
            datagrams.send(Reply(), [address])

        datagrams.register_receivers({Question: asked})
        question = msgspec.json.encode({"type": "test-question", "give": GIVE, "pad": "0" * 1000})
        for number in range(2000):
            datagrams.datagramReceived(question, (f"10.0.{number >> 8}.{number & 255}", 5))
        self.assertEqual((len(heard), len(sent.datagrams), datagrams.counts), (500, 2000, {"put off": 1500}))
        self.assertEqual([b"stale" in data for data, _ in sent.datagrams], [False] * 500 + [True] * 1500)
        self.assertEqual(len(datagrams._acquaintances.table), 0)

    @examples(200)
    @given(
        st.dictionaries(
            st.sampled_from(["type", "cookie", "nonce", "pad", "give", "was", "want"]),
            st.sampled_from(["knock", "stale", "test-question", GIVE, COOKIE, "0" * 64, "0" * 600, 5, 600, None]),
        ),
        st.integers(0, 1100),
    )
    def test_any_object(self, keys: dict[str, Any], want: int) -> None:
        """Whatever comes from a stranger, one datagram at most goes back, and none longer than what came."""
        sent = SentDatagrams()
        datagrams = opened(sent)
        datagrams.register_receivers(
            {Question: lambda question, address, key: datagrams.send(Reply(text="x" * want), [address])}
        )
        data = msgspec.json.encode(keys)
        datagrams.datagramReceived(data, ("192.0.2.1", 5))
        self.assertLessEqual(len(sent.datagrams), 1)
        self.assertLessEqual(sum(len(each) for each, _ in sent.datagrams), len(data))
        self.assertEqual(len(datagrams._acquaintances.table), 0)


class AskingTests(SynchronousTestCase):
    """A node that asks, and what it is answered by hand."""

    def setUp(self) -> None:
        """Open a socket that only keeps what is sent."""
        self.clock = Clock()
        self.heard: list[Message] = []
        self.open()

    def open(self, limits: Limits | None = None) -> None:
        """Open it anew."""
        self.sent = SentDatagrams()
        self.datagrams = opened(self.sent, limits, clock=self.clock)
        take = lambda message, address, key: self.heard.append(message)  # noqa: E731
        self.datagrams.register_receivers({Question: take, Reply: take, Note: take})
        self.own = Cookies(SECRET, 300.0).cookie_for(*FAR_WHERE, 0.0)

    def ask(self, want: int = 0) -> None:
        """Ask."""
        self.datagrams.send(Question(want=want), [FAR])

    def hear(self, message: Message, where: tuple[str, int] = FAR_WHERE, **envelope: str) -> None:
        """Let something come."""
        keys = msgspec.json.decode(msgspec.json.encode(message)) | envelope
        self.datagrams.datagramReceived(msgspec.json.encode(keys), where)

    def answer(self, message: Message | None = None) -> None:
        """Let an answer come, as it is given to strangers."""
        self.hear(message or Reply(), give=COOKIE, cookie=self.own)

    def said(self) -> list[dict[str, Any]]:
        """What was sent since last asked, but for pads."""
        said = [msgspec.json.decode(data) for data, _ in self.sent.datagrams]
        self.sent.datagrams.clear()
        return [{key: value for key, value in each.items() if key != "pad"} for each in said]

    def types(self) -> list[str]:
        """The types of that."""
        return [each["type"] for each in self.said()]

    def test_at_once(self) -> None:
        """A question to a stranger goes at once, gives the cookie to answer with, and is as long as that may be."""
        self.ask()
        [(data, where)] = self.sent.datagrams
        begins = b'{"type":"test-question","give":"%b","pad":"' % self.own.encode()
        self.assertEqual((data, where), (begins + b"0" * (1198 - len(begins)) + b'"}', FAR_WHERE))

    def test_lengths(self) -> None:
        """However long a question is itself, it is never longer than a datagram may be."""
        for most_bytes in (300, 1200, 9000):
            for size_bytes in range(most_bytes - 70, most_bytes - 27):
                self.open(Limits(datagram_bytes=most_bytes))
                empty = len('{"type":"test-question","how":""}')
                self.datagrams.send(Question(how="x" * (size_bytes - empty)), [FAR])
                [(data, _)] = self.sent.datagrams
                self.assertLessEqual(len(data), most_bytes)
                if most_bytes <= QUESTION_BYTES:
                    self.assertGreater(len(data), most_bytes - 9)
                self.assertEqual(msgspec.json.decode(data)["give"], self.own)

    def test_answered(self) -> None:
        """The answer is taken; what goes next shows the cookie that came with it, and gives this node's again."""
        self.ask()
        self.said()
        self.answer()
        self.assertEqual(self.heard, [Reply()])
        self.ask(want=2)
        again = {"type": "test-question", "want": 2, "give": self.own, "cookie": COOKIE}
        self.assertEqual(self.said(), [again])
        self.hear(Reply(), cookie=self.own)
        self.ask(want=3)
        self.assertEqual(self.said(), [{"type": "test-question", "want": 3, "cookie": COOKIE}])
        self.clock.advance(6)
        self.assertEqual((self.types(), self.clock.getDelayedCalls()), ([], []))

    def test_refused(self) -> None:
        """Who is told to ask with the cookie that comes along does so at once."""
        self.ask()
        self.said()
        self.answer(Stale())
        self.assertEqual(self.said(), [{"type": "test-question", "give": self.own, "cookie": COOKIE}])

    def test_old_peer(self) -> None:
        """Who takes no questions without a cookie is knocked at, and asked with the cookie that it gives."""
        self.ask()
        self.said()
        self.hear(Stale())
        self.hear(Stale())
        [knock] = self.said()
        self.assertEqual(knock["type"], "knock")
        self.hear(Cookie(nonce=knock["nonce"], give=COOKIE))
        self.assertEqual(self.said(), [{"type": "test-question", "give": self.own, "cookie": COOKIE}])

    def test_nobody_answers(self) -> None:
        """If nothing comes there is a knock after a quarter of a second, and the question goes with its answer."""
        self.ask()
        self.said()
        self.clock.advance(0.25)
        [knock] = self.said()
        self.hear(Cookie(nonce=knock["nonce"], give=COOKIE))
        self.assertEqual(self.types(), ["test-question"])

    def test_slow_answer(self) -> None:
        """An answer that comes after that knock does as well, and the question does not go again."""
        self.ask()
        self.clock.advance(0.25)
        [_, knock] = self.said()
        self.answer()
        self.hear(Cookie(nonce=knock["nonce"], give=COOKIE))
        self.assertEqual((self.heard, self.said()), ([Reply()], []))

    def test_forged_answer(self) -> None:
        """What does not show this node's cookie, or comes from elsewhere, gives nothing."""
        self.ask()
        self.said()
        for message in (Reply(), Stale(), Note()):
            self.hear(message, give=GIVE)
            self.hear(message, give=GIVE, cookie=COOKIE)
            self.hear(message, ("192.0.2.8", 9), give=GIVE, cookie=self.own)
        self.said()
        self.ask(want=2)
        self.assertEqual(self.said(), [])
        self.answer()
        self.assertEqual((self.heard, [each["cookie"] for each in self.said()]), ([Reply()], [COOKIE]))

    def test_given_rubbish(self) -> None:
        """What is no cookie is not shown to anybody, whoever has given it."""
        for rubbish in ("", "x" * 16, '","type":"stale"', "0" * 600):
            self.hear(Note(), give=rubbish, cookie=self.own)
            self.datagrams.send(Note(), [FAR])
        self.assertEqual(self.types(), ["knock"])

    def test_others_wait(self) -> None:
        """What is to go to that address meanwhile goes with the cookie, questions or not; the answered one does not."""
        for send in (lambda: self.ask(1), lambda: self.ask(2), lambda: self.datagrams.send(Note(), [FAR])):
            send()
        self.assertEqual(self.types(), ["test-question"])
        self.answer()
        self.assertEqual(
            [(each["type"], each.get("want"), each["cookie"]) for each in self.said()],
            [("test-question", 2, COOKIE), ("test-note", None, COOKIE)],
        )

    def test_answer_without_room(self) -> None:
        """An answer too long to give a cookie along is an answer; only what waits is knocked for."""
        for waits in (False, True):
            self.open()
            self.ask()
            if waits:
                self.ask(2)
            self.said()
            self.hear(Reply(), cookie=self.own)
            self.assertEqual(self.types(), ["knock"] * waits)
        self.assertEqual(self.heard, [Reply()] * 2)

    def test_ports_of_one_host(self) -> None:
        """Of one host ten addresses are asked so in a second, as somebody else may have named them all: others are
        knocked at, with far less. Of this machine all are."""
        for port in range(1, 31):
            self.datagrams.send(Question(), [Address("10.0.0.7", port)])
        self.assertEqual(self.types(), ["test-question"] * 10 + ["knock"] * 20)
        self.clock.advance(1.0)
        self.types()
        self.datagrams.send(Question(), [Address("10.0.0.7", 99)])
        self.assertEqual(self.types(), ["test-question"])
        for port in range(1, 31):
            self.datagrams.send(Question(), [Address("127.0.0.1", port)])
        self.assertEqual(self.types(), ["test-question"] * 30)

    def test_clock_set_back(self) -> None:
        """What waits for an address does not keep it from being asked when the clock has been set back."""
        self.clock.advance(10_000.0)
        self.ask()
        self.clock.rightNow -= 3_600.0
        self.types()
        self.ask()
        self.assertEqual(self.types(), ["test-question"])

    def test_few_are_asked(self) -> None:
        """However many are asked, something is kept of 256 at most, and of nobody after five seconds."""
        for number in range(2000):
            self.datagrams.send(Question(), [Address(f"10.0.{number >> 8}.{number & 255}", 9)])
        knocking = self.datagrams._acquaintances.knocking
        self.assertEqual((len(knocking), len(self.sent.datagrams)), (256, 2000))
        for _ in range(25):
            self.clock.advance(0.25)
        self.assertEqual((len(knocking), self.clock.getDelayedCalls()), (0, []))


class BetweenOraclesTests(SynchronousTestCase):
    """Nodes that ask each other."""

    def setUp(self) -> None:
        """Start two."""
        self.network = SimulatedNetwork()
        self.oracles = [Oracle(), Oracle()]
        self.nodes = [self.network.add_node(oracle, udp=True) for oracle in self.oracles]
        self.addresses = [self.network.where_datagrams(node) for node in self.nodes]

    def ask(self, asker: int = 0, **keys: Any) -> None:
        """Let one ask the other."""
        self.nodes[asker].send_datagram(Question(**keys), [self.addresses[1 - asker]])

    def names(self) -> list[str]:
        """The types of all datagrams."""
        return [message.wire_name for _, _, message in self.network.datagrams]

    def test_two_datagrams(self) -> None:
        """A first question takes two datagrams, and each one more after it as well; then the other asks."""
        for asker in (0, 0, 1, 0):
            self.ask(asker)
            self.network.run(0.1)
        self.assertEqual(self.names(), ["test-question", "test-reply"] * 4)
        self.assertEqual([node.datagrams.counts for node in self.nodes], [{}, {}])

    def test_both_at_once(self) -> None:
        """When both ask at the same time both are answered, and nothing else is needed."""
        for _ in range(2):
            self.ask(0)
            self.ask(1)
            self.network.run(0.1)
        self.assertEqual(sorted(self.names()), ["test-question"] * 4 + ["test-reply"] * 4)

    def test_loss(self) -> None:
        """Where half of all datagrams get lost, who asks until there is an answer gets one soon."""
        hosts = [self.network.host_of(node).name for node in self.nodes]
        for one, other in (hosts, hosts[::-1]):
            self.network.network.ways.change(one, other, Conditions(latency_s=0.01, loss=0.5))
        for want in range(30):
            for _ in range(60):
                self.ask(want=want)
                self.network.run(0.5)
                if Reply(text="x" * want) in self.oracles[0].heard:
                    break
            else:
                self.fail(f"question {want} was never answered")

    def test_raw_peer(self) -> None:
        """A peer that knows nothing of this is asked and answered as before."""
        peer = RawSocket(self.network, self.nodes[0], "10.9.0.1")
        steps: list[Callable[[], None]] = [
            lambda: self.nodes[0].send_datagram(Question(want=1), [peer.address]),
            lambda: peer.tell("stale"),
            lambda: peer.tell("cookie", nonce=peer.of_type("knock")[0]["nonce"], give=COOKIE),
            lambda: peer.tell("test-question", want=2),
            lambda: peer.tell("knock", nonce=NONCE, pad=PAD),
            lambda: peer.tell("test-question", want=2, cookie=peer.of_type("cookie")[0]["give"]),
        ]
        for step in steps:
            step()
            self.network.run(0.05)
        told = [(each["type"], each.get("cookie")) for each in peer.received]
        first, then = ("test-question", None), [("test-question", COOKIE), ("stale", None), ("cookie", None)]
        self.assertEqual(told, [first, ("knock", None), *then, ("test-reply", COOKIE)])
