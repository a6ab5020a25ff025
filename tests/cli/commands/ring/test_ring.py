"""C{bazaar ring}, as it is typed: what a running member is asked, and what is refused before one begins."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

import click
from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from tests.cli.operated import OperatedCase, OperatedNode
from twisted_bazaar.cli.commands.ring import client_commands
from twisted_bazaar.cli.commands.ring.client_commands import telling_that_it_goes_on
from twisted_bazaar.cli.ring.event_lines import format_event
from twisted_bazaar.errors import UsageError

DIGEST, OWNER = "ab" * 32, "cd" * 32
STORED = {"name": "paper", "digest": DIGEST, "size": 300_000, "copies": ["1f", "2e", "3d"]}
FOUND = {"name": "paper", "file": "paper.pdf", "size": 300_000, "digest": DIGEST, "owner": OWNER, "sources": 3}
STANDING = {
    "role": "ring_peer",
    "member": True,
    "ring_id": "1f",
    "predecessor": "0a",
    "successors": ["2e", "3d"],
    "callers": ["0a"],
    "entries": 2,
    "files": 1,
    "bytes": 300_000,
    "keep_bytes": 1 << 30,
}


class AskingTests(OperatedCase):
    """A member of a ring that answers what the test says, and keeps what it was asked."""

    def setUp(self) -> None:
        """Start it."""
        super().setUp()
        self.asked: list[Mapping[str, Any]] = []
        self.answers: dict[str, Any] = {
            "store": STORED,
            "find": [FOUND],
            "put": {"name": "greeting", "copies": 4},
            "get": [{"value": "hello", "owner": OWNER}, {"value": "hullo", "owner": DIGEST}],
            "delete": {"name": "paper", "deleted": 1},
            "status": STANDING,
        }
        names = ("store", "request", "delete", "find", "put", "get", "status", "list", "transfers", "cancel")
        self.add("member", OperatedNode({f"ring.{name}": self.answer(name) for name in names}))

    def answer(self, name: str) -> Any:
        """What does a command."""

        def do(request: Mapping[str, Any]) -> Deferred[Any]:
            self.asked.append(dict(request))
            answer = self.answers[name]
            return fail(answer) if isinstance(answer, Exception) else succeed(answer)

        return do

    def ring(self, *words: str) -> list[str]:
        """The lines of a command that ends well."""
        return self.told("ring", *words)

    def test_store(self) -> None:
        """A file is stored by where it is, whatever directory the node is in, and its keepers are told."""
        Path("paper.pdf").write_bytes(b"x")
        self.assertEqual(
            self.ring("store", "paper.pdf", "--as", "paper"),
            ["paper is stored, 293 KiB, digest abababababab; kept by 3 nodes: 1f, 2e, 3d"],
        )
        self.assertEqual(self.asked, [{"path": str(Path.cwd() / "paper.pdf"), "name": "paper"}])

    def test_store_nothing(self) -> None:
        """What is no file is refused before anybody is asked."""
        self.assert_ends(2, "FILE nothing: there is no such file", "ring", "store", "nothing")
        self.assert_ends(2, r"FILE \.: this is no file", "ring", "store", ".")
        self.assertEqual(self.asked, [])

    def test_request(self) -> None:
        """A file is put where the user says, and told with where it came from."""
        Path("out").mkdir()
        path = str(Path.cwd() / "out/paper.pdf")
        row = {**STORED, "file": "paper.pdf", "path": path, "owner": OWNER, "sources": {"7": 200_000, "8": 100_000}}
        self.answers["request"] = row
        self.assertEqual(
            self.ring("request", "paper", "-o", "out"),
            ["paper: 293 KiB, from 2 nodes, digest abababababab, verified", path],
        )
        wish = {"name": "paper", "folder": str(Path.cwd() / "out"), "digest": "", "overwrite": False}
        self.assertEqual(self.asked, [{"name": "paper"}, wish])
        self.answers["request"] = {**row, "sources": {}}
        self.assertIn("it was here already", self.ring("request", "paper", "--as", "mine.pdf", "--overwrite")[0])
        self.assertEqual((self.asked[-1]["file"], self.asked[-1]["overwrite"]), ("mine.pdf", True))

    def test_missing(self) -> None:
        """What nobody has ends with status 3, and nothing is requested."""
        self.answers |= {"find": [], "get": []}
        self.assert_ends(3, "nobody has stored a file as 'paper'", "ring", "request", "paper")
        self.assert_ends(3, "nobody has stored a file as 'paper'", "ring", "find", "paper")
        self.assert_ends(3, "nobody has put anything there as 'paper'", "ring", "get", "paper")
        self.assertEqual(len(self.asked), 3)

    def test_find(self) -> None:
        """Each file under a name has a line."""
        line = "paper.pdf: 293 KiB, 3 copies, digest abababababab, stored by cdcdcdcdcdcd"
        self.assertEqual(self.ring("find", "paper"), [line])
        self.assertEqual(json.loads(self.bazaar("ring", "find", "paper", "--json").stdout), [FOUND])

    def test_values(self) -> None:
        """Small texts are put, and shown, the newest first."""
        self.assertEqual(self.ring("put", "greeting", "hello"), ["greeting is kept by 4 nodes"])
        self.assertEqual(self.asked, [{"name": "greeting", "value": "hello"}])
        self.assertEqual(self.ring("get", "greeting"), ["hello", "hullo"])

    def test_delete(self) -> None:
        """What is deleted is told; what is not this node's to delete ends with status 1."""
        self.assertEqual(self.ring("delete", "paper"), ["paper is deleted"])
        self.answers["delete"] = UsageError("only its owner deletes it")
        self.assert_ends(1, "only its owner deletes it", "ring", "delete", "paper")

    def test_status(self) -> None:
        """It is told where a member stands, and what it keeps."""
        self.assertEqual(
            self.ring("status"),
            [
                "place 1f",
                "predecessor 0a",
                "pinged by 0a",
                "successors 2e, 3d",
                "entries 2",
                "files 1, 293 KiB of 1.00 GiB",
            ],
        )
        self.assertEqual(json.loads(self.bazaar("ring", "status", "--json").stdout), [STANDING])
        self.answers["status"] = {**STANDING, "member": False}
        self.assertEqual(self.ring("status")[0], "place NOT ON THE RING YET")
        self.answers["status"] = {**STANDING, "coming": 2}
        self.assertEqual(self.ring("status")[-1], "files 1, and 2 on the way, 293 KiB of 1.00 GiB")
        self.answers["status"] = {"role": "ring", "member": True, "ring_id": "1f", "entries": 2}
        self.assertEqual(self.ring("status")[-2:], ["entries 2", "files none: it keeps only entries"])

    def test_places(self) -> None:
        """Whoever is named has its place, the name of the node if it is this user's, and its address."""
        addresses = {"1f": "127.0.0.1:9301", "2e": "127.0.0.1:9302", "3d": "127.0.0.1:9303"}
        self.answers["status"] = {**STANDING, "addresses": addresses}
        lines = self.ring("status", "--name", "member")
        self.assertEqual(
            lines[:5],
            [
                "place 1f member, 127.0.0.1:9301",
                "predecessor 0a",
                "pinged by 0a",
                "successors 2e 127.0.0.1:9302",
                "3d 127.0.0.1:9303",
            ],
        )
        Path("paper.pdf").write_bytes(b"x")
        self.answers["store"] = {**STORED, "wanted": 4, "addresses": addresses}
        self.assertEqual(
            self.ring("store", "paper.pdf"),
            [
                "paper is stored, 293 KiB, digest abababababab; kept by 3 nodes, and should be by 4:",
                "1f member, 127.0.0.1:9301",
                "2e 127.0.0.1:9302",
                "3d 127.0.0.1:9303",
            ],
        )

    def test_list(self) -> None:
        """All that was stored and put is listed, page by page, with its copies; what has none is told."""
        row = {"name": "paper", "kind": "file", "size": 300_000, "digest": DIGEST, "file": "paper.pdf", "time": 0.0}
        paper = {**row, "copies": ["1f", "2e"], "wanted": 4, "addresses": {}, "after": "paper\tfile"}
        text = {**paper, "name": "word", "kind": "text", "size": 5, "copies": [], "after": "word\tvalue"}
        pages = {"": [paper], "paper\tfile": [text]}
        list_own = {"ring.list": lambda request: succeed(pages.get(request["after"], []))}
        self.add("lister", OperatedNode(list_own))
        lines = self.ring("list", "--name", "lister")
        self.assertRegex(lines[2], r"^paper file 293 KiB 2 of 4 (1970-01-01|1969-12-31) \S+$")
        self.assertRegex(lines[3], r"^word text 5 bytes NONE of 4 ")
        self.assertEqual(lines[4], "NONE: it is lost, unless a node that kept it comes back")
        told = json.loads(self.bazaar("ring", "list", "--name", "lister", "--json").stdout)
        self.assertEqual([row["copies"] for row in told], [["1f", "2e"], []])
        pages[""] = []
        self.assertEqual(
            self.ring("list", "--name", "lister"),
            ["nothing was stored or put from this node; bazaar ring store FILE changes that"],
        )

    def test_request_interrupted(self) -> None:
        """Ctrl-C ends a request: it is told how much is kept, and the status is that of what can be gone on with."""

        def interrupt(*wishes: object, **others: object) -> None:
            raise KeyboardInterrupt

        self.patch(client_commands, "rows_with_bar", interrupt)
        transfer = {"kind": "request", "path": str(Path.cwd() / "paper.pdf"), "name": "paper", "size": 300_000}
        self.answers |= {"transfers": [], "cancel": {**transfer, "bytes": 200_000}}
        nothing = "nothing was fetched yet; if the node keeps the file itself, it puts it there all the same"
        self.assert_ends(5, f"interrupted; {nothing}", "ring", "request", "paper")
        self.answers["transfers"] = [{**transfer, "bytes": 0, "name": "other"}, {**transfer, "bytes": 0}]
        kept = "195 KiB of 293 KiB are kept, and the same command goes on from there"
        self.assert_ends(5, f"interrupted; {kept}", "ring", "request", "paper")
        self.assertEqual(self.asked[-1], {"path": transfer["path"]})
        self.answers["cancel"] = {**transfer, "bytes": 0}
        self.assert_ends(5, "interrupted; nothing has come yet", "ring", "request", "paper")
        self.answers["cancel"] = UsageError("somebody else waits for paper.pdf too")
        self.assert_ends(5, "interrupted; the node goes on: somebody else waits .*", "ring", "request", "paper")

    def test_not_waited_for(self) -> None:
        """Who does not wait for a file any more is told that the node goes on."""
        with redirect_stderr(StringIO()) as said, self.assertRaises(SystemExit) as caught, telling_that_it_goes_on():
            raise KeyboardInterrupt
        self.assertEqual(caught.exception.code, 130)
        self.assertEqual(said.getvalue(), "interrupted; the node goes on; ask again to wait for it\n")
        context = click.Context(client_commands.store, info_name="bazaar ring store")
        with context, redirect_stderr(StringIO()) as said, self.assertRaises(SystemExit), telling_that_it_goes_on():
            raise KeyboardInterrupt
        self.assertEqual(
            said.getvalue(), "bazaar ring store: interrupted; the node goes on; ask again to wait for it\n"
        )

    def test_interrupted_too_late(self) -> None:
        """Ctrl-C while a file that has come is told of changes nothing; it does again afterwards."""
        before = signal.getsignal(signal.SIGINT)

        def show(*told: object) -> None:
            os.kill(os.getpid(), signal.SIGINT)

        self.patch(client_commands, "_show", show)
        self.answers["request"] = {**STORED, "file": "paper.pdf", "path": "paper.pdf", "owner": OWNER, "sources": {}}
        self.ring("request", "paper")
        self.assertIs(signal.getsignal(signal.SIGINT), before)

    def test_control_characters(self) -> None:
        """What strangers have stored does not move the cursor."""
        self.answers["get"] = [{"value": "a\x1b[2J\rb", "owner": OWNER}]
        self.assertEqual(self.ring("get", "x"), ["a\ufffd[2J\ufffdb"])

    def test_nobody_runs(self) -> None:
        """Without a member there is a word on how to start one."""
        self.answering.clear()
        self.assert_ends(2, "no member of a ring runs under .*--role ring_peer.*", "ring", "status")


