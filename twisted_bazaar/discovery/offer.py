"""What makes one offer better than another. Sans-IO."""

from __future__ import annotations

from collections.abc import Iterable

from twisted_bazaar.values.sale import Offer


def best_first(offers: Iterable[Offer]) -> list[Offer]:
    """Offers in the order to take them: the cheapest, of equals the nearest, then by seller."""
    return sorted(offers, key=lambda offer: (offer.price or 0, len(offer.route), offer.seller))
