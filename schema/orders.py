"""The queries of orders and payments, within the transaction of a batch: `schema.store` calls them. Nothing is decided here."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from schema import queries
from schema.one_statement import Part
from schema.rows import Order, Payment, PaymentEvent, PaymentWords, ResourceKey, UnitsAre
from topics.orders import EndedBy, OrderStatus, PaymentReport, PaymentStatus

_units: Final = msgspec.json.Decoder(dict[str, int])
_encode: Final = msgspec.json.encode

Named = tuple[str, str, str]
"""A payment that a command reports: provider, payment id, the provider's event id."""


@dataclass(frozen=True, slots=True)
class KnownPayment:
    """What is known of a payment that a command reports, wherever it lives: its order, and what the event said."""

    provider: str
    payment_id: str
    event_id: str
    order_id: str | None
    recorded: PaymentWords | None


async def read_orders(
    connection: PoolConnectionProxy,
    keys: Collection[ResourceKey],
    until: datetime,
    order_ids: Collection[str],
    due_max: int,
) -> list[tuple[ResourceKey, Order]]:
    """Return the orders of locked resources that are of these ids, or were to be paid until then and are not."""
    columns = [key.kind for key in keys], [key.resource_id for key in keys]
    rows = await connection.fetch(queries.READ_ORDERS, *columns, until, list(order_ids), due_max)
    return [(ResourceKey(row["kind"], row["resource_id"]), order_of(row)) for row in rows]


async def read_payments(
    connection: PoolConnectionProxy,
    keys: Collection[ResourceKey],
    until: datetime,
    order_ids: Collection[str],
    due_max: int,
) -> list[tuple[ResourceKey, Payment]]:
    """Return the payments of locked resources that are of these orders, or waited for theirs until then."""
    columns = [key.kind for key in keys], [key.resource_id for key in keys]
    rows = await connection.fetch(queries.READ_PAYMENTS, *columns, until, list(order_ids), due_max)
    return [(ResourceKey(row["kind"], row["resource_id"]), payment_of(row)) for row in rows]


async def read_known_payments(connection: PoolConnectionProxy, named: Collection[Named]) -> list[KnownPayment]:
    """Return what is known of each of these payments and events."""
    rows = await connection.fetch(
        queries.READ_KNOWN_PAYMENTS,
        [provider for provider, _, _ in named],
        [payment_id for _, payment_id, _ in named],
        [event_id for _, _, event_id in named],
    )
    return [
        KnownPayment(row["provider"], row["payment_id"], row["event_id"], row["order_id"], _recorded(row))
        for row in rows
    ]


def _recorded(row: asyncpg.Record) -> PaymentWords | None:
    if row["recorded_of"] is None:
        return None
    return PaymentWords(
        payment_id=row["recorded_of"],
        report=PaymentReport(row["report"]),
        amount=row["amount"],
        currency=row["currency"],
        return_units=row["return_units"],
    )


def orders_part(orders: Sequence[tuple[ResourceKey, Order]]) -> Part:
    """Create or update orders."""
    columns = (
        [order.order_id for _, order in orders],
        [key.kind for key, _ in orders],
        [key.resource_id for key, _ in orders],
        [order.hold_id for _, order in orders],
        [order.account for _, order in orders],
        [order.token_hash for _, order in orders],
        [order.client_reference for _, order in orders],
        [order.status.value for _, order in orders],
        [None if order.ended_by is None else order.ended_by.value for _, order in orders],
        [order.quantity for _, order in orders],
        [_encode(order.units).decode() for _, order in orders],
        [order.units_are.value for _, order in orders],
        [order.unit_price for _, order in orders],
        [order.amount for _, order in orders],
        [order.currency for _, order in orders],
        [order.payment_due_at for _, order in orders],
        [order.placed_at for _, order in orders],
        [order.updated_at for _, order in orders],
    )
    return Part("orders", queries.WRITE_ORDERS, columns)


def payments_part(payments: Sequence[tuple[ResourceKey, Payment]]) -> Part:
    """Create or update payments: fewer than these if one of them was meanwhile recorded for another order."""
    columns = (
        [payment.provider for _, payment in payments],
        [payment.payment_id for _, payment in payments],
        [key.kind for key, _ in payments],
        [key.resource_id for key, _ in payments],
        [payment.order_id for _, payment in payments],
        [payment.status.value for _, payment in payments],
        [payment.amount for _, payment in payments],
        [payment.currency for _, payment in payments],
        [payment.refunded_amount for _, payment in payments],
        [payment.returns_units for _, payment in payments],
        [payment.took_units for _, payment in payments],
        [payment.parked_until for _, payment in payments],
        [payment.arrived_at for _, payment in payments],
    )
    return Part("payments", queries.WRITE_PAYMENTS, columns, rows_wanted=len(payments))


def payment_events_part(events: Sequence[PaymentEvent]) -> Part:
    """Store what providers said: less than this if somebody else recorded one of the events meanwhile."""
    columns = (
        [event.provider for event in events],
        [event.event_id for event in events],
        [event.payment_id for event in events],
        [event.order_id for event in events],
        [event.report.value for event in events],
        [event.amount for event in events],
        [event.currency for event in events],
        [event.return_units for event in events],
        [event.effect.value for event in events],
        [event.request_id for event in events],
        [event.arrived_at for event in events],
        [event.decided_at for event in events],
    )
    return Part("payment_events", queries.WRITE_PAYMENT_EVENTS, columns, rows_wanted=len(events))


def order_of(row: asyncpg.Record) -> Order:
    """Read an order from its columns."""
    return Order(
        order_id=row["order_id"],
        hold_id=row["hold_id"],
        account=row["account"],
        token_hash=row["token_hash"],
        client_reference=row["client_reference"],
        status=OrderStatus(row["status"]),
        ended_by=None if row["ended_by"] is None else EndedBy(row["ended_by"]),
        quantity=row["quantity"],
        units=_units.decode(row["units"]),
        units_are=UnitsAre(row["units_are"]),
        unit_price=row["unit_price"],
        amount=row["amount"],
        currency=row["currency"],
        payment_due_at=row["payment_due_at"],
        placed_at=row["placed_at"],
        updated_at=row["updated_at"],
    )


def payment_of(row: asyncpg.Record) -> Payment:
    """Read a payment from its columns."""
    return Payment(
        provider=row["provider"],
        payment_id=row["payment_id"],
        order_id=row["order_id"],
        status=PaymentStatus(row["status"]),
        amount=row["amount"],
        currency=row["currency"],
        refunded_amount=row["refunded_amount"],
        returns_units=row["returns_units"],
        took_units=row["took_units"],
        parked_until=row["parked_until"],
        arrived_at=row["arrived_at"],
    )
