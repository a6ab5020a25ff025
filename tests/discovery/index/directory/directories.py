"""What every directory of an index server promises, whatever it is kept in: one set of tests for all of them.

A module that tests one joins these with a case of its own, which says how the directory is made, how one waits for it
and how time passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

from attrs import evolve
from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from twisted_bazaar.discovery.index.directory.store import IDirectory
from twisted_bazaar.discovery.index.directory.weights import LISTER_BYTES, weight_of_file
from twisted_bazaar.discovery.index.messages import File, TooMany, Update
from twisted_bazaar.errors import PeerError
from twisted_bazaar.values.addresses import Address, Peer
from twisted_bazaar.values.files import FileQuery, FileSource, FoundFile, Page
from twisted_bazaar.wire.message import LARGEST_INTEGER

LEASE_S: Final = 45.0
MOST_A_PEER: Final = 6
# All that a database could take for something else, or sort otherwise than Python does.
ODD_NAMES: Final = (
    "100% of a_b.txt",
    "Zebra.txt",
    "a'b; DROP TABLE files.txt",
    'a"b.txt',
    "apple.txt",
    "{x} %s ?.txt",
    "ünï.txt",
    "\U0001f34e.txt",
)


def digest(number: int) -> str:
    """The digest of a content."""
    return f"{number:064x}"


def file(name: str, content: int = 1, size: int = 10, *, whole: bool = True) -> File:
    """A file."""
    return File(name=name, size=size, digest=digest(content), whole=whole)


def found(name: str, content: int = 1, sources: int = 1, partial: int = 0, size: int = 10) -> FoundFile:
    """The same as it is found."""
    return FoundFile(name, size, digest(content), sources, partial)


def peer(number: int, host: str | None = None, port: int = 4000) -> Peer:
    """A peer."""
    return Peer(number, f"{number:064x}", Address(host or f"10.0.0.{number}", port))


ASKER: Final = peer(99)


class Case(Protocol):
    """What the tests need of a test case."""

    directory: IDirectory

    def result_of(self, deferred: Deferred[Any]) -> Any:
        """What comes of it."""

    def failure_of(self, deferred: Deferred[Any], kind: type[Exception]) -> Exception:
        """How it fails."""

    def later(self, seconds: float) -> None:
        """Let time pass."""

    def open_with(self, most_bytes: int) -> None:
        """Go on with an empty directory with so much room, in which a peer may list a lot."""

    def assertEqual(self, first: object, second: object, msg: object = None) -> object:
        """Compare."""

    def assertTrue(self, condition: object, msg: object = None) -> object:
        """See that something is so."""


class _Asking:
    """Words in which the tests speak."""

    def list(self: Any, owner: Peer, *files: File, **keys: Any) -> int:
        """List files as one part after what is known."""
        self.marks = getattr(self, "marks", {})
        base = keys.pop("base", self.marks.get(owner.key, 0))
        mark = keys.pop("mark", base + 1000)
        change = Update(id=1, base=base, mark=mark, add=files, **keys)
        self.marks[owner.key] = self.result_of(self.directory.update(owner, change))
        answer: int = self.marks[owner.key]
        return answer

    def find(self: Any, asker: Peer = ASKER, **keys: Any) -> Page:
        """Ask for files."""
        page: Page = self.result_of(self.directory.find(FileQuery(**keys), asker))
        return page

    def names(self: Any, asker: Peer = ASKER, **keys: Any) -> list[str]:
        """The names of what is found."""
        return [each.name for each in self.find(asker, **keys).files]

    def sources(self: Any, content: int = 1, asker: Peer = ASKER, most: int = 50) -> Sequence[FileSource]:
        """Who has a content."""
        answer: Sequence[FileSource] = self.result_of(self.directory.sources(digest(content), most, asker))
        return answer

    def source_ids(self: Any, content: int = 1, asker: Peer = ASKER, most: int = 50) -> list[int]:
        """The ids of who has a content."""
        return [source.id for source in self.sources(content, asker, most)]

    def sellers(
        self: Any, item: str | None = "apple", key: str | None = None, bazaar: str = "bazaar", asker: Peer = ASKER
    ) -> list[int]:
        """The ids of who sells."""
        return [each.id for each in self.result_of(self.directory.sellers(bazaar, item, key, 50, asker))]

    def renew(self: Any, owner: Peer, mark: int = 0, load: int = 0) -> int:
        """Renew a lease."""
        answer: int = self.result_of(self.directory.renew(owner, mark, load))
        return answer


class ListContract(_Asking):
    """Lists and their parts."""

    def test_interface(self: Any) -> None:
        """It is a directory."""
        self.assertTrue(verifyObject(IDirectory, self.directory))

    def test_one_by_one(self: Any) -> None:
        """Files are added and removed one by one, each time with another mark."""
        one = peer(1)
        marks = [self.result_of(self.directory.add(one, file(name))) for name in ("a", "b", "a")]
        marks.append(self.result_of(self.directory.remove(one, "b")))
        marks.append(self.result_of(self.directory.remove(one, "never there")))
        self.assertEqual((len(set(marks)), 0 in marks, self.names()), (5, False, ["a"]))

    def test_parts(self: Any) -> None:
        """A part that builds on what is known changes it."""
        one = peer(1)
        self.assertEqual(self.list(one, file("a"), file("b")), 1000)
        self.assertEqual(self.list(one, file("c"), remove=("a", "never there")), 2000)
        self.assertEqual((self.names(), self.renew(one, 2000)), (["b", "c"], 2000))

    def test_repeated_part(self: Any) -> None:
        """A part that comes twice, or late, changes nothing, and the mark says what there is."""
        one = peer(1)
        self.list(one, file("a"))
        self.list(one, file("b"))
        self.assertEqual(self.list(one, file("a"), base=1000, mark=2000, remove=("b",)), 2000)
        self.assertEqual(self.list(one, file("x"), base=77, mark=78), 2000)
        self.assertEqual(self.names(), ["a", "b"])

    def test_anew(self: Any) -> None:
        """A part that builds on nothing makes a list anew."""
        one = peer(1)
        self.list(one, file("a"), offer=("apple",))
        self.list(one, file("b"), base=0, mark=5)
        self.assertEqual((self.names(), self.sellers(), self.renew(one)), (["b"], [], 5))

    def test_added_and_removed(self: Any) -> None:
        """What one part removes and adds is there."""
        one = peer(1)
        self.list(one, file("a", 1))
        self.list(one, file("a", 2), file("a", 3), remove=("a", "a"))
        self.assertEqual(self.find().files, [found("a", 3)])

    def test_replaced(self: Any) -> None:
        """A file of a name that is listed already replaces it."""
        one = peer(1)
        self.list(one, file("a", 1, whole=False))
        self.assertEqual(self.find().files, [found("a", 1, 0, 1)])
        self.list(one, file("a", 1))
        self.assertEqual(self.find().files, [found("a", 1)])
        self.list(one, file("a", 2, size=11))
        self.assertEqual(self.find().files, [found("a", 2, size=11)])
        self.assertEqual((self.source_ids(1), self.source_ids(2)), ([], [1]))

    def test_most(self: Any) -> None:
        """Who lists too much is told the limit, and nothing is changed, however it goes about it."""
        one, names = peer(1), [f"{number}" for number in range(MOST_A_PEER)]
        mark = self.list(one, *map(file, names))
        tries = (
            self.directory.add(one, file("more")),
            self.directory.update(one, Update(id=1, base=mark, mark=5, add=(file("more"),))),
            self.directory.update(one, Update(id=1, base=mark, mark=5, offer=("apple",))),
            self.directory.update(one, Update(id=1, base=mark, mark=5, add=(file("0"), file("more")), remove=("0",))),
            self.directory.update(one, Update(id=1, base=0, mark=5, add=tuple(map(file, "abcdefg")))),
        )
        for each in tries:
            self.assertTrue(f"{MOST_A_PEER}" in str(self.failure_of(each, TooMany)))
        self.assertEqual((self.names(), self.renew(one)), (names, mark))

    def test_room_again(self: Any) -> None:
        """Who removes something may list as much; what replaces something needs no room."""
        one = peer(1)
        self.list(one, *map(file, "abcdef"))
        self.list(one, file("a", 2), file("g"), remove=("b",))
        self.result_of(self.directory.add(one, file("g", 3)))
        self.assertEqual(self.names(), list("acdefg"))

    def test_two_lists(self: Any) -> None:
        """What one peer does to its list changes no other's."""
        one, two = peer(1), peer(2)
        self.list(one, file("a"), file("b"))
        self.list(two, file("a"))
        self.list(two, remove=("a", "b"))
        self.assertEqual((self.names(), self.source_ids()), (["a", "b"], [1]))

    def test_counts(self: Any) -> None:
        """It is counted what there is."""
        self.list(peer(1), file("a b"), file("b", 2), offer=("apple", "pear"))
        self.list(peer(2), file("a b"), offer=("apple",))
        self.find(words="b")
        counts = self.result_of(self.directory.counts())
        self.assertEqual((counts.peers, counts.files, counts.entries, counts.goods), (2, 2, 6, 2))


