"""The shared folder: what is in it, offered as long as it is what it was.

It is looked into whenever something happens there, and every other second whatever happens. Looking, comparing and
hashing are done in threads; here are only their results, in portions.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_bazaar.files.chunks import Manifest
from twisted_bazaar.files.content import IContent, IShare
from twisted_bazaar.files.disk import Signature
from twisted_bazaar.files.sharing.hashing import Hashed, HashingProgress, HashQueue
from twisted_bazaar.files.sharing.remembered import HashMemory
from twisted_bazaar.files.sharing.scan import Look, Sighting, Survey
from twisted_bazaar.files.sharing.shared import SharedContent
from twisted_bazaar.files.sharing.watch import Watch
from twisted_bazaar.timer import Timer
from twisted_bazaar.values.files import SharedFile

__all__ = ["Folder", "HashMemory", "HashingProgress"]

USUAL_EVERY_S: Final = 1.5
# A look at very many files takes long; they are not to be looked at all the time.
_LOOK_SHARE: Final = 10
# What comes in a burst is looked at together.
_BURST_S: Final = 0.2
_PROGRESS_EVERY_S: Final = 0.25
# What could not be read is tried again: nothing tells when it can be.
_UNREADABLE_EVERY_S: Final = 30.0
# So many files are taken in or out in one turn of the reactor.
_AT_ONCE: Final = 200

Changed = Callable[[Sequence[SharedFile], Sequence[str]], object]


@implementer(IShare)
class Folder:
    """Offers the files of a folder.

    @param reactor: time, timers and threads.
    @param path: the folder; it need not be there yet.
    @param memory: what is known of its files; forgotten with the process if not given.
    @param changed: is told of files that are offered from now on, and of names that are not. A name that comes in
        both, or is offered already, has become another file.
    @param progress: is told how far hashing is, now and then, and at its end.
    @param watched: whether to have the system tell of what happens.
    @param every_s: how long after one look the next is made, whatever happens.
    @ivar path: the folder, without links.
    @ivar fault: why nothing is offered, if the folder is not there or cannot be read.
    @ivar settling: how many files are new, or have just changed, and are not hashed before they stay as they are.
    """

    log: Final = Logger()

    def __init__(
        self,
        reactor: Any,
        path: Path,
        memory: HashMemory | None,
        changed: Changed,
        progress: Callable[[HashingProgress], object] | None = None,
        *,
        watched: bool = True,
        every_s: float = USUAL_EVERY_S,
    ) -> None:
        # Links are followed once, and never again: what its owner meant is what is shared.
        self.path: Path = Path(os.path.realpath(path.expanduser()))
        self.fault: str | None = None
        self.settling: int = 0
        self._reactor = reactor
        self._memory = HashMemory() if memory is None else memory
        self._changed = changed
        self._progress = progress or (lambda progress: None)
        self._every_s = every_s
        self._survey = Survey(self.path, self._memory)
        self._watch = Watch(self.path, self._noticed) if watched else None
        self._queue = HashQueue(reactor, self.path, self._memory, self._hashed)
        self._offered: dict[str, tuple[SharedFile, SharedContent]] = {}
        self._by_digest: dict[str, dict[str, None]] = {}
        self._left_out: Mapping[str, str] = {}
        self._unreadable: dict[str, str] = {}
        self._doubted: set[str] = set()
        self._timer = Timer(reactor, self._look)
        self._progress_timer = Timer(reactor, self._tell_progress)
        self._retry_at = 0.0
        self._looking: Deferred[None] | None = None
        self._awaiting: list[Deferred[None]] = []
        self._is_stopped = False

    def start(self) -> None:
        """Begin: what is remembered is offered soon, the rest when it is hashed."""
        self._retry_at = self._reactor.seconds() + _UNREADABLE_EVERY_S
        opening: Deferred[None] = Deferred()
        self._looking = opening
        self._in_thread(self._memory.open).addErrback(self._log_failure).chainDeferred(opening)
        opening.addCallback(self._look_ended)
        self._look_in(0.0)

    def stop(self) -> Deferred[None]:
        """Offer nothing more; fires when nothing is under way."""
        self._is_stopped = True
        self._timer.cancel()
        self._progress_timer.cancel()
        self._offered.clear()
        self._by_digest.clear()
        awaiting, self._awaiting = self._awaiting, []
        for waiting in awaiting:
            waiting.callback(None)
        stopping = self._queue.stop()
        stopping.addCallback(lambda _: self._settled())
        stopping.addCallback(lambda _: self._in_thread(self._close))
        return stopping.addErrback(self._log_failure)

    def files(self) -> Sequence[SharedFile]:
        """The files that are offered."""
        return [file for file, _ in self._offered.values()]

    def content(self, digest: str) -> IContent | None:
        """The content with a digest, if it is offered."""
        for name in self._by_digest.get(digest, ()):
            return self._offered[name][1]
        return None

    def left_out(self) -> Mapping[str, str]:
        """The names that are not offered, each with why; what is hidden or not hashed yet is not among these."""
        return {**self._left_out, **self._unreadable}

    @property
    def hashing(self) -> HashingProgress:
        """The progress of hashing."""
        return self._queue.progress

    def refresh(self) -> Deferred[None]:
        """Look now; fires when what was found is offered, but for what has to be hashed."""
        if self._is_stopped:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._awaiting.append(waiting)
        self._look_in(0.0)
        return waiting

    def adopt(self, name: str, signature: Signature, manifest: Manifest) -> Deferred[None]:
        """Offer a file whose content is known, such as one that was just fetched, without hashing it.

        @param signature: what it was when it was last known to be that.
        """
        keeping = self._in_thread(self._memory.put, name, signature, manifest)
        return keeping.addCallback(lambda _: self.refresh())

    def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), function, *arguments)

    def _close(self) -> None:
        if self._watch is not None:
            self._watch.stop()
        self._memory.close()

    def _log_failure(self, failure: Failure) -> None:
        self.log.failure("looking into {path} failed", failure, path=self.path)

    # When to look.

    def _noticed(self) -> None:
        """In a thread: something has happened."""
        self._reactor.callFromThread(self._look_in, _BURST_S)

    def _look_in(self, delay_s: float) -> None:
        """Look after a while at the latest."""
        if not self._is_stopped:
            self._timer.set_earlier(delay_s)

    def _look(self) -> None:
        if self._looking is not None:
            # What made us look may have come too late for the one under way.
            self._look_in(_BURST_S)
            return
        looked: Deferred[None] = Deferred()
        self._looking = looked
        asked, self._awaiting = self._awaiting, []
        doubted, self._doubted = self._doubted, set()
        now = self._reactor.seconds()
        if now >= self._retry_at:
            self._retry_at = now + _UNREADABLE_EVERY_S
            doubted |= self._unreadable.keys()
        looking = self._in_thread(self._look_there, now, doubted)
        looking.addCallback(self._apply).addErrback(self._log_failure)
        looking.addCallback(lambda _: self._look_in(max(self._every_s, _LOOK_SHARE * (self._reactor.seconds() - now))))
        looking.chainDeferred(looked)
        looked.addCallback(self._look_ended)
        for waiting in asked:
            looked.addCallback(partial(_fire, waiting))

    def _look_there(self, now: float, doubted: set[str]) -> Look:
        """In a thread: look."""
        if self._watch is not None:
            self._watch.scan_begins()
        return self._survey.scan(now, doubted)

    def _look_ended(self, _: object) -> None:
        self._looking = None

    def _settled(self) -> Deferred[None]:
        """Fires when no look is under way."""
        done: Deferred[None] = Deferred()
        if self._looking is None:
            return succeed(None)
        self._looking.addBoth(lambda _: done.callback(None))
        return done

    # What was found.

    def _apply(self, look: Look) -> Deferred[None]:
        """Take in what a look has found, in portions."""
        done: Deferred[None] = Deferred()
        if look.fault != self.fault:
            self.fault = look.fault
            if look.fault is not None:
                self.log.warn("the folder cannot be read, so nothing is shared: {fault}", fault=look.fault)
        self._left_out, self.settling = look.left_out, look.settling
        if look.settling_s is not None:
            self._look_in(look.settling_s)
        self._go_on(self._portions(look), done)
        return done

    def _portions(self, look: Look) -> Iterator[None]:
        """Each portion of what a look has found, as it is taken in."""
        for names in _slices(look.gone):
            for name in names:
                self._unreadable.pop(name, None)
            self._queue.remove(names)
            self._withdraw(names)
            yield
        for known in _slices(look.known):
            self._offer(known)
            yield
        for ready in _slices(look.ready):
            self._queue.add(ready)
            yield
        self._show_progress()

    def _go_on(self, portions: Iterator[None], done: Deferred[None]) -> None:
        for _ in portions:
            if not self._is_stopped:
                self._reactor.callLater(0, self._go_on, portions, done)
                return
            break
        done.callback(None)

    def _hashed(self, results: Sequence[Hashed]) -> None:
        """Some files have been hashed; a file that is no longer what it was is withdrawn with the next look."""
        self._offer([(result.seen, result.manifest) for result in results if result.manifest is not None])
        for result in results:
            name = result.seen.name
            self._unreadable.pop(name, None)
            if result.reason is not None:
                self._unreadable[name] = result.reason
            if result.is_changing:
                self._doubt(name)

    def _found_changed(self, seen: Sighting) -> None:
        """A file that is served is not what it was; it may be known already that it is another."""
        offered = self._offered.get(seen.name)
        if offered is not None and offered[1].seen == seen:
            self._doubt(seen.name)

    def _doubt(self, name: str) -> None:
        """A file is not what it was when it was last looked at."""
        self._doubted.add(name)
        self._withdraw([name])
        self._look_in(_BURST_S)

    def _offer(self, known: Sequence[tuple[Sighting, Manifest]]) -> None:
        added = []
        for seen, manifest in known:
            self._forget(seen.name)
            file = SharedFile(seen.name, manifest.size, manifest.digest)
            content = SharedContent(self._reactor, self.path, seen, manifest, self._found_changed)
            self._offered[seen.name] = (file, content)
            self._by_digest.setdefault(manifest.digest, {})[seen.name] = None
            added.append(file)
        self._tell(added, [])

    def _withdraw(self, names: Sequence[str]) -> None:
        self._tell([], [name for name in names if self._forget(name)])

    def _tell(self, added: Sequence[SharedFile], removed: Sequence[str]) -> None:
        if self._is_stopped or not (added or removed):
            return
        try:
            self._changed(added, removed)
        except Exception:
            # What others make of it must not end the looking.
            self.log.failure("what is shared now could not be published")

    def _forget(self, name: str) -> bool:
        offered = self._offered.pop(name, None)
        if offered is None:
            return False
        digest = offered[0].digest
        names = self._by_digest[digest]
        del names[name]
        if not names:
            del self._by_digest[digest]
        return True

    def _show_progress(self) -> None:
        """Tell how far hashing is, until it is done."""
        if self._is_stopped or self._progress_timer.is_set:
            return
        progress = self._queue.progress
        if progress.files_left:
            self._progress(progress)
            self._progress_timer.set(_PROGRESS_EVERY_S)

    def _tell_progress(self) -> None:
        if self._queue.progress.files_left:
            self._show_progress()
        else:
            self._progress(HashingProgress())


def _fire(waiting: Deferred[None], _: object) -> None:
    waiting.callback(None)


def _slices(found: Sequence[Any]) -> Iterator[list[Any]]:
    rest = iter(found)
    while portion := list(islice(rest, _AT_ONCE)):
        yield portion
