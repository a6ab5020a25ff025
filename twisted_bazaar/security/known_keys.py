"""Keys that were met before, by the address that somebody typed (trust on first use, as of SSH: RFC 4251, 4.1)."""

from __future__ import annotations

from typing import Final, Protocol

from twisted_bazaar.errors import Unproven
from twisted_bazaar.security.links.transport import Judge
from twisted_bazaar.system.limited_log import limited_logger

_NAME: Final = "known-keys"
_DIGITS: Final = frozenset("0123456789abcdef")
_KEY_DIGITS: Final = 64


class Keeper(Protocol):
    """Keeps short texts from one start to the next; see L{StateDirectory}."""

    def recall(self, name: str) -> str | None:
        """The text that was last kept under a name; None if nothing was."""

    def keep(self, name: str, text: str) -> None:
        """Keep a text under a name."""


class KnownKeys:
    """The keys that were met at addresses, a line each: the address, a space, the key.

    @param keeper: keeps them; None to know them only as long as this lives.
    """

    log: Final = limited_logger(__name__)

    def __init__(self, keeper: Keeper | None = None) -> None:
        self._keeper = keeper
        # What leads to a socket of Unix may have spaces in it.
        lines = (line.rpartition(" ") for line in ((keeper and keeper.recall(_NAME)) or "").splitlines())
        self._keys: dict[str, str] = {where: key for where, _, key in lines if where and is_key(key)}

    def judge_at(self, where: str, pinned: str | None = None) -> Judge:
        """What judges the key that is proven at an address, and remembers it.

        @param where: the address, as it was typed.
        @param pinned: the key that has to be there, whatever was met before; None for the one that was.
        """

        def judge(key: str) -> None:
            known = self._keys.get(where)
            if pinned is not None and key != pinned:
                raise Unproven(f"it has the key {key[:16]}, and not {pinned[:16]}, which was asked for")
            if pinned is None and known not in (None, key):
                raise Unproven(
                    f"it has another key than before: {key[:16]}, and not {str(known)[:16]}. It is somebody else, or "
                    "it was begun anew, as with --ephemeral at each start; if you know that it was, write "
                    f"{where}#{key} once"
                )
            if key != known:
                self._keys[where] = key
                self._keep()

        return judge

    def _keep(self) -> None:
        if self._keeper is None:
            return
        try:
            self._keeper.keep(_NAME, "\n".join(f"{where} {key}" for where, key in self._keys.items()))
        except OSError as error:
            self.log.warn("a key that was met cannot be kept for the next start: {reason}", reason=error.strerror)


def is_key(text: str) -> bool:
    """Whether a text is a key: 64 lower-case hexadecimal digits."""
    return len(text) == _KEY_DIGITS and _DIGITS.issuperset(text)


def split_pin(text: str) -> tuple[str, str | None]:
    """An endpoint and the key that is pinned there, from C{ENDPOINT#KEY}; no key for a bare endpoint.

    @raise ValueError: what follows the C{#} is no key.
    """
    endpoint, mark, key = text.partition("#")
    if not mark:
        return text, None
    if not is_key(key):
        raise ValueError(f"a key has {_KEY_DIGITS} digits, 0 to 9 and a to f, and stands behind the #")
    return endpoint, key
