"""The index of the files that a node of a ring is to keep for others, by the entries that ask for them. Sans-IO.

Each file is called by its digest, and is kept while an entry asks for it. How much room there is for whom is the
business of L{Quota}.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, Protocol

from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.rules.unverified_contacts import host_of
from twisted_bazaar.discovery.ring.storage.entry import Entry, EntryKey
from twisted_bazaar.roles.ring.quota import Quota

_MOST_TOLD: Final = 8


class WholeFiles(Protocol):
    """Knows which files are on this node."""

    def has(self, digest: str) -> bool:
        """Whether all of a file is here."""


class Keeper(Protocol):
    """Is told which files are wanted, and which are not any more."""

    def on_wanted(self, digest: str, *, is_news: bool) -> None:
        """An entry asks for a file.

        @param is_news: whether that entry is new, or somebody new has sent it.
        """

    def on_unwanted(self, digest: str, host: Hashable | None) -> None:
        """No entry asks for a file any more.

        @param host: on whose word it was kept; None for what was from here.
        """


class KeptFiles:
    """The files of one node that entries ask for.

    @param limit_bytes: how many bytes all of them may have.
    @param here: which of them have come.
    @ivar room: how much there is, and who has it.
    """

    def __init__(self, limit_bytes: int, here: WholeFiles) -> None:
        self.room: Quota = Quota(limit_bytes)
        self._here = here
        self._wanted: dict[str, dict[EntryKey, Entry]] = {}
        self._sources: dict[str, OrderedDict[Contact, None]] = {}
        # On whose word a file is kept.
        self._hosts: dict[str, Hashable | None] = {}
        self._keepers: list[Keeper] = []

    def watch(self, keeper: Keeper) -> None:
        """Tell somebody which files are wanted from now on, and which are not any more."""
        self._keepers.append(keeper)

    def __len__(self) -> int:
        return len(self._wanted)

    def __contains__(self, digest: str) -> bool:
        return digest in self._wanted

    @property
    def whole(self) -> int:
        """The number of them that are here, and not on their way."""
        return sum(self._here.has(digest) for digest in self._wanted)

    @property
    def size_bytes(self) -> int:
        """The bytes of all of them, with those to come for which there is room."""
        return self.room.size_bytes

    @property
    def limit_bytes(self) -> int:
        """The bytes that they may have."""
        return self.room.limit_bytes

    def digests(self) -> list[str]:
        """The digests of all that are wanted."""
        return list(self._wanted)

    def entry_of(self, digest: str) -> Entry | None:
        """An entry about a file that is kept."""
        return next(iter(self._wanted.get(digest, {}).values()), None)

    def sizes_of(self, digest: str) -> frozenset[int]:
        """The sizes that owners state of a file."""
        return frozenset(entry.kept.size for entry in self._wanted.get(digest, {}).values())

    def sources_of(self, digest: str) -> list[Contact]:
        """The contacts that have sent entries about a file."""
        return list(self._sources.get(digest, ()))

    def host_of(self, digest: str) -> Hashable | None:
        """On whose word a file is kept; None for what is from here."""
        return self._hosts.get(digest)

    # What storage calls: Files.

    def has(self, digest: str) -> bool:
        """Whether all of a file is here."""
        return self._here.has(digest)

    def has_room(self, entry: Entry, source: Contact | None) -> bool:
        """Whether the file of an entry could be kept."""
        digest, host = entry.kept.digest, None if source is None else host_of(source)
        return digest is None or self.room.fits(digest, entry.kept.owner, entry.kept.size, host)

    def keep(self, entry: Entry, source: Contact | None) -> None:
        """Have the file of an entry, and keep it."""
        digest = entry.kept.digest
        assert digest is not None, "it is about a file"
        wanted = self._wanted.setdefault(digest, {})
        is_new = entry.key not in wanted
        wanted[entry.key] = entry
        self._hosts.setdefault(digest, None if source is None else host_of(source))
        if is_new or digest in self.room:
            # The same entry again does not get the room again that was given back.
            self._charge(digest)
        sources = self._sources.setdefault(digest, OrderedDict())
        if source is not None:
            is_new = is_new or source not in sources
            sources[source] = None
            if len(sources) > _MOST_TOLD:
                sources.popitem(last=False)
        for keeper in self._keepers:
            keeper.on_wanted(digest, is_news=is_new)

    def drop(self, entry: Entry) -> None:
        """An entry needs its file no longer."""
        digest = entry.kept.digest
        entries = self._wanted.get(digest or "")
        if digest is None or entries is None or entries.pop(entry.key, None) is None:
            return
        if digest in self.room:
            self._charge(digest)
        if entries:
            return
        del self._wanted[digest]
        self._sources.pop(digest, None)
        host = self._hosts.pop(digest, None)
        for keeper in self._keepers:
            keeper.on_unwanted(digest, host)

    # What fetching calls.

    def reserve_room(self, digest: str) -> bool:
        """Somebody serves a file: see that there is room for it, as there may not be any more."""
        if digest not in self.room:
            longest = self._longest(digest)
            if longest is None or not self.room.fits(digest, longest.kept.owner, longest.kept.size, None):
                return False
            self._charge(digest)
        return True

    # Inside.

    def _charge(self, digest: str) -> None:
        """Charge for a file whoever says that it is longest, of all that want it."""
        longest = self._longest(digest)
        if longest is None:
            self.room.release(digest)
        else:
            host = None if self._here.has(digest) else self._hosts.get(digest)
            self.room.reserve(digest, longest.kept.owner, longest.kept.size, host)

    def _longest(self, digest: str) -> Entry | None:
        return max(self._wanted.get(digest, {}).values(), key=lambda entry: entry.kept.size, default=None)
