"""Files that were stored in a ring from here, served to those that are to keep them. Sans-IO."""

from __future__ import annotations

from typing import Final

from twisted_bazaar.files.sharing.shared import SharedContent

_MOST_OFFERED: Final = 64


class Offered:
    """Files stored from here, each as long as a name that it was stored under needs it; the latest only."""

    def __init__(self) -> None:
        self._contents: dict[str, SharedContent] = {}
        self._names: dict[str, set[str]] = {}

    def __contains__(self, digest: str) -> bool:
        return digest in self._contents

    def get(self, digest: str) -> SharedContent | None:
        """The file with a digest, if it was stored from here."""
        return self._contents.get(digest)

    def offer(self, name: str, content: SharedContent) -> None:
        """Serve a file that is stored under a name; what was stored under it before is no longer."""
        digest = content.manifest.digest
        self._contents.pop(digest, None)
        self._contents[digest] = content
        while len(self._contents) > _MOST_OFFERED:
            self.forget(next(iter(self._contents)))
        for names in self._names.values():
            names.discard(name)
        self._names.setdefault(digest, set()).add(name)

    def withdraw(self, name: str, digest: str) -> None:
        """A file is stored under a name no longer; under its last one, it is served no more."""
        names = self._names.get(digest, set())
        names.discard(name)
        if not names:
            self.forget(digest)

    def forget(self, digest: str) -> None:
        """Serve a file no more."""
        self._contents.pop(digest, None)
        self._names.pop(digest, None)
