"""Promises of a peer's own list: parts, marks, and what is told again when an answer is another or none."""

from __future__ import annotations

import random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.discovery.index.client.published_list import PublishedList
from twisted_bazaar.discovery.index.messages import MOST_IN_UPDATE, Listed, Update
from twisted_bazaar.values.files import SharedFile
from twisted_bazaar.wire.codec import Codec

MOST = 100_000
FRAME_BYTES = 64 << 10


def shared(name: str, size: int = 1, digest: str = "a") -> SharedFile:
    """A file that is shared."""
    return SharedFile(name, size, digest * 64)


class ListingTestCase(SynchronousTestCase):
    """A list whose server is played by hand."""

    def setUp(self) -> None:
        """Have an empty list."""
        self.listing = PublishedList(random.Random(1), "bazaar")
        self.ids = 0

    def add(self, *names: str) -> None:
        """Put files on it."""
        self.listing.change_files([shared(name) for name in names], [])

    def next(self) -> Update:
        """The next part, of which there has to be one."""
        self.ids += 1
        update = self.listing.next_update(self.ids)
        assert update is not None, "there is something to be told"
        return update

    def take(self, update: Update, most: int = MOST) -> bool:
        """Let the server take a part."""
        return self.listing.update_answered(Listed(id=update.id, mark=update.mark, most=most, lease=45))

    def has(self, mark: int, id: int = -1, most: int = MOST) -> Listed:
        """An answer that says what the server has."""
        return Listed(id=id, mark=mark, most=most, lease=45)

    def names(self, update: Update) -> list[str]:
        """What a part adds."""
        return [file.name for file in update.add]


class PartTests(ListingTestCase):
    """What goes into a part."""

    def test_nothing(self) -> None:
        """With nothing to tell nothing is told."""
        self.assertIsNone(self.listing.next_update(1))
        self.assertFalse(self.listing.has_more)

    def test_first(self) -> None:
        """The first part builds on nothing, the next on it, though it has not been answered."""
        self.add("a")
        first = self.next()
        self.add("b")
        second = self.next()
        self.assertEqual((first.base, second.base), (0, first.mark))
        self.assertNotEqual(first.mark, second.mark)
        self.assertEqual((self.names(first), self.names(second)), (["a"], ["b"]))

    def test_all_keys(self) -> None:
        """A part says all that is known of a file, and in which bazaar goods are sold."""
        self.listing.change_files([SharedFile("a", 7, "b" * 64, False)], [])
        self.listing.set_items(["apple"])
        update = self.next()
        [file] = update.add
        self.assertEqual((file.name, file.size, file.digest, file.whole), ("a", 7, "b" * 64, False))
        self.assertEqual((update.offer, update.bazaar), (("apple",), "bazaar"))

    def test_only_what_changed(self) -> None:
        """What has been told is not told again; what came and went unsaid is not told at all."""
        self.add("a", "b")
        self.take(self.next())
        self.add("a")
        self.assertIsNone(self.listing.next_update(9))
        self.assertFalse(self.listing.has_more)
        self.listing.change_files([shared("c")], ["b", "never there"])
        self.listing.change_files([], ["c"])
        update = self.next()
        self.assertEqual((self.names(update), update.remove), ([], ("b",)))

    def test_many_changes(self) -> None:
        """Changes of which nobody is told do not pile up: what counts is what there is now."""
        for number in range(300):
            self.listing.change_files([shared(name, number) for name in map(str, range(1000))], ["gone"])
        told = {}
        while self.listing.has_more:
            update = self.listing.next_update(1)
            if update is not None:
                told.update({file.name: file.size for file in update.add})
                self.take(update)
        self.assertEqual(told, dict.fromkeys(map(str, range(1000)), 299))
        self.assertLess(len(self.listing._news), 1)

    def test_goods(self) -> None:
        """Goods that are sold no more are withdrawn, new ones offered, the others left alone."""
        self.listing.set_items(["apple", "pear"])
        self.take(self.next())
        self.listing.set_items(["pear", "plum"])
        update = self.next()
        self.assertEqual((update.offer, update.withdraw), (("plum",), ("apple",)))

    def test_parts_fit(self) -> None:
        """However long the names, a part fits into a frame, and all parts together are the list."""
        names = [("\N{GRINNING FACE}" * 60 + f"{number:05}") for number in range(700)]
        names += [f'{number:05}"' + '"' * 240 for number in range(700)] + [f"{number}" for number in range(2500)]
        self.add(*names)
        self.listing.set_items([f"{number:05}" + "\\" * 120 for number in range(700)])
        told: list[str] = []
        offered: list[str] = []
        while self.listing.has_more:
            update = self.next()
            self.assertLessEqual(len(Codec([Update]).encode(update)), FRAME_BYTES)
            self.assertLessEqual(max(len(update.add), len(update.offer)), MOST_IN_UPDATE)
            Codec([Update]).decode(Codec([Update]).encode(update))
            told += self.names(update)
            offered += update.offer
        self.assertEqual((sorted(told), len(offered)), (sorted(names), 700))

    def test_names_that_cannot_be_said(self) -> None:
        """A name that no message can carry is left out, and spoils nothing else."""
        bad = ["..", "a/b", "a\\b", "", "x" * 10_000, "\u202egpj.exe", "e\u0301", "\ud800", "a\nb"]
        self.add(*bad, "good")
        self.listing.set_items(["x" * 129, "\u202eapple", "", "pear"])
        update = self.next()
        self.assertEqual((self.names(update), update.offer), (["good"], ("pear",)))


