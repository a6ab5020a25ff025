"""The commands that can be typed at the prompt of C{bazaar ring}."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime

from twisted_bazaar.cli.ring.rows import (
    Deleted,
    Fetched,
    Found,
    Own,
    Put,
    Standing,
    Stored,
    Value,
    format_deleted,
    format_fetched,
    format_found,
    format_own,
    format_put,
    format_stored,
    standing_figures,
)
from twisted_bazaar.cli.ring.watched import TransferRow
from twisted_bazaar.cli.terminal.amounts import format_size
from twisted_bazaar.cli.terminal.interpreter import HELP, Interpreter, Word, fires_within, unquoted
from twisted_bazaar.errors import UsageError
from twisted_bazaar.exit_status import ExitStatus
from twisted_bazaar.roles.ring_peer import RingPeer

_JOIN_S: Final = 15.0


class RingPrompt(Interpreter):
    """Understands what is typed at the prompt of C{bazaar ring}.

    @param directory: where files go, and where those are that are stored by a number alone.
    @param say: takes a line for the user.
    @param strict: whether what went wrong is in the exit status, as for a pipe.
    @ivar is_dead: whether the peer is to end at once, without a goodbye to the others.
    """

    def __init__(
        self, peer: RingPeer, directory: Path, say: Callable[[str], object], reactor: IReactorTime, *, strict: bool
    ) -> None:
        super().__init__(WORDS, say)
        self._peer = peer
        self._directory = directory
        self._reactor = reactor
        self._strict = strict
        self.is_dead: bool = False
        # In a classroom peers are called by their numbers, and that is enough.
        self._names: Mapping[str, str] | None = None if peer.is_classic else {}

    def on_interrupt(self) -> None:
        """Ctrl-C, and nothing that was typed is to be cleared: stop what is waited for, and what it fetches."""
        if not self.interrupt():
            self._say("nothing is under way; quit leaves the ring, die ends this peer without a goodbye")

    async def _store(self, rest: str) -> None:
        file, name = self._file_and_name(rest)
        await self._wait_for_ring()
        row = await self._peer.operator.store(str(file), name)
        for line in format_stored(msgspec.convert(row, Stored), self._names):
            self._say(line)

    async def _request(self, rest: str) -> None:
        name = _named(rest, "request")
        await self._wait_for_ring()
        try:
            row = msgspec.convert(await self._peer.operator.request(name, str(self._directory)), Fetched)
        except CancelledError:
            await self._stop_request(name)
            raise
        self._say(format_fetched(row))
        self._say(row.path)

    async def _stop_request(self, name: str) -> None:
        for told in self._peer.operator.transfers():
            row = msgspec.convert(told, TransferRow)
            if row.name == name and row.kind == "request":
                with suppress(UsageError):
                    await self._peer.operator.cancel(row.path)
                kept = (
                    f"{format_size(row.bytes)} of {format_size(row.size)} are kept" if row.bytes else "nothing has come"
                )
                self._say(f"the request of {name} is stopped: {kept}")
                return
        self._say(f"the request of {name} is stopped: nothing has come yet")

    async def _delete(self, rest: str) -> None:
        name = _named(rest, "delete")
        await self._wait_for_ring()
        self._say(format_deleted(msgspec.convert(await self._peer.operator.delete(name), Deleted)))

    async def _find(self, rest: str) -> None:
        name = _named(rest, "find")
        await self._wait_for_ring()
        rows = msgspec.convert(await self._peer.operator.find(name), list[Found])
        for line in format_found(rows):
            self._say(line)
        if not rows:
            self._say(f"nobody has stored a file as {name!r}")

    async def _put(self, rest: str) -> None:
        name, _, value = rest.partition(" ")
        if not value.strip():
            raise UsageError("put what? write put NAME VALUE")
        await self._wait_for_ring()
        self._say(format_put(msgspec.convert(await self._peer.operator.put(name, unquoted(value.strip())), Put)))

    async def _get(self, rest: str) -> None:
        name = _named(rest, "get")
        await self._wait_for_ring()
        rows = msgspec.convert(await self._peer.operator.get(name), list[Value])
        for row in rows:
            self._say(row.value)
        if not rows:
            self._say(f"nobody has put anything there as {name!r}")

    async def _show_status(self, rest: str) -> None:
        if self._strict:
            # Whoever sits before it sees that it has not joined yet, and asks again.
            await self._wait_for_ring()
        standing = msgspec.convert(await self._peer.operator.status(), Standing)
        for what, figure in standing_figures(standing, self._names):
            for number, line in enumerate(figure.split("\n")):
                self._say(f"  {'' if number else what:12}  {line}")

    async def _list(self, rest: str) -> None:
        await self._wait_for_ring()
        after, count = "", 0
        while rows := msgspec.convert(await self._peer.operator.list_own(after), list[Own]):
            for row in rows:
                name, kind, size, copies, _ = format_own(row)
                self._say(f"  {name}: {kind}, {size}, copies: {copies}")
            after, count = rows[-1].after, count + len(rows)
        if not count:
            self._say("nothing was stored or put from here")

    async def _die(self, rest: str) -> int:
        self.is_dead = True
        self._say("this peer is dead: it hands nothing over, and the others are not told")
        return self.status if self._strict else ExitStatus.DONE

    async def _quit(self, rest: str) -> int | None:
        if not self._strict:
            return ExitStatus.DONE
        if self.status == ExitStatus.DONE:
            try:
                await self._wait_for_ring()
            except UsageError:
                self._say("this peer has not come on the ring")
                return ExitStatus.NO
        return self.status

    def _file_and_name(self, rest: str) -> tuple[Path, str]:
        """Which file is meant, and what it is to be found by.

        In a classroom a number alone is the file of that name, with any ending.
        """
        words = rest.rsplit(" ", 1)
        file, name = unquoted(rest), ""
        if len(words) == 2 and not (self._directory / file).is_file():
            file, name = unquoted(words[0]), words[1]
        if not file:
            raise UsageError("store what? write store FILE, or store FILE NAME")
        path = self._directory / file
        if not path.exists() and not name and file.isdecimal():
            like = [each for each in sorted(self._directory.glob(f"{file}.*")) if each.is_file()]
            if like:
                return like[0], file
        return path, name

    async def _wait_for_ring(self) -> None:
        """Wait for this peer to be on the ring.

        @raise UsageError: that takes too long.
        """
        if not await fires_within(self._peer.joined, _JOIN_S, self._reactor):
            raise UsageError("this peer is not on the ring yet; try again when it says that it is")


WORDS: Final = (
    Word("store", "FILE|NUMBER [NAME]", "have a file kept, by its own name or another", RingPrompt._store),
    Word("request", "NAME|NUMBER", "fetch a file out of the ring", RingPrompt._request),
    Word("delete", "NAME", "have kept no longer what was stored or put from here", RingPrompt._delete),
    Word("find", "NAME", "which files are kept under a name", RingPrompt._find),
    Word("put", "NAME VALUE", "have a small text kept", RingPrompt._put),
    Word("get", "NAME", "the small texts under a name", RingPrompt._get),
    Word("list", "", "what was stored and put from here, and the copies", RingPrompt._list),
    Word("status", "", "where this peer stands, and what it keeps", RingPrompt._show_status),
    HELP,
    Word("die", "", "end at once, as in a power cut: nobody is told", RingPrompt._die),
    Word("quit", "", "hand over what is kept, tell neighbours, and leave", RingPrompt._quit, ("exit", "bye")),
)


def _named(rest: str, word: str) -> str:
    if not rest:
        raise UsageError(f"{word} what? write {word} NAME")
    return unquoted(rest)
