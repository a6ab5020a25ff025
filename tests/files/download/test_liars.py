"""Promises of a download among those who lie, fail or break the rules: no wrong byte is kept, and the file comes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from attrs import evolve

from tests.files.cases import MIB, Rogue, TransferTestCase, file_of
from twisted_bazaar.errors import StorageError, TransferFailed
from twisted_bazaar.files.chunks import CHUNK_BYTES, Manifest
from twisted_bazaar.files.memory import MemoryContent, MemoryPart, manifest_of
from twisted_bazaar.files.messages import LARGEST_BLOCK_BYTES, block_head, digests_page
from twisted_bazaar.sim.engine.network_conditions import Conditions
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.values.files import FileSource
from twisted_bazaar.wire.framing import frame

Say = dict[str, Any]


def said(type: str, **keys: Any) -> bytes:
    """A message as a frame."""
    return frame(json.dumps({"type": type, **keys}).encode())


def messages_in(rogue: Rogue) -> Iterator[Say]:
    """The messages in what a source has heard; it may have come in any pieces."""
    while True:
        size, _, rest = rogue.heard.partition(b":")
        if not size.isdigit() or len(rest) <= int(size):
            return
        rogue.heard = rest[int(size) + 1 :]
        yield json.loads(rest[: int(size)])


def pieces(chunk: int, content: bytes) -> bytes:
    """A chunk as it is sent."""
    parts = (content[at : at + LARGEST_BLOCK_BYTES] for at in range(0, len(content), LARGEST_BLOCK_BYTES))
    return b"".join(
        block_head(chunk, number * LARGEST_BLOCK_BYTES, len(part)) + part + b"," for number, part in enumerate(parts)
    )


class Liar:
    """A source that behaves, but for what is overridden.

    @param content: what it serves.
    """

    def __init__(self, content: bytes, manifest: Manifest | None = None) -> None:
        self.content = content
        self.manifest = manifest or manifest_of(content)
        self.asked: list[Say] = []

    def __call__(self, rogue: Rogue, data: bytes) -> None:
        """Answer what has been said."""
        for message in messages_in(rogue):
            self.asked.append(message)
            for answer in getattr(self, "on_" + message["type"], lambda message: ())(message):
                if answer is None:
                    rogue.transport.loseConnection()
                else:
                    rogue.transport.write(answer)

    def on_fetch(self, message: Say) -> Sequence[bytes | None]:
        return [said("manifest", size=self.manifest.size, root=self.manifest.root)]

    def on_digests(self, message: Say) -> Sequence[bytes | None]:
        first, count = message["first"], message["count"]
        return [frame(digests_page(first, self.manifest.chunk_digests[first * 32 : (first + count) * 32]))]

    def on_queue(self, message: Say) -> Sequence[bytes | None]:
        return [said("go")]

    def on_want(self, message: Say) -> Sequence[bytes | None]:
        chunk = message["chunk"]
        return [pieces(chunk, self.content[chunk * CHUNK_BYTES : (chunk + 1) * CHUNK_BYTES])]


class LiarTestCase(TransferTestCase):
    """An honest source and another."""

    def liar(self, **overrides: Callable[[Liar, Say], Sequence[bytes | None]]) -> tuple[Liar, FileSource]:
        """A source that answers some messages in another way."""
        liar = Liar(self.bytes, self.manifest)
        for name, answer in overrides.items():
            setattr(liar, name, lambda message, answer=answer: answer(liar, message))
        return liar, self.rogue(9, liar)

    def assert_dropped(self, why: str, most_s: float = 60.0, **overrides: Any) -> None:
        """Alone such a source is given up, and nothing wrong is kept; beside an honest one the file comes."""
        _, source = self.liar(**overrides)
        alone = self.fetching(give_up_s=1.0).start(source)
        self.network.run_until(lambda: alone.is_over, most_s)
        assert alone.failure is not None, "there was nobody else"
        alone.failure.trap(TransferFailed)
        self.assertIn(why, alone.dropped[9])
        # None of it is wrong.
        for chunk in alone.part.holdings:
            self.assertIn(chunk, alone.part.written)
        _, source = self.liar(**overrides)
        site = self.site(1)
        both = self.fetching().start(source, site.source)
        self.finish(both, most_s=most_s)
        assert both.receipt is not None


class LieTests(LiarTestCase):
    """Every kind of lie is found out."""

    def test_honest(self) -> None:
        """Who does not lie is believed: the tests below fail for no other reason."""
        _, source = self.liar()
        self.finish(self.fetching().start(source))

    def test_wrong_chunk(self) -> None:
        """A chunk of rubbish is not kept."""
        self.assert_dropped(
            "chunk", on_want=lambda liar, m: [pieces(m["chunk"], bytes(self.manifest.size_of(m["chunk"])))]
        )

    def test_another_chunk(self) -> None:
        """A right chunk in another's place is not kept."""

        def swapped(liar: Liar, message: Say) -> Sequence[bytes]:
            chunk = (message["chunk"] + 1) % 3
            return [pieces(message["chunk"], self.bytes[chunk * MIB : (chunk + 1) * MIB])]

        self.assert_dropped("", on_want=swapped)

    def test_manifest_of_another_file(self) -> None:
        """A manifest of another file is found out at the end; nobody who gave it is asked again."""
        other = file_of(self.size, 8)
        liar = Liar(other, Manifest(self.manifest.digest, self.size, manifest_of(other).chunk_digests))
        source = self.rogue(9, liar)
        alone = self.fetching(give_up_s=1.0).start(source)
        self.network.run_until(lambda: alone.is_over, 30)
        self.assertIn("the whole does not have the digest", alone.dropped[9])
        self.assertFalse(alone.part.is_finished)
        # The lie comes first, and the truth after it is believed.
        site = self.site(1)
        late = self.fetching().start(source)
        self.network.run(0.3)
        late.download.add_sources([site.source])
        self.finish(late)
        self.assertEqual(list(late.dropped), [9])
        late.download.add_sources([source])
        self.assertEqual(len(late.download.status().sources), 2)

    def test_no_credit(self) -> None:
        """What came by a false manifest is nobody's merit, nor was it there before."""
        digests = self.manifest.chunk_digests[:-32] + hashlib.sha256(b"false").digest()
        false = Liar(self.bytes[: 3 * MIB] + b"false", Manifest(self.manifest.digest, self.size, digests))
        fetching = self.fetching().start(self.rogue(9, false))
        self.network.run_until(lambda: 9 in fetching.dropped, 30)
        site = self.site(1)
        fetching.download.add_sources([site.source])
        self.finish(fetching)
        assert fetching.receipt is not None
        self.assertEqual((list(fetching.receipt.by_source), fetching.receipt.resumed_bytes), ([site.source], 0))

    def test_the_same_lie_again(self) -> None:
        """A manifest that was found out is not believed of anybody else, nor is who lied at another address."""
        other = file_of(self.size, 8)
        manifest = Manifest(self.manifest.digest, self.size, manifest_of(other).chunk_digests)
        first, second = self.rogue(9, Liar(other, manifest)), Liar(other, manifest)
        fetching = self.fetching().start(first)
        self.network.run_until(lambda: 9 in fetching.dropped, 30)
        fetching.download.add_sources([evolve(self.rogue(9, Liar(other, manifest)), id=7), self.rogue(8, second)])
        self.network.run(3)
        self.assertEqual([message["type"] for message in second.asked], ["fetch"])
        self.assertEqual(list(fetching.dropped), [9, 8])
        self.assertEqual(len(fetching.download.status().sources), 2)

    def test_most_are_believed(self) -> None:
        """Of two manifests that which more sources give is tried first."""
        other = file_of(self.size, 8)
        liar = Liar(other, Manifest(self.manifest.digest, self.size, manifest_of(other).chunk_digests))
        fetching = self.fetching().start(self.rogue(9, liar), self.site(1).source, self.site(2).source)
        self.finish(fetching)
        self.assertNotIn("want", [message["type"] for message in liar.asked])

    def test_sizes_that_lie(self) -> None:
        """A size too large, too small or beyond belief costs nothing but the source that gave it."""
        for size in (0, 1, self.size - MIB, self.size + 1, self.size + MIB, 1 << 40, (1 << 40) + 1, 1 << 53):
            with self.subTest(size=size):
                self.assert_dropped(
                    "",
                    90.0,
                    on_fetch=lambda liar, m, size=size: [said("manifest", size=size, root=self.manifest.root)],
                )

    def test_sizes_beyond_belief(self) -> None:
        """Nothing is asked, and no room made, for a size that cannot be."""
        for size, why in ((0, "another file"), ((1 << 40) + 1, "a file of"), (1 << 53, "a file of")):
            liar, source = self.liar(
                on_fetch=lambda liar, m, size=size: [said("manifest", size=size, root=self.manifest.root)]
            )
            fetching = self.fetching().start(source)
            self.network.run(1)
            self.assertIn(why, fetching.dropped[9])
            self.assertEqual([message["type"] for message in liar.asked], ["fetch"])

    def test_digests_that_do_not_fit(self) -> None:
        """Digests are checked against the manifest before anything is asked by them."""
        self.assert_dropped(
            "digests are not", on_digests=lambda liar, m: [frame(digests_page(0, bytes(32 * m["count"])))]
        )
        self.assert_dropped("nobody asked", on_digests=lambda liar, m: [frame(digests_page(1, bytes(32 * m["count"])))])
        self.assert_dropped("nobody asked", on_digests=lambda liar, m: [frame(digests_page(0, bytes(32)))])

    def test_pages_out_of_order(self) -> None:
        """Digests that nobody asked for are not taken, even if they would do."""
        twice = frame(digests_page(0, self.manifest.chunk_digests))
        self.assert_dropped("digests", on_digests=lambda liar, m: [twice, twice])
        self.assert_dropped("digests", on_queue=lambda liar, m: [twice])

    def test_a_want_that_crossed(self) -> None:
        """What was asked for before the slot was taken away may come all the same; that is no lie."""
        wants: list[int] = []

        def answer(liar: Liar, message: Say) -> Sequence[bytes | None]:
            wants.append(message["chunk"])
            first = self.bytes[: self.manifest.size_of(0)]
            # The source has forgotten what it was asked for, and then the word of it comes.
            again = said("wait") + said("go") + pieces(0, first)
            return [again] if wants == [0] else Liar.on_want(liar, message) if wants.count(0) > 1 else []

        _, source = self.liar(on_want=answer)
        fetching = self.fetching().start(source)
        self.finish(fetching)
        self.assertEqual(fetching.dropped, {})

    def test_pieces_that_do_not_fit(self) -> None:
        """Pieces come in order, of what was asked for, and no more than that."""
        for why, content in {
            "unasked": pieces(2, b"x"),
            "gap": block_head(0, 100, 10) + bytes(10) + b",",
            "later gap": block_head(0, 0, 10) + bytes(10) + b"," + block_head(0, 11, 10) + bytes(10) + b",",
            "again": (block_head(0, 0, 10) + bytes(10) + b",") * 2,
            "mixed": block_head(0, 0, 10) + bytes(10) + b"," + block_head(1, 0, 10) + bytes(10) + b",",
            "beyond": (block_head(0, 0, MIB // 2) + bytes(MIB // 2) + b",")
            + (block_head(0, MIB // 2, MIB // 2 - 1) + bytes(MIB // 2 - 1) + b",")
            + (block_head(0, MIB - 1, 2) + bytes(2) + b","),
            "twice": pieces(0, self.bytes[:MIB]) + pieces(0, self.bytes[:MIB]),
        }.items():
            with self.subTest(why):
                self.assert_dropped(
                    "out of order",
                    on_want=lambda liar, m, content=content: [content] if m["chunk"] == 0 else [],
                    on_queue=lambda liar, m: [said("go")],
                )

    def test_garbage(self) -> None:
        """Whatever breaks the rules of the wire ends it."""
        for garbage in (
            b"x",
            b"9999999:",
            b"600000:\x02",
            b"5:\x01abcd,",
            b"2:{},",
            frame(b"\x04abc"),
            said("have", chunks=[-1]),
        ):
            for moment in ("on_fetch", "on_queue", "on_want"):
                with self.subTest(garbage=garbage, moment=moment):
                    self.assert_dropped("", **{moment: lambda liar, m, garbage=garbage: [garbage]})

    def test_what_comes_out_of_turn(self) -> None:
        """A word at the wrong time breaks the rules."""
        manifest = said("manifest", size=self.size, root=self.manifest.root)
        self.assert_dropped("manifest", on_queue=lambda liar, m: [manifest])
        self.assert_dropped("go", on_fetch=lambda liar, m: [said("go")])
        self.assert_dropped("", on_queue=lambda liar, m: [frame(b"\x03\x00\x00\x00\x00\xf0")])
        self.assert_dropped("", on_queue=lambda liar, m: [said("go", fresh=[4])])

    def test_words_that_nobody_knows(self) -> None:
        """A message of a kind that is not known yet is left out."""
        _, source = self.liar(on_queue=lambda liar, m: [said("weather", sky="blue"), said("go")])
        self.finish(self.fetching().start(source))


class MadeUpSizeTests(LiarTestCase):
    """A size that is made up holds nobody up for longer than a turn, however slowly what it needs is given."""

    def slow(self, size: int, page_s: float, rate: int = 2_000) -> FileSource:
        """A source of a made-up file of a size, that gives a page of digests every so often, and so many bytes a second
        of zeros."""
        zeros = Manifest(self.manifest.digest, size, hashlib.sha256(bytes(MIB)).digest() * (size // MIB))

        def hear(rogue: Rogue, data: bytes) -> None:
            later = rogue.transport.host.callLater

            def page(message: Say) -> Sequence[bytes | None]:
                [answer] = Liar.on_digests(liar, message)
                later(page_s, rogue.transport.write, answer)
                return []

            def drip(left: bytes) -> None:
                rogue.transport.write(left[:rate])
                if left:
                    later(1.0, drip, left[rate:])

            def want(message: Say) -> Sequence[bytes | None]:
                drip(pieces(message["chunk"], bytes(MIB)))
                liar.on_want = lambda message: []  # type: ignore[method-assign]
                return []

            liar = Liar(b"", zeros)
            liar.on_digests, liar.on_want = page, want  # type: ignore[method-assign]
            rogue._script = liar
            liar(rogue, data)

        return self.rogue(9, hear)

    def test_alone(self) -> None:
        """A tebibyte whose digests trickle is given up, and what is told says why."""
        for page_s, most_s in ((15.0, 35.0), (2.1, 600.0)):
            fetching = self.fetching(give_up_s=1.0).start(self.slow(1 << 40, page_s))
            self.network.run_until(lambda fetching=fetching: fetching.is_over, most_s)
            self.assertRegex(fetching.dropped[9], r"it gave \d+ of 525 pages of digests in \d+ s")
            assert fetching.failure is not None, "there was nobody else"
            fetching.failure.trap(TransferFailed)
            self.assertIn(fetching.dropped[9], fetching.failure.getErrorMessage())

    def test_patience(self) -> None:
        """Digests that come at the least pace are waited for."""
        fetching = self.fetching().start(self.slow(1 << 36, 1.5))
        self.network.run_until(lambda: fetching.part.manifest is not None, 60.0)
        self.assertEqual(fetching.dropped, {})

    def test_honest_one_comes(self) -> None:
        """An honest source has its turn, whether digests trickle, or all are there and chunks do."""
        for size, page_s in ((1 << 40, 1.5), (1 << 40, 15.0), (40 * MIB, 0.0)):
            with self.subTest(size=size, page_s=page_s):
                fetching = self.fetching().start(self.slow(size, page_s))
                self.network.run(5.0)
                fetching.download.add_sources([self.site(1).source])
                self.finish(fetching, most_s=40.0)

    def test_many_of_one_lie(self) -> None:
        """Many who say the same have longer turns, and do not keep theirs for ever."""
        liars = [evolve(self.slow(40 * MIB, 0.0), key=f"{number:064x}") for number in range(5)]
        fetching = self.fetching().start(*liars, self.site(1).source)
        self.finish(fetching, most_s=150.0)

    def test_goes_on_after_a_turn(self) -> None:
        """What came in one turn is there in the next: who is slower than a turn is long comes to its end."""
        site, fetching = self.site(1), self.fetching()
        slow = Conditions(latency_s=0.01, bytes_a_second=30_000)
        self.network.network.ways.change(site.host.name, fetching.host.name, slow)
        fetching.start(self.slow(40 * MIB, 0.0), site.source)
        self.finish(fetching, most_s=600.0)
        self.assertEqual(sorted(fetching.part.written), sorted(set(fetching.part.written)))


class FailureTests(LiarTestCase):
    """Who fails is dropped, with the reason, and others do the rest."""

    def test_refusals(self) -> None:
        """Whatever a source says no with is told."""
        for code in ("nofile", "changed", "disk"):
            self.assert_dropped(code, on_fetch=lambda liar, m, code=code: [said("failed", code=code, info="sorry")])
            self.assert_dropped(code, on_want=lambda liar, m, code=code: [said("failed", code=code, info="sorry")])
        self.assert_dropped("no transfers", on_fetch=lambda liar, m: [said("error", code="wtf")])

    def test_closes(self) -> None:
        """A source that goes at any moment while it is needed is given up."""
        for moment in ("on_fetch", "on_digests", "on_want"):
            self.assert_dropped("ended", **{moment: lambda liar, m: [None]})
        half = pieces(0, self.bytes[:MIB])[: MIB // 2]
        self.assert_dropped("ended", on_want=lambda liar, m: [half, None] if m["chunk"] == 0 else [])

    def test_silent(self) -> None:
        """A source that says nothing is given up after 20 s."""
        for moment in ("on_fetch", "on_digests", "on_queue", "on_want"):
            with self.subTest(moment):
                self.assert_dropped("", **{moment: lambda liar, m: []})

    def test_gone_while_in_line(self) -> None:
        """A line may be long; but who says nothing of it any more when asked is given up."""
        _, patient = self.liar(on_queue=lambda liar, m: [said("wait", ahead=7)])
        waiting = self.fetching(give_up_s=1.0).start(patient)
        self.network.run(100)
        self.assertFalse(waiting.is_over)

        def answer(liar: Liar, message: Say) -> Sequence[bytes | None]:
            return [said("wait", ahead=7)] if [each["type"] for each in liar.asked].count("queue") == 1 else []

        self.assert_dropped("whether this node still waits for a slot", on_queue=answer)

    def test_a_byte_a_second(self) -> None:
        """A source that trickles is given up, and holds nobody up meanwhile."""
        content = pieces(0, self.bytes[:MIB])
        honest = Liar(self.bytes, self.manifest)

        def trickling(rogue: Rogue, data: bytes) -> None:
            def drip(at: int) -> None:
                rogue.transport.write(content[at : at + 1])
                rogue.transport.host.callLater(1.0, drip, at + 1)

            before = len(honest.asked)
            honest(rogue, data)
            if [each["type"] for each in honest.asked[before:]].count("want"):
                drip(0)

        honest.on_want = lambda message: []  # type: ignore[method-assign]
        source = self.rogue(9, trickling)
        fetching = self.fetching().start(source)
        self.network.run(5)
        site = self.site(1)
        fetching.download.add_sources([site.source])
        began = self.network.seconds()
        self.finish(fetching)
        self.assertLess(self.network.seconds() - began, 10)
        alone = self.fetching(give_up_s=1.0).start(source)
        self.network.run_until(lambda: alone.is_over, 40)
        self.assertIn("bytes in 20 s", alone.dropped[9])

    def test_falls_silent(self) -> None:
        """Who has sent some and then nothing more is given up 20 s after that."""

        def answer(liar: Liar, message: Say) -> Sequence[bytes | None]:
            wanted = [each["type"] for each in liar.asked].count("want")
            return [pieces(message["chunk"], bytes(MIB))[:100_000]] if wanted == 1 else []

        _, source = self.liar(on_want=answer)
        fetching = self.fetching().start(source)
        self.network.run_until(lambda: bool(fetching.dropped), 60)
        self.assertLess(self.network.seconds(), 25)

    def test_two_that_trickle(self) -> None:
        """Two slow ones that hold the last chunk between them do not keep a third from bringing it."""

        def trickling(bytes_a_second: int) -> Callable[[Rogue, bytes], None]:
            honest = Liar(self.bytes, self.manifest)
            honest.on_want = lambda message: []  # type: ignore[method-assign]

            def answer(rogue: Rogue, data: bytes) -> None:
                def drip(content: bytes) -> None:
                    rogue.transport.write(content[: bytes_a_second // 4])
                    rogue.transport.host.callLater(0.25, drip, content[bytes_a_second // 4 :])

                before = len(honest.asked)
                honest(rogue, data)
                wanted = [each["chunk"] for each in honest.asked[before:] if each["type"] == "want"]
                if wanted:
                    drip(b"".join(pieces(n, self.bytes[n * MIB : (n + 1) * MIB]) for n in wanted))

            return answer

        sources = [self.rogue(9, trickling(4_000)), self.rogue(8, trickling(16_000))]
        chunks = {chunk: self.bytes[chunk * MIB : (chunk + 1) * MIB] for chunk in (1, 2, 3)}
        fetching = self.fetching(MemoryPart(self.manifest.digest, self.manifest, chunks)).start(sources[0])
        self.network.run(10)
        fetching.download.add_sources([sources[1]])
        self.network.run(10)
        fetching.download.add_sources([self.site(1).source])
        self.finish(fetching, most_s=10)

    def test_useless_ones(self) -> None:
        """Ever so many that have nothing, or let wait for ever, do not keep the one away that has the file."""

        def nothing(liar: Liar, message: Say) -> Sequence[bytes | None]:
            return [said("manifest", size=self.size, root=self.manifest.root, whole=False)]

        for override, most_s in (
            ({"on_fetch": nothing}, 15),
            ({"on_queue": lambda liar, m: [said("wait", ahead=3)]}, 70),
        ):
            useless = [evolve(self.liar(**override)[1], key=f"{n:064x}") for n in range(16)]
            fetching = self.fetching().start(*useless)
            self.network.run(3)
            fetching.download.add_sources([self.site(1).source])
            self.finish(fetching, most_s=most_s)

    def test_many_dead_ones(self) -> None:
        """A thousand that are not there do not keep the next from being asked."""
        dead = self.network.host()
        fetching = self.fetching()
        fetching.start(*(FileSource(n, f"{n:064x}", Address(dead.address, n)) for n in range(2, 1002)))
        self.network.run_until(lambda: len(fetching.dropped) == 1000, 500)
        fetching.download.add_sources([self.site(1).source])
        self.finish(fetching)

    def test_nobody_there(self) -> None:
        """Who cannot be reached is given up, and the next is asked."""
        gone = self.site(1)
        self.network.kill(gone.node)
        dark = self.site(2)
        self.network.crash(dark.node)
        fetching = self.fetching().start(gone.source, dark.source, self.site(3).source)
        self.finish(fetching)
        self.assertIn("cannot be reached", fetching.dropped[1])

    def test_busy(self) -> None:
        """Who is busy is asked again a little later."""
        times: list[float] = []

        def answer(liar: Liar, message: Say) -> Sequence[bytes | None]:
            times.append(self.network.seconds())
            return Liar.on_fetch(liar, message) if len(times) > 2 else [said("failed", code="busy"), None]

        _, source = self.liar(on_fetch=answer)
        self.finish(self.fetching().start(source))
        first, second = (after - before for before, after in pairwise(times))
        self.assertTrue(5 <= first <= 6 and 10 <= second <= 11, times)

    def test_never_again(self) -> None:
        """A source that was dropped is not asked again, however often it is named."""
        liar, source = self.liar(on_want=lambda liar, m: [said("failed", code="disk")])
        fetching = self.fetching(give_up_s=30).start(source)
        for _ in range(10):
            self.network.run(1)
            fetching.download.add_sources([source])
        self.assertEqual([message["type"] for message in liar.asked].count("fetch"), 1)

    def test_a_full_disk(self) -> None:
        """The download stops with what the disk says, and can go on later with what is there."""
        site = self.site(1)
        part = MemoryPart(self.manifest.digest)
        fetching = self.fetching(part).start(site.source)
        self.network.run_until(lambda: part.written)
        part.fault = StorageError("no space left")
        self.network.run_until(lambda: fetching.is_over)
        assert fetching.failure is not None
        self.assertEqual(str(fetching.failure.trap(StorageError) and fetching.failure.value), "no space left")
        part.fault = None
        again = self.fetching(part).start(site.source)
        self.finish(again)
        assert again.receipt is not None
        self.assertGreater(again.receipt.resumed_bytes, 0)

    def test_no_room(self) -> None:
        """A file that is too large for the disk is refused, but not because of somebody who lies about its size."""
        small = MemoryPart(self.manifest.digest)
        small.room_bytes = 1000
        fetching = self.fetching(small).start(self.site(1).source)
        self.network.run_until(lambda: fetching.is_over)
        assert fetching.failure is not None
        fetching.failure.trap(StorageError)
        part = MemoryPart(self.manifest.digest)
        part.room_bytes = self.size
        huge = Liar(b"", manifest_of(bytes(self.size + MIB)))
        fetching = self.fetching(part).start(self.rogue(9, huge), self.rogue(8, huge), self.site(2).source)
        self.finish(fetching)

    def test_content_is_what_it_says(self) -> None:
        """The bytes that were fetched are those that were asked for."""
        fetching = self.fetching().start(self.site(1, MemoryContent(self.manifest, self.bytes)).source)
        self.finish(fetching)
        self.assertEqual(hashlib.sha256(fetching.part.content()).hexdigest(), self.manifest.digest)
