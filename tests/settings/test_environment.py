"""Settings in environment variables."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.settings.cases import KINDS, KNOWN
from twisted_bazaar.errors import UsageError
from twisted_bazaar.settings.environment import environment_doubts, environment_settings, variable_of
from twisted_bazaar.settings.values import Value


class EnvironmentTests(SynchronousTestCase):
    """C{BAZAAR_*}."""

    def values(self, **environment: str) -> dict[str, Value | None]:
        """What these variables set."""
        found = environment_settings({f"BAZAAR_{name}": text for name, text in environment.items()}, KINDS)
        self.assertEqual([setting.source.name for setting in found.values()], [variable_of(name) for name in found])
        return {name: setting.value for name, setting in found.items()}

    def test_names(self) -> None:
        """A variable is called like its option, in capitals."""
        self.assertEqual(variable_of("upload-slots"), "BAZAAR_UPLOAD_SLOTS")

    def test_kinds(self) -> None:
        """Of what may be given several times each has a line, so that it can hold blanks and commas."""
        self.assertEqual(
            self.values(LISTEN=" x", WANT="red apple, big\n pear=2 \n\n", ONCE="Yes"),
            {
                "listen": " x",
                "want": ("red apple, big", "pear=2"),
                "once": True,
            },
        )
        self.assertEqual(self.values(ONCE="0"), {"once": False})

    def test_empty(self) -> None:
        """An empty variable sets nothing."""
        self.assertEqual(self.values(LISTEN="", WANT="", ONCE=""), {})

    def test_wrong(self) -> None:
        """A flag that is neither yes nor no is refused by its name."""
        with self.assertRaises(UsageError) as caught:
            self.values(ONCE="maybe")
        self.assertEqual(str(caught.exception), "BAZAAR_ONCE: write yes or no, not 'maybe'")

    def test_doubts(self) -> None:
        """A variable that no program knows is told; those of other programs, and other names, are not."""
        names = ("BAZAAR_LISEN", "BAZAAR_QQQ", "BAZAAR_STOCK", "BAZAAR_OUTPUT", "BAZAAR_CONFIG", "HOME", "BAZAAR")
        self.assertEqual(
            list(environment_doubts(dict.fromkeys(names, "x"), KNOWN)),
            [
                "BAZAAR_LISEN sets nothing; did you mean BAZAAR_LISTEN?",
                "BAZAAR_QQQ sets nothing",
            ],
        )
