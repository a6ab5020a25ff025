"""A member of a ring in this process, with a prompt, for as long as somebody sits before it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click
from attrs import frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import CannotListenError

from twisted_bazaar.cli.ring.event_lines import told_event
from twisted_bazaar.cli.ring.prompt_commands import RingPrompt
from twisted_bazaar.cli.terminal.errors import NegativeAnswer
from twisted_bazaar.cli.terminal.prompt import Prompt
from twisted_bazaar.plugin import TRANSFER
from twisted_bazaar.roles.ring_peer import RingPeer, make_role
from twisted_bazaar.service import (
    NodeService,
    build_node,
    parse_address,
    parse_limits,
    server_endpoint,
    usual_limits,
)
from twisted_bazaar.state import SOCKET, STATE, StateDirectory
from twisted_bazaar.taps.room import udp_place, without_neighbours
from twisted_bazaar.taps.transfer import read_transfer

_PROMPT: Final = "ring> "
# Where this machine is for others it does not know; here it is this one.
_OWN_HOST: Final = "127.0.0.1"


@frozen
class RingRun:
    """One call of the command.

    @ivar options: those of a member of a ring and of its node, by the names that daemons have for them.
    @ivar directory: where files go.
    @ivar state: what outlives the process; None for nothing.
    @ivar quiet: whether nothing is said of pings.
    """

    options: Mapping[str, Any]
    directory: Path
    state: StateDirectory | None = None
    quiet: bool = False

    async def work(self, reactor: Any) -> int:
        """Take words until there are no more, and leave the ring; returns the exit status.

        @raise UsageError: an option cannot be.
        @raise Denial: there is no listening there, or no joining.
        """
        prompt = Prompt(_PROMPT)
        refusals: list[str] = []
        is_leaving = False
        waited_for = ""

        def note(event: str, details: Mapping[str, Any]) -> None:
            nonlocal waited_for
            if event == "ring-refused":
                refusals.append(details["why"])
            line = told_event(event, details, quiet=self.quiet)
            # Who leaves waits for nothing any more.
            if event == "ring-waits":
                is_news, waited_for = not is_leaving and details["why"] != waited_for, details["why"]
            else:
                is_news = True
            if line is not None and is_news:
                prompt.say(line)

        settings = {**self.options, STATE: self.state}
        peer = make_role(settings)
        service = self._service(settings, peer, reactor, note)
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
            commands = RingPrompt(peer, self.directory, prompt.say, reactor, strict=not prompt.is_seen)
            talking = Deferred.fromCoroutine(commands.run(prompt, reactor))
            peer.finished.addCallback(lambda _: talking.cancel())
            try:
                return await talking
            except CancelledError:
                if not refusals:
                    raise
                raise NegativeAnswer(f"this peer cannot join: {refusals[0]}") from None
        finally:
            is_leaving = True
            await service.stopService()

    def _service(self, settings: dict[str, Any], peer: RingPeer, reactor: Any, note: Any) -> NodeService:
        options = without_neighbours(settings, [peer])
        udp = udp_place(options, [peer], reactor)
        limits = parse_limits(usual_limits(None), options)
        options[TRANSFER] = read_transfer(options, limits, reactor.seconds(), takes_limits=False)
        advertise = options.get("advertise")
        return NodeService(
            reactor,
            build_node(options, [peer], reactor, None, note),
            server_endpoint(reactor, options["listen"]),
            parse_address(advertise, "--advertise") if advertise else None,
            [peer],
            None if self.state is None else self.state.path / SOCKET,
            lambda status: None,
            udp,
        )


def say_left(status: int) -> None:
    """Say that it was interrupted, and end with the status that a shell has for it.

    That it has left the ring has been said, if it was there.
    """
    click.echo("interrupted", err=True)
    raise SystemExit(status)


def _in_endpoint(host: str) -> str:
    """An address as it stands in an endpoint, where a colon ends a part."""
    return host.replace(":", r"\:")