class LeaseContract(_Asking):
    """Who is there."""

    def test_lease(self: Any) -> None:
        """A peer that says nothing more is found for a lease and no longer; one that renews is."""
        one, two = peer(1), peer(2)
        self.list(one, file("a"))
        self.list(two, file("a"), offer=("apple",))
        self.later(LEASE_S - 5)
        self.assertEqual((self.source_ids(), self.sellers()), ([1, 2], [2]))
        self.renew(one, 1000)
        self.later(10)
        self.assertEqual((self.source_ids(), self.sellers(), self.find().files), ([1], [], [found("a")]))
        self.later(LEASE_S)
        self.assertEqual((self.source_ids(), self.find()), ([], Page([], 0)))

    def test_every_change_renews(self: Any) -> None:
        """Who changes its list is there."""
        one = peer(1)
        self.list(one, file("a"))
        for number in range(4):
            self.later(LEASE_S - 5)
            self.list(one, file("b", number))
        self.assertEqual(self.names(), ["a", "b"])

    def test_left(self: Any) -> None:
        """A peer whose link is gone is found no more, at once."""
        one = peer(1)
        self.list(one, file("a"), offer=("apple",))
        self.result_of(self.directory.peer_left(one))
        self.assertEqual(
            (self.source_ids(), self.sellers(), self.sellers(None, one.key), self.find().total), ([], [], [], 0)
        )
        self.assertEqual(self.find(words="a").total, 0)

    def test_back(self: Any) -> None:
        """A peer that comes back and names its list has it again, and need not tell it once more."""
        one = peer(1)
        self.list(one, file("a"), file("b"))
        self.result_of(self.directory.peer_left(one))
        self.later(LEASE_S + 10)
        self.assertEqual((self.renew(one, 1000), self.names()), (1000, ["a", "b"]))
        self.list(one, file("c"), remove=("a",))
        self.assertEqual(self.names(), ["b", "c"])

    def test_back_with_a_change(self: Any) -> None:
        """A change that builds on a list says that the list is the right one."""
        one = peer(1)
        self.list(one, file("a"))
        self.result_of(self.directory.peer_left(one))
        self.list(one, file("b"), base=1000)
        self.assertEqual(self.names(), ["a", "b"])

    def test_back_with_another_list(self: Any) -> None:
        """A peer that comes back and means another list is told what is known of it, and not found by that."""
        one = peer(1)
        self.list(one, file("a"))
        self.result_of(self.directory.peer_left(one))
        self.assertEqual((self.renew(one, 77), self.names(), self.source_ids()), (1000, [], []))
        self.assertEqual(self.renew(one, 0), 1000)
        self.list(one, file("b"), base=0, mark=3)
        self.assertEqual(self.names(), ["b"])

    def test_back_one_by_one(self: Any) -> None:
        """Who comes back and adds a file without a word of the list before has that file and no other."""
        one = peer(1)
        self.list(one, file("a"))
        self.result_of(self.directory.peer_left(one))
        self.result_of(self.directory.add(one, file("b")))
        self.assertEqual(self.names(), ["b"])

    def test_kept_for_a_while(self: Any) -> None:
        """The list of who does not come back is forgotten."""
        one = peer(1)
        self.list(one, file("a"))
        self.result_of(self.directory.peer_left(one))
        self.later(400)
        self.assertEqual((self.renew(one, 1000), self.names()), (0, []))
        self.assertEqual(self.result_of(self.directory.counts()).entries, 0)

    def test_moved(self: Any) -> None:
        """A peer that comes back with another id or address is named with these."""
        one = peer(1)
        self.list(one, file("a"))
        self.result_of(self.directory.peer_left(one))
        moved = Peer(17, one.key, Address("10.9.9.9", 4321))
        self.renew(moved, 1000)
        self.assertEqual(self.sources(), [FileSource(17, one.key, Address("10.9.9.9", 4321))])

    def test_takes_datagrams(self: Any) -> None:
        """A peer is named with where it takes datagrams, as it said it last."""
        one, two = peer(1), evolve(peer(2), udp_port=4002)
        self.list(one, file("a"))
        self.list(two, file("a"), offer=("apple",))
        self.assertEqual({each.id: each.udp for each in self.sources()}, {1: 0, 2: 4002})
        self.assertEqual(self.result_of(self.directory.sellers("bazaar", "apple", None, 5, ASKER)), [two])
        self.renew(evolve(one, udp_port=65_535), 1000)
        self.renew(evolve(two, udp_port=0), 1000)
        self.assertEqual({each.id: each.udp for each in self.sources()}, {1: 65_535, 2: 0})


