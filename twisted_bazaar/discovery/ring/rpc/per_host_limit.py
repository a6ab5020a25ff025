"""A limit for each host: how often it is asked, and how many of its nodes at a time. Sans-IO.

Each answer may name somebody nearer, who is asked at once; so who makes up such a name for every answer would have
this node ask without end, as fast as it answers. What is not asked now is asked in a later round, if it is still of
interest.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from attrs import define

from twisted_bazaar.bounded import FairTable
from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.values.addresses import Address, network_of

_MOST_HOSTS: Final = 1_024
# For longer than it counts: who is asked in each round is then not let go of and entered again each time.
_KEPT: Final = 2


@define
class _Count:
    """A count of how often one host was asked.

    @ivar began: since when.
    """

    began: float
    asked: int = 1


class PerHostLimit:
    """Counts questions.

    @param most: so many go to one host within C{each_s}; on this machine each address counts as a host.
    """

    def __init__(self, most: int, each_s: float) -> None:
        self._most = most
        self._each_s = each_s
        self._hosts: FairTable[Address | str, _Count] = FairTable(_MOST_HOSTS, _KEPT * each_s, shares=_MOST_HOSTS)

    def admits(self, address: Address, now: float) -> bool:
        """Whether one more may go to an address now; if so, it is counted."""
        host = _host_of(address)
        count = self._hosts.get(host, now)
        if count is None or now - count.began >= self._each_s:
            self._hosts.put(host, _Count(now), host, now)
            return self._most > 0
        if count.asked >= self._most:
            return False
        count.asked += 1
        return True


class Awaited:
    """Requests that have no answer yet, by host.

    Whoever asks under ever new keys, and never answers, would else have this node wait for each of them.

    @param most: so many at one host are waited for at a time.
    @ivar hosts: how many there are at each.
    """

    def __init__(self, most: int) -> None:
        self.hosts: Counter[Address | str] = Counter[Address | str]()
        self._most = most
        self._contacts: set[Contact] = set()

    def __len__(self) -> int:
        return len(self._contacts)

    def takes(self, contact: Contact) -> bool:
        """Whether somebody may be asked now: nobody twice at a time."""
        return contact not in self._contacts and self.hosts[_host_of(contact.address)] < self._most

    def add(self, contact: Contact) -> None:
        """Somebody has been asked, who was not waited for."""
        self._contacts.add(contact)
        self.hosts[_host_of(contact.address)] += 1

    def discard(self, contact: Contact) -> None:
        """Somebody is not waited for any more, if that was so."""
        if contact in self._contacts:
            self._contacts.remove(contact)
            host = _host_of(contact.address)
            self.hosts[host] -= 1
            if not self.hosts[host]:
                del self.hosts[host]


def _host_of(address: Address) -> Address | str:
    """What counts as one host."""
    return address if address.is_local else network_of(address.host)
