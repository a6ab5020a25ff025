"""Fetching: which file is meant, who is asked, and what others are told meanwhile."""

from __future__ import annotations

from attrs import evolve
from twisted.internet.defer import fail, succeed

from tests.files.cases import MIB, file_of
from tests.roles.files_cases import FilesCase
from twisted_bazaar.errors import LinkClosed, StorageError, TransferFailed, UsageError, WholeDigestsOnly
from twisted_bazaar.files.download.swarm import Receipt
from twisted_bazaar.files.memory import MemoryPart, manifest_of
from twisted_bazaar.roles.fetching import NotFound, SeveralFound, choose
from twisted_bazaar.values.files import FoundFile, Page, SharedFile

SMALL = file_of(3000)
LARGE = file_of(4 * MIB + 17)


class ChooseTests(FilesCase):
    """One file is meant."""

    def test_by_name(self) -> None:
        """A file is known by its exact name, in whatever Unicode form that is typed."""
        found = self.catalogue.add("für.txt", SMALL)
        self.assertEqual(self.result(choose(self.catalogue, "fu\u0308r.txt")), found)

    def test_by_digest(self) -> None:
        """A file is known by its digest, in capitals too; of several names for it the commonest is taken."""
        rare = self.catalogue.add("a", SMALL)
        common = FoundFile("b", rare.size, rare.digest, 3)
        self.catalogue.found.append(common)
        self.assertEqual(self.result(choose(self.catalogue, rare.digest.upper())), common)

    def test_several(self) -> None:
        """Two files of one name are two files: none is taken unless its digest begins as is said."""
        one, other = self.catalogue.add("a", SMALL), self.catalogue.add("a", LARGE)
        error = self.assertRaises(SeveralFound, self.result, choose(self.catalogue, "a"))
        self.assertEqual(error.files, [one, other])
        self.assertEqual(self.result(choose(self.catalogue, "a", other.digest[:6].upper())), other)
        with self.assertRaisesRegex(NotFound, "nobody has a file called 'a' whose digest begins with ffff"):
            self.result(choose(self.catalogue, "a", "ffff"))

    def test_by_beginning_of_digest(self) -> None:
        """The beginning of a digest is enough, as search shows it; of several that have it none is taken."""
        found = self.catalogue.add("a", SMALL)
        self.assertEqual(self.result(choose(self.catalogue, found.digest[:12].upper())), found)
        with self.assertRaisesRegex(NotFound, f"nobody has a file called '{found.digest[:11]}'"):
            self.result(choose(self.catalogue, found.digest[:11]))
        other = evolve(found, digest=found.digest[:20] + "0" * 44)
        self.catalogue.found.append(other)
        error = self.assertRaises(SeveralFound, self.result, choose(self.catalogue, found.digest[:12]))
        self.assertEqual(error.files, [found, other])
        self.assertIn(f"2 different files have digests that begin with {found.digest[:12]}", str(error))
        self.assertEqual(self.result(choose(self.catalogue, found.digest[:12], other.digest)), other)

    def test_whole_digests_only(self) -> None:
        """Where only whole digests are looked for that is said, unless it is the name of a file."""
        named = self.catalogue.add("0123456789ab", SMALL)
        search = self.catalogue.search
        self.catalogue.search = lambda query: (  # type: ignore[method-assign]
            search(query) if query.digest is None else fail(WholeDigestsOnly("the whole digest only"))
        )
        self.assertEqual(self.result(choose(self.catalogue, "0123456789ab")), named)
        self.assertRaises(WholeDigestsOnly, self.result, choose(self.catalogue, "0123456789ac"))

    def test_called_like_a_digest(self) -> None:
        """What looks like a digest, and is none of a file there is, may be a name."""
        named = self.catalogue.add("0" * 64, SMALL)
        self.assertEqual(self.result(choose(self.catalogue, "0" * 64)), named)
        self.assertEqual(self.result(choose(self.catalogue, named.digest)), named)

    def test_lie_about_the_size(self) -> None:
        """Who lists a file with a wrong size does not keep others from choosing it."""
        digest = manifest_of(SMALL).digest
        page = Page([FoundFile("a", 1, digest, 1), FoundFile("a", len(SMALL), digest, 2)], 2)
        self.catalogue.search = lambda query: succeed(page)  # type: ignore[method-assign]
        self.assertEqual(self.result(choose(self.catalogue, "a")).size, len(SMALL))

    def test_none(self) -> None:
        """What nobody has is not found; what is like it is named."""
        self.catalogue.add("report-2.pdf", SMALL)
        with self.assertRaisesRegex(NotFound, r"nobody has a file called 'report'; there is report-2\.pdf"):
            self.result(choose(self.catalogue, "report"))
        with self.assertRaisesRegex(NotFound, r"nobody has the file 0000000000000000\.\.\."):
            self.result(choose(self.catalogue, "0" * 64))

    def test_no_beginning(self) -> None:
        """What is no beginning of a digest is refused."""
        with self.assertRaisesRegex(UsageError, "'xyz' is not the beginning of a digest"):
            self.result(choose(self.catalogue, "a", "xyz"))

    def test_nobody_to_ask(self) -> None:
        """While nobody can be asked, that is the answer."""
        self.catalogue.is_away = True
        self.assertRaises(LinkClosed, self.result, choose(self.catalogue, "a"))