class SearchContract(_Asking):
    """Questions about files."""

    def test_by_name(self: Any) -> None:
        """An exact name finds what is called so; two contents of a name are two files, what more have first."""
        self.list(peer(1), file("a", 1), file("A", 1), file("ab", 1))
        self.list(peer(2), file("a", 2))
        self.list(peer(3), file("a", 2), file("b", 2))
        self.assertEqual(self.find(name="a"), Page([found("a", 2, 2), found("a", 1)], 2))
        self.assertEqual(self.find(name="nothing"), Page([], 0))

    def test_two_sizes(self: Any) -> None:
        """A content with two sizes is two files: one of them is a lie, and it is not known which."""
        self.list(peer(1), file("a", 1, 10))
        self.list(peer(2), file("a", 1, 11))
        self.assertEqual(self.find(name="a").files, [found("a", 1, 1, 0, 10), found("a", 1, 1, 0, 11)])

    def test_by_digest(self: Any) -> None:
        """A content is found under all its names."""
        self.list(peer(1), file("b", 1), file("c", 2))
        self.list(peer(2), file("a", 1), file("b", 1, whole=False))
        self.assertEqual(self.find(digest=digest(1)), Page([found("a", 1), found("b", 1, 1, 1)], 2))

    def test_by_beginning_of_digest(self: Any) -> None:
        """The first digits of a digest are enough, from 12 on; several contents may have them."""
        one, other = "ab" * 32, "ab" * 10 + "12" * 22
        self.list(
            peer(1),
            file("b", 1),
            *(File(name=name, size=1, digest=whole) for name, whole in (("x", one), ("y", other))),
        )
        for digits, names in ((12, ["x", "y"]), (13, ["x", "y"]), (20, ["x", "y"]), (21, ["x"]), (63, ["x"])):
            self.assertEqual(self.names(digest=one[:digits]), names, digits)
        self.assertEqual(self.names(digest=one[:12], name="y"), ["y"])
        self.assertEqual(self.names(digest=one[:12], words="x"), ["x"])
        self.assertEqual(self.find(digest="f" * 12), Page([], 0))

    def test_owner(self: Any) -> None:
        """All files of one node are found, by its id or enough of its key; all who have them count as sources."""
        one, other = evolve(peer(1), key="ab" * 32), peer(2)
        self.list(one, file("a", 1), file("b c", 2))
        self.list(other, file("b c", 2), file("d", 3))
        for owner in ("1", one.key[:8], one.key):
            self.assertEqual(self.names(owner=owner), ["b c", "a"], owner)
        self.assertEqual(self.find(owner="1").files[0], found("b c", 2, 2))
        self.assertEqual(self.names(owner="1", words="c"), ["b c"])
        self.assertEqual(self.names(owner="1", name="d"), [])
        first = self.find(owner="2", most=1)
        second = self.find(owner="2", most=1, after=first.next)
        self.assertEqual([each.name for each in (*first.files, *second.files)], ["b c", "d"])
        for nobody in ("3", one.key[:7], "f" * 64):
            self.assertEqual(self.names(owner=nobody), [], nobody)
        hidden = peer(5, "127.0.0.1")
        self.list(hidden, file("e", 5))
        self.assertEqual(self.names(owner="5"), [])
        self.result_of(self.directory.peer_left(one))
        self.assertEqual(self.names(owner="1"), [])

    def test_by_words(self: Any) -> None:
        """Words are found in any order and case, the last as a beginning; an exact name comes first."""
        names = ("Some Song.ogg", "some-song (live).ogg", "song.ogg", "Song", "SOMEBODY'S song", "handsome song")
        self.list(peer(1), *(file(name, number) for number, name in enumerate(names)))
        self.assertEqual(self.names(words="some song"), ["Some Song.ogg", "some-song (live).ogg"])
        self.assertEqual(self.names(words="SONG some"), ["SOMEBODY'S song", "Some Song.ogg", "some-song (live).ogg"])
        self.assertEqual(self.names(words="song", most=1), ["Song"])
        self.assertEqual(self.find(words="song").total, 6)
        self.assertEqual(self.names(words="ong"), [])
        self.assertEqual(self.names(words="- ( !"), [])

    def test_words_of_all_scripts(self: Any) -> None:
        """Case and form are those of Unicode."""
        self.list(
            peer(1), file("STRASSE.txt"), file("Ünïcode.txt"), file("Москва.txt"), file("\N{LATIN SMALL LIGATURE FI}sh")
        )
        for words, name in (("straße", "STRASSE.txt"), ("ÜNÏ", "Ünïcode.txt"), ("москВ", "Москва.txt")):
            self.assertEqual(self.names(words=words), [name])
        self.assertEqual(self.find(words="fish").total, 1)

    def test_one_letter(self: Any) -> None:
        """A name with several words of a beginning is found once."""
        self.list(peer(1), file("ab ac ad"), file("b a"))
        self.assertEqual(self.find(words="a").total, 2)

    def test_more_sources_first(self: Any) -> None:
        """What more have comes first, then it goes by name."""
        self.list(peer(1), file("song a", 1), file("song b", 2), file("song c", 3))
        self.list(peer(2), file("song c", 3), file("song b", 2, whole=False))
        self.assertEqual(self.names(words="song"), ["song c", "song a", "song b"])

    def test_both(self: Any) -> None:
        """What is asked for has to fit all that is given."""
        self.list(peer(1), file("a song", 1), file("a tale", 1), file("b song", 2))
        self.assertEqual(self.names(words="song", digest=digest(1)), ["a song"])
        self.assertEqual(self.names(name="a song", words="tale"), [])
        self.assertEqual(self.names(name="a song", digest=digest(1)), ["a song"])
        self.assertEqual(self.names(name="a song", words="so", digest=digest(2)), [])

    def test_odd_names(self: Any) -> None:
        """Names are what they are, in the order of their characters."""
        for number, name in enumerate(ODD_NAMES):
            self.list(peer(number + 1), file(name))
        self.assertEqual(self.names(), sorted(ODD_NAMES))
        for name in ODD_NAMES:
            self.assertEqual(self.names(name=name), [name])

    def test_pages(self: Any) -> None:
        """Page after page everything comes once, in order, for each kind of question."""
        for owner in range(1, 6):
            self.list(peer(owner), *(file(f"song {number}", number) for number in range(owner)))
        for keys in ({}, {"words": "song"}, {"words": "so"}):
            everything = self.find(**keys)
            for most in (1, 2, 3, 5):
                files, after, pages = [], None, 0
                while pages == 0 or after is not None:
                    page = self.find(after=after, most=most, **keys)
                    self.assertEqual(page.total, 5)
                    files += page.files
                    after, pages = page.next, pages + 1
                self.assertEqual((files, pages), (everything.files, -(-5 // most)))

    def test_changes_between_pages(self: Any) -> None:
        """What does not change while somebody turns pages comes once; where a page ended may be gone."""
        one = peer(1)
        self.list(one, *map(file, ("b", "d", "f", "h")))
        page = self.find(most=2)
        self.list(one, file("a"), file("g"), remove=("d",))
        rest = self.find(most=9, after=page.next)
        self.assertEqual([each.name for each in (*page.files, *rest.files)], ["b", "d", "f", "g", "h"])

    def test_no_cursor(self: Any) -> None:
        """What was no page's end is refused."""
        for after in ("x", "WzFd", "\N{SNOWMAN}", "W3RydWVd" * 100, "/" * 1024):
            self.failure_of(self.directory.find(FileQuery(after=after), ASKER), PeerError)

    def test_largest(self: Any) -> None:
        """The largest numbers are numbers like others."""
        one = peer(1)
        self.list(one, file("a", 2**256 - 1, LARGEST_INTEGER), mark=LARGEST_INTEGER)
        self.assertEqual(self.renew(one, LARGEST_INTEGER, LARGEST_INTEGER), LARGEST_INTEGER)
        self.source_ids(2**256 - 1)
        [source] = self.sources(2**256 - 1)
        self.assertEqual(source.load, LARGEST_INTEGER)
        self.assertTrue(0 < self.result_of(self.directory.add(one, file("b"))) <= LARGEST_INTEGER)


class SourceContract(_Asking):
    """Questions about who has something."""

    def test_sources(self: Any) -> None:
        """All are named who have a content, under whatever name, with how much of it; not who asks."""
        self.list(peer(1), file("a", whole=False), file("b"))
        self.list(peer(2), file("c", whole=False))
        self.list(peer(3), file("a", 2))
        self.list(ASKER, file("a"))
        told = {source.id: source.is_whole for source in self.sources()}
        self.assertEqual(told, {1: True, 2: False})
        self.assertEqual(self.sources(77), [])

    def test_least_loaded_first(self: Any) -> None:
        """Who serves fewest downloads is named first, and no more are named than were asked for."""
        for number, load in ((1, 5), (2, 0), (3, 2)):
            self.list(peer(number), file("a"))
            self.renew(peer(number), 1000, load)
        sources = self.sources()
        self.assertEqual([(source.id, source.load) for source in sources], [(2, 0), (3, 2), (1, 5)])
        self.assertEqual(self.source_ids(most=2), [2, 3])

    def test_load_spreads(self: Any) -> None:
        """Who has just been named is taken to have more to do, until it says what it has."""
        for number in (1, 2, 3):
            self.list(peer(number), file("a"))
        first = [self.source_ids(most=1)[0] for _ in range(6)]
        self.assertEqual(sorted(first), [1, 1, 2, 2, 3, 3])
        self.assertEqual(sorted(first[:3]), [1, 2, 3])
        self.renew(peer(2), 1000, 0)
        self.assertEqual([self.source_ids(most=1)[0] for _ in range(2)], [2, 2])

    def test_turns(self: Any) -> None:
        """Of those that have as much to do, another is first each time."""
        for number in (1, 2):
            self.list(peer(number), file("a"))
        self.assertEqual([self.source_ids()[0] for _ in range(4)] in ([1, 2, 1, 2], [2, 1, 2, 1]), True)

    def test_out_of_reach(self: Any) -> None:
        """Who does not listen is named to nobody, who listens on loopback to its own machine; so are its files."""
        self.list(peer(1, port=0), file("a"), offer=("apple",))
        self.list(peer(2, "127.0.0.1"), file("a"), offer=("apple",))
        self.list(peer(3), file("b", 2), offer=("pear",))
        local = peer(98, "127.0.0.1")
        self.assertEqual((self.source_ids(), self.names(), self.sellers()), ([], ["b"], []))
        self.assertEqual((self.find().total, self.find(words="a").total), (1, 0))
        self.assertEqual(self.source_ids(asker=local), [2])
        self.assertEqual(self.find(local).files, [found("a"), found("b", 2)])
        self.assertEqual(self.sellers(asker=local), [2])
        self.assertEqual(self.sellers(None, peer(2).key), [])

    def test_sellers(self: Any) -> None:
        """Who sells an item in a bazaar is named; or the one with a key, if it sells that or anything."""
        self.list(peer(1), offer=("apple", "pear"))
        self.list(peer(2), offer=("apple",), bazaar="town")
        self.list(peer(3), offer=("apple",))
        self.assertEqual(sorted(self.sellers()), [1, 3])
        self.assertEqual(self.sellers(bazaar="town"), [2])
        self.assertEqual(self.sellers("plum"), [])
        key = peer(1).key
        answers = (
            self.sellers("pear", key),
            self.sellers(None, key),
            self.sellers("plum", key),
            self.sellers("apple", key, "town"),
        )
        self.assertEqual(answers, ([1], [1], [], []))
        self.assertEqual(self.sellers(None, peer(77).key), [])
        self.assertEqual(sorted(self.sellers(asker=peer(1))), [3])

    def test_withdrawn(self: Any) -> None:
        """Who sells something no more is not named for it."""
        one = peer(1)
        self.list(one, offer=("apple", "pear"))
        self.list(one, withdraw=("apple", "never there"))
        self.assertEqual((self.sellers(), self.sellers("pear")), ([], [1]))
        self.list(one, offer=("plum",), withdraw=("pear", "plum"))
        self.assertEqual((self.sellers("pear"), self.sellers("plum")), ([], [1]))


class RoomContract(_Asking):
    """What strangers can fill: lists are bounded in bytes, for each peer, each host and all."""

    def open_for(self: Any, files: int) -> int:
        """Go on with a directory that has room for so many files of one peer; returns its bytes."""
        most_bytes = files * weight_of_file("p1q 1") + LISTER_BYTES
        self.open_with(most_bytes)
        return most_bytes

    def change(self: Any, owner: Peer, count: int, first: int = 0, *, anew: bool = False) -> Deferred[int]:
        """List more files of a peer, or others in place of those it has."""
        add = tuple(file(f"p{owner.id}q {number}", number) for number in range(first, first + count))
        base = 0 if anew else self.renew(owner)
        change: Deferred[int] = self.directory.update(owner, Update(id=1, base=base, mark=base + 1000, add=add))
        return change

    def fill(self: Any, owner: Peer, count: int, first: int = 0, **how: bool) -> None:
        """The same, and it is taken."""
        self.result_of(self.change(owner, count, first, **how))

    def refused(self: Any, owner: Peer, count: int, first: int = 0, **how: bool) -> str:
        """The same, and it is refused; returns why."""
        return str(self.failure_of(self.change(owner, count, first, **how), TooMany))

    def listed(self: Any, *owners: Peer) -> Sequence[int]:
        """How many files of each peer are found."""
        return [self.find(words=f"p{owner.id}q").total for owner in owners]

    def used(self: Any) -> int:
        """What all lists are charged."""
        size_bytes: int = self.result_of(self.directory.counts()).size_bytes
        return size_bytes

    def test_share(self: Any) -> None:
        """One peer has half of the room at most, its host five eighths, however much is free; then it is told."""
        self.open_for(800)
        one, two = peer(1, "10.0.0.7"), peer(2, "10.0.0.7")
        self.fill(one, 390)
        self.assertTrue("one peer" in self.refused(one, 20, 390))
        self.fill(two, 90)
        self.assertTrue("one host" in self.refused(two, 20, 90))
        answers = []
        for number in range(90, 110):
            adding = self.directory.add(two, file(f"p2q {number}"))
            answers.append(self.result_of(adding.addErrback(lambda failure: failure.trap(TooMany))))
        self.assertEqual((answers[0] is TooMany, answers[-1] is TooMany), (False, True))
        self.assertEqual(self.listed(one)[0], 390)

    def test_host_is_where_links_come_from(self: Any) -> None:
        """Who says that it is elsewhere is charged to the host that its link comes from all the same."""
        self.open_for(800)
        one, two = (evolve(peer(number, f"10.0.0.{number}"), seen_host="10.9.9.9") for number in (1, 2))
        self.fill(one, 390)
        self.refused(two, 390)

    def test_full(self: Any) -> None:
        """When it is full, who has less than an equal part has it, at the cost of who has the most."""
        total = self.open_for(800)
        one, two, three, four = map(peer, (1, 2, 3, 4))
        self.fill(one, 380)
        self.fill(two, 180)
        self.fill(three, 120)
        # The last eighth is for those with less than an equal part.
        self.refused(one, 20, 380)
        self.fill(three, 60, 120)
        self.fill(four, 180)
        self.assertEqual(self.listed(one, two, three, four), [0, 180, 180, 180])
        self.assertTrue(self.used() <= total)
        # It has lost its list, hears that when it renews, and tells as much again as there is room for.
        self.assertEqual(self.renew(one), 0)
        self.refused(one, 390)
        self.fill(one, 90)

    def test_room_in_a_moment(self: Any) -> None:
        """Who goes for others stays gone, and who was told to try again has its part as soon as that is cleared."""
        total = self.open_for(6_000)
        self.fill(peer(1), 2_900)
        self.fill(peer(2), 2_700)
        self.assertTrue("in a moment" in self.refused(peer(3), 1_900))
        for _ in range(4):
            self.result_of(self.change(peer(3), 1_900, anew=True).addErrback(lambda failure: failure.trap(TooMany)))
        self.assertEqual(self.listed(*map(peer, (1, 2, 3))), [0, 2_700, 1_900])
        self.assertTrue(self.used() <= total)

    def test_full_of_those_who_have_gone(self: Any) -> None:
        """The lists of those who have gone make room for others, the oldest first, and no more than has to."""
        total = self.open_for(800)
        for number in (1, 2, 3):
            self.fill(peer(number), 200)
            self.result_of(self.directory.peer_left(peer(number)))
            self.later(1.0)
        self.fill(peer(4), 290)
        self.assertEqual([self.renew(peer(number)) for number in (1, 2, 3)], [0, 1000, 1000])
        self.assertTrue(self.used() <= total)

    def test_greed_drives_out_nobody(self: Any) -> None:
        """Who has all that its host may have takes nothing from those who have gone, and may come back."""
        self.open_for(800)
        self.fill(peer(3), 100)
        self.result_of(self.directory.peer_left(peer(3)))
        self.fill(peer(1, "10.0.0.7"), 390)
        self.refused(peer(2, "10.0.0.7"), 150)
        self.assertEqual(self.renew(peer(3)), 1000)

    def test_given_back(self: Any) -> None:
        """Whatever has been listed is given back: what is removed, what is replaced, and who has gone."""
        self.open_for(800)
        one = peer(1)
        self.fill(one, 1)
        before, mark = self.used(), 1000
        goods = tuple(f"item {number}" for number in range(100))
        names = tuple(f"p1q {number}" for number in range(1, 101))
        for keys in (
            {"add": tuple(map(file, names))},
            {"offer": goods, "bazaar": "\N{SNOWMAN}"},
            {"add": tuple(file(name, 7) for name in names), "offer": goods, "bazaar": "\N{SNOWMAN}"},
            {"offer": goods[:3], "withdraw": goods, "bazaar": "\N{SNOWMAN}"},
            {"remove": (*names, "never there"), "withdraw": (*goods, "neither"), "bazaar": "\N{SNOWMAN}"},
        ):
            self.result_of(self.directory.update(one, Update(id=1, base=mark, mark=mark + 1, **keys)))
            mark += 1
        self.assertEqual(self.used(), before)
        self.result_of(self.directory.update(one, Update(id=1, base=0, mark=6, offer=goods)))
        self.result_of(self.directory.add(one, file("a")))
        self.result_of(self.directory.add(one, file("a", 2)))
        self.result_of(self.directory.remove(one, "a"))
        self.result_of(self.directory.remove(one, "a"))
        self.renew(peer(2))
        self.result_of(self.directory.peer_left(peer(2)))
        self.result_of(self.directory.peer_left(one))
        self.later(400)
        self.assertEqual(self.used(), 0)

    def test_begun_anew_when_full(self: Any) -> None:
        """Who has all that it may have can tell its list anew: the old one makes room for the new one."""
        total = self.open_for(800)
        for _ in range(5):
            self.fill(peer(1), 390, anew=True)
            self.assertEqual(self.listed(peer(1)), [390])
            self.assertTrue(self.used() <= total)


class DirectoryContract(ListContract, LeaseContract, SearchContract, SourceContract, RoomContract):
    """All of it."""
