"""The options of the commands that find, fetch and share files: daemons that share a settings file know them, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from attrs import evolve

from twisted_bazaar.cli.commands.options import DIGEST, JSON, OUTPUT, OVERWRITE
from twisted_bazaar.plugin import loaded_methods
from twisted_bazaar.roles.fetcher import UPLOAD_RATE, UPLOAD_SLOTS
from twisted_bazaar.service.options import ADVERTISE, EPHEMERAL, FINDING, LISTEN, STATE, TRANSFER, UDP
from twisted_bazaar.settings.option import Option, whole_number

_USUAL_TIMEOUT: Final = "60"
_MOST: Final = 1_000_000

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
_SERVING: Final = (
    evolve(LISTEN, shown="a free port, for this machine only if who is asked is", short=None),
    ADVERTISE,
    evolve(UDP, shown="a free port if one of the following is given"),
    *TRANSFER,
)

GET: Final = (
    evolve(OUTPUT, help="Where the file goes."),
    Option("as", "What to call it there.", "NAME", shown="the name it was found by"),
    DIGEST,
    Option("from", "Only from this node: its id or key.", "NODE", is_many=True),
    OVERWRITE,
    Option("timeout", "Give up after so long without a source; none for never.", "SECONDS", _USUAL_TIMEOUT),
    evolve(UPLOAD_SLOTS, help="How many to serve at once what has come."),
    evolve(JSON, help="Print one JSON object: what came from whom."),
    *_JOINING,
    *_SERVING,
)
SEARCH: Final = (
    Option("exact", "Only files with exactly this name."),
    Option("digest", "Files with this content: SHA-256, 64 hexadecimal digits.", "DIGEST"),
    Option("all", "All files there are."),
    Option("most", "Show no more than these.", "N", "100", read=whole_number(1, _MOST)),
    evolve(JSON, help="Print a JSON list, an object for each file."),
    *_JOINING,
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
"""The options of each command that takes settings, by its table in a settings file."""
