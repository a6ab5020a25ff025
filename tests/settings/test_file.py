"""Settings files: what they set, and what is refused in them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.settings.cases import KINDS, KNOWN, settings_file
from twisted_bazaar.errors import UsageError
from twisted_bazaar.settings.file import SettingsFile
from twisted_bazaar.settings.values import Kind, Place, Setting, Source, Value


class SettingsTests(SynchronousTestCase):
    """What a file sets."""

    def values(self, text: str, *tables: str) -> dict[str, Value | None]:
        """The values that count with some tables."""
        return {name: setting.value for name, setting in settings_file(text).settings(KINDS, tables).items()}

    def test_kinds(self) -> None:
        """Numbers may be written as numbers, flags as truth values, and one of many without a list."""
        self.assertEqual(
            self.values("listen = 7\nonce = true\nwant = 'red apple'"),
            {
                "listen": "7",
                "once": True,
                "want": ("red apple",),
            },
        )
        self.assertEqual(
            self.values("listen = 0.5\nonce = false\nwant = ['a', 2]"),
            {
                "listen": "0.5",
                "once": False,
                "want": ("a", "2"),
            },
        )

    def test_tables(self) -> None:
        """A table wins over the top, and a later one over an earlier, whatever their order in the file."""
        text = "listen = 'top'\n[buyer]\nlisten = 'buyer'\nwant = ['a']\n[bazaar-node]\nlisten = 'node'"
        self.assertEqual(self.values(text), {"listen": "top"})
        self.assertEqual(self.values(text, "bazaar-node"), {"listen": "node"})
        self.assertEqual(self.values(text, "bazaar-node", "buyer"), {"listen": "buyer", "want": ("a",)})

    def test_table_called_like_option(self) -> None:
        """A table that is called like an option is no value of it."""
        found = settings_file("[tracker]\nlisten = 'x'").settings({"tracker": Kind.ONE}, ["bazaar-node"])
        self.assertEqual(found, {})

    def test_sources(self) -> None:
        """Each value is known with the table it stands in."""
        found = settings_file("once = true\n[buyer]\nlisten = 'x'").settings(KINDS, ["buyer"])
        self.assertEqual(
            found,
            {
                "once": Setting(True, Source(Place.FILE, "b.toml")),
                "listen": Setting("x", Source(Place.FILE, "b.toml", "buyer")),
            },
        )


class RefusalTests(SynchronousTestCase):
    """What is wrong with a file is said in one line."""

    def refusal(self, text: str) -> str:
        """What is said of a file."""
        with self.assertRaises(UsageError) as caught:
            file = settings_file(text)
            file.check(KNOWN)
            file.settings(KINDS, ["buyer"])
        line = str(caught.exception)
        self.assertNotIn("\n", line)
        return line

    def test_names(self) -> None:
        """A name that means nothing to any program is told with the one that may be meant."""
        for text, line in (
            ("lisen = 'x'", "there is no option 'lisen'; did you mean listen?"),
            ("Listen = 'x'", "there is no option 'Listen'; did you mean listen?"),
            ("zzz = 1", "there is no option 'zzz'; see --help for those there are"),
            ("config = 'x'", "a settings file cannot name another; leave out config"),
            ("[seler]", "[seler] is no program or role; did you mean [seller]?"),
            ("[node]", "[node] is no program or role; did you mean [bazaar-node]?"),
            (
                "[zzz]",
                "[zzz] is no program or role; there are bazaar-get, bazaar-node, bazaar-tracker, broken, "
                "buyer, seller, tracker",
            ),
            ("[[seller]]", "write [seller], in single brackets, and once"),
            ("[seller]\nstok = 1", "[seller] there is no option 'stok'; did you mean stock?"),
            (
                "[seller]\nwant = 1",
                "[seller] want is not an option of it; write it in [buyer], or at the top",
            ),
            ("[seller]\nrole = 'x'", "[seller] role is not an option of it; write it in [bazaar-node], or at the top"),
        ):
            self.assertEqual(self.refusal(text), f"b.toml: {line}")

    def test_values(self) -> None:
        """A value that an option does not take is not shown: it may be a secret."""
        for text, line in (
            ("listen = true", "listen: takes a text in quotes or a number, not true"),
            ("listen = ['a']", "listen: takes a text in quotes or a number, not a list"),
            ("listen = 2020-01-01", "listen: takes a text in quotes or a number, not a date or a time"),
            ('listen = "a\\u0000"', "listen: holds a NUL character, which no option can"),
            ("once = 'yes'", "once: write true or false, without quotes"),
            ("once = 1", "once: write true or false, without quotes"),
            ("want = [['a']]", "want: takes texts, not a list"),
            ("want = false", "want: takes a text in quotes or a number, or a list of them, not false"),
            ("[buyer]\nonce = 1", "[buyer] once: write true or false, without quotes"),
        ):
            self.assertEqual(self.refusal(text), f"b.toml: {line}")

    def test_other_programs(self) -> None:
        """What belongs to other programs and roles is left to them, also where nobody can tell their options."""
        settings_file(
            "want = ['a']\noutput = 'x'\nverbose = true\n[seller]\nname = 'x'\n[bazaar-node]\nstock = 'x'\n"
            "[bazaar-get]\noutput = 'x'\n[broken]\nanything = 1\n[tracker]\nlisten = 'x'"
        ).check(KNOWN)

    def test_no_toml(self) -> None:
        """What is no TOML is refused in one line, whatever it is."""
        for text in ("a", "a = ", "a = 1\na = 2", "\ufeffa = 1\n=", "a = 'x"):
            self.assertRegex(self.refusal(text), "^b.toml: this is no TOML: ")
        self.assertRegex(self.refusal("a = " + "[" * 100_000), "^b.toml: this is ")

    @given(st.binary(max_size=50) | st.text(st.sampled_from("a=1[]\"'.{}\n,x-"), max_size=20).map(str.encode))
    def test_any_bytes(self, text: bytes) -> None:
        """No file whatever does worse."""
        try:
            file = SettingsFile.read("b.toml", text)
            file.check(KNOWN)
            file.settings({**KINDS, "a": Kind.MANY}, ["buyer", "x"])
        except UsageError:
            pass
