"""Datagrams: an address is believed when it has shown that it receives there, and gets next to nothing before."""

from __future__ import annotations

import random
from typing import Any, Final

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from tests.raw_datagram import NONCE, PAD, RawSocket
from twisted_bazaar.errors import UsageError
from twisted_bazaar.node.control import Cookie, Knock, Stale
from twisted_bazaar.node.datagrams.cookies import Cookies
from twisted_bazaar.node.datagrams.protocol import Datagrams
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.role import Role
from twisted_bazaar.sim.engine.network_conditions import Conditions
from twisted_bazaar.testing import SimulatedNetwork
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.wire.message import Message, Text

SECRET: Final = b"s" * 32
FAR: Final = Address("192.0.2.9", 9)
FAR_WHERE: Final = ("192.0.2.9", 9)
COOKIE: Final = "c0ffee0000000000"


class Note(Message, tag="test-note"):
    """Something to send."""

    text: Text = ""


class Unclaimed(Message, tag="test-unclaimed"):
    """Something that nobody takes."""


class Reader(Role):
    """Keeps the notes that come."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, Address]] = []
        self.datagrams = {Note: self._note_received}

    def _note_received(self, note: Note, address: Address, key: str | None) -> None:
        if note.text == "boom":
            raise RuntimeError("boom")
        self.notes.append((note.text, address))


class WireTestCase(SynchronousTestCase):
    """A node that takes notes, and a socket played by hand."""

    limits: dict[str, Any] = {}

    def setUp(self) -> None:
        """Start them."""
        self.network = SimulatedNetwork()
        self.reader = Reader()
        self.node = self.network.add_node(self.reader, udp=True, **self.limits)
        self.socket = RawSocket(self.network, self.node, "10.9.0.1")

    def texts(self) -> list[str]:
        """What the role got, after a moment."""
        self.network.run(0.05)
        return [text for text, _ in self.reader.notes]

    def answers(self) -> list[dict[str, Any]]:
        """What the socket got, after a moment."""
        self.network.run(0.05)
        return self.socket.received


class ReceiveTests(WireTestCase):
    """What a node does with datagrams."""

    def test_knock(self) -> None:
        """A knock is answered with a cookie and its own nonce; a message with that cookie is taken."""
        self.socket.knock()
        [answer] = self.answers()
        self.assertEqual(answer, {"type": "cookie", "nonce": NONCE, "give": answer["give"]})
        self.socket.tell("test-note", text="hi", cookie=answer["give"])
        self.assertEqual(self.texts(), ["hi"])
        self.assertEqual(self.reader.notes[0][1], self.socket.address)
        self.assertEqual(len(self.socket.received), 1)

    def test_any_place(self) -> None:
        """The cookie may stand anywhere in the object, written in any way that JSON knows."""
        cookie = self.socket.cookie(self.network)
        self.socket.put(b' { "cookie" : "%b",\n"type":"test-note", "text":"1"}' % cookie.encode())
        escaped = "".join(f"\\u{ord(digit):04x}" for digit in cookie)
        self.socket.put(b'{"type":"test-note","text":"2","cookie":"%b"} ' % escaped.encode())
        self.assertEqual(self.texts(), ["1", "2"])

    def test_without_cookie(self) -> None:
        """A message without a cookie is not taken; its sender is told to get one, once for each message."""
        self.socket.tell("test-note", text="hi")
        self.assertEqual(self.answers(), [{"type": "stale"}])
        self.assertEqual(self.texts(), [])
        self.assertEqual(self.node.datagrams.counts, {"unshown": 1})

    def test_wrong_cookie(self) -> None:
        """Nor with a wrong one, which the answer repeats; what is no cookie at all is not repeated."""
        for wrong in (COOKIE, "", "x" * 16, "0" * 17, "\u00e4" * 16):
            self.socket.tell("test-note", text="hi", cookie=wrong)
        told = [{"type": "stale", "was": COOKIE}, *[{"type": "stale"}] * 4]
        self.assertEqual((self.answers(), self.texts()), (told, []))

    def test_spoofed(self) -> None:
        """A cookie that was given to one address is worth nothing from another host, nor from another port."""
        cookie = self.socket.cookie(self.network)
        for thief in (
            RawSocket(self.network, self.node, "10.9.0.2"),
            RawSocket(self.network, self.node, "10.9.0.1", 8),
        ):
            thief.tell("test-note", text="stolen", cookie=cookie)
            self.assertEqual(self.texts(), [])
            self.assertEqual(thief.received, [{"type": "stale", "was": cookie}])

    def test_stolen_from_known(self) -> None:
        """Nor when both are known already: a datagram is judged by where it comes from."""
        thief = RawSocket(self.network, self.node, "10.9.0.2")
        cookies = {each: each.cookie(self.network) for each in (self.socket, thief)}
        for each, cookie in cookies.items():
            each.tell("test-note", text=each.address.host, cookie=cookie)
        thief.tell("test-note", text="stolen", cookie=cookies[self.socket])
        self.assertEqual(self.texts(), ["10.9.0.1", "10.9.0.2"])

    def test_about_cookies_unasked(self) -> None:
        """A cookie or a stale that was not asked for is not answered and changes nothing."""
        self.socket.tell("cookie", nonce=NONCE, give=COOKIE)
        self.socket.tell("stale", was=COOKIE)
        self.socket.tell("stale")
        self.socket.tell("stale", cookie=COOKIE)
        self.assertEqual(self.answers(), [])

    def test_rubbish(self) -> None:
        """Rubbish costs nothing but a count, with and without a cookie, and is never answered."""
        cookie = self.socket.cookie(self.network)
        ending = b',"cookie":"%b"}' % cookie.encode()
        self.socket.tell("test-note", cookie=cookie)
        rubbish = [b"", b"\0", b"{", b"[]", b"null", b'"type"', b'{"type":5}', b"{}", b"\xff" * 500, b"[" * 1200]
        rubbish += [b'{"type":"knock"}', b'{"type":"knock","nonce":5,"pad":"%b"}' % PAD.encode(), b'{"type":"cookie"}']
        rubbish += [b'{"type":"stale","was":"../../etc/passwd"}']
        # Deeper than can be read.
        deep = b'"x":' + b"[" * 1100
        rubbish += [b'{"type":"knock",' + deep]
        with_cookie = [b"", b"{", b"[", b'{"type":"test-note","text":5', b'{"type":"test-note","text":', b"\xff" * 40]
        with_cookie += [b'{"type":"test-note",' + deep]
        rubbish += [each + ending for each in with_cookie]
        for each in rubbish:
            self.socket.put(each)
        self.assertEqual((self.texts(), self.answers()), ([""], []))
        self.assertEqual(self.node.datagrams.counts, {"rubbish": len(rubbish)})

    def test_cut(self) -> None:
        """A datagram that was cut anywhere is not taken."""
        whole = b'{"type":"test-note","text":"hi","cookie":"%b"}' % self.socket.cookie(self.network).encode()
        for length in range(len(whole)):
            self.socket.put(whole[:length])
        self.assertEqual((self.texts(), self.answers()), ([], []))

    def test_unknown(self) -> None:
        """A type that no role takes by datagram is counted, and not answered; those of links are such types."""
        cookie = self.socket.cookie(self.network)
        for name in ("test-unclaimed", "nonsense", "ping", "error", "thisisme"):
            self.socket.tell(name, cookie=cookie)
        self.assertEqual((self.answers(), self.node.datagrams.counts), ([], {"rubbish": 5}))

    def test_no_role(self) -> None:
        """A node whose roles take no datagrams gives cookies, and takes nothing for them."""
        self.node = self.network.add_node(udp=True)
        self.socket = RawSocket(self.network, self.node, "10.9.0.3")
        cookie = self.socket.cookie(self.network)
        for name in ("test-note", "ping"):
            self.socket.tell(name, cookie=cookie)
        self.assertEqual((self.answers(), self.node.datagrams.counts), ([], {"rubbish": 2}))

    def test_knock_with_cookie(self) -> None:
        """Who shows a cookie where none is needed is answered all the same, known or not."""
        cookie = self.socket.cookie(self.network)
        for type in ("knock", "test-note", "knock"):
            self.socket.tell(type, nonce=NONCE, pad=PAD, cookie=cookie)
        self.assertEqual([(each["type"], each["give"]) for each in self.answers()], [("cookie", cookie)] * 2)
        self.assertEqual(self.texts(), [""])

    def test_oversize(self) -> None:
        """What is longer than a datagram may be is dropped unread, however long; what just fits is taken."""
        cookie = self.socket.cookie(self.network)
        for length in (1199, 1200, 1201, 8192, 65_000):
            note = b'{"type":"test-note","text":"%d","cookie":"%b"}' % (length, cookie.encode())
            self.socket.put(note.ljust(length))
            self.socket.put(note.rjust(length))
        self.assertEqual(self.texts(), ["1199", "1199", "1200", "1200"])
        self.assertEqual((self.answers(), self.node.datagrams.counts), ([], {"oversize": 6}))

    def test_fault(self) -> None:
        """A role that raises costs that datagram and a line in the log, of which there is an end."""
        cookie = self.socket.cookie(self.network)
        with capturedLogs() as logged:
            for _ in range(25):
                self.socket.tell("test-note", text="boom", cookie=cookie)
            self.network.run(0.05)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 10)
        self.assertEqual(len([event for event in logged if event.get("log_failure")]), 10)
        self.socket.tell("test-note", text="fine", cookie=cookie)
        self.assertEqual(self.texts(), ["fine"])
        self.assertEqual(self.node.datagrams.counts, {"faults": 25})

    def test_too_many(self) -> None:
        """One address gets so many through in a second, and so many in each after; others are not held back."""
        network = self.network
        self.node = network.add_node(self.reader, udp=True, datagrams_a_second=20.0)
        loud, quiet = (RawSocket(network, self.node, f"10.9.1.{number}") for number in (1, 2))
        cookies = {each: each.cookie(network) for each in (loud, quiet)}
        for _ in range(100):
            loud.tell("test-note", text="loud", cookie=cookies[loud])
        quiet.tell("test-note", text="quiet", cookie=cookies[quiet])
        self.assertEqual((self.texts().count("loud"), self.texts().count("quiet")), (20, 1))
        self.assertEqual(self.node.datagrams.counts, {"too many": 80})
        network.run(5)
        loud.tell("test-note", text="later", cookie=cookies[loud])
        self.assertIn("later", self.texts())

    def test_forged_knocks(self) -> None:
        """However many knocks others forge, who shows a cookie with its own is answered."""
        cookie = self.socket.cookie(self.network)
        for _ in range(1000):
            self.socket.knock()
        self.socket.tell("knock", nonce="e" * 16, pad=PAD)
        self.socket.tell("knock", nonce="f" * 16, cookie=cookie)
        nonces = [answer["nonce"] for answer in self.answers()]
        self.assertEqual(("e" * 16 in nonces, nonces[-1]), (False, "f" * 16))

    def test_clock_set_back(self) -> None:
        """When the clock is set back everybody is heard and answered as before."""
        clock, sent, heard = Clock(), SentDatagrams(), list[Note]()
        datagrams = opened(sent, Limits(datagrams_a_second=1.0, strangers_a_second=1.0), clock=clock)
        datagrams.register_receivers({Note: lambda note, address, key: heard.append(note)})
        for now in (1e6, 1e6 - 4000):
            clock.rightNow = now
            cookie = Cookies(SECRET, 300.0).valid_cookies("192.0.2.1", 5, now)[0].decode()
            for data in (b'{"type":"test-note","cookie":"%b"}' % cookie.encode(), b'{"type":"test-note"}'):
                datagrams.datagramReceived(data, ("192.0.2.1", 5))
        self.assertEqual((len(heard), len(sent.datagrams)), (2, 2))

    def test_forged_flood_takes_nothing_away(self) -> None:
        """Others who write an address on their datagrams use up nothing of what that address may send."""
        cookie = self.socket.cookie(self.network)
        self.socket.tell("test-note", text="1", cookie=cookie)
        for _ in range(5000):
            self.socket.tell("test-note", text="forged", cookie=COOKIE)
        self.socket.tell("test-note", text="2", cookie=cookie)
        self.assertEqual(self.texts(), ["1", "2"])


class AmplificationTests(WireTestCase):
    """A node is no good for flooding others."""

    def test_never_more_bytes(self) -> None:
        """Whatever comes from an address that has shown nothing, no answer is longer than what it answers."""
        questions = [
            b'{"type":"knock","nonce":"%b"}' % NONCE.encode(),
            b'{"type":"knock","nonce":"%b","pad":"%b"}' % (NONCE.encode(), PAD.encode()),
            b'{"type":"x"}',
            b'{"type":"test-note"}',
            b'{"type":"test-note","cookie":"%b"}' % COOKIE.encode(),
            b'{"cookie":"%b","type":""}' % COOKIE.encode(),
        ]
        for number, question in enumerate(questions):
            socket = RawSocket(self.network, self.node, f"10.9.2.{number + 1}")
            for _ in range(3):
                socket.put(question)
            self.network.run(0.05)
            self.assertLessEqual(socket.bytes_received, socket.bytes_sent, question)

    def test_short_knock(self) -> None:
        """A knock that is shorter than its answer gets none; one as long gets it."""
        self.socket.tell("knock", nonce=NONCE)
        self.socket.tell("knock", nonce=NONCE, pad="0" * 17)
        self.assertEqual(self.answers(), [])
        self.socket.tell("knock", nonce=NONCE, pad="0" * 18)
        self.assertEqual([answer["type"] for answer in self.answers()], ["cookie"])
        self.assertEqual((self.socket.bytes_received, self.socket.bytes_sent), (70, 43 + 69 + 70))

    @examples(100)
    @given(
        st.dictionaries(
            st.sampled_from(["type", "cookie", "nonce", "pad", "give", "was", "text"]),
            st.sampled_from(["knock", "cookie", "stale", "test-note", "", NONCE, COOKIE, "0" * 64, 5, None]),
        )
    )
    def test_any_object(self, keys: dict[str, Any]) -> None:
        """The same for any object made of the words that mean something here."""
        sent = SentDatagrams()
        datagrams = opened(sent)
        data = msgspec.json.encode(keys)
        datagrams.datagramReceived(data, ("192.0.2.1", 5))
        self.assertLessEqual(len(sent.datagrams), 1)
        self.assertLessEqual(sum(len(each) for each, _ in sent.datagrams), len(data))

    def test_answers_are_rationed(self) -> None:
        """One host that has shown nothing gets 50 answers a second, whatever it sends."""
        for _ in range(500):
            self.socket.knock()
            self.socket.tell("test-note", text="hi", cookie=COOKIE)
        self.assertEqual(len(self.answers()), 50)
        self.assertEqual(self.node.datagrams.counts["unanswered"], 950)

    def test_many_addresses(self) -> None:
        """Knocks from a hundred thousand addresses take no memory, and are not answered without end."""
        sent = SentDatagrams()
        datagrams = opened(sent)
        knock = msgspec.json.encode(Knock(nonce=NONCE, pad=PAD))
        for number in range(100_000):
            datagrams.datagramReceived(knock, (f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 5))
        self.assertLessEqual(len(sent.datagrams), 128 * 50)
        self.assertEqual((len(datagrams._acquaintances.table), len(datagrams._acquaintances.knocking)), (0, 0))

    def test_many_who_receive(self) -> None:
        """Addresses that do receive are remembered up to a number; of one host a part of that, of a /64 as well."""
        limits = Limits(correspondents=80, strangers_a_second=1e6)
        cookies = Cookies(SECRET, limits.cookie_s)
        for name, most in (("10.0.{}.{}", 80), ("10.0.0.1", 10), ("2001:db8::{:x}:{:x}", 10)):
            sent = SentDatagrams()
            datagrams = opened(sent, limits, "::" if ":" in name else "0.0.0.0")
            for number in range(1000):
                where = (name.format(number >> 8, number & 255), 1000 + number)
                cookie = cookies.valid_cookies(*where, 0.0)[0].decode()
                datagrams.datagramReceived(b'{"type":"test-note","cookie":"%b"}' % cookie.encode(), where)
            self.assertEqual(len(datagrams._acquaintances.table), most, name)
            self.assertEqual(datagrams.counts, {})


class SendTests(SynchronousTestCase):
    """What a node does to send."""

    def setUp(self) -> None:
        """Open a socket that only keeps what is sent."""
        self.clock = Clock()
        self.sent = SentDatagrams()
        self.traced: list[tuple[Address, str, int]] = []
        self.datagrams = opened(self.sent, clock=self.clock, trace=self.trace)

    def trace(self, address: Address, message: Message, size_bytes: int) -> None:
        """Keep what is traced."""
        self.traced.append((address, message.wire_name, size_bytes))

    def hear(self, message: Message, address: Address = FAR) -> None:
        """Let a message about cookies come."""
        self.datagrams.datagramReceived(msgspec.json.encode(message), (address.host, address.port))

    def show(self, address: Address = FAR) -> None:
        """Let a note come from an address that shows the right cookie."""
        own = Cookies(SECRET, 300.0).cookie_for(address.host, address.port, self.clock.seconds())
        self.datagrams.datagramReceived(
            b'{"type":"test-note","cookie":"%b"}' % own.encode(), (address.host, address.port)
        )

    def knocks(self) -> list[Knock]:
        """The knocks that were sent since last asked; and nothing else was."""
        knocks = [msgspec.json.decode(data, type=Knock) for data, _ in self.sent.datagrams]
        self.sent.datagrams.clear()
        return knocks

    def introduce(self, address: Address = FAR) -> None:
        """Get the cookie of an address, which shows that it has this node's."""
        self.datagrams.send(Note(text="first"), [address])
        [knock] = self.knocks()
        self.hear(Cookie(nonce=knock.nonce, give=COOKIE), address)
        self.show(address)
        self.sent.datagrams.clear()
        self.traced.clear()

    def test_first(self) -> None:
        """The first message to an address waits until it has told its cookie; then it goes, and the next at once."""
        self.datagrams.send(Note(text="1"), [FAR])
        [(data, where)] = self.sent.datagrams
        self.assertEqual((len(data), where), (70, ("192.0.2.9", 9)))
        [knock] = self.knocks()
        self.datagrams.send(Note(text="2"), [FAR])
        self.assertEqual(self.sent.datagrams, [])
        self.hear(Cookie(nonce=knock.nonce, give=COOKIE))
        give = Cookies(SECRET, 300.0).cookie_for(*FAR_WHERE, 0.0).encode()
        notes = [
            b'{"type":"test-note","text":"%d","give":"%b","cookie":"c0ffee0000000000"}' % (number, give)
            for number in (1, 2)
        ]
        self.assertEqual(self.sent.datagrams, [(note, FAR_WHERE) for note in notes])

    def test_given_along(self) -> None:
        """Each message gives this node's cookie along, until something comes that shows it."""
        self.datagrams.send(Note(), [FAR])
        [knock] = self.knocks()
        self.hear(Cookie(nonce=knock.nonce, give=COOKIE))
        self.datagrams.send(Note(), [FAR])
        self.show(Address("192.0.2.8", 9))
        self.datagrams.send(Note(), [FAR])
        self.show()
        self.datagrams.send(Note(), [FAR])
        self.assertEqual([b'"give"' in data for data, _ in self.sent.datagrams], [True] * 3 + [False])

    def test_no_room_to_give(self) -> None:
        """What is too long for a cookie to be given along goes without."""
        self.datagrams.send(Note(), [FAR])
        [knock] = self.knocks()
        self.hear(Cookie(nonce=knock.nonce, give=COOKIE))
        self.sent.datagrams.clear()
        longest = 1200 - len('{"type":"test-note","text":"","give":"","cookie":""}') - 2 * 16
        for more in (0, 1):
            self.datagrams.send(Note(text="x" * (longest + more)), [FAR])
        sent = [(b'"give"' in data, len(data)) for data, _ in self.sent.datagrams]
        self.assertEqual(sent, [(True, 1200), (False, 1201 - 26)])

    def test_many(self) -> None:
        """A message to many addresses goes to each with the cookie that it gave."""
        others = [Address(f"192.0.2.{number}", number) for number in (1, 2)]
        for address in others:
            self.introduce(address)
        self.datagrams.send(Note(text="x"), [*others, FAR])
        self.assertEqual(
            [where for _, where in self.sent.datagrams], [(each.host, each.port) for each in (*others, FAR)]
        )
        self.assertEqual([b"test-note" in data for data, _ in self.sent.datagrams], [True, True, False])

    def test_trace(self) -> None:
        """Every datagram sent is told, with its address and its size; knocks and what has waited as well."""
        self.datagrams.send(Note(text="1"), [FAR])
        [knock] = self.knocks()
        self.hear(Cookie(nonce=knock.nonce, give=COOKIE))
        self.datagrams.send(Note(text="2"), [FAR])
        self.hear(knock)
        names = ["knock", "test-note", "test-note", "cookie"]
        self.assertEqual([name for _, name, _ in self.traced], names)
        self.assertEqual({address for address, _, _ in self.traced}, {FAR})
        self.assertEqual([size for _, _, size in self.traced][1:], [len(data) for data, _ in self.sent.datagrams])

    def test_lost_knock(self) -> None:
        """A knock that is not answered is repeated, ever more seldom; then what waits is dropped."""
        self.datagrams.send(Note(text="1"), [FAR])
        times = []
        for tick in range(320):
            self.clock.advance(1 / 64 if tick else 0)
            times += [self.clock.seconds()] * len(self.knocks())
        self.assertEqual([round(time, 2) for time in times], [0, 0.25, 0.75, 1.75, 3.75])
        self.clock.advance(0.25)
        self.assertEqual((self.clock.getDelayedCalls(), len(self.datagrams._acquaintances.knocking)), ([], 0))

    def test_too_late(self) -> None:
        """A cookie is not taken when nobody waits for it any more, nor with a wrong nonce, nor from elsewhere."""
        self.datagrams.send(Note(text="1"), [FAR])
        [knock] = self.knocks()
        self.hear(Cookie(nonce="f" * 16, give=COOKIE))
        self.hear(Cookie(nonce=knock.nonce, give=COOKIE), Address("192.0.2.9", 10))
        self.hear(Cookie(nonce=knock.nonce, give=COOKIE), Address("192.0.2.8", 9))
        self.assertEqual(self.sent.datagrams, [])
        self.clock.advance(5.1)
        self.sent.datagrams.clear()
        self.hear(Cookie(nonce=knock.nonce, give=COOKIE))
        self.assertEqual((self.sent.datagrams, self.datagrams.counts), ([], {"unasked": 4}))

    def test_few_wait(self) -> None:
        """To one address 16 messages wait at most, the first ones; the others are counted."""
        for number in range(20):
            self.datagrams.send(Note(text=str(number)), [FAR])
        [knock] = self.knocks()
        self.hear(Cookie(nonce=knock.nonce, give=COOKIE))
        texts = [msgspec.json.decode(data)["text"] for data, _ in self.sent.datagrams]
        self.assertEqual((texts, self.datagrams.counts), ([str(number) for number in range(16)], {"unsent": 4}))

    def test_few_are_asked(self) -> None:
        """However many addresses there are to send to, 256 are waited for at most."""
        for number in range(2000):
            self.datagrams.send(Note(text="x" * 1000), [Address(f"10.0.{number >> 8}.{number & 255}", 9)])
        self.assertEqual(len(self.datagrams._acquaintances.knocking), 256)

    def test_stale(self) -> None:
        """Who is told that its cookie is right no longer asks for another, and sends nothing again."""
        self.introduce()
        self.datagrams.send(Note(text="lost"), [FAR])
        self.sent.datagrams.clear()
        for _ in range(5):
            self.hear(Stale(was=COOKIE))
        [knock] = self.knocks()
        self.datagrams.send(Note(text="waits"), [FAR])
        self.hear(Cookie(nonce=knock.nonce, give="d" * 16))
        [(data, _)] = self.sent.datagrams
        self.assertEqual((b'"waits"' in data, data.endswith(b',"cookie":"dddddddddddddddd"}')), (True, True))

    def test_forged_stale(self) -> None:
        """Who has not seen the cookie cannot make anybody doubt it."""
        self.introduce()
        for message in (Stale(), Stale(was="f" * 16)):
            self.hear(message)
        self.hear(Stale(was=COOKIE), Address("192.0.2.8", 9))
        self.datagrams.send(Note(text="x"), [FAR])
        self.assertEqual([b'"text":"x"' in data for data, _ in self.sent.datagrams], [True])

    def test_renewed(self) -> None:
        """Before a cookie is right no longer another is asked for, while the old one is used on."""
        self.introduce()
        self.clock.advance(224)
        self.datagrams.send(Note(), [FAR])
        self.assertEqual([b"knock" in data for data, _ in self.sent.datagrams], [False])
        self.clock.advance(2)
        self.sent.datagrams.clear()
        self.datagrams.send(Note(), [FAR])
        self.datagrams.send(Note(), [FAR])
        self.assertEqual([b"knock" in data for data, _ in self.sent.datagrams], [True, False, False])
        data, _ = self.sent.datagrams[0]
        self.assertTrue(data.endswith(b',"cookie":"c0ffee0000000000"}'), data)
        knock = msgspec.json.decode(data, type=Knock)
        self.hear(Cookie(nonce=knock.nonce, give="d" * 16))
        self.sent.datagrams.clear()
        self.datagrams.send(Note(), [FAR])
        self.assertEqual(self.sent.datagrams, [(b'{"type":"test-note","cookie":"dddddddddddddddd"}', ("192.0.2.9", 9))])

    def test_too_long(self) -> None:
        """A message that does not fit is refused with its size, and nothing is sent; one that just fits is not."""
        fits = 1200 - 28 - len('{"type":"test-note","text":""}')
        self.introduce()
        # A text holds 1,024 characters; these take two bytes each.
        self.datagrams.send(Note(text="\u00e4" * (fits // 2)), [FAR])
        self.assertEqual([len(data) for data, _ in self.sent.datagrams], [1200 - fits % 2])
        with self.assertRaises(UsageError) as caught:
            self.datagrams.send(Note(text="\u00e4" * (fits // 2 + 1)), [FAR])
        self.assertEqual(
            str(caught.exception),
            f"a test-note of {1174 - fits % 2} bytes does not go into a datagram, which holds 1172 besides its cookie",
        )
        self.assertEqual(len(self.sent.datagrams), 1)

    def test_no_way(self) -> None:
        """An address that cannot be sent to costs the others nothing."""
        others = [Address("192.0.2.1", 1), Address("192.0.2.2", 2)]
        for address in (FAR, *others):
            self.introduce(address)
        for fault in (OSError("no route"), ValueError("wrong family")):
            self.sent.faults = {("192.0.2.9", 9): fault}
            self.datagrams.send(Note(), [FAR, *others])
        self.assertEqual((len(self.sent.datagrams), self.datagrams.counts), (4, {"unsent": 2}))
        self.sent.faults = {("192.0.2.3", 3): OSError("no route")}
        self.datagrams.send(Note(), [Address("192.0.2.3", 3)])
        self.assertEqual(self.datagrams.counts, {"unsent": 3})

    def test_dressed_up(self) -> None:
        """On a socket for both families an IPv4 address is the same with and without its IPv6 clothes."""
        self.datagrams = opened(self.sent, interface="::")
        self.datagrams.send(Note(), [FAR])
        [(data, where)] = self.sent.datagrams
        self.assertEqual(where, ("::ffff:192.0.2.9", 9))
        nonce = msgspec.json.decode(data)["nonce"]
        answer = msgspec.json.encode(Cookie(nonce=nonce, give=COOKIE))
        self.datagrams.datagramReceived(answer, ("::ffff:192.0.2.9", 9))
        self.datagrams.send(Note(text="2"), [FAR])
        self.assertEqual([where for _, where in self.sent.datagrams], [("::ffff:192.0.2.9", 9)] * 3)

    def test_closed(self) -> None:
        """When the socket is closing nothing is sent, taken or left to do."""
        self.datagrams.send(Note(), [FAR])
        self.sent.datagrams.clear()
        self.datagrams.close()
        self.datagrams.send(Note(), [FAR, Address("192.0.2.1", 1)])
        self.hear(Knock(nonce=NONCE, pad=PAD))
        self.assertEqual((self.sent.datagrams, self.clock.getDelayedCalls()), ([], []))

    def test_none(self) -> None:
        """Without a socket nothing can be sent, and who tries is told."""
        datagrams = Datagrams(self.clock, random.Random(1), SECRET, Limits())
        with self.assertRaises(UsageError):
            datagrams.send(Note(), [FAR])
        self.assertEqual(datagrams.port, 0)
        self.successResultOf(datagrams.close())


class BetweenNodesTests(SynchronousTestCase):
    """Nodes that send each other datagrams."""

    def setUp(self) -> None:
        """Start two."""
        self.network = SimulatedNetwork()
        self.readers = [Reader(), Reader()]
        self.nodes = [self.network.add_node(reader, udp=True) for reader in self.readers]
        self.addresses = [self.network.where_datagrams(node) for node in self.nodes]

    def say(self, text: str, sender: int = 0) -> None:
        """Let one send a note to the other."""
        self.nodes[sender].send_datagram(Note(text=text), [self.addresses[1 - sender]])

    def texts(self, reader: int = 1) -> list[str]:
        """What one of them got."""
        return [text for text, _ in self.readers[reader].notes]

    def names(self) -> list[str]:
        """The types of all datagrams since last asked."""
        names = [message.wire_name for _, _, message in self.network.datagrams]
        self.network.datagrams.clear()
        return names

    def test_both_ways(self) -> None:
        """Each gets the other's cookie once, and the roles see nothing of it."""
        for number in range(3):
            for sender in (0, 1):
                self.say(str(number), sender)
            self.network.run(0.1)
        self.assertEqual((self.texts(0), self.texts(1)), (["0", "1", "2"], ["0", "1", "2"]))
        names = self.names()
        self.assertEqual([names.count(name) for name in ("knock", "cookie", "test-note")], [2, 2, 6])
        self.assertEqual(self.readers[1].notes[0][1], self.addresses[0])

    def test_one_begins(self) -> None:
        """Who is spoken to has been given the cookie with it, and answers at once."""
        for sender in (0, 1, 0, 1):
            self.say("x", sender)
            self.network.run(0.1)
        self.assertEqual(self.names(), ["knock", "cookie", *["test-note"] * 4])

    def test_loss(self) -> None:
        """Where half of all datagrams get lost cookies are got in spite of it."""
        hosts = [self.network.host_of(node).name for node in self.nodes]
        for one, other in (hosts, hosts[::-1]):
            self.network.network.ways.change(one, other, Conditions(latency_s=0.01, loss=0.5))
        for number in range(200):
            for sender in (0, 1):
                self.say(str(number), sender)
            self.network.run(0.5)
        for reader in (0, 1):
            self.assertTrue(60 < len(self.texts(reader)) < 140, len(self.texts(reader)))

    def test_for_hours(self) -> None:
        """Where the network loses nothing no message is lost, sent often or seldom, while cookies go out of date."""
        for pause_s in (7.0, 160.0, 290.0, 450.0, 601.0, 1000.0):
            sent = [str(number) for number in range(30)]
            self.readers[1].notes.clear()
            for text in sent:
                self.say(text)
                self.network.run(pause_s)
            missing = [text for text in sent if text not in self.texts()]
            self.assertEqual(missing, [], f"{pause_s} s apart")

    def test_out_of_date(self) -> None:
        """A cookie runs out however often it was shown: one that was seen on the way is not good for ever."""
        socket = RawSocket(self.network, self.nodes[1], "10.9.0.1")
        cookie = socket.cookie(self.network)
        heard = []
        for number in range(12):
            socket.received.clear()
            socket.tell("test-note", text=str(number), cookie=cookie)
            self.network.run(60)
            heard.append(not socket.of_type("stale"))
        # Given right at the beginning of a slot of 300 s; right in that and in the next.
        self.assertEqual((heard, self.texts()), ([True] * 10 + [False] * 2, [str(number) for number in range(10)]))

    def test_restart(self) -> None:
        """A node that was started anew knows its cookies again, since they follow from its key."""
        self.say("before")
        self.network.run(0.1)
        host, key = self.network.host_of(self.nodes[1]), self.nodes[1].key
        self.network.kill(self.nodes[1])
        again = Reader()
        self.network.add_node(again, udp=True, host=host, key=key)
        self.names()
        self.say("after")
        self.network.run(0.1)
        self.assertEqual([text for text, _ in again.notes], ["after"])
        self.assertEqual(self.names(), ["test-note"])

    def test_replaced(self) -> None:
        """Another node at the same address knows none of them: one message is lost, and the next goes."""
        self.say("before")
        self.network.run(0.1)
        host = self.network.host_of(self.nodes[1])
        self.network.kill(self.nodes[1])
        again = Reader()
        self.network.add_node(again, udp=True, host=host, port=9001, key=self.nodes[0].key.generate(random.Random(9)))
        self.say("lost")
        self.network.run(0.1)
        self.say("after")
        self.network.run(0.1)
        self.assertEqual([text for text, _ in again.notes], ["after"])

    def test_nobody_can_guess(self) -> None:
        """Two nodes give different cookies to the same address."""
        cookies = {
            RawSocket(self.network, node, f"10.9.9.{n}").cookie(self.network) for n, node in enumerate(self.nodes)
        }
        self.assertEqual(len(cookies), 2)

    def test_same_again(self) -> None:
        """The same seed makes the same datagrams, bit for bit."""
        runs = []
        for _ in range(2):
            self.setUp()
            self.test_both_ways()
            self.say("x")
            runs.append(repr(self.network.datagrams))
        self.assertEqual(runs[0], runs[1])

    def test_polite_end(self) -> None:
        """A node that stops closes its socket, whatever waits, and leaves no timer."""
        self.nodes[0].send_datagram(Note(text="x"), [Address("10.200.0.1", 9)])
        self.network.stop_all()
        self.assertEqual(self.network.left(), [])


class SentDatagrams:
    """A transport that keeps what is sent."""

    def __init__(self) -> None:
        self.datagrams: list[tuple[bytes, tuple[str, int]]] = []
        self.faults: dict[tuple[str, int], Exception] = {}

    def write(self, data: bytes, where: tuple[str, int]) -> None:
        """Keep a datagram, or fail."""
        if where in self.faults:
            raise self.faults[where]
        self.datagrams.append((data, where))


class _Port:
    """A listening port that is never anything else."""

    def __init__(self, host: str) -> None:
        self._host = host

    def getHost(self) -> Address:
        return Address(self._host, 9100)

    def stopListening(self) -> None:
        pass


def opened(
    sent: SentDatagrams,
    limits: Limits | None = None,
    interface: str = "0.0.0.0",
    clock: Clock | None = None,
    trace: Any = None,
) -> Datagrams:
    """Datagrams on a transport that only keeps what is sent; notes are taken and dropped."""
    clock = clock or Clock()
    listening: Any = clock
    listening.listenUDP = lambda port, protocol, interface, most: _Port(interface)
    datagrams = Datagrams(clock, random.Random(1), SECRET, limits or Limits(), trace)
    datagrams.listen(interface, 0)
    datagrams.transport = sent
    datagrams.register_receivers({Note: lambda note, address, key: None})
    return datagrams
