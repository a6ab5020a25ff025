"""Values with their places: which is in force, what is typed for them, what is shown of them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_bazaar.settings.values import (
    DEFAULT,
    TYPED,
    Place,
    Setting,
    Source,
    as_words,
    merged,
    with_sources,
    without_secrets,
)

FILE = Source(Place.FILE, "b.toml", "seller")
VARIABLE = Source(Place.ENVIRONMENT, "BAZAAR_STOCK")


class LayerTests(SynchronousTestCase):
    """Several values of one option."""

    def test_highest(self) -> None:
        """The highest layer wins; a list stands instead of the one below, and is not added to it."""
        low = {"stock": Setting(("apple", "pear"), FILE), "name": Setting("ben", FILE)}
        high = {"stock": Setting(("plum",), VARIABLE)}
        self.assertEqual(merged(low, high), {"stock": Setting(("plum",), VARIABLE), "name": Setting("ben", FILE)})

    def test_words(self) -> None:
        """A setting is typed as one would; what is switched off is left out."""
        settings = {
            "once": Setting(True, FILE),
            "ephemeral": Setting(False, FILE),
            "for": Setting("-x y", FILE),
            "want": Setting(("red apple", "pear=2"), FILE),
            "state": Setting(None, DEFAULT),
        }
        self.assertEqual(as_words(settings), ["--once", "--for=-x y", "--want=red apple", "--want=pear=2"])

    def test_sources(self) -> None:
        """What is wrong is told with the places that the user has to look at, each once."""
        settings = {"stock": Setting(("x",), FILE), "name": Setting("y", VARIABLE)}
        self.assertEqual(
            with_sources("--stock 'x': no; see --stock", settings),
            ("--stock 'x': no; see --stock; --stock is from b.toml [seller]"),
        )
        self.assertEqual(with_sources("--listen: no", settings), "--listen: no")
        self.assertEqual(
            [str(source) for source in (DEFAULT, TYPED, VARIABLE)],
            [
                "default",
                "command line",
                "BAZAAR_STOCK",
            ],
        )


class SecretTests(SynchronousTestCase):
    """What is shown of values."""

    def test_passwords(self) -> None:
        """Passwords in addresses are hidden whatever they hold, and so are those that have a name."""
        for text, shown in (
            ("postgresql://ben:pw@db:5432/x", "postgresql://ben:***@db:5432/x"),
            ("postgresql://ben:p@w/:?#@db/x", "postgresql://ben:***@db/x"),
            ("postgresql://:pw@db", "postgresql://:***@db"),
            ("postgresql://ben@db/x?password=p%20w&user=y", "postgresql://ben@db/x?password=***&user=y"),
            ("host=db password='p w' user=y", "host=db password=*** user=y"),
            ("tcp:127.0.0.1:9000", "tcp:127.0.0.1:9000"),
            ("red apple=5@40", "red apple=5@40"),
        ):
            self.assertEqual(without_secrets("ledger", text), shown)
        self.assertEqual(without_secrets("api-token", "abc"), "***")
