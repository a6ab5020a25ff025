"""A limit for each host: how often it is asked, and how many of its nodes at a time. Sans-IO.

Each answer may name somebody nearer, who is asked at once; so who makes up such a name for every answer would have
this node ask without end, as fast as it answers. What is not asked now is asked in a later round, if it is still of
interest.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from twisted_bazaar.discovery.ring.rules.identifiers import Contact
from twisted_bazaar.rate_limit import RateLimits
from twisted_bazaar.values.addresses import Address, network_of

_MOST_HOSTS: Final = 1_024


def per_host_limit(most: int, each_s: float) -> RateLimits[Address | str]:
    """A limit on questions to each host: so many go there within C{each_s}, which begin with the first.

    Its keys are those of L{host_of}.
    """
    return RateLimits(_MOST_HOSTS, most, each_s, refill=most)


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
        return contact not in self._contacts and self.hosts[host_of(contact.address)] < self._most

    def add(self, contact: Contact) -> None:
        """Somebody has been asked, who was not waited for."""
        self._contacts.add(contact)
        self.hosts[host_of(contact.address)] += 1

    def discard(self, contact: Contact) -> None:
        """Somebody is not waited for any more, if that was so."""
        if contact in self._contacts:
            self._contacts.remove(contact)
            host = host_of(contact.address)
            self.hosts[host] -= 1
            if not self.hosts[host]:
                del self.hosts[host]


def host_of(address: Address) -> Address | str:
    """What counts as one host; on this machine each address does."""
    return address if address.is_local else network_of(address.host)
