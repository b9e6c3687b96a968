"""The kinds that the engine serves, by their names."""

from collections.abc import Mapping

from workers.core.kinds import Kind
from workers.core.kinds.product import Product
from workers.core.kinds.slot import Slot

KINDS: Mapping[str, Kind] = {"slot": Slot(), "product": Product()}
