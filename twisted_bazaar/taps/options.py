"""What the daemons' command lines have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.python import usage

from twisted_bazaar.errors import UsageError


class DaemonOptions(usage.Options):
    """Options of every daemon. A bad one ends the process with one line and status 1."""

    program = "bazaar"
    optParameters = [
        ["max-links", None, None, "How many nodes may be linked to this one."],
        ["advertise", None, None, "HOST:PORT where others reach this node, if not where it listens."],
        ["events", None, None, "A file that gets one JSON line for each event and each message sent."],
    ]

    def opt_limit(self, setting: str) -> None:
        """Change another limit: NAME=VALUE, such as searches-a-second=100; may be given several times."""
        self.setdefault("limit", []).append(setting)

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Read the command line."""
        try:
            super().parseOptions(options)
        except (usage.UsageError, UsageError) as error:
            raise self.refusal(error) from None

    def postOptions(self) -> None:
        """Let several daemons in the foreground share a directory.

        twistd writes C{twistd.pid} even with C{-n}, so a second daemon started beside the first would
        not start. A pid file is for daemons in the background; there, or when the user names one, it
        is left alone.
        """
        parent: Any = self.parent
        if parent is not None and parent.get("nodaemon") and parent.get("pidfile") == "twistd.pid":
            parent["pidfile"] = ""

    def refusal(self, error: Exception) -> SystemExit:
        """What ends the process when an option is bad."""
        return SystemExit(f"{self.program}: {error}")