class FetchTests(FilesCase):
    """One file is fetched."""

    def test_from_two(self) -> None:
        """A file comes from all who have it; at the end it is known what came from whom, and it is offered whole."""
        sites = [self.site(LARGE, rate=MIB), self.site(LARGE, rate=MIB)]
        found = self.catalogue.add("a", LARGE, *(site.source for site in sites))
        fetch = self.begin(self.fetcher(), found)
        self.until(lambda: self.ended)
        outcome = fetch.outcome
        assert isinstance(outcome, Receipt)
        self.assertEqual(set(outcome.by_source), {site.source for site in sites})
        self.assertEqual(sum(outcome.by_source.values()), len(LARGE))
        self.assertEqual(self.parts[0].content(), LARGE)
        self.assertEqual(self.catalogue.published, {"a": SharedFile("a", len(LARGE), found.digest)})

    def test_offered_meanwhile(self) -> None:
        """With its first chunk a file is offered as a part, and served to others; their load is told."""
        site = self.site(LARGE, rate=MIB)
        found = self.catalogue.add("a", LARGE, site.source)
        fetcher = self.fetcher()
        self.begin(fetcher, found)
        self.until(lambda: self.catalogue.words)
        self.assertEqual(self.catalogue.published, {"a": SharedFile("a", len(LARGE), found.digest, is_whole=False)})
        content = fetcher.content(found.digest)
        assert content is not None
        self.assertEqual(self.result(content.read(next(iter(content.holdings))))[:3], self.parts[0].content()[:3])
        self.until(lambda: self.ended)
        self.assertEqual([[file.is_whole for file in added] for added, _ in self.catalogue.words], [[False], [True]])

    def test_asked_again(self) -> None:
        """Sources are asked for again after 1, 2, 4, 8, 15 and 15 s; one that comes later is used."""
        found = self.catalogue.add("a", SMALL)
        self.begin(self.fetcher(), found)
        began = self.network.seconds()
        self.network.run(50.0)
        self.assertEqual([round(at - began) for at in self.catalogue.asked], [0, 1, 3, 7, 15, 30, 45])
        self.catalogue.by_digest[found.digest] = [self.site(SMALL).source]
        self.until(lambda: self.ended)
        self.assertEqual(self.parts[0].content(), SMALL)
        asked = len(self.catalogue.asked)
        self.network.run(60.0)
        self.assertEqual(len(self.catalogue.asked), asked)

    def test_index_away(self) -> None:
        """While the index is away, those who are known go on serving, and it is asked again."""
        site = self.site(LARGE, rate=MIB)
        found = self.catalogue.add("a", LARGE, site.source)
        self.begin(self.fetcher(), found)
        self.until(lambda: self.catalogue.words)
        self.catalogue.is_away = True
        self.until(lambda: self.ended)
        self.assertEqual(self.parts[0].content(), LARGE)

    def test_accepted(self) -> None:
        """Only those are asked who are accepted."""
        sites = [self.site(SMALL), self.site(SMALL)]
        found = self.catalogue.add("a", SMALL, *(site.source for site in sites))
        fetch = self.begin(self.fetcher(), found, accept=lambda source: source.id == 2)
        self.until(lambda: self.ended)
        assert isinstance(fetch.outcome, Receipt)
        self.assertEqual(list(fetch.outcome.by_source), [sites[1].source])

    def test_nobody_left(self) -> None:
        """When nobody has been there for too long it ends; what is there is kept, and is used the next time."""
        site = self.site(LARGE, rate=MIB)
        found = self.catalogue.add("a", LARGE, site.source)
        fetcher = self.fetcher()
        fetch = self.begin(fetcher, found, give_up_s=5.0)
        self.until(lambda: len(self.parts[0].holdings) >= 2)
        self.network.kill(site.node)
        self.until(lambda: self.ended)
        assert fetch.outcome is not None
        assert not isinstance(fetch.outcome, Receipt)
        self.assertTrue(fetch.outcome.check(TransferFailed))
        self.assertEqual((self.catalogue.published, self.parts[0].is_closed), ({}, True))
        self.catalogue.by_digest[found.digest] = [self.site(LARGE).source]
        again = self.begin(fetcher, found)
        self.until(lambda: len(self.ended) == 2)
        assert isinstance(again.outcome, Receipt)
        self.assertGreaterEqual(again.outcome.resumed_bytes, 2 * MIB)
        self.assertEqual(self.parts[0].content(), LARGE)

    def test_full_disk(self) -> None:
        """A full disk ends it, and says so."""
        site = self.site(LARGE)
        found = self.catalogue.add("a", LARGE, site.source)
        fetch = self.begin(self.fetcher(), found)
        self.parts[0].fault = StorageError("no room")
        self.until(lambda: self.ended)
        assert fetch.outcome is not None
        assert not isinstance(fetch.outcome, Receipt)
        self.assertTrue(fetch.outcome.check(StorageError))

    def test_whole_already(self) -> None:
        """What was there but for its last step is whole at once, and nobody is asked."""
        manifest = manifest_of(SMALL)
        self.parts.append(MemoryPart(manifest.digest, manifest, {0: SMALL}))
        fetch = self.begin(self.fetcher(), self.catalogue.add("a", SMALL))
        self.until(lambda: self.ended)
        assert isinstance(fetch.outcome, Receipt)
        self.assertEqual((fetch.outcome.resumed_bytes, self.catalogue.asked), (len(SMALL), []))

    def test_twice(self) -> None:
        """A file that is being fetched is not fetched once more beside; afterwards it can be."""
        found = self.catalogue.add("a", LARGE, self.site(LARGE, rate=MIB).source)
        fetcher = self.fetcher()
        self.begin(fetcher, found)
        with self.assertRaisesRegex(UsageError, "a is being fetched already"):
            self.begin(fetcher, found)
        self.until(lambda: self.ended)
        self.begin(fetcher, found)

    def test_stopped(self) -> None:
        """A node that stops lets go of what it fetches, and leaves nothing behind."""
        found = self.catalogue.add("a", LARGE, self.site(LARGE, rate=MIB).source)
        self.begin(self.fetcher(), found)
        self.until(lambda: len(self.parts[0].holdings))
        self.network.stop_all()
        self.assertEqual((self.parts[0].is_closed, len(self.ended)), (True, 1))
        self.assertEqual(self.catalogue.published, {})
