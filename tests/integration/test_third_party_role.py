"""The role of the how-to, installed from its own package directory beside this package."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.integration.daemons import BAZAAR, LONGEST_S, TWISTD, Daemons

GREETER: Final = Path(__file__).parents[2] / "docs/howto/greeter"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the greeter's package directory: building leaves traces."""
    directory = tmp_path_factory.mktemp("source") / "greeter"
    shutil.copytree(GREETER, directory, ignore=shutil.ignore_patterns("__pycache__", "dropin.cache"))
    return directory


@pytest.fixture(scope="module")
def site(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of packages into which the greeter is installed, without a network."""
    directory = tmp_path_factory.mktemp("site")
    if any(map(importlib.util.find_spec, ("wheel", "setuptools.command.bdist_wheel"))):
        install = ["-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
        run([*install, f"--target={directory}", "."], source)
    else:
        # An old setuptools on its own cannot make the wheel that pip wants, but puts the same files there.
        run(
            ["-c", "import setuptools; setuptools.setup()", "--quiet", "build_py", "--build-lib", str(directory)],
            source,
        )
    return directory


@pytest.fixture
def daemons(tmp_path: Path) -> Iterator[Daemons]:
    """The daemons of a test."""
    with Daemons(tmp_path) as running:
        yield running


def with_greeter(site: Path) -> dict[str, str]:
    """An environment in which Python finds the greeter, and nodes find no state of the user's."""
    places = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
    return {"PYTHONPATH": places, "XDG_STATE_HOME": str(site)}


def run(words: Sequence[str], directory: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run Python to its end; returns what it printed."""
    done = subprocess.run(
        [sys.executable, *words],
        cwd=directory,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_installs_its_package_and_its_drop_in(site: Path) -> None:
    """What lies there after the installation is its package and the drop-in, and nothing that hides Twisted."""
    installed = {str(path.relative_to(site)) for path in site.rglob("*.py")}
    assert installed == {
        "bazaar_greeter/__init__.py",
        "bazaar_greeter/role.py",
        "twisted/plugins/bazaar_greeter_dropin.py",
    }


def test_is_listed(site: Path, tmp_path: Path) -> None:
    """The node names it among the roles."""
    listed = run([*TWISTD[1:], "bazaar-node", "--help-roles"], tmp_path, with_greeter(site))
    lines = listed.splitlines()
    assert "greeter Says hello to each node that is newly linked." in [" ".join(line.split()) for line in lines]
    assert {line.split()[0] for line in lines} >= {"buyer", "greeter", "relay", "seller", "tracker"}


def test_brings_its_option(site: Path, tmp_path: Path) -> None:
    """Its option stands in the help of a node that has the role, beside those of every node."""
    shown = run([*TWISTD[1:], "bazaar-node", "--role", "greeter", "--help"], tmp_path, with_greeter(site))
    assert "--words WORDS" in shown
    assert "--tracker ENDPOINT" in shown


def test_greets(site: Path, daemons: Daemons) -> None:
    """Two daemons with the role exchange its message."""
    environment = with_greeter(site)
    _, endpoint = daemons.start_tracker()
    greeter = ("bazaar-node", "--role", "greeter", "--tracker", endpoint, "--min-links", "0", "--ephemeral", "--words")
    early = daemons.start(*greeter, "good morning", environment=environment)
    port = early.wait_for_port()
    early_id = early.wait_for(r"joined the network as node (\d+)")[1]
    late = daemons.start(*greeter, "good evening", "--connect", f"tcp:127.0.0.1:{port}", environment=environment)
    late_id = late.wait_for(r"joined the network as node (\d+)")[1]

    early.wait_for(f"node {late_id} says 'good evening'")
    late.wait_for(f"node {early_id} says 'good morning'")


def test_is_asked_by_its_owner(site: Path, daemons: Daemons, tmp_path: Path) -> None:
    """Its line stands in the status of a node that has it, and its command asks over the network."""
    environment = {**with_greeter(site), "XDG_STATE_HOME": str(tmp_path)}
    _, endpoint = daemons.start_tracker()
    greeter = ("bazaar-node", "--role", "greeter", "--tracker", endpoint, "--min-links", "0")
    early = daemons.start(*greeter, "--name", "morning", "--words", "good morning", environment=environment)
    near = ("--connect", f"tcp:127.0.0.1:{early.wait_for_port()}")
    late = daemons.start(*greeter, *near, "--name", "evening", "--words", "good evening", environment=environment)
    late_id = late.wait_for(r"joined the network as node (\d+)")[1]
    early.wait_for(f"node {late_id} says 'good evening'")

    shown = run([*BAZAAR[1:], "status", "--name", "morning"], tmp_path, environment)
    assert "greeter words: good morning; greeted by: 1" in [" ".join(line.split()) for line in shown.splitlines()]
    asked = run([*BAZAAR[1:], "ask", "greetings", "reach=2", "--name", "morning", "--json"], tmp_path, environment)
    assert json.loads(asked) == [[{"node": int(late_id), "links": 1, "words": "good evening"}]]


def test_refuses_a_bad_option(site: Path, tmp_path: Path) -> None:
    """An option that it refuses ends the process with one line and status 1."""
    done = subprocess.run(
        [*TWISTD, "bazaar-node", "--role", "greeter", "--words", ""],
        cwd=tmp_path,
        env={**os.environ, **with_greeter(site)},
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (2, "bazaar-node: --words takes 1 to 100 characters, not 0\n")


def test_its_own_tests_pass(source: Path) -> None:
    """The tests that the how-to shows pass where it says to run them."""
    run(["-m", "twisted.trial", "test_bazaar_greeter"], source)
