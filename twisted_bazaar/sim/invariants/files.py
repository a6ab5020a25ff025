"""The promises about files: what is there is right, little is asked for in vain, and all comes in the end."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

from twisted_bazaar.discovery.index.messages import FoundSources
from twisted_bazaar.files.chunks import CHUNK_BYTES, Manifest
from twisted_bazaar.files.content import IPart
from twisted_bazaar.roles.fetching import Fetch
from twisted_bazaar.sim.cluster import Cluster, Member
from twisted_bazaar.sim.faults import FaultKind, fault_kind
from twisted_bazaar.sim.files.part_files import chunk_on
from twisted_bazaar.sim.files.sharing import DiskSharer
from twisted_bazaar.sim.invariants.check import Check
from twisted_bazaar.values.addresses import Peer
from twisted_bazaar.wire.message import Message


def sharers_of(member: Member) -> Iterator[DiskSharer]:
    """The honest sharers and getters that a member carries now."""
    return (role for role in member.roles if member.node is not None and isinstance(role, DiskSharer))


class FilesAreRight(Check):
    """Every file that is there is what it is said to be."""

    promise = "a file that has come is whole and right; nothing unchecked is kept or served"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._known: set[tuple[str, int, str, str, int]] = set()

    def on_report(self, member: Member, event: str, details: Mapping[str, Any]) -> None:
        """A file may have come: compare every byte of it."""
        if event != "fetched":
            return
        digest = details["digest"]
        for sharer in sharers_of(member):
            original = sharer.library.with_digest(digest)
            chunks = range(0 if original is None else original.manifest.count)
            is_right = original is not None and details["size"] == original.manifest.size
            is_right = is_right and all(
                sharer.library.is_right(digest, chunk, chunk_on(member.host.disk, digest, chunk)) for chunk in chunks
            )
            self.expect(is_right, f"{member.name} has got something else as {digest[:16]}")

    def on_second(self) -> None:
        """Check what has come since the last time: from there on others are given it."""
        for member in self.cluster.running():
            for sharer in sharers_of(member):
                for fetch in sharer.under_way():
                    if fetch.part.manifest is not None:
                        self._check(member, fetch.part, fetch.part.manifest)

    def _check(self, member: Member, part: IPart, manifest: Manifest) -> None:
        """Nobody knows yet whether the manifest is right, but what is kept is to be what it says."""
        for chunk in part.holdings:
            place = (member.name, member.starts, part.digest, manifest.root, chunk)
            if place not in self._known:
                self._known.add(place)
                content = chunk_on(member.host.disk, part.digest, chunk)
                is_right = hashlib.sha256(content).digest() == manifest.digest_of(chunk)
                self.expect(is_right, f"{member.name} keeps something else as chunk {chunk} of {part.digest[:16]}")


class NotAskedAgain(Check):
    """A source that was given up is not asked again."""

    promise = "a source that has lied or failed is not asked again in the same download"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._dropped: dict[Fetch, set[tuple[str, object]]] = defaultdict(set)

    def on_report(self, member: Member, event: str, details: Mapping[str, Any]) -> None:
        """A source was found, or given up."""
        if event.startswith("source-"):
            self._look_at(member)

    def on_second(self) -> None:
        """Look at all downloads."""
        under_way = {fetch for member in self.cluster.running() for fetch in self._look_at(member)}
        self._dropped = defaultdict(set, {fetch: self._dropped[fetch] for fetch in under_way})

    def _look_at(self, member: Member) -> list[Fetch]:
        fetches = [fetch for sharer in sharers_of(member) for fetch in sharer.under_way()]
        for fetch in fetches:
            dropped = self._dropped[fetch]
            for each in fetch.status().sources:
                mark = (each.source.key, each.source.address)
                if each.state == "dropped":
                    dropped.add(mark)
                else:
                    name = self._name_of(each.source.key)
                    self.expect(mark not in dropped, f"{member.name} asks {name} again for {fetch.found.name}")
        return fetches

    def _name_of(self, key: str) -> str:
        member = self.cluster.member_with_key(key)
        return "somebody" if member is None else member.name


class DeadAreGone(Check):
    """Nobody is sent to the dead for long."""

    promise = "a peer that has died is out of the index server's answers within 60 s"

    _WITHIN_S: ClassVar[float] = 60.0

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._died_at: dict[str, float] = {}
        # A server that stood still reads then what the dead have said in time.
        self._went_on_at = 0.0

    def on_event(self, event: str, details: Mapping[str, Any]) -> None:
        """The index server may have stood still until now."""
        index = self.cluster.tracker
        stands_still = event == "fault" and fault_kind(details["fault"]) is FaultKind.PAUSE
        if stands_still and index is not None and index.name in details["nodes"]:
            self._went_on_at = self.now

    def on_start(self, member: Member) -> None:
        """It lives."""
        self._died_at.pop(member.key, None)

    def on_stop(self, member: Member) -> None:
        """It has gone."""
        self._died_at[member.key] = self.now

    def on_death(self, member: Member) -> None:
        """It has died."""
        self._died_at[member.key] = self.now

    def on_message(self, member: Member, peer: Peer | None, message: Message) -> None:
        """See whom an answer names."""
        if not isinstance(message, FoundSources):
            return
        for source in message.sources:
            died_at = self._died_at.get(source.key, self.now)
            gone = self.cluster.member_with_key(source.key)
            self.expect(
                self.now - max(died_at, self._went_on_at) <= self._WITHIN_S,
                f"{member.name} names {'somebody' if gone is None else gone.name}, dead since {died_at:.1f} s",
            )


class DownloadsGoOn(Check):
    """A download comes to something, or to its end."""

    promise = "every download goes on or ends"

    # Longer than any patience that a download has; who was cut off needs as long to notice.
    _STILL_S: ClassVar[float] = 120.0

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._went_on: dict[Fetch, tuple[int, float]] = {}
        self._cuts = 0
        self._healed_at = 0.0

    def on_event(self, event: str, details: Mapping[str, Any]) -> None:
        """Nobody can tell a machine that is cut off from one that has nothing to say."""
        if event == "fault" and fault_kind(details["fault"]).nature.cuts:
            self._cuts += 1 if details["what"] == "begins" else -1
            self._healed_at = self.now

    def on_second(self) -> None:
        """See since when nothing has come of each download."""
        before, self._went_on = self._went_on, {}
        for member in self.cluster.running():
            for fetch in (fetch for sharer in sharers_of(member) for fetch in sharer.under_way()):
                status = fetch.status()
                held, since = before.get(fetch, (-1, self.now))
                if member.host.is_paused or status.held_bytes != held or any(each.rate for each in status.sources):
                    since = self.now
                self._went_on[fetch] = (status.held_bytes, since)
                still_s = 0.0 if self._cuts else self.now - max(since, self._healed_at)
                states = ", ".join(sorted(each.state for each in status.sources)) or "none"
                self.expect(
                    still_s <= self._STILL_S,
                    f"nothing has come of {fetch.found.name} at {member.name} since {since:.1f} s; sources: {states}",
                )


class FilesAreFetched(Check):
    """Every file that somebody has can be had when nothing fails any more."""

    promise = "when faults have stopped, every file that an honest peer has is fetched in time"

    def on_settled(self) -> None:
        """Look for files that were wanted and have not come, and for who has them."""
        having: Counter[str] = Counter()
        for member in self.cluster.running():
            having.update(digest for sharer in sharers_of(member) for digest in sharer.own)
        for member in self.cluster.running():
            for sharer in sharers_of(member):
                for original in sharer.wanted:
                    digest = original.manifest.digest
                    if digest in sharer.own or having[digest]:
                        self.expect(
                            digest in sharer.own,
                            f"{member.name} has not got {original.title}, which {having[digest]} others have",
                        )


# A chunk that is late is asked of a second source, and of no third.
_AT_MOST: Final = 2
_OVERHEAD: Final = 0.02
_OVERHEAD_BYTES: Final = 256 << 10
_OVERHEAD_BYTES_A_SECOND: Final = 400.0
# What a source may have sent, or have on its way, that is of no use when it is given up.
_AHEAD_BYTES: Final = 5 * CHUNK_BYTES


class LittleInVain(Check):
    """All that comes was needed, but for what each lie and each failure costs."""

    promise = "nothing is fetched more than twice, but for sources that fail or lie"

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._allowed: Counter[str] = Counter()
        self._believed: dict[tuple[str, str], int] = {}

    def on_start(self, member: Member) -> None:
        """What was on its way when it died has to come again."""
        self._allowed[member.name] += _AHEAD_BYTES

    def on_report(self, member: Member, event: str, details: Mapping[str, Any]) -> None:
        """A source was given up, or a file has come."""
        if event == "source-dropped":
            self._allowed[member.name] += _AHEAD_BYTES
        elif event == "source-believed":
            self._believed[member.name, details["digest"]] = details["size"]
        elif event in ("source-lied", "not-fetched"):
            # The manifest may have been a lie, and then all that came by it was; or the disk may be full.
            self._allowed[member.name] += _AT_MOST * self._believed.get((member.name, details["digest"]), 0)

    def on_second(self) -> None:
        """Compare for all to whom nothing is on its way."""
        for member in self.cluster.running():
            self._look_at(member)

    def _look_at(self, member: Member) -> None:
        """Compare what has come with what is of use, unless some of it is on its way."""
        fetches = [fetch for sharer in sharers_of(member) for fetch in sharer.under_way()]
        if any(fetch.outcome is None for fetch in fetches):
            return
        disk = member.host.disk
        there = sum(len(disk.seen(name)) for name in disk.names())
        allowed = self._allowed[member.name] + (_AT_MOST + _OVERHEAD) * there
        allowed += _OVERHEAD_BYTES + _OVERHEAD_BYTES_A_SECOND * self.now
        received = member.host.bytes_received
        self.expect(received <= allowed, f"{member.name} has received {received:,} bytes, and {there:,} are of use")
