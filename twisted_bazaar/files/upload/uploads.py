"""The uploads of a node: admits connections, and shares slots and rate among them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import define, frozen
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IProtocol

from twisted_bazaar.files.chunks import Manifest
from twisted_bazaar.files.content import IShare
from twisted_bazaar.files.messages import TRANSFER_VERSION, Fetch
from twisted_bazaar.files.stream import Stream
from twisted_bazaar.files.upload.choking import Choker, Verdict
from twisted_bazaar.files.upload.connection import Refusal, UploadConnection
from twisted_bazaar.files.upload.progress_watch import unsent_bytes
from twisted_bazaar.files.upload.shared_rate import SharedRate
from twisted_bazaar.files.upload.super_seeding import SuperSeeding
from twisted_bazaar.interfaces import Opening
from twisted_bazaar.timer import Timer
from twisted_bazaar.values.addresses import Address, network_of
from twisted_bazaar.wire.message import Message

_LOOK_S: Final = 1.0
# How soon it is seen that a lease is over; only while somebody waits.
_DECIDE_S: Final = 0.1
# A slot that is used for nothing while others wait; who lets it happen three times is shown out.
_UNUSED_S: Final = 5.0
_MOST_MISSED: Final = 3
_FRESH_AT_ONCE: Final = 3


@frozen
class Upload:
    """One connection over which a file is served, as it is now.

    @ivar state: C{serving}, C{waiting} or C{idle}.
    """

    digest: str
    host: str
    state: str
    sent_bytes: int


@define
class _Crowd:
    """Those who ask for one file.

    @ivar round: what is for whom.
    @ivar size: how many they are.
    """

    round: SuperSeeding
    size: int = 0


class Uploads:
    """Serves files.

    @param reactor: time, timers and threads.
    @param share: what there is to serve.
    @param slots: how many are served at once.
    @param rate: bytes a second for all together; None for no limit.
    @param most_connections: how many may be open, half of them from one host.
    @param changed: called with how many downloads are under way here, when that changes.
    @param on_changed_file: called with the digest of a file that is no longer what it was.
    @ivar pace: the limit on the rate.
    @ivar sent_bytes: how much of files has been sent in all.
    """

    def __init__(
        self,
        reactor: Any,
        rng: random.Random,
        share: IShare,
        *,
        slots: int = 4,
        rate: int | None = None,
        most_connections: int = 64,
        changed: Callable[[int], object] = lambda downloads: None,
        on_changed_file: Callable[[str], object] = lambda digest: None,
    ) -> None:
        self._reactor = reactor
        self._rng = rng
        self._share = share
        self._choker: Choker[UploadConnection] = Choker(slots, UploadConnection.progress)
        self._most = most_connections
        self._changed = changed
        self._on_changed_file = on_changed_file
        self.pace: SharedRate = SharedRate(reactor, rate)
        self.sent_bytes: int = 0
        self._servings: dict[UploadConnection, None] = {}
        self._streams: dict[Stream, None] = {}
        # By manifest: while a file is fetched here it may be taken for two.
        self._crowds: dict[Manifest, _Crowd] = {}
        self._told = 0
        self._look = Timer(reactor, self._look_round)
        self._deciding = Timer(reactor, self._give_slots)
        self._is_stopped = False
        self._until_gone: list[Deferred[None]] = []

    @property
    def openings(self) -> Mapping[type[Message], Opening]:
        """The first messages that begin a transfer, for the table of the role that serves."""
        return {Fetch: self.open}

    def open(self, fetch: Fetch, address: Address) -> IProtocol | None:
        """Take a connection that asks for a file."""
        if self._is_stopped:
            return None
        if fetch.version != TRANSFER_VERSION:
            return self._let_in(Refusal(self._reactor, "version", f"version {TRANSFER_VERSION} is spoken here"))
        content = self._share.content(fetch.digest)
        if content is None:
            return self._let_in(Refusal(self._reactor, "nofile", "this file is not here"))
        if not self._has_room(network_of(address.host)):
            return self._let_in(Refusal(self._reactor, "busy", "too many connections"))
        serving = UploadConnection(self._reactor, self, content, address.host)
        self._servings[serving] = None
        crowd = self._crowds.setdefault(serving.manifest, _Crowd(SuperSeeding(serving.manifest.count)))
        crowd.size += 1
        self._tell_askers(serving.manifest)
        self._look_later()
        return self._let_in(serving)

    def stop(self) -> Deferred[None]:
        """Serve nobody any more; fires when all connections are closed."""
        self._is_stopped = True
        self._look.cancel()
        self._deciding.cancel()
        for serving in list(self._servings):
            serving.fail("busy", "this node is leaving")
        if not self._streams:
            return succeed(None)
        gone: Deferred[None] = Deferred()
        self._until_gone.append(gone)
        return gone

    def status(self) -> Sequence[Upload]:
        """All connections that are open."""
        return [
            Upload(
                each.digest,
                each.host,
                "serving" if each.has_slot else "waiting" if self._choker.waits(each) else "idle",
                each.sent_bytes,
            )
            for each in self._servings
        ]

    def gone_bytes(self, digest: str) -> int:
        """The bytes of a file that have gone out over the connections that are open now."""
        servings = [each for each in self._servings if each.digest == digest]
        return sum(each.sent_bytes - unsent_bytes(each.transport) for each in servings)

    # What a connection calls.

    def slot_wanted(self, serving: UploadConnection) -> None:
        """Somebody wants a slot."""
        if self._choker.serves(serving):
            return
        self._choker.enqueue(serving, serving.network)
        self._give_slots()
        if not self._choker.serves(serving):
            serving.choke(self._choker.queue_position(serving))

    def slot_given_up(self, serving: UploadConnection) -> None:
        """Somebody wants none now."""
        self._take_slot(serving)
        self._give_slots()

    def chunk_sent(self, serving: UploadConnection, chunk: int) -> None:
        """A chunk has been sent; perhaps it was the last of a turn."""
        self.sent_bytes += serving.manifest.size_of(chunk)
        crowd = self._crowds[serving.manifest]
        crowd.round.chunk_sent(chunk)
        if not self._choker.serves(serving):
            return
        if self._choker.chunk_sent(serving, self._reactor.seconds()):
            self._end_turn(serving)
        elif not serving.is_finishing:
            serving.unchoke(crowd.size, self._fresh_for(serving))

    def ended(self, serving: UploadConnection) -> None:
        """A connection is over."""
        if serving in self._servings:
            del self._servings[serving]
            self._take_slot(serving)
            crowd = self._crowds[serving.manifest]
            crowd.size -= 1
            if not crowd.size:
                del self._crowds[serving.manifest]
            self._give_slots()
            self._tell_askers(serving.manifest)

    def file_changed(self, digest: str) -> None:
        """A file is no longer what it was: whoever else is served it is told so too."""
        self._on_changed_file(digest)

    # Inside.

    def _let_in(self, stream: Stream) -> Stream:
        """Know of a connection as long as there is one."""
        if len(self._streams) >= 2 * self._most:
            # Most of them are closing; who does not read what was said last is not waited for.
            next(each for each in self._streams if not each.is_open).cut_short()
        self._streams[stream] = None
        stream.gone = lambda: self._gone(stream)
        return stream

    def _gone(self, stream: Stream) -> None:
        self._streams.pop(stream, None)
        if not self._streams:
            until_gone, self._until_gone = self._until_gone, []
            for gone in until_gone:
                gone.callback(None)

    def _has_room(self, network: str) -> bool:
        """Whether one more may come in from a host, perhaps in place of one that wants nothing."""
        held = Counter(each.network for each in self._servings)
        if held[network] >= max(1, self._most // 2):
            return self._make_room([each for each in self._servings if each.network == network])
        if len(self._servings) < self._most or self._make_room(list(self._servings)):
            return True
        # Or two hosts that ask for ever, one after another, would keep everybody else out.
        noisiest, count = held.most_common(1)[0]
        own = [each for each in self._servings if each.network == noisiest]
        waiting = [each for each in own if not each.has_slot] or [each for each in own if each.is_finishing]
        if not waiting or count <= held[network] + 1:
            return False
        waiting[-1].fail("busy", "too many connections")
        return True

    def _make_room(self, servings: Sequence[UploadConnection]) -> bool:
        idle = [each for each in servings if not each.has_slot and not self._choker.waits(each)]
        if not idle:
            return False
        min(idle, key=lambda each: each.idle_since).fail("busy", "too many connections")
        return True

    def _give_slots(self) -> None:
        for verdict, serving in self._choker.assign_slots(self._reactor.seconds()):
            if not serving.is_open:
                # What was done for another has ended it.
                continue
            if verdict is Verdict.UNCHOKE:
                serving.unchoke(self._crowds[serving.manifest].size, self._fresh_for(serving))
            elif verdict is Verdict.FINISH:
                serving.serve_one_chunk(self._crowds[serving.manifest].size)
            elif self._choker.waits(serving):
                self._give_back(serving)
                serving.choke(self._choker.queue_position(serving))
        if self._choker.has_line and not self._deciding.is_set and not self._is_stopped:
            self._deciding.set(_DECIDE_S)
        if self._choker.busy != self._told:
            self._told = self._choker.busy
            self._changed(self._told)

    def _end_turn(self, serving: UploadConnection) -> None:
        """Send somebody back to the end of the line."""
        self._take_slot(serving)
        self._choker.enqueue(serving, serving.network)
        serving.choke(self._choker.queue_position(serving))
        self._give_slots()

    def _take_slot(self, serving: UploadConnection) -> None:
        """Take the slot or the place in the line; what was promised and not sent is for others again."""
        self._choker.remove(serving)
        self._give_back(serving)

    def _give_back(self, serving: UploadConnection) -> None:
        self._crowds[serving.manifest].round.put_back(serving.promised)
        serving.promised.clear()

    def _fresh_for(self, serving: UploadConnection) -> tuple[int, ...]:
        """Chunks for one of many that ask for the file, of those that nobody has been given; who leaves them lying
        gets no more."""
        crowd = self._crowds[serving.manifest]
        most = _FRESH_AT_ONCE - len(serving.promised)
        return crowd.round.pick(most) if crowd.size > 1 and serving.content.holdings.is_whole else ()

    def _tell_askers(self, manifest: Manifest) -> None:
        """Tell those who are served a file how many ask for it."""
        for each in list(self._servings):
            if each.has_slot and not each.is_finishing and each.manifest == manifest:
                each.unchoke(self._crowds[manifest].size, self._fresh_for(each))

    def _look_later(self) -> None:
        if not self._look.is_set and self._servings and not self._is_stopped:
            self._look.set(_LOOK_S)

    def _look_round(self) -> None:
        """See who is stuck, and who uses a slot for nothing."""
        now = self._reactor.seconds()
        for serving in list(self._servings):
            if serving.is_stuck(now):
                serving.drop()
            elif self._choker.has_line and self._choker.serves(serving) and serving.wants_nothing:
                self._look_at_idle(serving, now)
        self._look_later()

    def _look_at_idle(self, serving: UploadConnection, now: float) -> None:
        """See whether somebody who is served while others wait has wanted nothing for too long."""
        if now - serving.idle_since < _UNUSED_S:
            return
        serving.missed += 1
        if serving.missed >= _MOST_MISSED:
            serving.fail("slow", "a slot was given three times, and nothing wanted")
        else:
            self._end_turn(serving)
