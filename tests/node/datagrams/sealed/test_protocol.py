"""Sealed datagrams of nodes with roles, in a simulation with its stand-in and with the real cipher."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from twisted.trial.unittest import SynchronousTestCase

from tests.raw_datagram import RawSocket
from twisted_bazaar.role import Role
from twisted_bazaar.security.noise.node_handshake import NoiseHandshakes
from twisted_bazaar.sim import cluster
from twisted_bazaar.testing import SimulatedNetwork
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.wire.message import Message, Text

WORDS: Final = "apples-without-end"


class SealedNote(Message, tag="test-sealed-note"):
    """Something that is said."""

    text: Text = ""


class SealedName(Message, tag="test-sealed-name"):
    """Says whose it is."""

    key: Text = ""

    def is_from(self, key: str) -> bool:
        """Whether it may be of the node with a key."""
        return self.key == key


class SealedAsk(Message, tag="test-sealed-ask"):
    """A question that changes nothing."""

    is_question: ClassVar[bool] = True

    text: Text = ""


class Speaker(Role):
    """Keeps what is said, and says of each question what it was."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.asked: list[str] = []
        self.named: list[tuple[str, str | None]] = []
        self.datagrams = {SealedNote: self._said, SealedAsk: self._asked, SealedName: self._named}

    def start(self, node: Any) -> None:
        """Keep the node."""
        self.node = node

    def _said(self, note: SealedNote, address: Address, key: str | None) -> None:
        if note.text == "boom":
            raise RuntimeError("boom")
        self.heard.append(note.text)

    def _named(self, name: SealedName, address: Address, key: str | None) -> None:
        self.named.append((name.key, key))

    def _asked(self, ask: SealedAsk, address: Address, key: str | None) -> None:
        self.asked.append(ask.text)
        self.node.send_datagram(SealedNote(text=f"you asked {ask.text}"), [address])


class SealedDatagramTests(SynchronousTestCase):
    """Two nodes whose datagrams are sealed by the stand-in."""

    def setUp(self) -> None:
        """Start them, and see all that goes."""
        self.network = SimulatedNetwork(sealed=True)
        self.speakers = Speaker(), Speaker()
        self.ada, self.bob = (self.network.add_node(speaker, udp=True) for speaker in self.speakers)
        self.bob_where = self.network.where_datagrams(self.bob)

    def say(self, *texts: str) -> list[str]:
        """Let ada say something to bob; returns what bob has heard, after a moment."""
        for text in texts:
            self.ada.send_datagram(SealedNote(text=text), [self.bob_where])
        self.network.run(0.1)
        return self.speakers[1].heard

    def test_said(self) -> None:
        """What is said arrives, in its order, and so does what is said back."""
        self.assertEqual(self.say("one", "two"), ["one", "two"])
        self.bob.send_datagram(SealedNote(text="three"), [self.network.where_datagrams(self.ada)])
        self.network.run(0.1)
        self.assertEqual(self.speakers[0].heard, ["three"])
        self.assertEqual([node.datagrams.counts for node in (self.ada, self.bob)], [{}, {}])

    def test_asked(self) -> None:
        """A question is answered, and nothing is remembered of who asked; in a session it is answered all the same."""
        self.ada.send_datagram(SealedAsk(text="who"), [self.bob_where])
        self.network.run(0.1)
        self.assertEqual(self.speakers[0].heard, ["you asked who"])
        self.assertFalse(self.bob.has_validated(self.network.where_datagrams(self.ada)))
        self.say("hello")
        self.assertTrue(self.bob.has_validated(self.network.where_datagrams(self.ada)))
        self.assertTrue(self.ada.has_validated(self.bob_where))
        self.ada.send_datagram(SealedAsk(text="again"), [self.bob_where])
        self.network.run(0.1)
        self.assertEqual(self.speakers[0].heard, ["you asked who", "you asked again"])

    def test_no_question(self) -> None:
        """What is no question is heard in a session alone, and so once: anybody could say it again before."""
        paths: Any = self.ada.datagrams
        where, said = (self.bob_where.host, self.bob_where.port), b'{"type":"test-sealed-note","text":"buy"}'
        paths._paths.send(said, where, self.bob.key.public, self.network.seconds(), is_question=True)
        self.network.run(0.1)
        self.assertEqual(self.speakers[1].heard, ["buy"])
        self.assertEqual(self.bob.datagrams.counts, {"unshown": 1})

    def test_proven(self) -> None:
        """With what is said comes the key that was proven; who says of itself that it has another is not heard."""
        own, other = self.ada.key.public, self.bob.key.public
        for key in (own, other, own):
            self.ada.send_datagram(SealedName(key=key), [self.bob_where])
        self.network.run(0.1)
        self.assertEqual(self.speakers[1].named, [(own, own)] * 2)
        self.assertEqual(self.bob.datagrams.counts, {"posed": 1})

    def test_for_one_key(self) -> None:
        """What is for a key is heard by nobody else at its address; each of several has its own."""
        self.ada.send_datagram(SealedNote(text="whoever"), [self.bob_where])
        self.ada.send_datagram(SealedNote(text="yours"), [self.bob_where] * 2, [self.bob.key.public, None])
        self.ada.send_datagram(SealedNote(text="another's"), [self.bob_where], [self.ada.key.public])
        self.network.run(10.0)
        self.assertEqual(self.speakers[1].heard, ["whoever", "yours", "yours"])

    def test_fault(self) -> None:
        """One that cannot be handled is counted, and the next is taken."""
        self.assertEqual(self.say("boom", "next"), ["next"])
        self.assertEqual(self.bob.datagrams.counts, {"faults": 1})
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_too_often(self) -> None:
        """More than so many in a second are not taken from one address."""
        self.say("first")
        for _ in range(150):
            self.ada.send_datagram(SealedNote(text="many"), [self.bob_where] * 20)
        self.network.run(0.1)
        self.assertLess(len(self.speakers[1].heard), 2_300)
        self.assertGreater(self.bob.datagrams.counts["too many"], 500)

    def test_in_the_open(self) -> None:
        """Who speaks in the open is not heard, and gets no answer."""
        stranger = RawSocket(self.network, self.bob, "10.9.0.1")
        stranger.tell("test-sealed-note", text="hello")
        stranger.tell("knock", nonce="0" * 16, pad="0" * 64)
        self.network.run(0.1)
        self.assertEqual((stranger.received, self.speakers[1].heard), ([], []))
        self.assertEqual(self.bob.datagrams.counts, {"rubbish": 2})


class RealCipherTests(SealedDatagramTests):
    """The same with Noise itself."""

    def setUp(self) -> None:
        """Start them with it."""
        self.patch(cluster, "StandInHandshakes", lambda key, rng, nonces, seconds: NoiseHandshakes(key, seconds))
        super().setUp()
