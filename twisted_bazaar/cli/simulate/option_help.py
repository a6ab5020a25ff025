"""Help for each setting of a scenario on the command line, and the writing of those that are tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_FAULT: Final = "KIND:AT:FOR:NODE,NODE or KIND:AT:FOR:NODE,NODE:STRENGTH, such as pause:30s:10s:seller-1"
_PURCHASE: Final = "BUYER:AT:ITEM or BUYER:AT:ITEM:QUANTITY, such as buyer-2:31s:item-4:3"
_FETCH: Final = "GETTER:AT:FILE, such as getter-2:31s:file-4"
_SEEK: Final = "NODE:AT:KEY, such as node-2:31s:some-name"
_ASK: Final = "ASKER:AT:WORDS, such as 'weak-peer-2:31s:some words'"

# How one entry of a setting that is a list of tables is given, its parts with colons between.
SHAPES: Final[Mapping[str, str]] = {
    "faults": _FAULT,
    "purchases": _PURCHASE,
    "fetches": _FETCH,
    "asks": _ASK,
    "seeks": _SEEK,
}
# Settings that are lists, and what the option for one entry is called.
ONE_OF: Final[Mapping[str, str]] = {
    "fault-kinds": "fault-kind",
    "faults": "fault",
    "purchases": "purchase",
    "lies": "lie",
    "fetches": "fetch",
    "phases": "phase",
    "asks": "ask",
    "seeks": "seek",
}
METAVARS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("for", "settle", "ping", "round"), "TIME"),
    "faults": "FAULT",
    "purchases": "PURCHASE",
    "fetches": "FETCH",
    "asks": "ASK",
    "seeks": "SEEK",
}

_EVERY: Final[Mapping[str, str]] = {
    "seed": "Decides everything that chance decides: the same seed is the same run.",
    "loss": "The share of packets that get lost.",
    "sessions": "How long they stay: exponential or weibull:SHAPE; the mean follows from --churn.",
    "latency": "Between two hosts: 20ms, uniform:5ms:80ms or lognormal:20ms:0.5 (median and sigma).",
    "bandwidth": "Bytes a second from each host to each other.",
    "faults-a-minute": "How many faults begin in a minute, on average.",
    "fault-kinds": "A kind of fault to draw; may be given several times. All kinds if not given.",
    "faults": f"A fault that is sure to happen, {_FAULT}; may be given several times.",
}
# By scenario.
HELP: Final[Mapping[str, Mapping[str, str]]] = {
    "market": {
        **_EVERY,
        "nodes": "How many nodes there are, buyers and sellers among them; the tracker comes on top.",
        "sellers": "How many of them sell.",
        "buyers": "How many of them buy.",
        "for": "How long faults, churn and wants go on.",
        "settle": "How long after that every want that can be met may take.",
        "mode": "With liveness faults end, and every want is to be met then; with safety they never do.",
        "churn": "The share of relays and sellers that leave in a minute, half of them without a word.",
        "degree": "How many links each node wants at least.",
        "max-links": "How many links it takes at most.",
        "items": "How many kinds of goods there are.",
        "stock": "How many pieces of an item a seller has.",
        "kinds": "How many kinds of goods a seller has.",
        "wants": "How many purchases each buyer makes, spread over the run.",
        "purchases": f"Something that is sure to be wanted, {_PURCHASE}; may be given several times.",
    },
    "files": {
        **_EVERY,
        "nodes": "How many nodes there are, sharers and getters; the index server comes on top.",
        "sharers": "How many of them share files from the beginning; the others are getters.",
        "liars": "The share of sharers that lie.",
        "lies": "A way in which they do, each in one; may be given several times. All ways if not given.",
        "for": "How long faults, churn and wants go on.",
        "settle": "How long after that every file that can be fetched may take.",
        "mode": "With liveness faults end, and every file is to be fetched then; with safety they never do.",
        "churn": "The share of honest sharers and getters that leave in a minute, half of them without a word.",
        "files": "How many files there are.",
        "copies": "How many honest sharers have each.",
        "size": "How large half of the files are at most, in MiB; none is larger than 16.",
        "spread": "How far their sizes lie apart: the sigma of a log-normal distribution.",
        "zipf": "How much more popular the first file is: the n-th is wanted 1/n to the power of this as often.",
        "wants": "How many files each getter wants, spread over the run; what nobody wants then, somebody wants once.",
        "fetches": f"A file that is sure to be wanted, {_FETCH}; may be given several times.",
    },
    "superpeer": {
        **_EVERY,
        "nodes": "How many nodes there are, super peers and weak peers.",
        "super-peers": "How many of them are super peers.",
        "for": "How long faults, churn and questions go on, in all kinds of search together.",
        "settle": "How long after that the network may take to be in order.",
        "mode": "With liveness faults end, and everything is to be found then; with safety they never do.",
        "churn": "The share of nodes that leave in a minute, half of them without a word.",
        "degree": "How many neighbours each super peer is given.",
        "leaves": "How many weak peers a super peer takes.",
        "ttl": "Over how many links between super peers a search goes.",
        "results": "How many hits are enough.",
        "ping": "After how long a silence a link is looked after; daemons take 2.5s.",
        "files": "How many titles there are.",
        "shared": "How many of them a weak peer has on average.",
        "zipf": "How much more popular the first title is: the n-th is had and wanted 1/n to the power of this.",
        "phases": "A kind of search to compare; may be given several times. All kinds if not given.",
        "queries": "How many questions are asked in each kind of search, the same ones.",
        "asks": f"A question that is sure to be asked, {_ASK}; may be given several times.",
    },
    "ring": {
        **_EVERY,
        "nodes": "How many nodes there are.",
        "for": "How long faults and churn go on; half way nodes die, and after three quarters it is looked again.",
        "settle": "How long after that the ring may take to be right, with those that have come back.",
        "mode": "With liveness faults end, and everything is to be right then; with safety they never do.",
        "churn": "The share of nodes that leave in a minute, half of them without a word.",
        "begin": "Nodes are placed into a ring that is right already, all at once, or have joined one by one.",
        "successors": "How many nodes after itself each knows.",
        "replicas": "On how many nodes a value is besides the one that it belongs to.",
        "round": "The time from one round of looking after neighbours to the next.",
        "rate": "How many new nodes join in a second, and how many die for good; with --dead 0.",
        "dead": "The share of nodes that die at once, half way.",
        "lookups": "How many places are looked for before nodes die, when they do, and afterwards: so many each.",
        "values": "How many values are kept, and asked for when nodes have died and in the end.",
        "seeks": f"A lookup that is sure to be made, {_SEEK}; may be given several times.",
    },
}