class AnswerTests(ListingTestCase):
    """What the server says."""

    def test_taken(self) -> None:
        """A part that was taken is done, and what it says of room is heeded."""
        self.add("a")
        update = self.next()
        self.assertEqual(self.listing.in_flight, 1)
        self.assertFalse(self.take(update))
        self.assertEqual((self.listing.in_flight, self.listing.mark), (0, update.mark))

    def test_later_answer_covers_earlier(self) -> None:
        """The mark of a later part says that the earlier ones have been taken too."""
        self.add("a")
        self.next()
        self.add("b")
        self.take(self.next())
        self.assertEqual((self.listing.in_flight, self.listing.has_more), (0, False))

    def test_not_taken(self) -> None:
        """A part that was not taken is told again, with all that came after it."""
        self.add("a")
        first = self.next()
        self.take(first)
        self.add("b")
        second = self.next()
        self.add("c")
        self.next()
        self.assertFalse(self.listing.update_answered(self.has(first.mark, second.id)))
        again = self.next()
        self.assertEqual((again.base, self.names(again)), (first.mark, ["b", "c"]))

    def test_unknown_mark(self) -> None:
        """A server that has something else is told to forget it, and everything."""
        self.add("a", "b")
        self.take(self.next())
        self.add("c")
        update = self.next()
        self.assertTrue(self.listing.update_answered(self.has(4711, update.id)))
        again = self.next()
        self.assertEqual((again.base, sorted(self.names(again))), (0, ["a", "b", "c"]))

    def test_stale_answers(self) -> None:
        """Answers to parts that have been taken back begin nothing anew: there would be ever more of them."""
        parts = []
        for name in "abcd":
            self.add(name)
            parts.append(self.next())
        self.assertTrue(self.listing.update_answered(self.has(4711, parts[0].id)))
        again = self.next()
        for part in parts[1:]:
            self.assertFalse(self.listing.update_answered(self.has(4711, part.id)))
        self.assertEqual((self.listing.in_flight, self.listing.has_more), (1, False))
        self.take(again)
        self.assertEqual(self.listing.mark, again.mark)

    def test_forgotten_and_nothing_left(self) -> None:
        """What the server has of an earlier life of this peer is struck off, even if there is nothing new to tell."""
        self.listing.resume(self.has(4711))
        self.assertTrue(self.listing.has_more)
        update = self.next()
        self.assertEqual((update.base, update.add, update.remove), (0, (), ()))
        self.take(update)
        self.assertFalse(self.listing.has_more)

    def test_resumed(self) -> None:
        """On a new link only what the server has not got is told again."""
        self.add("a")
        first = self.next()
        self.add("b")
        self.next()
        self.listing.resume(self.has(first.mark))
        again = self.next()
        self.assertEqual((again.base, self.names(again)), (first.mark, ["b"]))

    def test_resumed_with_nothing(self) -> None:
        """A server that has started anew is told everything."""
        self.add("a")
        self.take(self.next())
        self.listing.resume(self.has(0))
        again = self.next()
        self.assertEqual((again.base, self.names(again)), (0, ["a"]))

    def test_removed_while_under_way(self) -> None:
        """A file that went while the part with it was lost is struck off: the server may have it."""
        self.add("a")
        self.take(self.next())
        self.add("b")
        lost = self.next()
        self.listing.change_files([], ["b"])
        self.listing.resume(self.has(lost.base))
        self.assertEqual(self.next().remove, ("b",))

    def test_refused(self) -> None:
        """A part that was refused is told again; an error about something else is not about the list."""
        self.add("a")
        update = self.next()
        self.assertFalse(self.listing.update_refused(4711))
        self.assertTrue(self.listing.update_refused(update.id))
        self.assertEqual((self.next().base, self.listing.in_flight), (0, 1))

    def test_never_answered(self) -> None:
        """What was sent before a question that has been answered, and was not, is told again; later parts wait."""
        self.add("a")
        first = self.next()
        self.listing.state_asked()
        self.add("b")
        self.next()
        self.listing.state_answered(self.has(0))
        again = self.next()
        self.assertEqual(self.names(again), ["a", "b"])
        self.listing.state_asked()
        self.listing.state_answered(self.has(again.mark))
        self.add("c")
        self.listing.state_asked()
        self.next()
        self.listing.state_answered(self.has(again.mark))
        self.assertEqual(self.listing.in_flight, 1)
        self.assertNotEqual(first.mark, again.mark)


