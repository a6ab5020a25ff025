"""C{bazaar shell}, as it is talked to."""

from __future__ import annotations

import tempfile
from pathlib import Path

from click.testing import CliRunner
from twisted.internet.defer import Deferred, fail

from tests.files.cases import MIB, file_of
from tests.roles.files_cases import FilesCase
from twisted_bazaar.cli.main import main
from twisted_bazaar.cli.node.shell_commands import ShellCommands
from twisted_bazaar.discovery.index.messages import Busy
from twisted_bazaar.exit_status import ExitStatus
from twisted_bazaar.roles.fetcher import Fetcher, parts_in
from twisted_bazaar.values.files import FileQuery, Page

SMALL = file_of(3000)
LARGE = file_of(3 * MIB)


class TalkTests(FilesCase):
    """Words are understood, and done."""

    def setUp(self) -> None:
        """Have a directory for what comes."""
        super().setUp()
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.said: list[str] = []

    def talk(self, *, patient: bool = False, joined: bool = True) -> ShellCommands:
        """Somebody to talk to."""
        self.running = Fetcher(self.catalogue, parts_in(self.directory))
        node = self.network.add_node(self.running)
        if joined:
            self.running.joined.callback(None)
        return ShellCommands(self.running, self.directory, self.said.append, node.clock, patient=patient)

    def tell(self, talk: ShellCommands, *lines: str | None) -> int | None:
        """Type some lines; returns the exit status, if the last ends it."""
        status = None
        for line in lines:
            status = self.result(talk.run_line(line))
        return status

    def words(self) -> list[str]:
        """What was said since last asked, without blanks that only align."""
        said, self.said[:] = [" ".join(line.split()) for line in self.said if line.strip()], []
        return said

    def test_query(self) -> None:
        """What is found is shown with numbers, and fetched by them while the talk goes on."""
        site = self.site(SMALL)
        found = self.catalogue.add("my file.txt", SMALL, site.source)
        talk = self.talk()
        self.tell(talk, "query file")
        shown = self.words()
        self.assertEqual(shown[-1], f"1 my file.txt 2.93 KiB 1 {found.digest[:12]}")
        self.tell(talk, "get 1")
        self.assertEqual(self.words(), ["fetching my file.txt, 2.93 KiB, 1 source"])
        self.tell(talk, "wait")
        told = self.words()
        self.assertRegex(told[0], r"^my file\.txt: 2\.93 KiB in .*, verified$")
        self.assertRegex(told[1], r"^2\.93 KiB from node 1 at 10\.0\.0\.\d+:\d+, key [0-9a-f]{8}$")
        self.assertEqual(told[2:], [str(self.directory / "my file.txt")])
        self.assertEqual((self.directory / "my file.txt").read_bytes(), SMALL)

    def test_get(self) -> None:
        """A file is fetched by its name, with blanks and with or without quotes; what is there is not fetched again."""
        self.catalogue.add("my file.txt", SMALL, self.site(SMALL).source)
        talk = self.talk()
        self.tell(talk, "get my file.txt", "wait", 'get "my file.txt"')
        self.assertEqual(self.words()[-1], "my file.txt is here already, whole")

    def test_several(self) -> None:
        """Several files of one name are shown with numbers, and one is chosen by its number."""
        self.catalogue.add("a", SMALL, self.site(SMALL).source)
        self.catalogue.add("a", LARGE, self.site(LARGE).source)
        talk = self.talk()
        self.tell(talk, "get a")
        told = self.words()
        self.assertIn("2 different files are called a.", told)
        self.assertEqual(told[-1], "which of them? write get and its number")
        self.tell(talk, "get 2", "wait")
        self.assertEqual((self.directory / "a").read_bytes(), LARGE)

    def test_choose(self) -> None:
        """Of a file that was shown is told who has it; then get alone fetches it, from those who were chosen."""
        first, second = self.site(SMALL), self.site(SMALL)
        self.catalogue.add("a", SMALL, first.source, second.source)
        talk = self.talk()
        self.tell(talk, "query a", "choose 1")
        sources = self.words()[-3:]
        self.assertRegex(sources[0], rf"^node {first.source.id} at 10\.0\.0\.\d+:\d+, key {first.source.key[:8]}$")
        self.assertEqual(sources[2], "get fetches a")
        self.tell(talk, f"choose 1 {second.source.key[:8]}", "get", "wait")
        told = self.words()
        self.assertEqual(told[2], f"get fetches a from {second.source.key[:8]}")
        self.assertIn(f"from node {second.source.id} at", told[5])
        self.assertEqual((self.directory / "a").read_bytes(), SMALL)

    def test_nothing_chosen(self) -> None:
        """There is nothing to choose before something was shown; nobody can be chosen who has it not."""
        site = self.site(SMALL)
        self.catalogue.add("a", SMALL, site.source)
        talk = self.talk()
        what = "choose what? query first, and then write choose and a number of what is shown"
        self.tell(talk, "choose 1", "choose")
        self.assertEqual(self.words(), [what, what])
        self.tell(talk, "query a")
        self.words()
        self.tell(talk, "choose 2", "choose 1 ffff", "get")
        told = self.words()
        self.assertEqual([told[0], told[2]], [what, "ffff has not got it"])
        self.tell(talk, "choose 1", "query a", "get")
        self.assertEqual(self.words()[-1], "get what? write get NAME, or query first and then get NUMBER")

    def test_list(self) -> None:
        """Everything is listed."""
        self.catalogue.add("a", SMALL)
        self.catalogue.add("b", LARGE)
        self.tell(self.talk(), "list")
        self.assertEqual([line.split()[1] for line in self.words()[2:]], ["a", "b"])

    def test_nothing(self) -> None:
        """That nothing was found is said; what nobody has cannot be fetched."""
        self.tell(self.talk(), "query x", "get x")
        self.assertEqual(self.words(), ["nothing was found", "nobody has a file called 'x'"])

    def test_wrong_word(self) -> None:
        """A wrong word gets a hint, and the talk goes on."""
        talk = self.talk()
        self.assertIsNone(self.tell(talk, "qurey x", "frobnicate", "get", "query", "", "# nothing"))
        self.assertEqual(
            self.words(),
            [
                "there is no 'qurey'; did you mean query?",
                "there is no 'frobnicate'; the words are query, list, choose, get, cancel, status, wait, help, exit",
                "get what? write get NAME, or query first and then get NUMBER",
                "query what? write query NAME, or list for all there is",
            ],
        )

    def test_completions(self) -> None:
        """What is typed can be completed to a word, and to a file that was shown."""
        self.catalogue.add("my file.txt", SMALL)
        talk = self.talk()
        self.assertEqual(talk.completions()[:2], ["query ", "list"])
        self.tell(talk, "query file")
        self.assertIn("get my file.txt", talk.completions())

    def test_help(self) -> None:
        """Each word is explained."""
        self.tell(self.talk(), "help")
        words = [line.split()[0] for line in self.words()]
        self.assertEqual(words, ["query", "list", "choose", "get", "cancel", "status", "wait", "help", "exit"])

    def test_status(self) -> None:
        """Downloads under way are told, with how far they are."""
        self.catalogue.add("a", LARGE, self.site(LARGE, rate=MIB).source)
        talk = self.talk()
        self.tell(talk, "status", "get a")
        self.network.run(1.6)
        self.words()
        self.tell(talk, "status")
        self.assertRegex(self.words()[0], r"^a: \d+% of 3\.00 MiB, .*/s, 1 source, .* left$")

    def fetching(self, *names: str) -> ShellCommands:
        """Somebody to talk to, with downloads under way of which some has come."""
        for number, name in enumerate(names):
            content = LARGE + bytes([number])
            self.catalogue.add(name, content, self.site(content, rate=MIB).source)
        talk = self.talk()
        self.tell(talk, *(f"get {name}" for name in names))
        self.until(lambda: all(fetch.status().held_bytes for fetch in self.running.under_way()))
        self.words()
        return talk

    def under_way(self) -> list[str]:
        """The names of what is being fetched."""
        return [fetch.found.name for fetch in self.running.under_way()]

    def test_cancel(self) -> None:
        """A download is stopped by name, digest or number, the only one without; what is kept is told."""
        talk = self.fetching("my a", "b", "c", "d")
        self.tell(talk, "cancel")
        self.assertEqual(self.words(), ["4 downloads under way: write cancel NAME, or cancel all"])
        digest = next(file.digest for file in self.catalogue.found if file.name == "b")
        self.assertIn("cancel my a", talk.completions())
        self.tell(talk, 'cancel "my a"', f"cancel {digest[:12]}", "query c", "cancel 1")
        self.assertEqual(self.under_way(), ["d"])
        self.assertRegex(self.words()[0], r"^my a is stopped: .* of 3\.00 MiB are kept, and get goes on from there$")
        self.tell(talk, "cancel c", "cancel", "cancel")
        told = self.words()
        self.assertEqual((told[0], told[-1]), ("c is not being fetched", "nothing is being fetched"))
        self.assertEqual(self.under_way(), [])

    def test_cancel_all(self) -> None:
        """All are stopped at once; that is no fault of theirs."""
        talk = self.fetching("a", "b")
        self.tell(talk, "cancel all")
        self.assertEqual((self.under_way(), len(self.words())), ([], 2))
        self.assertEqual(self.tell(talk, "exit"), ExitStatus.DONE)

    def test_interrupt(self) -> None:
        """Ctrl-C stops the only download; of several none, and it is told how; without any, how to end."""
        talk = self.fetching("a", "b")
        talk.on_interrupt()
        self.assertEqual(self.words(), ["2 downloads go on: cancel NAME stops one, cancel all stops all"])
        self.tell(talk, "cancel a")
        talk.on_interrupt()
        self.until(lambda: not self.under_way())
        self.assertRegex(self.words()[-1], r"^b is stopped: .* are kept, and get goes on from there$")
        talk.on_interrupt()
        self.assertEqual(self.words(), ["nothing is being fetched; exit ends this"])

    def test_several_numbers(self) -> None:
        """Several files are fetched by their numbers; numbers that are not shown are a name."""
        for name in ("a", "b", "c"):
            self.catalogue.add(name, SMALL + name.encode(), self.site(SMALL + name.encode()).source)
        talk = self.talk()
        self.tell(talk, "list", "get 1 3", "wait", "get 1 9")
        self.assertEqual(sorted(path.name for path in self.directory.iterdir()), ["a", "c"])
        self.assertEqual(self.words()[-1], "nobody has a file called '1 9'")

    def test_exit(self) -> None:
        """Exit ends it; while something is under way it asks once, and a second time leaves that to be gone on with."""
        self.catalogue.add("a", LARGE, self.site(LARGE, rate=MIB).source)
        talk = self.talk()
        self.tell(talk, "get a")
        self.assertIsNone(self.tell(talk, "exit"))
        self.assertEqual(self.tell(talk, "exit"), ExitStatus.UNFINISHED)
        self.assertEqual(self.words()[-1], "1 download left: the same get goes on from there")
        self.assertEqual(self.tell(self.talk(), "EXIT"), ExitStatus.DONE)

    def test_exit_by_another_word(self) -> None:
        """The same goes for other words for it, and for the end of what is typed; a word between them begins anew."""
        self.catalogue.add("a", LARGE, self.site(LARGE, rate=MIB).source)
        talk = self.talk()
        self.tell(talk, "get a")
        self.assertIsNone(self.tell(talk, "quit", "status", "bye"))
        self.assertEqual(self.tell(talk, None), ExitStatus.UNFINISHED)

    def test_end_of_pipe(self) -> None:
        """At the end of a pipe downloads come to their end first; what went wrong makes the status 1."""
        self.catalogue.add("a", SMALL, self.site(SMALL).source)
        self.assertEqual(self.tell(self.talk(patient=True), "get a", None), ExitStatus.DONE)
        self.assertEqual((self.directory / "a").read_bytes(), SMALL)
        self.assertEqual(self.tell(self.talk(patient=True), "get nothing", None), ExitStatus.NO)

    def test_long_pipe(self) -> None:
        """Of very many lines not all downloads go on at once; an index that is asked too much is asked again."""
        for number in range(40):
            content = bytes([number]) + LARGE[: MIB // 4]
            self.catalogue.add(f"{number:02}", content, self.site(content, rate=MIB // 12).source)
        talk = self.talk(patient=True)
        search, refused, most = self.catalogue.search, [2, 3, 3], [0]

        def busy_at_times(query: FileQuery) -> Deferred[Page]:
            most.append(len(self.running.under_way()))
            if refused and len(self.catalogue.queries) == refused[0]:
                del refused[0]
                return fail(Busy("too many questions"))
            return search(query)

        self.catalogue.search = busy_at_times  # type: ignore[method-assign]
        lines = iter([*(f"get {number:02}" for number in range(40)), None])

        async def pipe() -> int | None:
            status = None
            while status is None:
                status = await talk.run_line(next(lines))
            return status

        self.assertEqual(self.result(pipe()), ExitStatus.DONE)
        self.assertEqual((refused, max(most)), ([], 31))
        self.assertEqual(len(list(self.directory.iterdir())), 40)

    def test_full_disk(self) -> None:
        """A download that fails is told, and the talk goes on."""
        self.catalogue.add("a", SMALL, self.site(SMALL).source)
        (self.directory / "a").mkdir()
        self.tell(self.talk(), "get a")
        self.assertIn("a is a folder", self.words()[0])

    def test_not_joined(self) -> None:
        """While there is no index to ask, that is said after a moment."""
        self.catalogue.is_away = True
        self.tell(self.talk(joined=False), "query a")
        self.assertEqual(self.words(), ["the index is away"])


class CommandTests(FilesCase):
    """The command line."""

    def test_directory(self) -> None:
        """A directory that is not there is refused."""
        result = CliRunner().invoke(main, ["shell", "-o", "/nowhere/at/all"], prog_name="bazaar")
        self.assertEqual(result.exit_code, 2)
        self.assertEqual(result.stderr, "bazaar shell: -o /nowhere/at/all: there is no such directory\n")
