"""The two ends of a stream of iroh, each in a process of its own, without relays and with nobody else asked.

C{python -m benchmarks.iroh_load serve} prints its key and where it listens, on loopback; C{python -m
benchmarks.iroh_load dial KEY ADDRESS} connects to it. To each line with a number on standard input the one that has
dialled sends so many bytes over a stream of their own, and prints the processor seconds that it has used in all when
they have been read; the other prints those with each line that it gets.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

from benchmarks.processes import LOOPBACK

iroh: Final[Any] = import_module("iroh")

_ALPN: Final = b"bench"
_BLOCK_BYTES: Final = 256 << 10
_DONE: Final = b"done"


async def _bind() -> Any:
    return await iroh.Endpoint.bind(
        iroh.EndpointOptions(
            preset=iroh.preset_minimal(),
            bind_addr=f"{LOOPBACK}:0",
            relay_mode=iroh.RelayMode.disabled(),
            alpns=[_ALPN],
        )
    )


async def _serve() -> None:
    endpoint = await _bind()
    _say(there=[str(endpoint.id()), endpoint.bound_sockets()[0]])
    answering = asyncio.ensure_future(_answer())
    incoming = await endpoint.accept_next()
    connection = await (await incoming.accept()).connect()
    while True:
        stream = await connection.accept_bi()
        left = int.from_bytes(await stream.recv().read_exact(8), "big")
        while left:
            left -= len(await stream.recv().read(_BLOCK_BYTES))
        await stream.send().write_all(_DONE)
        await stream.send().finish()
        assert not answering.done(), "the benchmark ends this process"


async def _dial(key: str, address: str) -> None:
    endpoint = await _bind()
    where = iroh.EndpointAddr(iroh.EndpointId.from_string(key), None, [address])
    connection = await endpoint.connect(where, _ALPN)
    _say(there=[])
    block = os.urandom(_BLOCK_BYTES)
    while line := await asyncio.to_thread(sys.stdin.readline):
        size = int(line)
        if size:
            stream = await connection.open_bi()
            await stream.send().write_all(size.to_bytes(8, "big"))
            for _ in range(size // _BLOCK_BYTES):
                await stream.send().write_all(block)
            await stream.send().finish()
            await stream.recv().read_exact(len(_DONE))
        _say(used=time.process_time())


async def _answer() -> None:
    while await asyncio.to_thread(sys.stdin.readline):
        _say(used=time.process_time())


def _say(**what: object) -> None:
    print(json.dumps(what), flush=True)


def main(words: Sequence[str]) -> None:
    """Serve or dial until killed."""
    asyncio.run(_dial(*words[1:]) if words[0] == "dial" else _serve())


if __name__ == "__main__":
    main(sys.argv[1:])
