"""What comes of the answers to one question: hits of super peers here, and records of a ring in the same way."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from tests.discovery.superpeer.cases import DIGEST, OTHER_DIGEST, found
from twisted_bazaar.discovery.findings import MOST_KEPT, Findings
from twisted_bazaar.discovery.superpeer.leaf.leaf import take_hits
from twisted_bazaar.discovery.superpeer.messages import Found
from twisted_bazaar.errors import PeerError
from twisted_bazaar.values.addresses import Address
from twisted_bazaar.values.files import FileQuery, FileSource, FoundFile, SharedFile

OWN: str = f"{1:064x}"


def page_of(query: FileQuery, *hits: Found) -> Any:
    """The first page of what has come."""
    findings = Findings(query)
    take_hits(findings, OWN, hits)
    return findings.page(query)


class FindingsTests(SynchronousTestCase):
    """Hits put together."""

    def test_put_together(self) -> None:
        """One file that several have is one, and the ones with the whole are counted apart."""
        query = FileQuery(words="song")
        hits = found(5, "a song"), found(6, "a song"), found(7, "a song", whole=False)
        self.assertEqual(page_of(query, *hits).files, [FoundFile("a song", 1, DIGEST, 2, 1)])

    def test_order(self) -> None:
        """An exact name comes first, then what more have, then by name; other contents are other files."""
        query = FileQuery(words="song")
        hits = [found(5, "song b", "song a", "song"), found(6, "song b"), found(6, "song", digest=OTHER_DIGEST)]
        page = page_of(query, *hits)
        names = [(file.name, file.digest, file.sources) for file in page.files]
        self.assertEqual(
            names, [("song", DIGEST, 1), ("song", OTHER_DIGEST, 1), ("song b", DIGEST, 2), ("song a", DIGEST, 1)]
        )
        self.assertEqual((page.total, page.next), (4, None))

    def test_pages(self) -> None:
        """Each file stands on exactly one page."""
        query = FileQuery(words="song", most=3)
        findings = Findings(query)
        take_hits(findings, OWN, [found(5, *(f"song {number}" for number in range(8)))])
        names: list[str] = []
        after = None
        for size in (3, 3, 2):
            page = findings.page(FileQuery(words="song", most=3, after=after))
            self.assertEqual((len(page.files), page.total), (size, 8))
            names += [file.name for file in page.files]
            after = page.next
        self.assertEqual((after, names), (None, [f"song {number}" for number in range(8)]))
        self.assertRaises(PeerError, findings.page, FileQuery(words="song", after="rubbish"))

    def test_not_asked_for(self) -> None:
        """What was not asked for is left out, whoever says it."""
        for query in (FileQuery(words="blue song"), FileQuery(name="song"), FileQuery(digest=OTHER_DIGEST)):
            self.assertEqual(page_of(query, found(5, "red song")).files, [])
        query = FileQuery(name="song", digest=DIGEST)
        hits = found(5, "song", "red song"), found(6, "song", digest=OTHER_DIGEST)
        self.assertEqual(page_of(query, *hits).files, [FoundFile("song", 1, DIGEST, 1, 0)])

    def test_not_itself(self) -> None:
        """This node is not among those who have it."""
        self.assertEqual(page_of(FileQuery(name="song"), found(1, "song")).files, [])

    def test_sources(self) -> None:
        """Who has a file comes with where it is, the least loaded first; one with the whole has the whole."""
        findings = Findings(FileQuery(digest=DIGEST))
        take_hits(findings, OWN, [found(5, "a", load=3), found(6, "b", host="10.0.0.6", whole=False)])
        take_hits(findings, OWN, [found(6, "b", host="10.0.0.6", load=1, whole=False), found(7)])
        key5, key6 = f"{5:064x}", f"{6:064x}"
        expected = [
            FileSource(6, key6, Address("10.0.0.6", 9000), False, 1),
            FileSource(5, key5, Address("10.0.0.5", 9000), True, 3),
        ]
        self.assertEqual(findings.sources(), expected)

    def test_datagrams(self) -> None:
        """Who takes datagrams is known to, if one of those who name it tells so: not every super peer does."""
        findings = Findings(FileQuery(digest=DIGEST))
        telling = replace(found(5, "a"), udp=9001)
        for hits in ([found(5, "a")], [telling, found(6, "a")], [found(5, "a")]):
            take_hits(findings, OWN, hits)
        self.assertEqual({source.id: source.udp for source in findings.sources()}, {5: 9001, 6: 0})

    def test_two_places(self) -> None:
        """One that is named in two places hides neither, and counts once; of very many places some are kept."""
        findings = Findings(FileQuery(digest=DIGEST))
        take_hits(findings, OWN, [found(5, "a", host=f"10.0.1.{number}") for number in range(1, 100)])
        self.assertEqual(len(findings.sources()), 4)
        [file] = findings.page(FileQuery(digest=DIGEST)).files
        self.assertEqual(file.sources, 1)

    def test_too_much(self) -> None:
        """However much comes, no more than so much is kept."""
        findings = Findings(FileQuery(words="song"))
        for number in range(2, 90):
            take_hits(findings, OWN, [found(number, *(f"song {number} {each}" for each in range(100)))])
        self.assertEqual((len(findings), findings.page(FileQuery(words="song")).total), (MOST_KEPT, MOST_KEPT))

    def test_room(self) -> None:
        """Who puts something in is told whether there was room for it; what was not asked for needs none."""
        findings = Findings(FileQuery(words="song"))
        files = [SharedFile(f"song {number}", 1, DIGEST) for number in range(MOST_KEPT)]
        self.assertEqual([findings.add("a", files), findings.is_full], [True, True])
        self.assertEqual([findings.add("b", [file]) for file in (files[0], SharedFile("x", 1, DIGEST))], [False, True])
        self.assertEqual((len(findings), findings.sources()), (MOST_KEPT, []))

    @given(st.lists(st.tuples(st.integers(2, 5), st.sampled_from(["song a", "song b", "x"]), st.booleans())), st.data())
    def test_doubles_and_order_do_no_harm(self, hits: list[tuple[int, str, bool]], data: st.DataObject) -> None:
        """Hits that come twice, and in any order, make the same page."""
        query = FileQuery(words="song")
        messages = [found(node_id, name, whole=is_whole) for node_id, name, is_whole in hits]
        again = data.draw(st.permutations(messages + messages[: len(messages) // 2]))
        self.assertEqual(page_of(query, *messages), page_of(query, *again))
