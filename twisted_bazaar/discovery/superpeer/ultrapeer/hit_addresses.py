"""Addresses in query hits: fills in the host that a super peer leaves out for who is on its own machine. Sans-IO.

Without a host somebody is on the machine of whoever names it; whoever gets that from another machine fills it in.
"""

from __future__ import annotations

import msgspec

from twisted_bazaar.discovery.superpeer.messages import Found, QueryHit
from twisted_bazaar.values.addresses import Address


def placed(hit: QueryHit, address: Address) -> QueryHit:
    """A hit with the hosts of all that it names.

    @param address: where it came from.
    """
    if all(each.host is not None and not _is_local(each.host) for each in hit.found):
        return hit
    host = None if address.is_local else address.host
    return hit.evolve(found=tuple(_placed(each, host) for each in hit.found))


def _placed(found: Found, host: str | None) -> Found:
    # A local address would be that of this machine here: nobody is to be sent there by somebody else.
    is_elsewhere = found.host is not None and not _is_local(found.host)
    return found if is_elsewhere else msgspec.structs.replace(found, host=host)


def _is_local(host: str) -> bool:
    return Address(host, 0).is_local