class RoomTests(ListingTestCase):
    """A server that takes only so many."""

    def fill(self, most: int, *names: str) -> Update:
        """Tell a server with so much room."""
        self.listing.resume(self.has(0, most=most))
        self.add(*names)
        update = self.next()
        self.take(update, most)
        return update

    def test_too_many(self) -> None:
        """What there is no room for is not told, and counted."""
        self.assertEqual(self.names(self.fill(2, "a", "b", "c")), ["a", "b"])
        self.assertEqual((self.listing.left_out_count, self.listing.has_more), (1, False))

    def test_room_is_made(self) -> None:
        """When a file goes, one that waited comes, in one part or after it; never before."""
        self.fill(2, "a", "b", "c")
        self.listing.change_files([], ["a"])
        told: list[Any] = []
        while self.listing.has_more:
            update = self.next()
            told.append((self.names(update), update.remove))
            self.take(update, 2)
        self.assertEqual(told, [([], ("a",)), (["c"], ())])
        self.assertEqual(self.listing.left_out_count, 0)

    def test_who_waits_goes(self) -> None:
        """A file that waited and went is nothing any more."""
        self.fill(1, "a", "b")
        self.listing.change_files([], ["b"])
        self.assertIsNone(self.listing.next_update(99))
        self.assertEqual(self.listing.left_out_count, 0)

    def test_more_room(self) -> None:
        """A server that takes more than before is told what waited."""
        first = self.fill(1, "a", "b")
        self.listing.resume(self.has(first.mark, most=5))
        self.assertEqual(self.names(self.next()), ["b"])

    def test_change_needs_no_room(self) -> None:
        """A file that is listed may change though the list is full."""
        self.fill(1, "a", "b")
        self.listing.change_files([shared("a", 2)], [])
        self.assertEqual([(file.name, file.size) for file in self.next().add], [("a", 2)])
