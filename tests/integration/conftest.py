"""What tests of several modules are given: what starts processes, and a PostgreSQL server where the machine has one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.fork_server import SERVER
from tests.postgres import Cluster, find_programs


@pytest.fixture(scope="session", autouse=True)
def started_fork_server() -> None:
    """The server that starts processes at once.

    It imports for a second, and on a busy machine for half a minute, which is not the time of whichever test is first.
    """
    SERVER.warm_up()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A server."""
    programs = find_programs()
    if isinstance(programs, str):
        pytest.skip(programs)
    with Cluster(programs) as cluster:
        yield cluster
