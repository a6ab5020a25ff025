"""The options that several commands have."""

from __future__ import annotations

from typing import Final

from twisted_bazaar.settings.option import Option

OUTPUT: Final = Option("output", "Where files go.", "DIR", ".", shown="this directory", short="o")
DIGEST: Final = Option(
    "digest", "Which file, if several have this name: the one whose SHA-256 digest begins with PREFIX.", "PREFIX", ""
)
OVERWRITE: Final = Option("overwrite", "Replace a file of this name.")
JSON: Final = Option("json", "Print a JSON list, an object for each.")
