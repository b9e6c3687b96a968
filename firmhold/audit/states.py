"""What rows say of one thing (a hold, an order, a payment, the settings of a resource) against the last event that told of it."""

import hashlib
from dataclasses import dataclass, field

import msgspec

from firmhold.audit.findings import Check
from topics.orders import OrderView, PaymentStatus, PaymentView

_encoder = msgspec.json.Encoder(order="sorted")  # a row may have the units of its pools in another order


@dataclass(frozen=True, slots=True)
class _Ahead:
    """A row that is not what was told last when it was read: its event may be on its way."""

    kind: str
    subject: str
    shown: str
    version: int


@dataclass(slots=True)
class States:
    """The last state told of each thing, by its name (`hold hold_slot~…`), in a few bytes each: a topic has millions."""

    check: Check = field(
        default_factory=lambda: Check(
            "states", "holds, orders, payments and settings against the last events that told of them"
        )
    )
    _told: dict[int, tuple[int, int]] = field(default_factory=dict)
    _doubted: set[int] = field(default_factory=set)
    _ahead: dict[int, _Ahead] = field(default_factory=dict)

    def told(self, name: str, version: int, state: msgspec.Struct) -> None:
        """Note what an event says; `version` is that of the resource. An earlier one that comes again says nothing new."""
        place, text = _digest(name.encode()), _encoder.encode(state)
        if version <= self._told.get(place, (0, 0))[0]:
            return
        self._told[place] = version, _digest(text)
        ahead = self._ahead.get(place)
        if ahead is not None and ahead.shown == text.decode():
            del self._ahead[place]

    def doubt(self, name: str) -> None:
        """Note that an event told of it which is not what its request has stored: what is true is not known."""
        self._doubted.add(_digest(name.encode()))

    def judge(self, name: str, state: msgspec.Struct, kind: str) -> None:
        """Compare what a row says, read after the events. One that nothing is known to be told of is for other checks."""
        place, text = _digest(name.encode()), _encoder.encode(state)
        known = self._told.get(place)
        if known is None or place in self._doubted:
            return
        self.check.looked_at += 1
        if known[1] != _digest(text):
            self._ahead[place] = _Ahead(kind, name, text.decode(), known[0])

    def settle(self, reached: set[str]) -> None:
        """Judge what was left; `reached` has the kinds whose workers are past all that was decided when rows were read."""
        for ahead in self._ahead.values():
            if ahead.kind not in reached:
                self.check.open += 1
                continue
            self.check.tell(
                ahead.subject,
                found=f"its row says {ahead.shown}",
                wanted=f"the event of version {ahead.version}, the last that told of it, says something else",
                advice="No worker writes a row without telling: find out who did, and set it to what that event says",
            )


def name_of_hold(hold_id: str) -> str:
    """Return the name of a hold."""
    return f"hold {hold_id}"


def name_of_order(order_id: str) -> str:
    """Return the name of an order."""
    return f"order {order_id}"


def name_of_payment(provider: str, payment_id: str) -> str:
    """Return the name of a payment."""
    return f"payment {payment_id} of {provider}"


def order_alone(order: OrderView) -> OrderView:
    """Return an order without what its payments come to: they go on without an event of the order."""
    return msgspec.structs.replace(order, counted=0, overpaid_by=0, refund_due=0)


def payment_alone(payment: PaymentView) -> PaymentView:
    """Return a payment without whether it is to be given back: `refund.required` alone may tell of that."""
    is_owed = payment.status is PaymentStatus.REFUND_REQUIRED
    return msgspec.structs.replace(payment, status=PaymentStatus.PAID) if is_owed else payment


def name_of_settings(kind: str, resource_id: str) -> str:
    """Return the name of the settings of a resource."""
    return f"settings of {kind} {resource_id}"


def _digest(text: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest())
