"""A directory in PostgreSQL, as one transaction sees it: the lists of peers, and how they change.

The rules are those of L{twisted_bazaar.discovery.index.directory.directory.Directory}. The time is that of the database
server, so the clocks of the index servers do not matter.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any, Final

from attrs import frozen

from twisted_bazaar.byte_budget import ByteBudget, Room
from twisted_bazaar.discovery.index.directory.leases import KEPT_S, MOST_KEPT
from twisted_bazaar.discovery.index.directory.quota import Growth, check_cleared, check_list, growth_by, make_room
from twisted_bazaar.discovery.index.directory.weights import LISTER_BYTES, weight_of_bazaar, weight_of_file
from twisted_bazaar.discovery.index.messages import NOTHING_LISTED, File, TooMany, Update
from twisted_bazaar.discovery.index.postgres.account import Account
from twisted_bazaar.discovery.index.words import folded, words_of
from twisted_bazaar.values.addresses import Peer
from twisted_bazaar.wire.message import LARGEST_INTEGER

CLEARED_AT_ONCE: Final = 2_000
_CLEARED_FOR_ROOM: Final = 1_000
_CLEARED_AT_A_TIME: Final = 200
# A longer one takes no part in an index; nobody has written one down yet.
LONGEST_WORD: Final = 200

# Who is there keeps its lease by any word; who has come back keeps the list it left behind for a while longer.
_ENTER: Final = """
    INSERT INTO twisted_bazaar_index.peers AS old
        (key, id, host, port, udp, is_local, charged_to, weight, server, until)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, now() + %s * interval '1 second')
    ON CONFLICT (key) DO UPDATE SET
        id = excluded.id, host = excluded.host, port = excluded.port, udp = excluded.udp,
        is_local = excluded.is_local, server = excluded.server, is_there = old.is_there AND old.until > now(),
        until = CASE WHEN old.is_there AND old.until > now() THEN excluded.until
            ELSE now() + %s * interval '1 second' END
    RETURNING number, charged_to, weight, mark, listed, is_there, xmax = 0"""
_COME: Final = """
    UPDATE twisted_bazaar_index.peers SET is_there = true, until = now() + %s * interval '1 second'
    WHERE number = %s"""
_LOAD: Final = "UPDATE twisted_bazaar_index.peers SET load = %s, named = 0 WHERE number = %s"
_MARK: Final = "UPDATE twisted_bazaar_index.peers SET mark = %s, listed = %s, weight = %s WHERE number = %s"
_LEAVE: Final = """
    UPDATE twisted_bazaar_index.peers SET is_there = false, until = now() + %s * interval '1 second',
        key = CASE WHEN listed > 0 THEN key END
    WHERE key = %s AND server = %s AND is_there
    RETURNING charged_to, weight, key IS NULL"""
_LET_GO: Final = "UPDATE twisted_bazaar_index.peers SET key = NULL, is_there = false WHERE number = %s"
_NAMES: Final = "SELECT name FROM twisted_bazaar_index.files WHERE peer = %s AND name = ANY(%s::text[])"
# Those in a change, and one more if there is any.
_ITEMS: Final = """
    SELECT item FROM twisted_bazaar_index.goods WHERE peer = %s AND bazaar = %s AND item = ANY(%s::text[])
    UNION ALL (SELECT item FROM twisted_bazaar_index.goods WHERE peer = %s AND bazaar = %s LIMIT 1)"""
_SELLS: Final = "SELECT EXISTS (SELECT FROM twisted_bazaar_index.goods WHERE peer = %s AND bazaar = %s)"
_ADD: Final = """
    INSERT INTO twisted_bazaar_index.files (peer, name, size, digest, is_whole, folded, words)
    SELECT %s, name, size, digest, is_whole, folded, array_to_tsvector(string_to_array(words, ' '))
    FROM unnest(%s::text[], %s::bigint[], %s::bytea[], %s::boolean[], %s::text[], %s::text[])
        AS new (name, size, digest, is_whole, folded, words)
    ON CONFLICT (peer, name) DO UPDATE SET
        size = excluded.size, digest = excluded.digest, is_whole = excluded.is_whole"""
_REMOVE: Final = "DELETE FROM twisted_bazaar_index.files WHERE peer = %s AND name = ANY(%s::text[])"
_OFFER: Final = """
    INSERT INTO twisted_bazaar_index.goods (peer, bazaar, item) SELECT %s, %s, item FROM unnest(%s::text[]) AS item
    ON CONFLICT DO NOTHING"""
_WITHDRAW: Final = """
    DELETE FROM twisted_bazaar_index.goods WHERE peer = %s AND bazaar = %s AND item = ANY(%s::text[])"""
# What another server is at work on is left to it.
_EXPIRE: Final = """
    UPDATE twisted_bazaar_index.peers
    SET until = CASE WHEN is_there THEN now() + %s * interval '1 second' ELSE until END,
        key = CASE WHEN is_there AND listed > 0 THEN key END, is_there = false
    WHERE number IN (
        SELECT number FROM twisted_bazaar_index.peers WHERE key IS NOT NULL AND until <= now()
        FOR NO KEY UPDATE SKIP LOCKED
    )
    RETURNING charged_to, weight, key IS NULL"""
_FORGET: Final = """
    UPDATE twisted_bazaar_index.peers SET key = NULL WHERE number IN (
        SELECT number FROM twisted_bazaar_index.peers WHERE key IS NOT NULL AND number IN (
            SELECT number FROM twisted_bazaar_index.peers WHERE key IS NOT NULL AND NOT is_there
            ORDER BY until DESC, number DESC OFFSET %s
        ) FOR NO KEY UPDATE SKIP LOCKED
    )
    RETURNING charged_to, weight, true"""
_AWAY: Final = """
    SELECT number, charged_to, weight FROM twisted_bazaar_index.peers
    WHERE key IS NOT NULL AND NOT is_there AND number <> %s ORDER BY until, number LIMIT 50
    FOR NO KEY UPDATE SKIP LOCKED"""
_AWAY_OF_HOST: Final = _AWAY.replace("ORDER BY", "AND charged_to = %s ORDER BY")
_LONGEST: Final = """
    SELECT number, charged_to, weight FROM twisted_bazaar_index.peers
    WHERE key IS NOT NULL AND charged_to = %s ORDER BY weight DESC LIMIT 1
    FOR NO KEY UPDATE SKIP LOCKED"""
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
            AND (SELECT count(*) FROM files) < %(most)s AND (SELECT count(*) FROM goods) < %(most)s RETURNING weight
    )
    SELECT EXISTS (SELECT FROM gone), (SELECT coalesce(sum(weight), 0) FROM peers)"""


