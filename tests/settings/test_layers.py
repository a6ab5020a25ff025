"""The file and the environment together."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.settings.cases import KINDS, KNOWN
from twisted_bazaar.errors import UsageError
from twisted_bazaar.settings.known import Known
from twisted_bazaar.settings.layers import LARGEST_FILE_BYTES, Layers


class LayersTests(SynchronousTestCase):
    """What lies below a command line."""

    def setUp(self) -> None:
        """Make a directory with a file."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.path = self.directory / "b.toml"
        self.path.write_text("listen = 'file'\nwant = ['a', 'b']\n")

    def test_order(self) -> None:
        """The environment wins over the file, which either the command line or the environment names."""
        environment = {"BAZAAR_WANT": "c", "BAZAAR_CONFIG": str(self.path)}
        for layers in (Layers.read(None, environment), Layers.read(str(self.path), {"BAZAAR_WANT": "c"})):
            found = layers.settings(KINDS, [])
            self.assertEqual(
                {name: setting.value for name, setting in found.items()},
                {
                    "listen": "file",
                    "want": ("c",),
                },
            )
        (self.directory / "other.toml").write_text("listen = 'other'")
        layers = Layers.read(str(self.directory / "other.toml"), environment)
        self.assertEqual(layers.settings(KINDS, [])["listen"].value, "other")

    def test_none(self) -> None:
        """Where no file is named none is read, and nobody is asked for what there is."""

        def nobody() -> Known:
            raise AssertionError("asked")

        layers = Layers.read(None, {"HOME": str(self.directory), "BAZAAR_CONFIG": ""})
        self.assertEqual((layers.file, layers.settings(KINDS, [])), (None, {}))
        self.assertEqual(Layers().check(nobody), ())

    def test_check(self) -> None:
        """Both are checked."""
        self.assertEqual(Layers.read(None, {"BAZAAR_QQQ": "x"}).check(lambda: KNOWN), ["BAZAAR_QQQ sets nothing"])
        self.path.write_text("x = 1")
        with self.assertRaises(UsageError):
            Layers.read(str(self.path), {}).check(lambda: KNOWN)

    def refusal(self, path: str) -> str:
        """Why a file is not read, after its name."""
        with self.assertRaises(UsageError) as caught:
            Layers.read(path, {})
        return str(caught.exception).partition(": ")[2]

    def test_unreadable(self) -> None:
        """What cannot be read is told in one line, with what names it."""
        hint = "; name a TOML file with settings"
        self.assertEqual(self.refusal("/nowhere/at/all"), f"No such file or directory{hint}")
        self.assertEqual(self.refusal(str(self.directory)), f"Is a directory{hint}")
        self.assertEqual(self.refusal(f"{self.path}/x"), f"Not a directory{hint}")
        self.assertEqual(self.refusal("a\0b"), f"embedded null byte{hint}")
        self.assertIn(hint, self.refusal("~nobody-of-this-name/x"))
        self.assertIn(hint, self.refusal(""))
        with self.assertRaises(UsageError) as caught:
            Layers.read(None, {"BAZAAR_CONFIG": "/nowhere"})
        self.assertEqual(str(caught.exception), f"BAZAAR_CONFIG /nowhere: No such file or directory{hint}")

    def test_too_big(self) -> None:
        """A file that does not end is not read to its end."""
        self.assertEqual(
            self.refusal(os.devnull.replace("null", "zero")),
            f"no settings file has more than {LARGEST_FILE_BYTES:,} bytes",
        )
