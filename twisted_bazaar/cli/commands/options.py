"""The options that several commands have."""

from __future__ import annotations

from typing import Final

from twisted_bazaar.settings.option import Option

OUTPUT: Final = Option("output", "Where files go.", "DIR", ".", shown="this directory", short="o")
DIGEST: Final = Option(
    "digest", "Choose among files of one name: the SHA-256 digest of the one begins with this.", "PREFIX", ""
)
OVERWRITE: Final = Option("overwrite", "Replace a file of this name.")
JSON: Final = Option("json", "Print a JSON list, an object for each.")
