"""A tracker where something else is meant: commands and buyers say so at once, and end with one status."""

from __future__ import annotations

from pathlib import Path

from tests.integration.daemons import BAZAAR, Daemons, free_port
from twisted_bazaar.exit_status import ExitStatus


def test_tracker(tmp_path: Path) -> None:
    """It is no index server and no member of a ring."""
    with Daemons(tmp_path) as daemons:
        _, where = daemons.start_tracker()
        for at, said in (
            (("--index", where), "what listens there is no index server (a tracker is there)"),
            (("--via", "ring", "--join", where), "a tracker is there, and no member of a ring"),
        ):
            done = daemons.run(BAZAAR, "search", "film", *at)
            assert (done.returncode, done.stdout) == (ExitStatus.UNREACHED, "")
            assert said in done.stderr
            assert done.stderr.count("\n") == 1
            for command in (("share", str(tmp_path), "--ephemeral"), ("shell",)):
                done = daemons.run(BAZAAR, *command, *at, input="query film\n")
                assert (done.returncode, said in done.stderr) == (ExitStatus.UNREACHED, True), done
        buying = ("--role", "buyer", "--want", "apple", "--once", "--timeout", "3", "--ephemeral")
        buyer = daemons.start("bazaar-node", *buying, "--via", "index", "--index", where)
        buyer.wait_for("no index server was reached: a tracker is there")
        assert buyer.wait() == ExitStatus.UNREACHED


def test_script(tmp_path: Path) -> None:
    """A script that talks to the shell is told at once that nobody is there."""
    with Daemons(tmp_path) as daemons:
        done = daemons.run(BAZAAR, "shell", "--index", f"tcp:127.0.0.1:{free_port()}", input="query film\n")
        assert (done.returncode, done.stdout) == (ExitStatus.UNREACHED, "")
        assert "Connection refused" in done.stderr
