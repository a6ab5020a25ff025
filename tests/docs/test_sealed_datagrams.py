"""The page on sealed datagrams, held against the code: its kinds, its limits, and its vectors."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.docs.pages import SPECIFICATION, blocks, section, table_with
from tests.node.datagrams.sealed.sealed_nodes import SealedNetwork
from twisted_bazaar.files.window.segment import MOST_OVERHEAD_BYTES
from twisted_bazaar.files.window.settings import DEFAULT_MSS
from twisted_bazaar.identity.keys import KeyPair
from twisted_bazaar.node.datagrams import cookies
from twisted_bazaar.node.datagrams.sealed import handshake_share, packets, paths
from twisted_bazaar.node.limits import Limits
from twisted_bazaar.security.noise import datagram_session
from twisted_bazaar.security.noise.agreement_key import AgreementKey, agreement_key_of
from twisted_bazaar.security.noise.handshake import Initiator, Responder
from twisted_bazaar.security.noise.replay_window import WINDOW

NAMES = ("KNOCK", "COOKIE", "QUESTION", "ANSWER", "BEGIN", "READY", "SEALED", "LOST")
PAGE = SPECIFICATION["sealed-datagrams.md"]
ADA, BOB = (KeyPair.from_seed(bytes(range(n, n + 32))) for n in (0, 32))
NONCE, COOKIE = bytes(range(8)), b"c" * 8
ASKED, ANSWERED, SAID = b'{"type":"where","id":1}', b'{"type":"here"}', b'{"type":"hello"}'


def vectors() -> dict[str, bytes]:
    """What stands on the page, by its name."""

    def ephemeral(begin: int) -> AgreementKey:
        return AgreementKey.from_bytes(bytes(range(begin, begin + 32)))

    def handshake(purpose: bytes) -> tuple[Initiator, Responder]:
        asks = Initiator(AgreementKey.of(ADA), agreement_key_of(BOB.public), purpose, ephemeral(64))
        return asks, Responder(AgreementKey.of(BOB), purpose, ephemeral(96))

    name = bytes.fromhex(ADA.public)
    asks, answers = handshake(paths.QUESTION)
    first = asks.first(name + len(ASKED).to_bytes(2, "big") + ASKED)
    answers.first(first)
    second, _ = answers.second(COOKIE + ANSWERED)
    begins, heard = handshake(paths.SESSION)
    begin = begins.first(name + (1).to_bytes(8, "big"))
    heard.first(begin)
    ready, _ = heard.second(b"")
    session = datagram_session.DatagramSession(begins.second(ready)[1], 0.0)
    return {
        "Ada's key": name,
        "Ada's X25519 key": agreement_key_of(ADA.public),
        "Bob's key": bytes.fromhex(BOB.public),
        "Bob's X25519 key": agreement_key_of(BOB.public),
        f"QUESTION, without zeros at its end: {ASKED.decode()}": packets.QUESTION.make(
            NONCE, packets.NO_COOKIE, rest=first
        ),
        f"ANSWER: {ANSWERED.decode()}": packets.ANSWER.make(NONCE, rest=second),
        "BEGIN, with the number 1": packets.BEGIN.make(b"ada", COOKIE, rest=begin),
        "READY": packets.READY.make(b"ada", b"bob", rest=ready),
        f"SEALED, Ada's first: {SAID.decode()}": packets.SEALED.make(b"bob", rest=session.seal(SAID, 0.0)),
    }


class SealedDatagramsPageTests(SynchronousTestCase):
    """What a client by another hand relies on."""

    def test_kinds(self) -> None:
        """The kinds are those of the code, with their bytes."""
        rows = table_with(section(PAGE, "Kinds"), "Byte", "Kind", "Fields, with their bytes", "At least")
        told = {int(row["Byte"]): (row["Kind"].strip("`"), int(row["At least"])) for row in rows}
        names = {kind.byte: name for name, kind in vars(packets).items() if isinstance(kind, packets.Kind)}
        self.assertEqual(told, {byte: (names[byte], kind.size) for byte, kind in packets.KINDS.items()})

    def test_purposes(self) -> None:
        """Both purposes stand on the page."""
        for purpose in (paths.QUESTION, paths.SESSION):
            self.assertIn(f"`{purpose.decode()}`", section(PAGE, "Keys"))

    def test_limits(self) -> None:
        """The limits are those of the code."""
        told = [row["Limit"] for row in table_with(section(PAGE, "Limits"), "What", "Limit")]
        segment_bytes = DEFAULT_MSS + MOST_OVERHEAD_BYTES + packets.SEALED.size
        times = f"{datagram_session.RENEW_S:g}, {datagram_session.GRACE_S:g}"
        share = handshake_share
        known = share.FIRST_A_SECOND + share.MORE_A_SECOND
        handshakes = f"{known + share.UNPROVEN_A_SECOND}, {share.UNPROVEN_A_SECOND}, {share.OF_HOST_A_SECOND}"
        answers = f"{Limits().strangers_a_second:g}, {cookies.FEW}"
        limits = (Limits().datagram_bytes, segment_bytes, handshakes, answers, WINDOW, times)
        self.assertEqual(told, [str(limit) for limit in limits])

    def test_vectors(self) -> None:
        """The vectors are what the code writes."""
        [text] = blocks(section(PAGE, "Vectors"), "text")
        self.assertEqual(text.strip(), printed())

    def test_dialogue(self) -> None:
        """The dialogue is what two nodes say to each other."""
        [text] = blocks(section(PAGE, "Dialogue"), "text")
        self.assertEqual(text.strip(), dialogue())


def dialogue() -> str:
    """The dialogue as it stands on the page."""
    network = SealedNetwork()
    ada, bob = network.node("192.0.2.1"), network.node("192.0.2.2")
    bob.answers = lambda said: b'{"type":"here"}'
    kinds = {getattr(packets, name).byte: name for name in NAMES}
    lines, seen = [], 0

    def note(*says: str) -> None:
        nonlocal seen
        network.run()
        said = iter(says)
        for each in network.carried[seen:]:
            name = kinds[each.data[0]]
            what = next(said) if name in ("QUESTION", "ANSWER", "SEALED") else ""
            who = "Ada -> Bob" if each.source == ada.where else "Bob -> Ada"
            lines.append(f"{who}  {len(each.data):5,}  {name:8}  {what}".rstrip())
        seen = len(network.carried)
        lines.append("")

    question, answer, hello = '{"type":"where","id":1}', '{"type":"here"}', '{"type":"hello"}'
    ada.send(question.encode(), bob, is_question=True, knows_key=False)
    note(question, answer)
    ada.send(hello.encode(), bob)
    note(hello)
    bob.send(hello.encode(), ada)
    note(hello)
    bob.restart()
    ada.send(hello.encode(), bob)
    note(hello, "nothing")
    ada.send(hello.encode(), bob)
    note(hello)
    return "\n".join(lines).strip()


def printed() -> str:
    """The vectors as they stand on the page."""
    lines = []
    for name, data in vectors().items():
        digits = data.hex()
        lines += [name, *(f"    {digits[n : n + 96]}" for n in range(0, len(digits), 96))]
    return "\n".join(lines)
