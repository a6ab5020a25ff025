"""Commands that need the reactor: it runs until what they do is done, or a signal comes.

A signal ends the work of a command, not its process: what it waits for is cancelled, and it puts things in order.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final, NoReturn, TypeVar

import click
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from twisted_bazaar.cli.terminal.errors import NegativeAnswer, UserError
from twisted_bazaar.cli.terminal.interruption import Interruption
from twisted_bazaar.cli.terminal.process import hold_back_log
from twisted_bazaar.errors import BazaarError, UsageError
from twisted_bazaar.exit_status import ExitStatus

_LOOK_S: Final = 0.1

_Result = TypeVar("_Result")
Work = Coroutine[Deferred[Any], Any, _Result]


class Interrupted(Exception):
    """The user or the system wants the program to end.

    @ivar status: what a shell has for it.
    """

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__("interrupted")


def run_in_reactor(work: Callable[[Any], Work[_Result]], interrupted: Callable[[float], bool] | None = None) -> _Result:
    """Let the reactor run until something is done, and give what came of it.

    A signal cancels what is waited for; a second one ends the process on the spot.

    @param work: begins, given the reactor.
    @param interrupted: called for Ctrl-C with the time at which it came; returns whether it is dealt with, and the work
        goes on. See L{Interruption}.
    @raise Interrupted: a signal came, and the work let itself be cancelled.
    @raise Refusal: the user asked for something impossible.
    @raise Denial: it was possible, and failed.
    """
    from twisted.internet import reactor

    hold_back_log()
    with Interruption(insists=True, handled=interrupted) as interruption:
        running = Running(reactor, interruption, work)
        reactor.callWhenRunning(running.begin)
        reactor.run(installSignalHandlers=False)  # type: ignore[call-arg] # the interface does not know it
        result: _Result = running.result()
        return result


class Running:
    """Some work, and the look at signals beside it."""

    def __init__(self, reactor: Any, interruption: Interruption, work: Callable[[Any], Work[Any]]) -> None:
        self._reactor = reactor
        self._interruption = interruption
        self._work = work
        self._outcome: Any = None
        self._status: int | None = None
        self._looking = LoopingCall(self._look)

    def begin(self) -> None:
        """Begin to work."""
        self._looking.clock = self._reactor
        self._doing = Deferred.fromCoroutine(self._work(self._reactor))
        self._doing.addBoth(self._end)
        if self._outcome is None:
            self._looking.start(_LOOK_S)

    def result(self) -> Any:
        """What came of it."""
        if isinstance(self._outcome, Failure):
            self._fail(self._outcome)
        [result] = self._outcome
        return result

    def _fail(self, failure: Failure) -> NoReturn:
        error = failure.value
        if isinstance(error, CancelledError) and self._status is not None:
            raise Interrupted(self._status) from None
        if isinstance(error, UsageError):
            raise UserError(str(error)) from None
        if isinstance(error, BazaarError):
            raise NegativeAnswer(str(error), error.exit_status) from None
        failure.raiseException()

    def _look(self) -> None:
        try:
            self._interruption.check()
        except SystemExit as ending:
            self._looking.stop()
            self._status = ending.code if isinstance(ending.code, int) else ExitStatus.NO
            self._doing.cancel()

    def _end(self, outcome: Any) -> None:
        self._outcome = outcome if isinstance(outcome, Failure) else [outcome]
        if self._looking.running:
            self._looking.stop()
        self._reactor.callWhenRunning(self._reactor.stop)


@contextmanager
def ending_when_interrupted() -> Iterator[None]:
    """End with a word, and the status that a shell has for it, when a signal comes."""
    try:
        yield
    except Interrupted as interrupted:
        click.echo("interrupted", err=True)
        raise SystemExit(interrupted.status) from None
