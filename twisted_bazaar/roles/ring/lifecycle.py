"""The lifecycle of a role on a ring: joins, reports when that cannot be, and leaves.

What the role keeps there, and finds by it, is its own business.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.discovery.ring.member.joining import displaced_message
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.discovery.ring.storage.dht_client import DhtClient
from twisted_bazaar.discovery.ring.storage.repair import Repair
from twisted_bazaar.errors import LinkClosed, UsageError
from twisted_bazaar.exit_status import ExitStatus
from twisted_bazaar.interfaces import INode
from twisted_bazaar.settings.endpoints import client_endpoint
from twisted_bazaar.values.addresses import Address


class RingLifecycle:
    """Joins and leaves for one role.

    @param dht: what it keeps; its member has not started yet.
    @param repair: sees that what is kept is where it belongs; None for a guest, who keeps nothing.
    @param join: where a member listens, as an endpoint or as the text of one; None to begin a ring.
    @ivar finished: fires with 7 if whom it is to join by is no member, and with 1 if it cannot join otherwise, or
        another keeps its identifier.
    """

    log: Final = Logger()
    _node: INode

    def __init__(
        self, dht: DhtClient, repair: Repair | None, join: IStreamClientEndpoint | Address | str | None
    ) -> None:
        self.finished: Deferred[int] = Deferred()
        self.join = join
        self._dht = dht
        self._repair = repair

    def start(self, node: INode, joined: Callable[[], object] = lambda: None) -> None:
        """Begin, or join, the ring.

        @param joined: called when that is done.
        """
        self._node = node
        self._dht.start(node)
        if self._repair is not None:
            self._repair.start(node)
        member = self._dht.member
        member.displaced.addCallback(self._displaced)
        join = client_endpoint(node.clock, self.join, "--join") if isinstance(self.join, str) else self.join
        joining = member.start(node, join).addCallbacks(lambda _: joined(), self._refused)
        joining.addErrback(lambda failure: self.log.failure("the ring was not joined", failure))

    def stop(self) -> Deferred[None]:
        """Hand over what is kept, and leave; fires when that is over, and never fails."""
        leaving = self._dht.member.stop()
        leaving.addErrback(lambda failure: self.log.failure("leaving the ring failed", failure))
        return leaving.addCallback(lambda _: None if self._repair is None else self._repair.stop())

    def _refused(self, failure: Failure) -> None:
        if failure.check(LinkClosed):
            return
        failure.trap(UsageError)
        assert isinstance(failure.value, UsageError), "it was just trapped"
        self._end("this node cannot join: {why}", str(failure.value), failure.value.exit_status)

    def _displaced(self, holder: Contact) -> None:
        self._end("this node cannot stay on the ring: {why}", displaced_message(holder), ExitStatus.NO)

    def _end(self, sentence: str, why: str, status: ExitStatus) -> None:
        self._node.report("ring-refused", sentence, why=why)
        self._dht.member.observer.refused(why, status)
        if not self.finished.called:
            self.finished.callback(status)
