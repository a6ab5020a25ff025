"""Connections to PostgreSQL, by way of psycopg and C{twisted.enterprise.adbapi}.

One connection in a thread of its own: what is run on it is one transaction after the other. When it breaks, it is
made anew for whoever needs it next.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

from attrs import frozen
from twisted.enterprise import adbapi
from twisted.internet.defer import Deferred, DeferredLock, fail, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.errors import StorageError, UsageError
from twisted_bazaar.timer import Timer

T = TypeVar("T")

PATIENCE_S: Final = 20.0
_TRIES: Final = 5
_CONNECT_TIMEOUT_S: Final = 5
# What a URL may say otherwise: a server that is gone without a word is found out within seconds.
_MANNERS: Final[dict[str, Any]] = {
    "connect_timeout": _CONNECT_TIMEOUT_S,
    "application_name": "twisted_bazaar",
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
# Nobody may keep the others from anything: who stands still in a transaction loses it.
_SETTINGS: Final = """
    SELECT set_config('statement_timeout', '15s', false), set_config('lock_timeout', '10s', false),
        set_config('idle_in_transaction_session_timeout', '15s', false),
        CASE WHEN %s THEN set_config('synchronous_commit', 'off', false)
            WHEN current_setting('synchronous_commit') IN ('off', 'local')
            THEN set_config('synchronous_commit', 'on', false) END,
        current_setting('server_encoding'), current_setting('fsync')"""
# In others there are names that cannot be written. SQL_ASCII keeps whatever bytes it gets.
_ENCODINGS: Final = frozenset({"UTF8", "SQL_ASCII"})
# Not to_regclass, which remembers, while one waits for the lock, that there was none.
_HAS_FORMS: Final = """
    SELECT EXISTS (SELECT FROM pg_catalog.pg_tables WHERE schemaname = %s AND tablename = 'forms')"""
_FORM: Final = "SELECT coalesce(max(number), 0) FROM {0}.forms"
_MAKE_FORMS: Final = """
    CREATE SCHEMA IF NOT EXISTS {0};
    CREATE TABLE IF NOT EXISTS {0}.forms (number integer PRIMARY KEY)"""
_NOTE_FORM: Final = "INSERT INTO {0}.forms VALUES (%s)"


@frozen
class Kind:
    """A kind of thing that is kept in a database.

    @ivar name: what people call it.
    @ivar schema: where its tables are.
    @ivar lock: what everybody waits for who would change their form.
    @ivar forms: the changes that lead to their newest form.
    @ivar is_soft: whether it does no harm if the last of it is lost when the server's machine fails.
    """

    name: str
    schema: str
    lock: int
    forms: Sequence[str]
    is_soft: bool = False


class Database:
    """Keeps something in a database.

    @param url: C{postgresql://user:password@host:port/database}; where a password is missing, libpq's ways to
        one are tried.
    @param patience_s: seconds until a server that does not answer is given up.
    @raise UsageError: psycopg is not installed, or the URL is none.
    """

    def __init__(self, url: str, kind: Kind, patience_s: float = PATIENCE_S) -> None:
        self._kind = kind
        self._psycopg = _load()
        try:
            parameters = self._psycopg.conninfo.conninfo_to_dict(url)
        except self._psycopg.Error:
            # What libpq says of it could show a part of the password.
            raise UsageError("the address of the database is not like postgresql://user@host:port/database") from None
        self._parameters = _MANNERS | parameters | {"client_encoding": "UTF8"}
        self._name = "{}/{}".format(parameters.get("host", "PostgreSQL"), parameters.get("dbname", ""))
        self._patience_s = patience_s
        errors = self._psycopg.errors
        self._lost_races = (errors.SerializationFailure, errors.DeadlockDetected, errors.UniqueViolation)
        # What is run waits for its turn, and while this is not open, for that.
        self._turns = DeferredLock()
        self._turns.acquire()
        self._is_waiting_for_open = True
        self._pool: adbapi.ConnectionPool | None = None
        self._is_closed = False
        self._at_work: Any = None
        self._is_given_up = False
        self._is_committing = False

    def check(self) -> None:
        """See whether the database can be used, before there is a reactor.

        @raise UsageError: it cannot; the text says why.
        """
        try:
            connection = self._psycopg.connect(**self._parameters)
            self._prepare(connection)
            connection.close()
        except StorageError as error:
            raise UsageError(str(error)) from None
        except self._psycopg.Error as error:
            raise UsageError(str(self._told(error))) from None

    def open(self, reactor: Any) -> None:
        """Begin; what is run before it is open waits."""
        self._reactor = reactor
        self._pool = adbapi.ConnectionPool(
            "psycopg", cp_reactor=reactor, cp_min=1, cp_max=1, cp_openfun=self._prepare, **self._parameters
        )
        self._pool.connectionFactory = _Connection
        self._is_waiting_for_open = False
        self._turns.release()

    def run(self, work: Callable[[Any], T]) -> Deferred[T]:
        """Do something with a connection of psycopg in a thread, as one transaction; fires when it is done.

        The connection is in pipeline mode: what is not read does not wait for the server. Work is done again if
        others were in the way.

        @raise StorageError: it was not done, or it is not known whether it was.
        """
        if self._is_closed:
            return fail(StorageError(f"the {self._kind.name} is closed"))
        return self._turns.run(self._take_turn, work)

    def close(self) -> Deferred[None]:
        """End when everything begun is done; fires then."""
        is_first, self._is_closed = not self._is_closed, True
        if self._pool is None:
            if self._is_waiting_for_open:
                # Who waits for what is never opened is told.
                self._is_waiting_for_open = False
                self._turns.release()
            return succeed(None)
        return self._turns.run(self._pool.close if is_first else lambda: None)

    def _take_turn(self, work: Callable[[Any], T]) -> Deferred[T]:
        if self._pool is None:
            return fail(StorageError(f"the {self._kind.name} was never opened"))
        self._is_given_up = self._is_committing = False
        patience = Timer(self._reactor, self._give_up)
        patience.set(self._patience_s)
        done: Deferred[T] = self._pool.runWithConnection(self._transact, work)

        def finish(result: T | Failure) -> T | Failure:
            self._at_work = None
            patience.cancel()
            return result

        def explain(failure: Failure) -> Failure:
            error = failure.value
            return failure if not isinstance(error, self._psycopg.Error) else Failure(self._told(error))

        done.addBoth(finish)
        return done.addErrback(explain)

    def _give_up(self) -> None:
        """Cut off what waits for the server in its thread."""
        self._is_given_up = True
        connection = self._at_work
        if connection is not None and not connection.closed:
            with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as ours:
                ours.shutdown(socket.SHUT_RDWR)

    def _transact(self, connection: _Connection, work: Callable[[Any], T]) -> T:
        """In the thread: do something, again if others were in the way or the server had been restarted."""
        has_reconnected = False
        for tries_left in reversed(range(_TRIES)):
            try:
                return self._try(connection.raw, work)
            except self._lost_races:
                connection.raw.rollback()
                if not tries_left:
                    raise
            except self._psycopg.OperationalError:
                if not connection.raw.closed or self._is_committing or has_reconnected or self._is_given_up:
                    raise
                has_reconnected = True
                connection.reconnect()
        raise AssertionError("the last try returns or raises")

    def _try(self, raw: Any, work: Callable[[Any], T]) -> T:
        self._at_work = raw
        self._is_committing = False
        with raw.pipeline():
            result = work(raw)
            self._is_committing = True
            raw.commit()
        self._is_committing = False
        return result

    def _prepare(self, raw: Any) -> None:
        """In the thread: make a new connection fit for use, and what is kept if it is not there.

        @raise StorageError: a newer version made it, or the database cannot hold it.
        """
        self._at_work = raw
        try:
            raw.isolation_level = self._psycopg.IsolationLevel.READ_COMMITTED
            *_, encoding, fsync = raw.execute(_SETTINGS, [self._kind.is_soft]).fetchone()
            if encoding not in _ENCODINGS:
                raise StorageError(
                    f"{self._name}: the database is in {encoding}, which cannot hold every name; make one in UTF8"
                )
            if fsync != "on" and not self._kind.is_soft:
                _log.warn(
                    "{name}: the server's fsync is off: it can lose sales when its machine fails", name=self._name
                )
            form = self._form(raw)
            raw.commit()
            while form < len(self._kind.forms):
                form = self._upgrade(raw)
                raw.commit()
            if form > len(self._kind.forms):
                raise StorageError(
                    f"{self._name}: a newer version of twisted_bazaar made this {self._kind.name} (form {form}, and "
                    f"this one knows {len(self._kind.forms)}); use that version"
                )
        except BaseException:
            raw.close()
            raise

    def _upgrade(self, raw: Any) -> int:
        """Bring what is kept into its next form, unless another process has; returns the form it has then."""
        raw.execute("SELECT pg_advisory_xact_lock(%s)", [self._kind.lock])
        form = self._form(raw)
        if form < len(self._kind.forms):
            if form == 0:
                raw.execute(_MAKE_FORMS.format(self._kind.schema))
            raw.execute(self._kind.forms[form])
            form += 1
            raw.execute(_NOTE_FORM.format(self._kind.schema), [form])
        return form

    def _form(self, raw: Any) -> int:
        [has_forms] = raw.execute(_HAS_FORMS, [self._kind.schema]).fetchone()
        return int(raw.execute(_FORM.format(self._kind.schema)).fetchone()[0]) if has_forms else 0

    def _told(self, error: BaseException) -> StorageError:
        """The error that a caller gets when something could not be read or written."""
        lines = str(error).splitlines() or [type(error).__name__]
        text = "the server does not answer" if self._is_given_up else lines[0]
        if self._is_committing:
            text += "; whether the last was done is not known"
        password = self._parameters.get("password")
        return StorageError(f"{self._name}: {text.replace(password, '***') if password else text}")


_log = Logger()


class _Connection(adbapi.Connection):
    """A connection that is given up, and made anew for whoever needs it next, when it is broken.

    C{adbapi}'s own asks the server after each error whether it is still there, and logs a traceback if not.
    """

    @property
    def raw(self) -> Any:
        """The connection of psycopg."""
        return self._connection

    def reconnect(self) -> None:
        """Have a new one."""
        if self._connection is not None:
            self._pool.disconnect(self._connection)
        self._connection = self._pool.connect()

    def rollback(self) -> None:
        """Take back everything since the last commit. If it is broken, who needs it next has a new one."""
        with suppress(self._pool.dbapi.Error):
            self.raw.rollback()


def _load() -> Any:
    """The package that speaks with PostgreSQL.

    @raise UsageError: it is not installed.
    """
    try:
        import psycopg
    except ImportError as error:
        raise UsageError(
            f"PostgreSQL needs one more package: pip install 'twisted_bazaar[postgres]' ({error})"
        ) from error
    return psycopg
