"""A few options of a few programs, for tests."""

from __future__ import annotations

from typing import Final

from twisted_bazaar.settings.file import SettingsFile
from twisted_bazaar.settings.known import Known
from twisted_bazaar.settings.values import Kind

KNOWN: Final = Known(
    {
        "bazaar-node": {"listen", "tracker", "role", "name"},
        "bazaar-tracker": {"listen", "verbose"},
        "bazaar-get": {"output"},
    },
    {"buyer": {"want", "once"}, "seller": {"stock"}, "tracker": {"verbose"}, "broken": None},
)
KINDS: Final = {"listen": Kind.ONE, "once": Kind.FLAG, "want": Kind.MANY}


def settings_file(text: str) -> SettingsFile:
    """A file with this text."""
    return SettingsFile.read("b.toml", text.encode())
