"""C{bazaar files}, as it is typed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from twisted.internet.defer import Deferred, fail, succeed

from tests.cli.operated import OperatedCase, OperatedNode
from twisted_bazaar.cli.commands.files import files
from twisted_bazaar.errors import UsageError

_DIGEST = "12" * 32


def _under_way(name: str, rate: float, seconds_left: float | None, state: str) -> dict[str, Any]:
    """A download as a node tells it, with one source."""
    row = {"name": name, "size": 4096, "digest": _DIGEST, "state": "under way", "held": 1024, "rate": rate}
    return {**row, "seconds_left": seconds_left, "sources": [{"id": 7, "state": state, "bytes": 1024, "why": None}]}


def _done(name: str, resumed: int, **by_protocol: int) -> dict[str, Any]:
    """A download that is over, as a node tells it."""
    row = {"name": name, "size": 4096, "digest": _DIGEST, "state": "done", "by_source": {}, "resumed": resumed}
    return {**row, "protocols": list(by_protocol), "by_protocol": by_protocol}


_STATUS = {
    "folder": "/srv/shared",
    "fault": None,
    "files": 2,
    "hashing": {"files_left": 1, "bytes_done": 1024, "bytes_total": 4096},
    "settling": 2,
    "left_out": {"link": "a link; links are not followed"},
    "uploads": [{"digest": _DIGEST, "host": "10.0.0.7", "state": "serving", "sent_bytes": 2048}],
    "downloads": [
        {"name": "b", "size": 3000, "digest": _DIGEST, "state": "done", "by_source": {"7": 3000}},
        {"name": "c", "size": 3000, "digest": _DIGEST, "state": "failed", "reason": "the disk is full"},
        {"name": "d", "size": 4096, "digest": _DIGEST, "state": "under way", "held": 1024, "rate": 512.0},
        _under_way("e", 512.0, 6.0, "serving"),
        _under_way("f", 0.0, None, "dropped"),
        {"name": "g", "size": 4096, "digest": _DIGEST, "state": "stopped", "held": 1024, "reason": "stopped"},
        _done("h", 0, udp=4096),
        _done("i", 1024, tcp=1024, udp=2048),
    ],
}


class FilesTests(OperatedCase):
    """A sharer, played by the test."""

    def setUp(self) -> None:
        """Start it."""
        super().setUp()
        self.names = ["a", "\x1b[31mb"]
        self.asked: list[Mapping[str, Any]] = []
        commands = {
            "files.list": self._list,
            "files.status": lambda request: succeed(_STATUS),
            "files.get": self._get,
            "files.cancel": self._cancel,
        }
        self.add("sharer", OperatedNode(commands))

    def _list(self, request: Mapping[str, Any]) -> Deferred[Any]:
        names = [name for name in self.names if name > request["after"]][: request["most"]]
        return succeed([{"name": name, "size": 3000, "digest": _DIGEST, "is_whole": True} for name in names])

    def _get(self, request: Mapping[str, Any]) -> Deferred[Any]:
        self.asked.append(request)
        if request["wanted"] == "nothing":
            return fail(UsageError("nobody has it"))
        return succeed({"name": "b", "size": 3000, "digest": _DIGEST, "state": "under way", "sources": []})

    def _cancel(self, request: Mapping[str, Any]) -> Deferred[Any]:
        self.asked.append(request)
        match request["wanted"]:
            case "nothing":
                return fail(UsageError("nothing is not being fetched"))
            case "late":
                return succeed({"name": "late", "size": 3000, "digest": _DIGEST, "state": "done"})
        held = 0 if request["wanted"] == "new" else 1024
        return succeed({"name": "b", "size": 4096, "digest": _DIGEST, "state": "stopped", "held": held})

    def test_cancel(self) -> None:
        """A download is stopped, and it is told what is kept; what is not fetched is no, with status 1."""
        self.assertEqual(self.told("files", "cancel", "b"), ["b: stopped; 1.00 KiB of 4.00 KiB are kept"])
        self.assertEqual(self.asked, [{"wanted": "b"}])
        self.assertEqual(self.told("files", "cancel", "new"), ["b: stopped; nothing had come yet"])
        for wanted, expected in (("nothing", "nothing is not being fetched"), ("late", "late has come already, whole")):
            result = self.bazaar("files", "cancel", wanted)
            self.assertEqual((result.exit_code, result.stdout), (1, ""))
            self.assertTrue(result.stderr.endswith(f"bazaar files cancel: {expected}\n"), result.stderr)

    def test_list(self) -> None:
        """What is offered is listed; names cannot move the cursor."""
        self.names.sort()
        self.assertEqual(
            self.told("files", "list")[2:],
            ["\N{REPLACEMENT CHARACTER}[31mb 2.93 KiB 121212121212", "a 2.93 KiB 121212121212"],
        )
        self.names = sorted(f"{number:04}" for number in range(2500))
        rows = json.loads(self.told("files", "list", "--json")[0])
        self.assertEqual([row["name"] for row in rows], self.names)
        self.names = []
        self.assertIn("nothing is shared now", self.told("files", "list")[0])

    def test_status(self) -> None:
        """What is served, fetched and left out is told."""
        self.assertEqual(
            self.told("files", "status"),
            [
                "folder /srv/shared",
                "shared 2 files",
                "2 new files are shared when unchanged for 2 s",
                "hashing 1 file, 1.00 KiB of 4.00 KiB",
                "left out link: a link; links are not followed",
                "uploads 121212121212 to 10.0.0.7, serving, 2.00 KiB",
                "downloads b: done, 2.93 KiB",
                "c: failed: the disk is full",
                "d: 1.00 KiB of 4.00 KiB, 512 bytes/s",
                "e: 1.00 KiB of 4.00 KiB, 512 bytes/s, 6.0 s left",
                "f: 1.00 KiB of 4.00 KiB, nobody has it now; asking again until somebody has",
                "g: stopped; 1.00 KiB of 4.00 KiB are kept",
                "h: done, 4.00 KiB by UDP",
                "i: done, 4.00 KiB: 2.00 KiB by UDP, 1.00 KiB by TCP, 1.00 KiB were there before",
            ],
        )
        self.assertEqual(json.loads(self.told("files", "status", "--json")[0]), [_STATUS])

    def test_narrow(self) -> None:
        """Where there are few columns, names stand in lines of their own."""
        self.patch(files, "console_for_results", lambda: Console(width=40, highlight=False, markup=False))
        self.assertEqual(self.told("files", "list")[:2], ["a", "2.93 KiB, 121212121212"])
        told = self.bazaar("files", "status").stdout.splitlines()
        self.assertEqual(
            told[:9],
            [
                "folder",
                "  /srv/shared",
                "shared",
                "  2 files",
                "  2 new files are shared when unchanged for 2 s",
                "  hashing 1 file, 1.00 KiB of 4.00 KiB",
                "left out",
                "  link",
                "    a link; links are not followed",
            ],
        )
        self.assertEqual(told[-4:-2], ["  h", "    done, 4.00 KiB by UDP"])

    def test_get(self) -> None:
        """A file is fetched by the sharer; what it refuses is told, with status 1."""
        self.assertEqual(self.told("files", "get", "b", "--digest", "12", "--overwrite"), ["fetching b, 2.93 KiB"])
        self.assertEqual(self.asked, [{"wanted": "b", "digest": "12", "overwrite": True}])
        result = self.bazaar("files", "get", "nothing")
        self.assertEqual((result.exit_code, result.stdout), (1, ""))
        self.assertTrue(result.stderr.endswith("bazaar files get: nobody has it\n"))
        for name, expected in (("", "NAME: there is nothing in it"), ("\udcff", r"NAME: '\udcff' is not UTF-8")):
            result = self.bazaar("files", "get", name)
            self.assertEqual((result.exit_code, result.stderr), (2, f"bazaar files get: {expected}\n"))

    def test_none(self) -> None:
        """Where no sharer runs, it is said how to start one."""
        self.add("sharer", OperatedNode({}))
        result = self.bazaar("files", "list")
        self.assertEqual(result.exit_code, 2)
        self.assertIn("no sharer runs under", result.stderr)
        self.assertIn("--role sharer --via index --index tcp:127.0.0.1:9100 --folder ./shared", result.stderr)
