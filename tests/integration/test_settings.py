"""Daemons that are given a settings file and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration import fork_server
from tests.integration.daemons import LONGEST_S, Daemons

GREETER = Path(__file__).parents[2] / "docs/howto/greeter"


@pytest.fixture
def daemons(tmp_path: Path) -> Iterator[Daemons]:
    """Daemons that end with the test."""
    with Daemons(tmp_path) as running:
        yield running


def shown(daemons: Daemons, directory: Path, **environment: str) -> dict[str, tuple[object, str]]:
    """What C{bazaar config show} says of a node: values and where they were written, by option."""
    done = fork_server.run(
        [sys.executable, "-m", "twisted_bazaar", "config", "show", "--json"],
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=True,
        cwd=directory,
        env={**os.environ, **daemons.environment, **environment},
    )
    assert done.stderr == ""
    return {row["option"]: (row["value"], row["source"]) for row in json.loads(done.stdout)}


def test_one_file(daemons: Daemons, tmp_path: Path) -> None:
    """A tracker, a seller and a buyer share a file; the seller is started with C{--config} alone, and they trade."""
    file = tmp_path / "bazaar.toml"
    common = '[bazaar-tracker]\nlisten = "tcp:0:interface=127.0.0.1"\n'
    file.write_text(common)
    tracker = daemons.start("bazaar-tracker", "--config", "bazaar.toml")
    file.write_text(
        f'tracker = "tcp:127.0.0.1:{tracker.wait_for_port()}"\nephemeral = true\nrole = "seller"\n{common}'
        '[seller]\nstock = ["red apple=5@40"]\n[buyer]\nwant = ["red apple=2"]\nonce = true\ntimeout = 20\n'
    )
    seller = daemons.start("bazaar-node", "--config", "bazaar.toml")
    seller.wait_for("joined the network")
    buyer = daemons.start("bazaar-node", environment={"BAZAAR_CONFIG": str(file), "BAZAAR_ROLE": "buyer"})
    assert buyer.wait() == 0, buyer.rest()


def test_third_party_role(daemons: Daemons, tmp_path: Path) -> None:
    """A role of somebody else takes its options from a file like ours, and its table is known."""
    site = tmp_path / "site"
    shutil.copytree(GREETER, site, ignore=shutil.ignore_patterns("__pycache__", "dropin.cache"))
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, [str(site), *sys.path]))}
    _, tracker = daemons.start_tracker()
    file = tmp_path / "bazaar.toml"
    file.write_text(
        f'tracker = "{tracker}"\nephemeral = true\nmin-links = 1\n'
        '[bazaar-node]\nrole = ["greeter"]\n[greeter]\nwords = "good morning"\n[seller]\nstock = "x"\n'
    )
    rows = shown(daemons, tmp_path, BAZAAR_CONFIG=str(file), **environment)
    assert rows["words"] == ("good morning", "file")
    assert rows["role"] == (["greeter"], "file")
    early = daemons.start("bazaar-node", "--config", str(file), environment=environment)
    port = early.wait_for_port()
    late = daemons.start(
        "bazaar-node",
        environment={
            **environment,
            "BAZAAR_CONFIG": str(file),
            "BAZAAR_WORDS": "good evening",
            "BAZAAR_CONNECT": f"tcp:127.0.0.1:{port}",
        },
    )
    early.wait_for("says 'good evening'")
    late.wait_for("says 'good morning'")


@pytest.mark.parametrize("program", ["bazaar-node", "bazaar-tracker"])
def test_bad_file(daemons: Daemons, tmp_path: Path, program: str) -> None:
    """A file that cannot be ends a daemon with one line and status 2."""
    (tmp_path / "bazaar.toml").write_text("lisen = 1\n")
    daemon = daemons.start(program, "--config", "bazaar.toml")
    assert daemon.wait() == 2
    path = tmp_path / "bazaar.toml"
    assert daemon.rest() == f"{program}: {path}: there is no option 'lisen'; did you mean listen?\n"


def test_from_a_pipe(daemons: Daemons, tmp_path: Path) -> None:
    """A file can be one that is read only once."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    tracker = daemons.start("bazaar-tracker", "--config", str(path))
    with path.open("w") as pipe:
        pipe.write('listen = "tcp:0:interface=127.0.0.1"\n')
    endpoint = f"tcp:127.0.0.1:{tracker.wait_for_port()}"
    node = daemons.start("bazaar-node", "--config", str(path))
    with path.open("w") as pipe:
        pipe.write(f'tracker = "{endpoint}"\nephemeral = true\nrole = "relay"\n')
    node.wait_for_port()
