"""A directory in PostgreSQL, as one transaction sees it: who has what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from twisted_bazaar.discovery.index.directory.directory import Counts
from twisted_bazaar.discovery.index.directory.pages import Rank, is_list_of_all, page_of, rank_of, read_cursor
from twisted_bazaar.discovery.index.postgres.lists import LONGEST_WORD, is_plain, short_words_of
from twisted_bazaar.discovery.index.words import folded
from twisted_bazaar.errors import PeerError
from twisted_bazaar.values.addresses import LEAST_OF_KEY, Address, Peer
from twisted_bazaar.values.files import FileQuery, FileSource, FoundFile, Page
from twisted_bazaar.wire.message import LARGEST_INTEGER

_IS_NAMED: Final = "is_there AND until > now() AND port <> 0 AND (NOT is_local OR %(is_local)s)"
_TITLES: Final = f"""
    SELECT name, digest, size, count(*) FILTER (WHERE is_whole) AS wholes, count(*) AS holders,
        {{inexact}} AS is_inexact
    FROM twisted_bazaar_index.files JOIN twisted_bazaar_index.peers ON number = peer
    WHERE {_IS_NAMED} AND {{fits}} GROUP BY name, digest, size"""
_FIND: Final = """
    WITH found AS MATERIALIZED ({titles})
    SELECT total, name, digest, size, wholes, holders FROM (SELECT count(*) AS total FROM found) AS all_found
    LEFT JOIN LATERAL (
        SELECT * FROM found WHERE {is_after} ORDER BY is_inexact, -wholes, name, digest, size LIMIT %(most)s
    ) AS page ON true ORDER BY is_inexact, -wholes, name, digest, size"""
_LIST: Final = """
    SELECT total, name, digest, size, wholes, holders
    FROM (SELECT count(*) AS total FROM ({titles}) AS title) AS all_found
    LEFT JOIN LATERAL (
        SELECT * FROM ({after}) AS title ORDER BY name, digest, size LIMIT %(most)s
    ) AS page ON true ORDER BY name, digest, size"""
_SOURCES: Final = f"""
    SELECT number, id, key, host, port, udp, load + named, bool_or(is_whole)
    FROM twisted_bazaar_index.files JOIN twisted_bazaar_index.peers ON number = peer
    WHERE digest = %(digest)s AND {_IS_NAMED} AND key <> %(asker)s
    GROUP BY number ORDER BY load + named, named_at, number LIMIT %(most)s"""
_SELLERS: Final = f"""
    SELECT number, id, key, host, port, udp FROM twisted_bazaar_index.peers
    WHERE {_IS_NAMED} AND key <> %(asker)s AND (%(key)s::bytea IS NULL OR key = %(key)s)
        AND EXISTS (SELECT FROM twisted_bazaar_index.goods WHERE peer = number AND bazaar = %(bazaar)s
            AND (%(item)s::text IS NULL OR item = %(item)s))
    ORDER BY load + named, named_at, number LIMIT %(most)s"""
# The first is likely to have most to do of it, and so is the last to be named again.
_NOTE_NAMED: Final = """
    WITH turn AS (
        SELECT 1000 * nextval('twisted_bazaar_index.namings') AS start
    ), free AS (
        SELECT number FROM twisted_bazaar_index.peers WHERE number = ANY(%(numbers)s::bigint[])
        ORDER BY number FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE twisted_bazaar_index.peers SET named = named + 1,
        named_at = (SELECT start FROM turn) - array_position(%(numbers)s::bigint[], peers.number)
    FROM free WHERE peers.number = free.number"""
# A word may be in all names there are: of 100,000 the titles take 36 MB, which are not to go by way of the disk.
_MUCH_MEMORY: Final = "SET LOCAL work_mem = '64MB'"
_COUNTS: Final = """
    SELECT (SELECT count(*) FROM twisted_bazaar_index.peers WHERE is_there AND until > now()),
        (SELECT count(*) FROM (SELECT DISTINCT name, digest, size FROM twisted_bazaar_index.files
            JOIN twisted_bazaar_index.peers ON number = peer WHERE key IS NOT NULL) AS title),
        (SELECT coalesce(sum(listed), 0) FROM twisted_bazaar_index.peers WHERE key IS NOT NULL),
        (SELECT count(*) FROM (SELECT DISTINCT bazaar, item FROM twisted_bazaar_index.goods
            JOIN twisted_bazaar_index.peers ON number = peer WHERE key IS NOT NULL) AS good),
        (SELECT coalesce(sum(size_bytes), 0) FROM twisted_bazaar_index.hosts)"""


_IS_OWNED: Final = f"""(name, digest, size) IN (
        SELECT name, digest, size FROM twisted_bazaar_index.files JOIN twisted_bazaar_index.peers ON number = peer
        WHERE {_IS_NAMED} AND (id::text = %(owner)s
            OR (length(%(owner)s) >= {LEAST_OF_KEY} AND starts_with(encode(key, 'hex'), %(owner)s))))"""
_DIGITS: Final = 64


class Questions:
    """The questions to a directory.

    @param connection: of psycopg, in a transaction.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def find(self, query: FileQuery, asker: Peer) -> Page:
        """Look for files.

        @raise PeerError: what it is to go on after was no page's end.
        """
        after = None if query.after is None else _checked(read_cursor(query.after))
        words = None if query.words is None else short_words_of(query.words)
        if words == [] or not (is_plain(query.name) and is_plain(query.words)):
            return Page((), 0)
        values: dict[str, Any] = {
            "is_local": asker.address.is_local,
            "most": query.most + 1,
            "name": query.name,
            "digest": None if query.digest is None else bytes.fromhex(query.digest.ljust(_DIGITS, "0")),
            "last_digest": None if query.digest is None else bytes.fromhex(query.digest.ljust(_DIGITS, "f")),
            "owner": query.owner,
            "words": None if words is None else _tsquery(words),
            "folded": None if query.words is None else folded(query.words),
        }
        if after is not None:
            values |= dict(zip(("after_inexact", "after_wholes", "after_name"), after, strict=False))
            values |= {"after_digest": bytes.fromhex(after[3]), "after_size": after[4]}
        if query.words is not None:
            self._connection.execute(_MUCH_MEMORY)
        rows = self._connection.execute(_find_query(query, after is not None), values).fetchall()
        files = [
            FoundFile(name, size, bytes(digest).hex(), wholes, holders - wholes)
            for _, name, digest, size, wholes, holders in rows
            if name is not None
        ]
        return page_of([(rank_of(file, query), file) for file in files], query, rows[0][0])

    def sources(self, digest: str, most: int, asker: Peer) -> Sequence[FileSource]:
        """Find the sources of a file, the least loaded first."""
        rows = self._named(_SOURCES, asker, most, digest=bytes.fromhex(digest))
        return [
            FileSource(node_id, bytes(key).hex(), Address(host, port), is_whole, min(load, LARGEST_INTEGER), udp)
            for _, node_id, key, host, port, udp, load, is_whole in rows
        ]

    def sellers(self, bazaar: str, item: str | None, key: str | None, most: int, asker: Peer) -> Sequence[Peer]:
        """Find sellers of an item, or the seller with a key."""
        if not (is_plain(bazaar) and is_plain(item)):
            return []
        seller = None if key is None else bytes.fromhex(key)
        rows = self._named(_SELLERS, asker, most, bazaar=bazaar, item=item, key=seller)
        return [
            Peer(node_id, bytes(key).hex(), Address(host, port), udp_port=udp)
            for _, node_id, key, host, port, udp in rows
        ]

    def counts(self) -> Counts:
        """The sizes of the directory; words are not counted."""
        peers, files, entries, goods, size_bytes = map(int, self._connection.execute(_COUNTS).fetchone())
        return Counts(peers, files, entries, goods, 0, size_bytes)

    def _named(self, query: str, asker: Peer, most: int, **values: Any) -> Sequence[Any]:
        who = {"asker": bytes.fromhex(asker.key), "is_local": asker.address.is_local, "most": most}
        rows: Sequence[Any] = self._connection.execute(query, {**values, **who}).fetchall()
        if rows:
            self._connection.execute(_NOTE_NAMED, {"numbers": [row[0] for row in rows]})
        return rows


def _find_query(query: FileQuery, goes_on: bool) -> str:
    if is_list_of_all(query):
        is_after = "(name, digest, size) > (%(after_name)s, %(after_digest)s, %(after_size)s)" if goes_on else "true"
        titles, after = (_TITLES.format(inexact="false", fits=fits) for fits in ("true", is_after))
        return _LIST.format(titles=titles, after=after)
    fits = {
        "name = %(name)s": query.name,
        "digest BETWEEN %(digest)s AND %(last_digest)s": query.digest,
        _IS_OWNED: query.owner,
        "words @@ %(words)s::tsquery": query.words,
    }
    titles = _TITLES.format(
        inexact="false" if query.words is None else "NOT bool_or(folded = %(folded)s)",
        fits=" AND ".join(each for each, value in fits.items() if value is not None),
    )
    is_after = (
        "(is_inexact, -wholes, name, digest, size) > (%(after_inexact)s::boolean, %(after_wholes)s::bigint,"
        " %(after_name)s, %(after_digest)s::bytea, %(after_size)s::bigint)"
    )
    return _FIND.format(titles=titles, is_after=is_after if goes_on else "true")


def _tsquery(words: Sequence[str]) -> str:
    """Words as the database takes them; nothing in them has a meaning there."""
    *whole, beginning = words
    return " & ".join([*(f"'{word}'" for word in whole), f"'{beginning[:LONGEST_WORD]}':*"])


def _checked(after: Rank) -> Rank:
    """The end of a page, in a form that the database takes.

    @raise PeerError: it was none.
    """
    _, wholes, name, digest, size = after
    try:
        bytes.fromhex(digest)
        name.encode()
    except ValueError:
        raise PeerError("after: not the `next` of a page") from None
    if not (is_plain(name) and -LARGEST_INTEGER <= wholes <= 0 <= size <= LARGEST_INTEGER):
        raise PeerError("after: not the `next` of a page")
    return after
