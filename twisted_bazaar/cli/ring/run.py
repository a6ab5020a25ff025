"""A member of a ring in this process, with a prompt, until its user leaves."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

import click
from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import CannotListenError

from twisted_bazaar.cli.ring.event_lines import format_event
from twisted_bazaar.cli.ring.prompt_commands import RingPrompt
from twisted_bazaar.cli.terminal.errors import NegativeAnswer
from twisted_bazaar.cli.terminal.prompt import Prompt
from twisted_bazaar.exit_status import ExitStatus
from twisted_bazaar.plugin import RoleContext
from twisted_bazaar.roles.discovery.flood import FloodMethod
from twisted_bazaar.roles.ring_peer import make_role
from twisted_bazaar.service.config import read_config
from twisted_bazaar.service.service import NodeService
from twisted_bazaar.settings.option import OptionValues
from twisted_bazaar.state import StateDirectory
from twisted_bazaar.values.joining import JoinObserver, NotJoined

_PROMPT: Final = "ring> "
# Where this machine is for others it does not know; here it is this one.
_OWN_HOST: Final = "127.0.0.1"


@define
class RingRun:
    """One call of the command.

    @ivar options: the values of the command's options.
    @ivar directory: where files go.
    @ivar state: what outlives the process; None for nothing.
    @ivar quiet: whether nothing is said of pings.
    """

    options: OptionValues
    directory: Path
    state: StateDirectory | None = None
    quiet: bool = False
    _prompt: Prompt | None = field(default=None, init=False)

    async def work(self, reactor: Any) -> int:
        """Take words until there are no more, and leave the ring; returns the exit status.

        @raise UsageError: an option cannot be.
        @raise NegativeAnswer: there is no listening there, or no joining.
        """
        prompt = self._prompt = Prompt(_PROMPT)
        watcher = _Watcher(prompt.say, quiet=self.quiet)
        discovery = FloodMethod()
        peer = make_role(self.options, RoleContext(discovery, self.state), watcher)
        config = read_config(self.options, discovery, [peer], reactor, state=self.state)
        service = NodeService(reactor, config, [peer], lambda status: None, watcher.note)
        try:
            try:
                await service.open()
            except (CannotListenError, OSError) as error:
                raise NegativeAnswer(
                    f"cannot listen: {str(error).rstrip('.')}; choose another --listen or --udp"
                ) from None
            host, port = peer.node.advertised
            if port:
                prompt.say(
                    f"others join with --join tcp:{_in_endpoint(host or _OWN_HOST)}:{port}; help tells the words"
                )
            if join := self.options["join"]:
                prompt.say(f"joining the ring by {join}")
            commands = RingPrompt(peer, self.directory, prompt.say, reactor, strict=not prompt.is_seen)
            prompt.interrupted = commands.on_interrupt
            talking = Deferred.fromCoroutine(commands.run(prompt, reactor))
            peer.finished.addCallback(lambda _: talking.cancel())
            try:
                status = await talking
                if commands.is_dead:
                    # On a disk, unlike in a power cut, nothing of it is left over.
                    await peer.folder.remove()
                    _die(status)
                return status
            except CancelledError:
                if watcher.refusal is None:
                    raise
                raise NegativeAnswer(f"this peer cannot join: {watcher.refusal}", watcher.status) from None
        finally:
            watcher.is_leaving = True
            await service.stopService()

    def interrupt(self, at: float) -> bool:
        """Ctrl-C while no line is typed; returns whether the prompt is there for it.

        @param at: when it came.
        """
        return self._prompt is not None and self._prompt.interrupt(at)


class _Watcher(JoinObserver):
    """Tells at the prompt what happens to a member.

    @param say: takes a line.
    @ivar refusal: why it can never join; None if nobody has said so.
    @ivar is_leaving: whether it leaves: it waits for nothing any more.
    """

    def __init__(self, say: Callable[[str], object], *, quiet: bool) -> None:
        self._say = say
        self._quiet = quiet
        self._waited_for = ""
        self.refusal: str | None = None
        self.status = ExitStatus.NO
        self.is_leaving = False

    def refused(self, reason: str, status: ExitStatus = ExitStatus.NO) -> None:
        """It can never join."""
        if self.refusal is None:
            self.refusal, self.status = reason, status

    def not_joined(self, identifier: int, why: NotJoined, reason: str) -> None:
        """It could not join; each reason is told once, until there is another."""
        if not self.is_leaving and reason != self._waited_for:
            self._say(f"not on the ring yet: {reason}; trying again and again, until a member answers there")
        self._waited_for = reason

    def note(self, event: str, details: Mapping[str, Any]) -> None:
        """Tell what is in the journal for people."""
        line = format_event(event, details, quiet=self._quiet)
        if line is not None:
            self._say(line)


def say_left(status: int) -> None:
    """Say that it was interrupted, and end with the status that a shell has for it.

    That it has left the ring has been said, if it was there.
    """
    click.echo("interrupted", err=True)
    raise SystemExit(status)


def _die(status: int) -> NoReturn:
    """End this process as a crash does: no other peer hears a goodbye from it, and nothing is handed over."""
    sys.stdout.flush()
    os._exit(status)


def _in_endpoint(host: str) -> str:
    """An address as it stands in an endpoint, where a colon ends a part."""
    return host.replace(":", r"\:")
