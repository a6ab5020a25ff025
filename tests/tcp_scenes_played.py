"""The scenes themselves; each is named after what it shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.protocol import Factory, Protocol

from tests.tcp_scenes import MUCH, End, HalfEnd, Scene, Stage

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


@scene
async def talk(stage: Stage) -> None:
    """A question, an answer, and a close by who asked."""
    stage.when = {"client": {"made": say(b"hello"), "data": bye}, "server": {"data": say(b"hello!")}}
    await stage.open()


@scene
async def say_and_close(stage: Stage) -> None:
    """Who is called says something and closes at once."""
    stage.when["server"] = {"made": lambda end: (say(b"bye")(end), bye(end))}
    await stage.open()


@scene
async def two_turns(stage: Stage) -> None:
    """What is written in two turns arrives."""
    await stage.open()
    stage.a.transport.write(b"one")
    await stage.tick()
    stage.a.transport.writeSequence([b"two", b"three"])
    await stage.tick()
    bye(stage.a)
    await stage.tick()


@scene
async def write_after_close(stage: Stage) -> None:
    """What is written in the same turn after a close still goes out; later it does not."""
    await stage.open()
    transport = stage.a.transport
    transport.write(b"one")
    transport.loseConnection()
    transport.write(b"two!")
    await stage.tick()
    transport.write(b"three")
    await stage.tick()


@scene
async def write_then_abort(stage: Stage) -> None:
    """What was written in the turn of an abort is lost."""
    await stage.open()
    stage.a.transport.write(b"one")
    stage.a.transport.abortConnection()
    await stage.tick()


@scene
async def abort_at_both_ends(stage: Stage) -> None:
    """Each end that aborts is told that it did, once, however often."""
    await stage.open()
    for end in (stage.a, stage.b, stage.a):
        end.transport.abortConnection()
    bye(stage.a)
    await stage.tick()


@scene
async def abort_after_close(stage: Stage) -> None:
    """A close that waits for a reader can be cut."""
    await stage.open()
    stage.b.transport.pauseProducing()
    stage.a.transport.write(MUCH)
    bye(stage.a)
    await stage.tick(2)
    stage.a.seen.append("still here")
    stage.a.transport.abortConnection()
    await stage.tick()
    stage.b.seen.append("heard nothing")


@scene
async def close_waits_for_reader(stage: Stage) -> None:
    """A close with bytes unsent waits until they are read."""
    await stage.open()
    stage.b.transport.pauseProducing()
    stage.a.transport.write(MUCH)
    bye(stage.a)
    await stage.tick(2)
    stage.a.seen.append("still here")
    stage.b.transport.resumeProducing()
    await stage.tick(4)


@scene
async def close_twice(stage: Stage) -> None:
    """A second close changes nothing."""
    await stage.open()
    for _ in range(2):
        bye(stage.a)
    await stage.tick()
    bye(stage.a)
    stage.a.transport.abortConnection()
    await stage.tick()


@scene
async def close_at_both_ends(stage: Stage) -> None:
    """Both close at once, and both call it done."""
    await stage.open()
    bye(stage.a)
    bye(stage.b)
    await stage.tick()


@scene
async def close_with_bytes_unread(stage: Stage) -> None:
    """Who closes without having read everything resets the other."""
    await stage.open()
    stage.b.transport.pauseProducing()
    stage.a.transport.write(b"unread")
    await stage.tick()
    bye(stage.b)
    await stage.tick()


@scene
async def pause_and_resume(stage: Stage) -> None:
    """Who pauses gets nothing until it resumes."""
    stage.when["server"] = {"made": lambda end: end.transport.pauseProducing()}
    await stage.open()
    stage.a.transport.write(b"one")
    await stage.tick()
    stage.b.seen.append("resumes")
    stage.b.transport.resumeProducing()
    await stage.tick()


@scene
async def pause_while_reading(stage: Stage) -> None:
    """Who pauses in the middle gets the rest later, and then the end."""
    stage.when["server"] = {"data": lambda end: end.transport.pauseProducing()}
    await stage.open()
    stage.a.transport.write(b"one")
    await stage.tick()
    stage.a.transport.write(b"two!")
    bye(stage.a)
    await stage.tick()
    stage.b.seen.append("resumes")
    stage.when["server"].clear()
    stage.b.transport.resumeProducing()
    await stage.tick()


@scene
async def abort_of_paused(stage: Stage) -> None:
    """Who has paused hears of a reset when it resumes, after what came before."""
    await stage.open()
    stage.b.transport.pauseProducing()
    stage.a.transport.write(b"one")
    await stage.tick()
    stage.a.transport.abortConnection()
    await stage.tick()
    stage.b.seen.append("resumes")
    stage.b.transport.resumeProducing()
    await stage.tick()


@scene
async def write_to_reset(stage: Stage) -> None:
    """Who has paused hears of a reset when it writes."""
    await stage.open()
    stage.b.transport.pauseProducing()
    stage.a.transport.abortConnection()
    await stage.tick()
    stage.b.seen.append("writes")
    stage.b.transport.write(b"two")
    await stage.tick()


@scene
async def write_to_closed(stage: Stage) -> None:
    """Who writes to an end that has closed is reset, and hears of it when it reads."""
    await stage.open()
    stage.b.transport.pauseProducing()
    bye(stage.a)
    await stage.tick()
    stage.b.transport.write(b"two")
    await stage.tick()
    stage.b.seen.append("resumes")
    stage.b.transport.resumeProducing()
    await stage.tick()


@scene
async def half_close(stage: Stage) -> None:
    """Who says that nothing more comes still gets the answer."""
    stage.make = {"client": HalfEnd, "server": HalfEnd}
    await stage.open()
    stage.a.transport.write(b"all")
    stage.a.transport.loseWriteConnection()
    stage.a.transport.write(b", or nearly")
    await stage.tick()
    stage.a.transport.write(b"too late")
    stage.b.transport.write(b"answer")
    await stage.tick()
    bye(stage.b)
    await stage.tick()
    bye(stage.a)
    stage.a.seen.append("at once")
    await stage.tick()


@scene
async def half_close_both(stage: Stage) -> None:
    """Two half-closes leave a connection that each end has to close."""
    stage.make = {"client": HalfEnd, "server": HalfEnd}
    await stage.open()
    stage.a.transport.loseWriteConnection()
    stage.b.transport.loseWriteConnection()
    await stage.tick()
    bye(stage.a)
    await stage.tick()
    bye(stage.b)
    await stage.tick()


@scene
async def half_close_to_plain(stage: Stage) -> None:
    """An end that knows no half-close closes."""
    stage.make["client"] = HalfEnd
    await stage.open()
    stage.a.transport.write(b"all")
    stage.a.transport.loseWriteConnection()
    await stage.tick()
    bye(stage.a)
    await stage.tick()


@scene
async def half_close_by_plain(stage: Stage) -> None:
    """An end that knows no half-close can half-close, too."""
    stage.make["server"] = HalfEnd
    await stage.open()
    stage.a.transport.loseWriteConnection()
    await stage.tick()
    stage.b.transport.write(b"answer")
    bye(stage.b)
    await stage.tick()


@scene
async def half_close_then_abort(stage: Stage) -> None:
    """A connection that is half closed can be cut."""
    stage.make = {"client": HalfEnd, "server": HalfEnd}
    await stage.open()
    stage.a.transport.loseWriteConnection()
    await stage.tick()
    stage.b.transport.abortConnection()
    await stage.tick()


@scene
async def half_close_raises(stage: Stage) -> None:
    """Who raises when it is told of a half-close loses its connection."""
    stage.make = {"client": HalfEnd, "server": HalfEnd}
    stage.when["server"] = {"read closed": fail}
    await stage.open()
    stage.a.transport.loseWriteConnection()
    await stage.tick()
    bye(stage.a)
    await stage.tick()


@scene
async def raise_in_data(stage: Stage) -> None:
    """Who raises loses its connection and what it wrote in that turn; the other sees a close."""
    stage.when["server"] = {"data": lambda end: (say(b"answer")(end), fail())}
    await stage.open()
    stage.a.transport.write(b"one")
    await stage.tick()


@scene
async def raise_in_made_of_server(stage: Stage) -> None:
    """Who is called and raises at the beginning stays connected."""
    stage.when["server"] = {"made": fail}
    await stage.open()
    stage.a.transport.write(b"one")
    await stage.tick()
    bye(stage.a)
    await stage.tick()


@scene
async def raise_in_made_of_client(stage: Stage) -> None:
    """Who calls and raises at the beginning loses its connection."""
    stage.when["client"] = {"made": fail}
    await stage.open()


@scene
async def raise_in_lost(stage: Stage) -> None:
    """Who raises at the end does not hear that its connector has lost it."""
    stage.when["client"] = {"lost": fail}
    await stage.open()
    bye(stage.a)
    await stage.tick()


@scene
async def no_server_protocol(stage: Stage) -> None:
    """A factory of who is called may want no connection."""
    stage.make["server"] = lambda seen: None
    await stage.open()


@scene
async def no_client_protocol(stage: Stage) -> None:
    """A factory of who calls may want no connection."""
    stage.make["client"] = lambda seen: None
    await stage.open()


@scene
async def raise_in_client_factory(stage: Stage) -> None:
    """A factory of who calls that raises has failed to connect."""
    stage.make["client"] = fail
    await stage.open()


@scene
async def refused(stage: Stage) -> None:
    """Nobody listens."""
    stage.connect(port=1)
    await stage.tick()


@scene
async def stop_listening(stage: Stage) -> None:
    """A port that is closed refuses; what it had taken goes on."""
    await stage.open()
    fired: list[object] = []
    stage.port.stopListening().addCallback(fired.append)
    stage.seen["server"].append("waits" if not fired else "stopped at once")
    port = stage.port.getHost().port
    await stage.tick()
    stage.seen["server"].append(f"stopped {fired}")
    stage.connect(port)
    await stage.tick()
    stage.a.transport.write(b"still")
    await stage.tick()


@scene
async def stop_connecting(stage: Stage) -> None:
    """A try can be given up, once."""
    stage.connect()
    stage.connector.stopConnecting()
    seen = stage.seen["client"]
    try:
        stage.connector.stopConnecting()
    except Exception as error:
        seen.append(type(error).__name__)
    await stage.tick()


@scene
async def stop_as_it_starts(stage: Stage) -> None:
    """A factory may give up as soon as it is told of the try."""
    stage.factory.when = {"connecting": lambda connector: connector.stopConnecting()}
    stage.connect()
    await stage.tick()


@scene
async def disconnect(stage: Stage) -> None:
    """A connector closes what it has made, and gives up what it has not."""
    await stage.open()
    stage.connector.disconnect()
    await stage.tick()
    stage.connector.connect()
    stage.connector.disconnect()
    await stage.tick()


@scene
async def call_again(stage: Stage) -> None:
    """A factory may call again when its connection is lost, without being stopped between."""
    stage.factory.when = {"connector lost": lambda connector: len(stage.seen["client"]) < 8 and connector.connect()}
    await stage.open()
    seen = stage.seen["client"]
    try:
        stage.connector.connect()
    except Exception as error:
        seen.append(type(error).__name__)
    bye(stage.b)
    await stage.tick(2)
    bye(stage.a)
    await stage.tick()


@scene
async def call_again_after_refusal(stage: Stage) -> None:
    """A factory may call again when it was refused."""
    stage.factory.when = {"failed": lambda connector: len(stage.seen["client"]) < 4 and connector.connect()}
    stage.connect(port=1)
    await stage.tick(2)


@scene
async def connect_to_endpoint(stage: Stage) -> None:
    """An endpoint gives the protocol."""
    await stage.endpoint().connect(Factory.forProtocol(lambda: stage.build("client")))
    await stage.tick()
    bye(stage.b)
    await stage.tick()


@scene
async def cancel_endpoint(stage: Stage) -> None:
    """A call by an endpoint can be cancelled."""
    seen = stage.seen["client"]
    calling = stage.endpoint().connect(Factory.forProtocol(Protocol))
    calling.addErrback(lambda failure: seen.append(failure.type.__name__))
    calling.cancel()
    await stage.tick()


@scene
async def push_producer(stage: Stage) -> None:
    """A push producer is paused when too much is unsent, and resumed when all is sent."""
    await stage.open()
    transport = stage.a.transport
    transport.registerProducer(stage.a, True)
    transport.write(b"x" * 1000)
    await stage.tick()
    stage.a.seen.append("writes more")
    transport.write(b"x" * 200_000)
    await stage.tick()
    transport.write(b"x" * 1000)
    await stage.tick()
    bye(stage.a)
    await stage.tick()


@scene
async def push_producer_and_slow_reader(stage: Stage) -> None:
    """A push producer is resumed when the reader has read, and not before."""
    await stage.open()
    stage.b.transport.pauseProducing()
    transport = stage.a.transport
    transport.registerProducer(stage.a, True)
    transport.write(MUCH)
    await stage.tick(2)
    stage.a.seen.append("the reader reads")
    stage.b.transport.resumeProducing()
    await stage.tick(4)


@scene
async def close_waits_for_paused_producer(stage: Stage) -> None:
    """A close waits for a producer that was paused until it is taken away."""
    await stage.open()
    transport = stage.a.transport
    transport.registerProducer(stage.a, True)
    transport.write(b"x" * 200_000)
    bye(stage.a)
    await stage.tick(2)
    stage.a.seen.append("still here")
    transport.unregisterProducer()
    await stage.tick()


@scene
async def pull_producer(stage: Stage) -> None:
    """A pull producer is asked for more each time that all is sent."""
    await stage.open()
    left = [b"one", b"two", b"three"]

    def produce(end: End) -> None:
        if left:
            end.transport.write(left.pop(0))
        else:
            end.transport.unregisterProducer()

    stage.when["client"] = {"resume": produce}
    stage.a.transport.registerProducer(stage.a, False)
    bye(stage.a)
    await stage.tick()


@scene
async def producers_by_the_rules(stage: Stage) -> None:
    """One producer at a time; one that comes too late is stopped."""
    await stage.open()
    transport = stage.a.transport
    transport.registerProducer(stage.a, True)
    stage.a.attempt(lambda: transport.registerProducer(stage.a, True))
    transport.abortConnection()
    await stage.tick()
    stage.a.attempt(lambda: transport.registerProducer(stage.a, True))
    stage.a.attempt(lambda: transport.write("text"))
    stage.a.attempt(lambda: transport.write(b"bytes"))
    await stage.tick()


@scene
async def addresses(stage: Stage) -> None:
    """Each end knows both addresses."""
    await stage.open()
    a, b = stage.a.transport, stage.b.transport
    stage.a.seen.append(
        str((a.getPeer() == b.getHost(), a.getHost() == b.getPeer(), a.getPeer() == stage.port.getHost()))
    )
    stage.a.seen.append(str(stage.connector.getDestination() == a.getPeer()))
    bye(stage.a)
    await stage.tick()
