"""The way to find of the how-to, added from its own directory beside this package."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.integration.daemons import LONGEST_S, TWISTD, Daemons

PHONEBOOK: Final = Path(__file__).parents[2] / "docs/howto/phonebook"
CONTENT: Final = b"la la la"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment in which Python finds the phone book, and nodes find no state of the user's."""
    places = os.pathsep.join(filter(None, [str(PHONEBOOK), os.environ.get("PYTHONPATH")]))
    return {"PYTHONPATH": places, "XDG_STATE_HOME": str(tmp_path / "state"), "COLUMNS": "80"}


@pytest.fixture
def daemons(tmp_path: Path) -> Iterator[Daemons]:
    """The daemons of a test."""
    with Daemons(tmp_path) as running:
        yield running


def run(words: list[str], directory: Path, environment: dict[str, str]) -> Any:
    """Run a program to its end."""
    return subprocess.run(
        words,
        cwd=directory,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )


def bazaar(directory: Path, environment: dict[str, str], *words: str) -> Any:
    """Run a command."""
    return run([sys.executable, "-m", "twisted_bazaar", *words], directory, environment)


def test_is_in_help(tmp_path: Path, environment: dict[str, str]) -> None:
    """It is listed, its option stands in the help of daemons and commands, and is refused beside another way."""
    listed = run([*TWISTD, "bazaar-node", "--help-methods"], tmp_path, environment).stdout
    assert "phonebook  Asks everybody whose address stands in a file." in listed.splitlines()
    told = run([*TWISTD, "bazaar-node", "--help"], tmp_path, environment).stdout
    for shown in (told, bazaar(tmp_path, environment, "search", "--help").stdout):
        assert "--phonebook FILE" in shown
        assert max(map(len, shown.splitlines())) <= 80
    refused = bazaar(tmp_path, environment, "search", "x", "--phonebook", "book.txt")
    assert refused.returncode == 2
    assert "--phonebook goes with --via phonebook: add that, or leave out --phonebook" in refused.stderr
    unknown = bazaar(tmp_path, environment, "search", "x", "--via", "smoke")
    assert "write one of flood, index, phonebook, ring, superpeer" in unknown.stderr


def test_stands_in_a_settings_file(tmp_path: Path, environment: dict[str, str]) -> None:
    """A settings file may hold its option, for all programs, and a slip of the pen is found."""
    (tmp_path / "bazaar.toml").write_text('via = "phonebook"\nphonebook = "book.txt"\n')
    words = ("config", "show", "--json", "--config", "bazaar.toml", "--program")
    for program in ("node", "search"):
        shown = bazaar(tmp_path, environment, *words, program)
        rows = {row["option"]: (row["value"], row["source"]) for row in json.loads(shown.stdout)}
        assert (rows["via"], rows["phonebook"]) == (("phonebook", "file"), ("book.txt", "file"))
    (tmp_path / "bazaar.toml").write_text('phonebok = "book.txt"\n')
    assert "did you mean phonebook?" in bazaar(tmp_path, environment, *words, "node").stderr


def test_finds_and_fetches(tmp_path: Path, daemons: Daemons, environment: dict[str, str]) -> None:
    """A sharer is found by its number, and what it shares is fetched from it."""
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "a song.txt").write_bytes(CONTENT)
    book = tmp_path / "book.txt"
    book.touch()
    how = ("--via", "phonebook", "--phonebook", str(book))
    sharer = daemons.start(
        "bazaar-node", "--ephemeral", "--role", "sharer", "--folder", str(shared), *how, environment=environment
    )
    book.write_text(f"tcp:127.0.0.1:{sharer.wait_for_port()}\n")
    sharer.wait_for("sharing a song.txt")
    found = bazaar(tmp_path, environment, "search", "song", "--json", *how)
    assert [(file["name"], file["sources"]) for file in json.loads(found.stdout)] == [("a song.txt", 1)]
    above = {**environment, "BAZAAR_VIA": "phonebook", "BAZAAR_PHONEBOOK": str(book)}
    fetched = bazaar(tmp_path, above, "get", "a song.txt")
    assert fetched.returncode == 0, fetched.stderr
    assert (tmp_path / "a song.txt").read_bytes() == CONTENT


def test_says_when_nobody_is_there(tmp_path: Path, environment: dict[str, str]) -> None:
    """Who is not there is named in its own words; goods are refused in a sentence."""
    book = tmp_path / "book.txt"
    book.write_text("tcp:127.0.0.1:1\n")
    how = ("--via", "phonebook", "--phonebook", str(book))
    nobody = bazaar(tmp_path, environment, "search", "song", *how)
    assert nobody.returncode == 7
    assert "no phone book entry at tcp:127.0.0.1:1: Connection refused; is it running?" in nobody.stderr
    assert "-n bazaar-node --role relay --via phonebook --phonebook FILE --listen" in " ".join(nobody.stderr.split())
    buyer = run(
        [*TWISTD, "bazaar-node", "--ephemeral", "--role", "buyer", "--want", "apple", *how], tmp_path, environment
    )
    assert buyer.returncode == 2
    assert "goods are not found by --via phonebook; choose another way" in buyer.stdout + buyer.stderr


def test_says_when_there_is_nobody_to_ask(tmp_path: Path, environment: dict[str, str]) -> None:
    """A command whose way to find names nobody ends at once, with one line."""
    (tmp_path / "empty.txt").touch()
    shared = ("--via", "phonebook", "--phonebook", "empty.txt")
    for words in (("search", "--all"), ("get", "song"), ("share", ".")):
        done = bazaar(tmp_path, environment, *words, *shared)
        told = f"bazaar {words[0]}: --via phonebook: there is nobody to ask: --phonebook names nobody\n"
        assert (done.returncode, " ".join(done.stderr.split()) + "\n") == (2, told)


def test_its_own_tests_pass(tmp_path: Path, environment: dict[str, str]) -> None:
    """The tests of the package pass."""
    done = run([sys.executable, "-m", "twisted.trial", "test_bazaar_phonebook"], tmp_path, environment)
    assert done.returncode == 0, done.stdout + done.stderr
