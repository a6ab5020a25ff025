"""Attackers that send datagrams from many addresses in turn, from one process."""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from typing import Final, Generic, TypeVar

from tests.attack.siege import Tally
from tests.attack.stage import LOOPBACK

AS_FAST_AS_IT_CAN: Final = float("inf")
_BATCH: Final = 50

K = TypeVar("K")


class Sprayer(Generic[K]):
    """Sends datagrams from one socket of each host in turn, and reads what comes.

    @param port: where to.
    @param places: the hosts.
    @param meet: is given the socket of each, and returns what C{make} has to know of it, such as a cookie.
    @param make: makes a datagram.
    @param a_second: how many of them; L{AS_FAST_AS_IT_CAN} for no limit.
    """

    def __init__(
        self,
        port: int,
        places: Sequence[str],
        tally: Tally,
        meet: Callable[[socket.socket], K],
        make: Callable[[K], bytes],
        a_second: float,
    ) -> None:
        self._port = port
        self._places = places
        self._tally = tally
        self._meet = meet
        self._make = make
        self._a_second = a_second

    def __call__(self, deadline: float) -> None:
        """Do it until then."""
        with ExitStack() as stack:
            sources: list[tuple[socket.socket, K]] = []
            for place in self._places:
                datagrams = stack.enter_context(closing(socket.socket(type=socket.SOCK_DGRAM)))
                datagrams.bind((place, 0))
                datagrams.connect((LOOPBACK, self._port))
                met = self._meet(datagrams)
                datagrams.setblocking(False)
                sources.append((datagrams, met))
            Tally.add(self._tally.connections, len(sources))
            each = itertools.cycle(sources)
            began, sent = time.monotonic(), 0
            while time.monotonic() < deadline:
                size = 0
                for datagrams, met in itertools.islice(each, _BATCH):
                    with suppress(OSError):
                        size += datagrams.send(self._make(met))
                    with suppress(OSError):
                        datagrams.recv(1 << 16)
                sent += _BATCH
                if (early_s := began + sent / self._a_second - time.monotonic()) > 0:
                    time.sleep(early_s)
                Tally.add(self._tally.sent_bytes, size)
                Tally.add(self._tally.requests, _BATCH)
