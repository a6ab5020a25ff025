"""Scenes of calls: who listens, who connects, and who does not want to."""

from __future__ import annotations

from twisted.internet.protocol import Factory, Protocol

from tests.scenes.stage import Stage, bye, fail, scene


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
