"""For contracts that tests of both worlds share: how one waits on the real reactor for what comes of a Deferred."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from tests.integration.market import reactor


class BlockingCase:
    """A store with threads or a server of its own, which is open during a test."""

    @pytest.fixture
    def unopened(self) -> Any:
        """The store, not open yet."""
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def _open(self, unopened: Any) -> Iterator[None]:
        self.reactor = reactor
        self.store = unopened
        self.store.open(reactor)
        yield
        pytest_twisted.blockon(self.store.close())

    def result_of(self, deferred: Deferred[object]) -> object:
        """What comes of it."""
        return pytest_twisted.blockon(deferred)

    def failure_of(self, deferred: Deferred[object], kind: type[Exception]) -> Exception:
        """How it fails."""
        with pytest.raises(kind) as caught:
            pytest_twisted.blockon(deferred)
        return caught.value
