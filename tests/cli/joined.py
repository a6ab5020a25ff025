"""Commands on simulated machines: they join without an index, and know what the catalogue of the test knows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from tests.cli.node.cases import asked_at
from tests.roles.files_cases import FilesCase
from twisted_bazaar.cli.node.ephemeral_node import Member
from twisted_bazaar.interfaces import ICatalogue
from twisted_bazaar.roles.fetcher import Fetcher


class FakeMembership:
    """Stands in for L{twisted_bazaar.cli.node.ephemeral_node.EphemeralNode}.

    @param case: knows the machines.
    """

    lists_everything = True
    asked = asked_at("index", "tcp:127.0.0.1:9100")

    def __init__(self, case: FilesCase) -> None:
        self._case = case

    @asynccontextmanager
    async def join(
        self, reactor: Any, make_fetcher: Callable[[ICatalogue], Fetcher], **options: Any
    ) -> AsyncIterator[Member]:
        """Be on a simulated machine."""
        fetcher = make_fetcher(self._case.catalogue)
        node = self._case.network.add_node(fetcher)
        self._case.catalogue.clock = node.clock
        try:
            yield Member(node, fetcher)
        finally:
            self._case.network.stop(node)
