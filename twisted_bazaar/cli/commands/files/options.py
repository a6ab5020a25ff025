"""The options of the commands that find, fetch and share files: daemons that share a settings file know them, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import click
from attrs import evolve

from twisted_bazaar.cli.commands.options import DIGEST, JSON, OUTPUT, OVERWRITE
from twisted_bazaar.cli.terminal.process import hold_back_log
from twisted_bazaar.plugin import loaded_methods
from twisted_bazaar.roles.fetcher import UPLOAD_RATE, UPLOAD_SLOTS
from twisted_bazaar.service.options import ADVERTISE, EPHEMERAL, FINDING, LISTEN, PLAIN, STATE, TRANSFER, UDP
from twisted_bazaar.settings.option import Option, whole_number

_USUAL_TIMEOUT: Final = "60"
_MOST: Final = 1_000_000

# Twisted would show a traceback of each drop-in that is broken, also to who uses none of it.
if click.get_current_context(silent=True) is not None:
    # In a daemon, which looks up the options of commands too, twistd takes the log.
    hold_back_log()
_METHODS: Final = [method for method in loaded_methods() if method.finds_files]
_JOINING: Final = (
    Option(
        "via",
        f"How files are found: {', '.join(method.name for method in _METHODS)}.",
        "WAY",
        "index",
        group=FINDING,
    ),
    *(evolve(option, group=FINDING) for method in _METHODS for option in method.command_options),
)
_ASKED: Final = " or ".join(method.asked.option for method in _METHODS if method.asked is not None)
_A_FREE_PORT: Final = f"a free port; other machines reach it only if {_ASKED} names one of them"
_SERVING: Final = (
    evolve(LISTEN, help="Where to take connections, or none.", shown=_A_FREE_PORT, short=None),
    ADVERTISE,
    PLAIN,
    evolve(UDP, shown="none; a free port if one of the following options is given"),
    *TRANSFER,
)

GET: Final = (
    evolve(OUTPUT, help="Where the file goes."),
    Option("as", "What to call the file there.", "NAME", shown="the name it was found by"),
    DIGEST,
    Option("from", "Fetch only from this node: its id, or the beginning of its key.", "NODE", is_many=True),
    Option("all-from", "Fetch all files of this node, or those of the names and patterns that are given.", "NODE"),
    OVERWRITE,
    Option(
        "timeout",
        "Give up when nobody who has the file can be reached for so many seconds; with none, never give up.",
        "SECONDS",
        _USUAL_TIMEOUT,
    ),
    evolve(UPLOAD_SLOTS, help="How many others to serve at once with what has come."),
    evolve(JSON, help="Print one JSON object: what came from whom."),
    *_JOINING,
    *_SERVING,
)
SEARCH: Final = (
    Option("exact", "Only files with exactly this name."),
    Option("digest", "Only files with this content: a SHA-256 digest of 64 hexadecimal digits.", "DIGEST"),
    Option("all", "List all files that there are."),
    Option("most", "Show so many at most.", "N", "100", read=whole_number(1, _MOST)),
    evolve(JSON, help="Print a JSON list, an object for each file."),
    *_JOINING,
    PLAIN,
)
SHARE: Final = (
    evolve(UPLOAD_SLOTS, help="How many uploads go on at once."),
    UPLOAD_RATE,
    evolve(STATE, help="The directory for what outlives the process.", shown="one for each folder", group=""),
    evolve(EPHEMERAL, help="Keep nothing: a new key, and all files are hashed again.", group=""),
    *_JOINING,
    *_SERVING,
)
SHELL: Final = (OUTPUT, *_JOINING, *_SERVING)

COMMANDS: Final[Mapping[str, Sequence[Option]]] = {
    "bazaar-get": GET,
    "bazaar-search": SEARCH,
    "bazaar-share": SHARE,
    "bazaar-shell": SHELL,
}
"""The options of each of these commands, by its table in a settings file; L{twisted_bazaar.cli.commands.tables} has
those of all commands."""
