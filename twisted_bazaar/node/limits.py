"""The limits of a node: how much of anything it takes from others. Each is an option of the daemon."""

from __future__ import annotations

from attrs import frozen


@frozen
class Limits:
    """The limits of one node; sizes in bytes, times in seconds.

    @ivar max_links: named links; past it a stranger is told C{noslots}.
    @ivar min_links: below it the node looks for more.
    @ivar max_connections: connections that others made, whatever they are for.
    @ivar max_greeting: connections whose other end has not said who it is.
    @ivar handshake_s: time for C{thisisme}; then the other end is warned, and after C{grace_s} cut off.
    @ivar frame_s: time for a frame that has begun to be complete.
    @ivar ping_s: silence after which the other end is asked whether it lives.
    @ivar silence_s: silence after which it is taken for dead.
    @ivar answer_s: silence of the tracker after which it is taken for dead when it has been asked something.
    @ivar grace_s: time from a polite close to an abort: a peer that does not read never finishes one.
    @ivar frames_a_turn: frames of one link in one turn of the reactor.
    @ivar all_frames_a_turn, turn_s: frames of all links together in one turn, and time for them; the rest waits.
    @ivar stop_reading_bytes: unsent bytes past which a link is not read from until all are sent.
    @ivar stop_forwarding_bytes: unsent bytes past which no search is passed on to a link.
    @ivar all_links_bytes: what all links may hold together, read and not taken or unsent; past it the one with the
        most is cut, of the host that has the most.
    @ivar abort_bytes: unsent bytes past which the link is cut.
    @ivar refusals_a_minute: malformed messages a minute after which the link is cut.
    @ivar searches_a_second: searches sent on each link; a third of it is kept for this node's own.
    @ivar waiting_searches, search_wait_s: searches that wait while more come than may be passed on, and how long.
    @ivar seen_ids, seen_s: size of the table of floods already passed on, and how long it remembers.
    @ivar datagram_bytes: the longest datagram that is sent or taken.
    @ivar datagrams_a_second: datagrams taken from one address.
    @ivar strangers_a_second: answers to one host that has not shown that it receives there.
    @ivar correspondents: addresses that datagrams are exchanged with and something is remembered of.
    @ivar cookie_s: how long one cookie is given to an address; it is right for as long again.
    @ivar known_paths, known_s: the same for paths learnt, and for addresses of nodes heard of.
    """

    max_links: int = 8
    min_links: int = 3
    max_connections: int = 1 << 20
    max_greeting: int = 256
    greeting_frame_bytes: int = 4 << 10
    frame_bytes: int = 64 << 10
    connect_s: float = 5.0
    handshake_s: float = 10.0
    frame_s: float = 20.0
    ping_s: float = 30.0
    silence_s: float = 90.0
    answer_s: float = 10.0
    grace_s: float = 2.0
    frames_a_turn: int = 200
    all_frames_a_turn: int = 2_000
    turn_s: float = 0.02
    stop_reading_bytes: int = 256 << 10
    stop_forwarding_bytes: int = 1 << 20
    abort_bytes: int = 4 << 20
    all_links_bytes: int = 32 << 20
    refusals_a_minute: int = 10
    searches_a_second: float = 50.0
    waiting_searches: int = 128
    search_wait_s: float = 2.0
    seen_ids: int = 65_536
    seen_s: float = 600.0
    known_paths: int = 4_096
    known_s: float = 600.0
    dials_at_once: int = 8
    datagram_bytes: int = 1_200
    datagrams_a_second: float = 2_000.0
    strangers_a_second: float = 50.0
    correspondents: int = 4_096
    cookie_s: float = 300.0
