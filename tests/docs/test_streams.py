"""The page on streams says the numbers that the code has, and its dialogue is one."""

from __future__ import annotations

import random
import re
from typing import Final
from zlib import crc32

from tests.docs.pages import SPECIFICATION, PageTests, Text, blocks, section, table_with, tables, word
from twisted_bazaar.files.udp import StreamLimits, doorway
from twisted_bazaar.files.window import Settings, handshake, receiver, rtt, segment, sender, stream
from twisted_bazaar.files.window.segment import ACK, ASK, FIN, OPEN, SYN, decode, decode_name
from twisted_bazaar.files.window.sent_segments import _OVERTAKEN_ROUNDS

PAGE: Final = SPECIFICATION["streams.md"]


def by_register(content: bytes, register: int) -> int:
    """CRC-32 a bit at a time, as textbooks have it, from one state of its register to the next."""
    for byte in content:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0xEDB8_8320 if register & 1 else 0)
    return register


class StreamsTests(PageTests):
    """What the page says."""

    def test_head(self) -> None:
        """The fields of the head are as long as those of the code, and the flags have its values."""
        text = section(PAGE, "Segments")
        fields, flags = tables(text)
        sizes = [int(row["Bytes"]) for row in fields if row["Bytes"].isdigit()]
        self.assertEqual(sum(sizes), segment.HEAD_BYTES)
        told = {word(row["Flag"]): int(row["Value"], 16) for row in flags}
        self.assert_tells(text, told, {name: getattr(segment, name, None) for name in told})
        self.assertEqual(len(told), 7)

    def test_checksum(self) -> None:
        """The checksums on the page are those that a segment with such flags has."""
        vectors = table_with(section(PAGE, "The checksum"))
        for row in vectors:
            flags, body = int(word(row["Flags"]), 16), row["Bytes"]
            start = flags ^ 0xFFFF_FFFF
            fed = b"" if body == "none" else bytes.fromhex(word(body))
            told = word(row["Checksum"])
            self.assertEqual(crc32(fed, flags).to_bytes(4, "big").hex(" "), told)
            self.assertEqual((by_register(fed, start) ^ 0xFFFF_FFFF).to_bytes(4, "big").hex(" "), told)
        self.assertEqual(len(vectors), 4)

    def test_first_segments(self) -> None:
        """What the page says means nothing in the first segments makes no difference: neither end looks at it."""
        opening = handshake.Handshake(b"secret", Settings())
        name = segment.encode_name(b"the-near", 1140)
        plain, odd = (
            decode(segment.encode(SYN, bytes(8), 0, 0, *said, name)) for said in ((0, 0, 0, 0), (7, 9, 5, 65_535))
        )
        assert plain is not None
        assert odd is not None
        answer = opening.answer(plain, ("10.0.0.1", 4000), 1.0)
        self.assertEqual(opening.answer(odd, ("10.0.0.1", 4000), 1.0), answer)
        assert answer is not None
        said = decode(answer)
        assert said is not None
        self.assertEqual((said.ack, said.echo, said.delay, said.ranges), (0, 0, 0, ()))
        self.assertGreater(said.window, 0)
        for echo, delay in ((0, 0), (0, 999), (0, 65_535)):
            near = stream.Stream(Settings(), b"the-near", random.Random(1), 0.0)
            list(near.datagrams(0.0))
            near.receive(said, 0.1)
            near.write(b"hello", 0.1)
            list(near.datagrams(0.1))
            before = near._sender.round_trip.latest_s
            heard = decode(segment.encode(ACK, b"the-near", 0, 0, 0, 5000, echo, delay))
            assert heard is not None
            near.receive(heard, 0.9)
            self.assertEqual(near._sender.round_trip.latest_s, before)

    def test_numbers(self) -> None:
        """The limits and times are those of the code."""
        settings, limits = Settings(), StreamLimits()
        told = {
            "Segments": (
                f"its first byte is {segment.KIND:#x}",
                f"in units of {segment.DELAY_UNIT_S * 1e6:g} us; {segment.LONGEST_DELAY} for that and longer",
                f"at most {segment.MOST_RANGES} |",
                f"A **name** has {segment.NAME_BYTES} bytes",
            ),
            "Opening": (
                f"after {stream._FIRST_AGAIN_S:g} s, then after pauses twice as long each time",
                f"up to {stream._LONGEST_AGAIN_S:g} s, and gives up after {settings.open_s:g} s",
                f"divided by {handshake.SLOT_S:g}, rounded down",
            ),
            "Sending": (
                f"that decides for {_OVERTAKEN_ROUNDS} round trips",
                f"{rtt.FIRST_TIMEOUT_S:g} s before anything was measured",
                f"at least {rtt.LEAST_TIMEOUT_S:g} s and at most {rtt.LONGEST_TIMEOUT_S:g} s",
            ),
            "Receiving": (
                f"else after {receiver._ACK_DELAY_S * 1000:g} ms",
                f"up to {sender._LONGEST_PROBE_S:g} s",
            ),
            "How fast": (
                f"{settings.window} segments of {settings.mss} bytes",
                f"keeps {limits.kept} segments that nobody has taken",
            ),
            "Limits": (
                f"{settings.mss + segment.MOST_OVERHEAD_BYTES} bytes with {settings.mss} bytes of the stream",
                f"{limits.most}, of which {limits.most_of_host} with one host",
                f"the window; {limits.kept} segments in a stream",
                f"| {receiver._MOST_GAPS} |",
                f"{settings.stuck_s:g} s without progress",
                f"{settings.quiet_s:g} s; then the other end is asked; {settings.silence_s:g} s",
                f"| {settings.idle_s:g} s |",
                f"{doorway._FRAME_BYTES} bytes, {doorway._PATIENCE_S:g} s",
            ),
        }
        for title, sentences in told.items():
            text = section(PAGE, title)
            self.assert_says(Text.of(text.lower(), text.where), *(each.lower() for each in sentences))

    def test_dialogue(self) -> None:
        """The datagrams of the dialogue are segments, from the first step to the last word."""
        [block] = blocks(PAGE, "segments")
        lines = [
            re.fullmatch(r"(caller|called) -> (?:caller|called) <([0-9a-f ]+)>", line) for line in block.split("\n")
        ]
        said = [(line[1], decode(bytes.fromhex(line[2]))) for line in lines if line is not None]
        first, second, third = said[0][1], said[1][1], said[2][1]
        assert first is not None
        assert second is not None
        assert third is not None
        self.assertEqual([each.flags for each in (first, second, third)], [SYN, SYN | ACK, OPEN | ASK | ACK])
        caller, called = decode_name(first.payload), decode_name(second.payload)
        assert caller is not None
        assert called is not None
        ids = {"caller": called[0], "called": caller[0]}
        self.assertEqual([each.to == ids[who] for who, each in said[1:] if each is not None], [True] * (len(said) - 1))
        self.assertEqual(third.payload, first.payload + b"hello")
        self.assertEqual([each.payload for who, each in said if each and who == "called" and each.number], [b"welcome"])
        end = next(each for _, each in said if each is not None and each.flags & FIN)
        last = said[-1][1]
        assert last is not None
        self.assertEqual((end.offset, last.ack, last.echo), (5, 6, end.number))
