"""Little scenes on TCP that any reactor can play: what each end sees is what the scene is compared by.

A scene is a coroutine that lets two ends do things, a tick apart where the order between the ends matters.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import ClientFactory, Factory, Protocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from zope.interface import implementer

TICK_S: Final = 0.03
# However late a tick comes, the reactor has looked at its sockets so often since it was due.
_TURNS: Final = 10
# More than all buffers between two ends hold.
MUCH_BYTES: Final = 16_000_000

Seen = dict[str, list[str]]


class End(Protocol):
    """One end: writes down what it is told, and does what its scene wants."""

    def __init__(self, seen: list[str]) -> None:
        self.seen = seen
        self.received = 0
        self.when: dict[str, Callable[[End], object]] = {}

    def connectionMade(self) -> None:
        self._tell("made")

    def dataReceived(self, data: bytes) -> None:
        # However it is cut.
        if self.seen[-1].startswith("data "):
            self.seen.pop()
            self.received += len(data)
        else:
            self.received = len(data)
        self._tell(f"data {self.received}", "data")

    def connectionLost(self, reason: Failure = None) -> None:  # type: ignore[assignment]
        self._tell(f"lost {reason.type.__name__}", "lost")

    def pauseProducing(self) -> None:
        self._tell("pause")

    def resumeProducing(self) -> None:
        self._tell("resume")

    def stopProducing(self) -> None:
        self._tell("stop")

    def attempt(self, what: Callable[[], object]) -> None:
        """Do something that may raise, and write down whether it has."""
        try:
            what()
        except Exception as error:
            self.seen.append(f"raised {type(error).__name__}")
        else:
            self.seen.append("did it")

    def _tell(self, event: str, kind: str | None = None) -> None:
        self.seen.append(event)
        self.when.get(kind or event, lambda end: None)(self)


@implementer(IHalfCloseableProtocol)
class HalfEnd(End):
    """An end that goes on when the other says nothing more."""

    def readConnectionLost(self) -> None:
        self._tell("read closed")

    def writeConnectionLost(self) -> None:
        self._tell("write closed")


class _Server(Factory):
    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def doStop(self) -> None:
        self._stage.seen["server"].append("factory stopped")
        super().doStop()

    def buildProtocol(self, addr: object) -> Protocol | None:
        return self._stage.build("server")


class Client(ClientFactory):
    """The factory of the end that calls."""

    noisy = False

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.seen = stage.seen["client"]
        self.when: dict[str, Callable[[Any], object]] = {}

    def startFactory(self) -> None:
        self.seen.append("factory started")

    def stopFactory(self) -> None:
        self.seen.append("factory stopped")

    def startedConnecting(self, connector: Any) -> None:
        self._tell("connecting", connector)

    def buildProtocol(self, addr: object) -> Protocol | None:
        return self._stage.build("client")

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:
        self._tell(f"failed {reason.type.__name__}", connector, "failed")

    def clientConnectionLost(self, connector: Any, reason: Failure) -> None:
        self._tell(f"connector lost {reason.type.__name__}", connector, "connector lost")

    def _tell(self, event: str, connector: Any, kind: str | None = None) -> None:
        self.seen.append(event)
        self.when.get(kind or event, lambda connector: None)(connector)


class Stage:
    """Two ends, and what they see.

    @param server: the reactor of the end that is called.
    @param client: that of the end that calls.
    @param host: the address of the former.
    @ivar ends: both ends, by who they are, once there is a connection.
    @ivar when: what each end does when something happens to it, set before it is made.
    @ivar make: what makes each end.
    """

    def __init__(self, server: Any, client: Any, host: str) -> None:
        self._server, self._client, self.host = server, client, host
        self.seen: Seen = {"server": [], "client": []}
        self.ends: dict[str, Any] = {}
        self.when: dict[str, dict[str, Callable[[Any], object]]] = {"server": {}, "client": {}}
        self.make: dict[str, Callable[[list[str]], Protocol | None]] = {"server": End, "client": End}
        self.factory = Client(self)
        self.port = server.listenTCP(0, _Server(self), interface=host)
        self.connector: Any = None

    @property
    def a(self) -> Any:
        """The end that calls."""
        return self.ends["client"]

    @property
    def b(self) -> Any:
        """The end that is called."""
        return self.ends["server"]

    def build(self, who: str) -> Protocol | None:
        """Make an end."""
        end = self.make[who](self.seen[who])
        if isinstance(end, End):
            end.when = self.when[who]
            self.ends[who] = end
        return end

    def connect(self, port: int | None = None) -> None:
        """Let the client call."""
        number = self.port.getHost().port if port is None else port
        self.connector = self._client.connectTCP(self.host, number, self.factory, timeout=2)

    def endpoint(self) -> TCP4ClientEndpoint:
        """The same as an endpoint."""
        return TCP4ClientEndpoint(self._client, self.host, self.port.getHost().port, timeout=2)

    async def tick(self, ticks: int = 1) -> None:
        """Wait until everything that was begun is over."""
        for _ in range(ticks):
            await deferLater(self._client, TICK_S)
            for _ in range(_TURNS):
                await deferLater(self._client, 0)

    async def open(self) -> None:
        """Connect, and wait for it."""
        self.connect()
        await self.tick()


Scene = Callable[[Stage], Coroutine[Deferred[Any], Any, None]]


def run_scene(scene: Scene, stage: Stage) -> Deferred[None]:
    """Play a scene to its end."""

    def failed(failure: Failure) -> None:
        stage.seen["client"].append(f"the scene raised {failure.getErrorMessage()}")

    return Deferred.fromCoroutine(scene(stage)).addErrback(failed)


# All scenes, by name.
SCENES: Final[dict[str, Scene]] = {}


def scene(play: Scene) -> Scene:
    """Put a scene on the list."""
    SCENES[play.__name__] = play
    return play


def say(data: bytes) -> Callable[[Any], None]:
    """What writes."""
    return lambda end: end.transport.write(data)


def bye(end: Any) -> None:
    """What closes."""
    end.transport.loseConnection()


def fail(*args: object) -> Any:
    """What raises."""
    raise RuntimeError("as the scene wants")