@frozen
class _Charged:
    """A list, and what it is charged."""

    number: int
    host: str
    weight: int


@frozen
class _Row(_Charged):
    """A peer as its row has it: its list is found if it is there."""

    mark: int
    listed: int
    is_there: bool


class Lists:
    """The lists of all peers.

    @param connection: of psycopg, in a transaction.
    @param server: the process that asks.
    @param most_bytes: what all lists may weigh.
    """

    def __init__(self, connection: Any, server: str, lease_s: float, most_a_peer: int, most_bytes: int) -> None:
        self._connection = connection
        self._server = server
        self._lease_s = lease_s
        self._most_a_peer = most_a_peer
        self._most_bytes = most_bytes
        self._account = Account(connection, most_bytes)

    def renew(self, peer: Peer, mark: int, load: int) -> int:
        """Believe a list for another lease."""
        row = self._enter(peer)
        if mark == row.mark and not row.is_there:
            self._do(_COME, self._lease_s, row.number)
        self._do(_LOAD, load, row.number)
        self._account.write_down()
        return row.mark

    def update(self, peer: Peer, update: Update) -> int:
        """Change a list, if that is what the change builds on.

        @raise TooMany: it lists too much.
        """
        row = self._enter(peer)
        if update.base not in (NOTHING_LISTED, row.mark):
            self._account.write_down()
            return row.mark
        is_anew = update.base == NOTHING_LISTED and (row.listed > 0 or not row.is_there)
        growth = self._growth(row, update, is_anew=is_anew)
        if growth.is_any:
            listed, instead_of = (0, row.weight) if is_anew else (row.listed, 0)
            self._check(row, listed + growth.entries, growth.size_bytes, instead_of)
        if is_anew:
            row = self._begin_anew(row, peer)
        elif not row.is_there:
            self._do(_COME, self._lease_s, row.number)
        more_bytes = growth.size_bytes
        if update.remove:
            self._do(_REMOVE, row.number, _plain(update.remove))
        if update.withdraw:
            more_bytes -= self._withdraw(row, update)
        if update.add:
            self._add(row.number, update.add)
        if update.offer:
            self._do(_OFFER, row.number, update.bazaar, list(update.offer))
        return self._note(row, update.mark, row.listed + growth.entries, more_bytes)

    def add(self, peer: Peer, file: File) -> int:
        """List one file.

        @raise TooMany: it is one too many.
        """
        row = self._believed(peer)
        more_bytes = 0 if self._listed(row, [file.name]) else weight_of_file(file.name)
        listed = row.listed + (more_bytes > 0)
        if more_bytes:
            self._check(row, listed, more_bytes)
        self._add(row.number, [file])
        return self._move_on(row, listed, more_bytes)

    def remove(self, peer: Peer, name: str) -> int:
        """List a file no more."""
        row = self._believed(peer)
        is_listed = bool(self._listed(row, [name]))
        if is_listed:
            self._do(_REMOVE, row.number, [name])
        return self._move_on(row, row.listed - is_listed, -weight_of_file(name) if is_listed else 0)

    def peer_left(self, key: str) -> None:
        """A peer's link to this server is gone."""
        self._retire(_LEAVE, KEPT_S, bytes.fromhex(key), self._server)
        self._account.write_down()

    def expire(self) -> bool:
        """See whose time is over, and clear some of what those had who have gone; returns whether there is more."""
        self._retire(_EXPIRE, KEPT_S)
        self._retire(_FORGET, MOST_KEPT)
        has_more, _ = self._clear(CLEARED_AT_ONCE)
        self._account.write_down()
        return has_more

    # Inside: who lists.

    def _enter(self, peer: Peer) -> _Row:
        """The row of a peer, made if there is none, and locked until the end of the transaction."""
        address = peer.address
        who = (bytes.fromhex(peer.key), peer.id, address.host, address.port, peer.udp_port, address.is_local)
        values = (*who, peer.network, LISTER_BYTES, self._server, self._lease_s, KEPT_S)
        *known, is_new = self._connection.execute(_ENTER, values).fetchone()
        row = _Row(*known)
        if is_new:
            self._account.charge(row.host, row.weight)
        return row

    def _believed(self, peer: Peer) -> _Row:
        """For changes that do not say what they build on: over a new link on nothing."""
        row = self._enter(peer)
        return row if row.is_there else self._begin_anew(row, peer)

    def _begin_anew(self, row: _Row, peer: Peer) -> _Row:
        self._let_go(row)
        return self._enter(peer)

    def _let_go(self, row: _Charged) -> None:
        self._do(_LET_GO, row.number)
        self._account.retire(row.host, row.weight)

    def _retire(self, query: str, *values: Any) -> None:
        """Change who is there; those who are let go by that are charged no more."""
        for host, weight, is_let_go in self._connection.execute(query, values).fetchall():
            if is_let_go:
                self._account.retire(host, weight)

    def _clear(self, most: int) -> tuple[bool, int]:
        """Clear some of what one had who has gone; returns whether there may be more, and the bytes given back."""
        has_more, cleared = self._connection.execute(_CLEAR, {"most": most}).fetchone()
        self._account.release(int(cleared))
        return bool(has_more), int(cleared)

    # Inside: what they list.

    def _move_on(self, row: _Row, listed: int, more_bytes: int) -> int:
        return self._note(row, row.mark + 1 if row.mark < LARGEST_INTEGER else NOTHING_LISTED + 1, listed, more_bytes)

    def _note(self, row: _Row, mark: int, listed: int, more_bytes: int) -> int:
        """A list has changed; returns its mark."""
        # What a list of an older form weighs is not known to the byte.
        weight = max(row.weight + more_bytes, LISTER_BYTES)
        self._do(_MARK, mark, listed, weight, row.number)
        self._account.charge(row.host, weight - row.weight)
        self._account.write_down()
        return mark

    def _listed(self, row: _Row, names: Sequence[str]) -> set[str]:
        """Those of some file names that are in a list."""
        plain = _plain(names)
        if not plain or not row.listed:
            return set()
        return {name for (name,) in self._connection.execute(_NAMES, (row.number, plain)).fetchall()}

    def _growth(self, row: _Row, update: Update, *, is_anew: bool) -> Growth:
        """The growth of a list by a change."""
        if is_anew or not row.listed:
            return growth_by(update, (), ())
        files = self._listed(row, [*(file.name for file in update.add), *update.remove])
        if not (update.offer or update.withdraw):
            return growth_by(update, files, ())
        where = (row.number, update.bazaar)
        values = (*where, _plain([*update.offer, *update.withdraw]), *where)
        goods = {item for (item,) in self._connection.execute(_ITEMS, values).fetchall()}
        return growth_by(update, files, goods)

    def _withdraw(self, row: _Row, update: Update) -> int:
        """List some goods no more; returns what the bazaar weighed if these were all in it."""
        where = (row.number, update.bazaar)
        query = (*where, _plain(update.withdraw))
        [sold_before] = self._connection.execute(_SELLS, where).fetchone()
        self._do(_WITHDRAW, *query)
        [sells] = self._connection.execute(_SELLS, where).fetchone()
        if sells or not sold_before or update.offer:
            return 0
        return weight_of_bazaar(update.bazaar)

    def _add(self, number: int, files: Sequence[File]) -> None:
        # Of two with one name the later counts.
        named = {file.name: file for file in files}.values()
        self._do(
            _ADD,
            number,
            [file.name for file in named],
            [file.size for file in named],
            [bytes.fromhex(file.digest) for file in named],
            [file.whole for file in named],
            [folded(file.name) for file in named],
            [" ".join(short_words_of(file.name)) for file in named],
        )

    def _do(self, query: str, *values: Any) -> None:
        self._connection.execute(query, values)

    # Inside: room.

    def _check(self, row: _Row, listed: int, more_bytes: int, instead_of: int = 0) -> None:
        """See that a peer may list so much, and that there is room for it.

        @raise TooMany: no; those who had to go for it have gone.
        """
        check_list(self._most_bytes, self._most_a_peer, listed, row.weight + more_bytes - instead_of)
        if self._account.usage(row.host).room_for(more_bytes, instead_of) is Room.YES:
            return
        budget = self._account.budget()
        try:
            self._make_room(budget, row, more_bytes, instead_of)
        except TooMany:
            self._account.write_down()
            self._connection.commit()
            raise

    def _make_room(self, budget: ByteBudget, row: _Row, more_bytes: int, instead_of: int) -> None:
        def let_go(gone: _Charged) -> None:
            self._let_go(gone)
            budget.retire(gone.host, gone.weight)

        def longest_of(host: Hashable) -> _Charged | None:
            found = self._connection.execute(_LONGEST, [host]).fetchone()
            return None if found is None else _Charged(*found)

        def away(host: Hashable | None) -> Iterator[_Charged]:
            query, values = (_AWAY, [row.number]) if host is None else (_AWAY_OF_HOST, [row.number, host])
            while found := self._connection.execute(query, values).fetchall():
                yield from (_Charged(*each) for each in found)

        make_room(budget, row.host, more_bytes, instead_of, away, longest_of, let_go)
        for _ in range(_CLEARED_FOR_ROOM // _CLEARED_AT_A_TIME):
            if budget.used + more_bytes <= budget.total:
                break
            has_more, cleared = self._clear(_CLEARED_AT_A_TIME)
            budget.release(cleared)
            if not has_more:
                break
        check_cleared(budget, more_bytes)


def short_words_of(text: str) -> list[str]:
    """The words of a text, as far as they are in the index."""
    return list(dict.fromkeys(word[:LONGEST_WORD] for word in words_of(text)))


def is_plain(text: str | None) -> bool:
    """Whether there could be such a text in a database; nothing that is listed has another."""
    return text is None or "\0" not in text


def _plain(names: Sequence[str]) -> list[str]:
    return [name for name in names if is_plain(name)]
