"""Scenes of open connections: bytes, pauses, closes, and protocols that raise."""

from __future__ import annotations

from tests.scenes.stage import MUCH_BYTES, HalfEnd, Stage, bye, fail, say, scene


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
    stage.a.transport.write(bytes(MUCH_BYTES))
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
    stage.a.transport.write(bytes(MUCH_BYTES))
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
