"""What the store in PostgreSQL says before it meets a server."""

from __future__ import annotations

import sys

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from twisted_bazaar.errors import UsageError
from twisted_bazaar.trade.stores.postgres import PostgresStore


class PostgresStoreTests(SynchronousTestCase):
    """A store that is made."""

    def test_without_psycopg(self) -> None:
        """Where psycopg is not installed, the user is told how to install it."""
        here = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "psycopg"}
        self.addCleanup(sys.modules.update, here)
        self.addCleanup(sys.modules.pop, "psycopg")
        sys.modules["psycopg"] = None  # type: ignore[assignment]
        error = self.assertRaises(UsageError, PostgresStore, "postgresql://localhost/town")
        self.assertIn("pip install 'twisted_bazaar[postgres]'", str(error))

    def test_no_url(self) -> None:
        """What is no address of a database is refused, and nothing that could be a password is shown."""
        try:
            import psycopg  # noqa: F401
        except ImportError as error:
            raise SkipTest("psycopg is not installed") from error
        for url in ("postgresql://me:s3cret%zz@host/town", "s3cret", "postgresql://me@host/town?s3cret=1"):
            error = self.assertRaises(UsageError, PostgresStore, url)
            self.assertNotIn("s3cret", f"{error} {error.__cause__}")
            self.assertIn("postgresql://", str(error))
