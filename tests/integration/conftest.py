"""What tests of several modules are given: a PostgreSQL server, where the machine has one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.postgres import Cluster, find_programs


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A server."""
    programs = find_programs()
    if isinstance(programs, str):
        pytest.skip(programs)
    with Cluster(programs) as cluster:
        yield cluster
