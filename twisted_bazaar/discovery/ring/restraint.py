"""How often one host is asked how its nodes stand. Sans-IO.

Each answer may name somebody nearer, who is asked at once; so who makes up such a name for every answer would have
this node ask without end, as fast as it answers. What is not asked now is asked in a later round, if it is still of
interest.
"""

from __future__ import annotations

from typing import Final

from attrs import define

from twisted_bazaar.bounded import FairTable
from twisted_bazaar.values.addresses import Address, network_of

_MOST_HOSTS: Final = 1_024
# For longer than it counts: who is asked in each round is then not let go of and entered again each time.
_KEPT: Final = 2


@define
class _Count:
    """How often one host was asked.

    @ivar began: since when.
    """

    began: float
    asked: int = 1


class Restraint:
    """Counts questions.

    @param most: so many go to one host within C{each_s}; on this machine each address counts as a host.
    """

    def __init__(self, most: int, each_s: float) -> None:
        self._most = most
        self._each_s = each_s
        self._hosts: FairTable[Address | str, _Count] = FairTable(_MOST_HOSTS, _KEPT * each_s, shares=_MOST_HOSTS)

    def admits(self, address: Address, now: float) -> bool:
        """Whether one more may go to an address now; if so, it is counted."""
        host = address if address.is_local else network_of(address.host)
        count = self._hosts.get(host, now)
        if count is None or now - count.began >= self._each_s:
            self._hosts.put(host, _Count(now), host, now)
            return self._most > 0
        if count.asked >= self._most:
            return False
        count.asked += 1
        return True
