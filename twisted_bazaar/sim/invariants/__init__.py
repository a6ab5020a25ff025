"""Invariants: the promises, each a check that watches a run and says when it is broken; and which runs have which."""

from __future__ import annotations

from typing import Final

from twisted_bazaar.sim.invariants.check import Check
from twisted_bazaar.sim.invariants.files import (
    DeadAreGone,
    DownloadsGoOn,
    FilesAreFetched,
    FilesAreRight,
    LittleInVain,
    NotAskedAgain,
)
from twisted_bazaar.sim.invariants.goods import NeverFailedWhileSold, ReservationsEnd, SoldOnce, StockAddsUp
from twisted_bazaar.sim.invariants.links import LinksAgree
from twisted_bazaar.sim.invariants.machines import NoFaultOfOurs, NothingLeft, TablesAreBounded
from twisted_bazaar.sim.invariants.messages import ForwardedOnce, NoLoops
from twisted_bazaar.sim.invariants.ring import (
    KeptIsFound,
    LookupsAreRight,
    NeighboursAreRight,
    NeverAnother,
    NothingIsLost,
    RingHolds,
    RingsMerge,
)
from twisted_bazaar.sim.invariants.super_peers import (
    AnsweredOnce,
    FoundAgain,
    HitsAreTrue,
    PathsExpire,
    RoomIsMade,
    SearchesEnd,
    TablesNeverHide,
    TrafficIsBounded,
)
from twisted_bazaar.sim.invariants.wants import BoughtAsWanted, WantsAreMet

MARKET_CHECKS: Final[tuple[type[Check], ...]] = (
    StockAddsUp,
    SoldOnce,
    NeverFailedWhileSold,
    BoughtAsWanted,
    ForwardedOnce,
    NoLoops,
    TablesAreBounded,
    ReservationsEnd,
    LinksAgree,
    NothingLeft,
    NoFaultOfOurs,
    WantsAreMet,
)

FILES_CHECKS: Final[tuple[type[Check], ...]] = (
    FilesAreRight,
    NotAskedAgain,
    DeadAreGone,
    LittleInVain,
    DownloadsGoOn,
    NoLoops,
    TablesAreBounded,
    NothingLeft,
    NoFaultOfOurs,
    FilesAreFetched,
)

SUPER_PEER_CHECKS: Final[tuple[type[Check], ...]] = (
    HitsAreTrue,
    AnsweredOnce,
    SearchesEnd,
    TrafficIsBounded,
    FoundAgain,
    RoomIsMade,
    TablesNeverHide,
    PathsExpire,
    NoLoops,
    TablesAreBounded,
    NothingLeft,
    NoFaultOfOurs,
)

RING_CHECKS: Final[tuple[type[Check], ...]] = (
    RingHolds,
    NeighboursAreRight,
    RingsMerge,
    LookupsAreRight,
    NeverAnother,
    KeptIsFound,
    NothingIsLost,
    TablesAreBounded,
    NothingLeft,
    NoFaultOfOurs,
)