class RefusalTests(OperatedCase):
    """What cannot be is refused in a line."""

    def test_options_of_the_prompt(self) -> None:
        """Options of the prompt do not go with a command that asks."""
        self.assert_refused("--classic is for the prompt; .*", "--classic", "status")

    def test_impossible(self) -> None:
        """Words that do not go together, and those that there are not, are refused."""
        for words, expected in (
            (("--nope",), "No such option '--nope'.*; see --help"),
            (("stor",), "No such command 'stor'; did you mean store[?]"),
            (("--state", "a", "--name", "b"), "--state and --name: give one of them"),
            (("--state", "a", "--ephemeral"), "--ephemeral keeps nothing: .*"),
            (("--state", ""), "--state: write a directory"),
            (("-o", "nowhere"), "-o nowhere: there is no such directory"),
        ):
            self.assert_refused(expected, *words)

    def assert_refused(self, expected: str, *words: str) -> None:
        """It ends with status 2 and a line that matches."""
        result = self.bazaar("ring", *words)
        self.assertEqual((result.exit_code, result.stdout), (2, ""), result.output)
        self.assertRegex(result.stderr, rf"\Abazaar ring: {expected}\n\Z")


class LinesTests(SynchronousTestCase):
    """What a member reports, as a line."""

    def test_told(self) -> None:
        """What happens is told in the words of the classroom."""
        self.assertEqual(format_event("ring-pinged", {"id": "3"}), "a ping request message was received from peer 3")
        self.assertEqual(format_event("ring-keeps", {"name": "2012", "size": 2048}), "keeping the file 2012, 2.00 KiB")

    def test_quiet(self) -> None:
        """Nothing is said of pings to those who do not want it, and nothing ever of what is of no interest."""
        self.assertIsNone(format_event("ring-pinged", {"id": "3"}, quiet=True))
        self.assertEqual(format_event("ring-dead", {"id": "3"}, quiet=True), "peer 3 is no longer alive")
        self.assertIsNone(format_event("sent", {"to": 3}))
