"""A directory in PostgreSQL, as one transaction sees it: the lists of peers, and how they change.

The rules are those of L{twisted_bazaar.discovery.index.directory.Directory}. The time is that of the database server,
so the clocks of the index servers do not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from attrs import frozen

from twisted_bazaar.discovery.index.listers import KEPT_S
from twisted_bazaar.discovery.index.messages import NOTHING_LISTED, File, TooMany, Update
from twisted_bazaar.discovery.index.words import folded, words_of
from twisted_bazaar.values.addresses import Peer
from twisted_bazaar.wire.message import LARGEST_INTEGER

CLEARED_AT_ONCE: Final = 2_000
# A longer one takes no part in an index; nobody has written one down yet.
LONGEST_WORD: Final = 200

# Who is there keeps its lease by any word; who has come back keeps the list it left behind for a while longer.
_ENTER: Final = """
    INSERT INTO twisted_bazaar_index.peers AS old (key, id, host, port, udp, is_local, server, until)
    VALUES (%s, %s, %s, %s, %s, %s, %s, now() + %s * interval '1 second')
    ON CONFLICT (key) DO UPDATE SET
        id = excluded.id, host = excluded.host, port = excluded.port, udp = excluded.udp,
        is_local = excluded.is_local, server = excluded.server, is_there = old.is_there AND old.until > now(),
        until = CASE WHEN old.is_there AND old.until > now() THEN excluded.until
            ELSE now() + %s * interval '1 second' END
    RETURNING number, mark, listed, is_there"""
_COME: Final = """
    UPDATE twisted_bazaar_index.peers SET is_there = true, until = now() + %s * interval '1 second'
    WHERE number = %s"""
_LOAD: Final = "UPDATE twisted_bazaar_index.peers SET load = %s, named = 0 WHERE number = %s"
_MARK: Final = "UPDATE twisted_bazaar_index.peers SET mark = %s, listed = %s WHERE number = %s"
_LEAVE: Final = """
    UPDATE twisted_bazaar_index.peers SET is_there = false, until = now() + %s * interval '1 second'
    WHERE key = %s AND server = %s AND is_there"""
_LET_GO: Final = "UPDATE twisted_bazaar_index.peers SET key = NULL, is_there = false WHERE number = %s"
_ADD: Final = """
    WITH done AS (
        INSERT INTO twisted_bazaar_index.files (peer, name, size, digest, is_whole, folded, words)
        SELECT %s, name, size, digest, is_whole, folded, array_to_tsvector(string_to_array(words, ' '))
        FROM unnest(%s::text[], %s::bigint[], %s::bytea[], %s::boolean[], %s::text[], %s::text[])
            AS new (name, size, digest, is_whole, folded, words)
        ON CONFLICT (peer, name) DO UPDATE SET
            size = excluded.size, digest = excluded.digest, is_whole = excluded.is_whole
        RETURNING xmax = 0 AS is_new
    )
    SELECT count(*) FILTER (WHERE is_new) FROM done"""
_REMOVE: Final = """
    WITH done AS (
        DELETE FROM twisted_bazaar_index.files WHERE peer = %s AND name = ANY(%s::text[]) RETURNING 1
    )
    SELECT count(*) FROM done"""
_OFFER: Final = """
    WITH done AS (
        INSERT INTO twisted_bazaar_index.goods (peer, bazaar, item) SELECT %s, %s, item FROM unnest(%s::text[]) AS item
        ON CONFLICT DO NOTHING RETURNING 1
    )
    SELECT count(*) FROM done"""
_WITHDRAW: Final = """
    WITH done AS (
        DELETE FROM twisted_bazaar_index.goods WHERE peer = %s AND bazaar = %s AND item = ANY(%s::text[]) RETURNING 1
    )
    SELECT count(*) FROM done"""
# What another server is at work on is left to it.
_EXPIRE: Final = """
    UPDATE twisted_bazaar_index.peers
    SET until = CASE WHEN is_there THEN now() + %s * interval '1 second' ELSE until END,
        key = CASE WHEN is_there AND listed > 0 THEN key END, is_there = false
    WHERE number IN (
        SELECT number FROM twisted_bazaar_index.peers WHERE key IS NOT NULL AND until <= now()
        FOR NO KEY UPDATE SKIP LOCKED
    )"""
_CLEAR: Final = """
    WITH gone AS (
        SELECT number FROM twisted_bazaar_index.peers WHERE key IS NULL ORDER BY number LIMIT 1 FOR UPDATE SKIP LOCKED
    ), files AS (
        DELETE FROM twisted_bazaar_index.files WHERE (peer, name) IN (
            SELECT peer, name FROM twisted_bazaar_index.files JOIN gone ON peer = number LIMIT %(most)s
        ) RETURNING 1
    ), goods AS (
        DELETE FROM twisted_bazaar_index.goods WHERE (peer, bazaar, item) IN (
            SELECT peer, bazaar, item FROM twisted_bazaar_index.goods JOIN gone ON peer = number LIMIT %(most)s
        ) RETURNING 1
    ), peers AS (
        DELETE FROM twisted_bazaar_index.peers WHERE number IN (SELECT number FROM gone)
            AND (SELECT count(*) FROM files) < %(most)s AND (SELECT count(*) FROM goods) < %(most)s RETURNING 1
    )
    SELECT EXISTS (SELECT FROM gone)"""


@frozen
class _Row:
    """What is known of a peer: its list is found if it is there."""

    number: int
    mark: int
    listed: int
    is_there: bool


class Lists:
    """The lists of all peers.

    @param connection: of psycopg, in a transaction.
    @param server: the process that asks.
    """

    def __init__(self, connection: Any, server: str, lease_s: float, most_a_peer: int) -> None:
        self._connection = connection
        self._server = server
        self._lease_s = lease_s
        self._most_a_peer = most_a_peer

    def renew(self, peer: Peer, mark: int, load: int) -> int:
        """Believe a list for another lease."""
        row = self._enter(peer)
        if mark == row.mark and not row.is_there:
            self._do(_COME, self._lease_s, row.number)
        self._do(_LOAD, load, row.number)
        return row.mark

    def update(self, peer: Peer, update: Update) -> int:
        """Change a list, if that is what the change builds on.

        @raise TooMany: it lists too much.
        """
        row = self._enter(peer)
        if update.base not in (NOTHING_LISTED, row.mark):
            return row.mark
        if update.base == NOTHING_LISTED and (row.listed or not row.is_there):
            row = self._begin_anew(row, peer)
        elif not row.is_there:
            self._do(_COME, self._lease_s, row.number)
        listed = row.listed
        if update.remove:
            listed -= self._count(_REMOVE, row.number, _plain(update.remove))
        if update.withdraw:
            listed -= self._count(_WITHDRAW, row.number, update.bazaar, _plain(update.withdraw))
        least = listed
        if update.add:
            listed += self._add(row.number, update.add)
        if update.offer:
            listed += self._count(_OFFER, row.number, update.bazaar, list(update.offer))
        if listed > least:
            self._check_count(listed)
        self._do(_MARK, update.mark, listed, row.number)
        return update.mark

    def add(self, peer: Peer, file: File) -> int:
        """List one file.

        @raise TooMany: it is one too many.
        """
        row = self._believed(peer)
        new = self._add(row.number, [file])
        if new:
            self._check_count(row.listed + new)
        return self._move_on(row, row.listed + new)

    def remove(self, peer: Peer, name: str) -> int:
        """List a file no more."""
        row = self._believed(peer)
        return self._move_on(row, row.listed - self._count(_REMOVE, row.number, _plain([name])))

    def leave(self, key: str) -> None:
        """A peer's link to this server is gone."""
        self._do(_LEAVE, KEPT_S, bytes.fromhex(key), self._server)

    def expire(self) -> bool:
        """See whose time is over, and clear some of what those had who have gone; returns whether there is more."""
        self._do(_EXPIRE, KEPT_S)
        [has_more] = self._connection.execute(_CLEAR, {"most": CLEARED_AT_ONCE}).fetchone()
        return bool(has_more)

    def _enter(self, peer: Peer) -> _Row:
        """What is known of a peer, which is locked until the end of the transaction."""
        address = peer.address
        who = (bytes.fromhex(peer.key), peer.id, address.host, address.port, peer.udp_port, address.is_local)
        return _Row(*self._connection.execute(_ENTER, (*who, self._server, self._lease_s, KEPT_S)).fetchone())

    def _believed(self, peer: Peer) -> _Row:
        """For changes that do not say what they build on: over a new link on nothing."""
        row = self._enter(peer)
        return row if row.is_there else self._begin_anew(row, peer)

    def _begin_anew(self, row: _Row, peer: Peer) -> _Row:
        self._do(_LET_GO, row.number)
        return self._enter(peer)

    def _move_on(self, row: _Row, listed: int) -> int:
        mark = row.mark + 1 if row.mark < LARGEST_INTEGER else NOTHING_LISTED + 1
        self._do(_MARK, mark, listed, row.number)
        return mark

    def _check_count(self, listed: int) -> None:
        if listed > self._most_a_peer:
            raise TooMany(f"one peer may list {self._most_a_peer:,} files and goods")

    def _add(self, number: int, files: Sequence[File]) -> int:
        # Of two with one name the later counts.
        named = {file.name: file for file in files}.values()
        return self._count(
            _ADD,
            number,
            [file.name for file in named],
            [file.size for file in named],
            [bytes.fromhex(file.digest) for file in named],
            [file.whole for file in named],
            [folded(file.name) for file in named],
            [" ".join(short_words_of(file.name)) for file in named],
        )

    def _count(self, query: str, *values: Any) -> int:
        return int(self._connection.execute(query, values).fetchone()[0])

    def _do(self, query: str, *values: Any) -> None:
        self._connection.execute(query, values)


def short_words_of(text: str) -> list[str]:
    """The words of a text, as far as they are in the index."""
    return list(dict.fromkeys(word[:LONGEST_WORD] for word in words_of(text)))


def is_plain(text: str | None) -> bool:
    """Whether there could be such a text in a database; nothing that is listed has another."""
    return text is None or "\0" not in text


def _plain(names: Sequence[str]) -> list[str]:
    return [name for name in names if is_plain(name)]
