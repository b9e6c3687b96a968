"""Webhooks that are signed and still of no use: they are kept for an operator, as the provider cannot mend them."""

from typing import Final

import msgspec

from topics.identifiers import ORDER, RoutedId, parse

# What msgspec raises on bytes of strangers: text that is not UTF-8 and deep nesting come as Python's own exceptions.
UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
KIND_OF_ORDERS: Final = "product"
"""What payments are of: orders of `gateway.products`."""


class Unusable(Exception):
    """Why a signed webhook cannot become a command."""


def order_place(order_id: str) -> RoutedId:
    """Read the id of an order; raises Unusable."""
    place = parse(order_id, ORDER)
    if place is None or place.kind != KIND_OF_ORDERS:
        raise Unusable(f"{order_id[:200]!r} is not the id of an order")
    return place
