"""Scenes of producers: push and pull, and closes that wait for them."""

from __future__ import annotations

from tests.scenes.stage import MUCH_BYTES, End, Stage, bye, scene


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
    transport.write(bytes(MUCH_BYTES))
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
