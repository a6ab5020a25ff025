"""Offers as every way of finding gathers them: how long, how many, and which is better. Sans-IO."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from twisted_bazaar.values.sale import Offer

# How long to go on gathering after the first has come, where nobody says.
GATHER_S: Final = 0.3
MOST_OFFERS: Final = 64


def best_first(offers: Iterable[Offer]) -> list[Offer]:
    """Offers in the order to take them: the cheapest, of equals the nearest, then by seller."""
    return sorted(offers, key=lambda offer: (offer.price or 0, len(offer.route), offer.seller))
