"""A payment that is refused is somebody's money: its record is put aside once, however often it comes again, and counted."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import pytest
from msgspec.structs import replace

from tests.unit.builders import PARTITIONS, arrived, at, envelope_of, record
from tests.unit.ledger import Ledger
from topics import events
from topics.catalogue import Catalogue
from topics.cloudevents import encode
from topics.commands import Command, DefineResource, Hold, RecordPayment
from topics.identifiers import order_id_of, request_id
from topics.log_records import Record
from topics.orders import PaymentReport
from workers.applying import Applied
from workers.counting import Counts
from workers.emitting import Emitter
from workers.reading import Ordered

TOPIC = "products.commands"
EMITTER = Emitter(Catalogue(partitions=PARTITIONS))
SHOE = DefineResource(resource_id="shoe", capacity=3, price=500, currency="EUR")
ORDER = order_id_of(request_id("product", "shoe", "gateway/alice", "order", bytes(32)))
PAID = RecordPayment(
    resource_id="shoe",
    order_id=ORDER,
    provider="bank",
    payment_id="p1",
    event_id="e1",
    status=PaymentReport.PAID,
    amount=500,
    currency="EUR",
)


@dataclass
class Shop:
    """What is kept, and what was sent and counted so far."""

    ledger: Ledger = field(default_factory=Ledger)
    counts: Counts = field(default_factory=Counts)
    offset: int = 0

    def item(self, command: Command, claim: str) -> Ordered:
        """Return a command in a record of its own."""
        self.offset += 1
        headers = encode(envelope_of(command, claim=claim), "commands")
        incoming = record(command.resource_id.encode(), b"a record", headers, partition=0, kind="product")
        incoming = replace(incoming, topic=TOPIC, offset=self.offset)
        return Ordered(incoming, arrived(command, claim=claim, offset=self.offset, kind="product"), None)

    def decide(self, *items: Ordered) -> list[Record]:
        """Decide a batch, count it and return what is sent."""
        decision = self.ledger.apply([item.arrived for item in items], at(0))
        applied = Applied(decision.outcomes, {})
        self.counts.count(items, applied)
        return EMITTER.records(items, applied)

    @property
    def refused(self) -> tuple[int, int]:
        """Return how many payments are counted as refused, and how many letters."""
        return self.counts.payments[("refused",)], self.counts.dead_letters[("product", "refused_payment")]


def letters(sent: Sequence[Record]) -> list[tuple[str, int]]:
    """Return the reasons of the dead letters, and at which offsets their records lay."""
    found = [dict(each.headers) for each in sent if each.topic == f"{TOPIC}.dlq"]
    return [(it["firmhold-dlq-reason"].decode(), int(it["firmhold-dlq-offset"])) for it in found]


def types_of(sent: Sequence[Record]) -> list[str]:
    """Return the types of the events."""
    return [dict(each.headers)["ce_type"].decode() for each in sent if each.topic == "products.events"]


async def test_money_for_a_product_that_is_not_there() -> None:
    """The record goes to the dead letters word for word, with the reason and whose money it is; its refusal is told too.

    Seen to fail on an emitter that knows culprits alone.
    """
    shop = Shop()
    item = shop.item(PAID, "e1")
    letter, refusal = shop.decide(item)
    headers = dict(letter.headers)
    assert (letter.topic, letter.key, letter.value, letter.partition) == (f"{TOPIC}.dlq", b"shoe", b"a record", 0)
    assert list(letter.headers[: len(item.incoming.headers)]) == list(item.incoming.headers)
    assert {name: headers[f"firmhold-dlq-{name}"] for name in ("reason", "topic", "partition", "offset")} == {
        "reason": b"refused_payment",
        "topic": TOPIC.encode(),
        "partition": b"0",
        "offset": b"1",
    }
    detail = headers["firmhold-dlq-detail"].decode()
    for part in ("not_found: ", f"bank's event e1 of payment p1 for {ORDER}", item.arrived.request_id):
        assert part in detail
    assert types_of([refusal]) == [events.REQUEST_REFUSED]
    assert shop.refused == (1, 1)


@pytest.mark.parametrize(
    ("reason", "command", "claim"),
    [
        ("payment_of_another_order", msgspec.structs.replace(PAID, order_id=f"{ORDER[:-1]}a", event_id="e2"), "e2"),
        ("idempotency_key_reused", msgspec.structs.replace(PAID, payment_id="p2"), "another"),
        ("idempotency_key_reused", msgspec.structs.replace(PAID, payment_id="p9", event_id="e9"), "e1"),
        ("idempotency_key_reused", msgspec.structs.replace(PAID, amount=400), "e1"),
        ("idempotency_key_reused", msgspec.structs.replace(PAID, amount=400), "another"),
    ],
)
async def test_every_reason_puts_it_aside(reason: str, command: RecordPayment, claim: str) -> None:
    """A payment of another order, a provider's event of another payment or with other words, a claim used for other words.

    Seen to fail on an event that is a copy whatever it says, if it is of the same payment.
    """
    shop = Shop()
    assert letters(shop.decide(shop.item(SHOE, "define"), shop.item(PAID, "e1"))) == []
    (letter, *_) = sent = shop.decide(shop.item(command, claim))
    assert letters(sent) == [("refused_payment", 3)]
    assert dict(letter.headers)["firmhold-dlq-detail"].startswith(reason.encode())


async def test_e65_the_record_that_comes_again_is_put_aside_again_and_a_copy_is_not() -> None:
    """The worker that decided it may have died before; in whatever order the copies come then.

    Seen to fail when a repeat says nothing, when each copy has its letter, and when only the first copy of a batch is asked.
    """
    shop = Shop()
    first, copy = shop.item(PAID, "e1"), shop.item(PAID, "e1")
    assert letters(shop.decide(first, copy, first)) == [("refused_payment", 1)]
    for batch, put_aside in (((first,), 1), ((copy,), 0), ((copy, first), 1), ((shop.item(PAID, "e1"),), 0)):
        sent = shop.decide(*batch)
        assert letters(sent) == [("refused_payment", 1)] * put_aside
        assert types_of(sent) == [events.REQUEST_REFUSED]


async def test_e36_an_event_from_before_all_its_words_were_kept_may_have_said_either() -> None:
    """Whether units come back was not kept at first: what says the same beside that is a copy, and nothing else is.

    Seen to fail on words that are compared as they are.
    """
    shop = Shop()
    shop.decide(shop.item(SHOE, "define"), shop.item(PAID, "e1"))
    kept = shop.ledger.payment_events["bank", "e1"]
    shop.ledger.payment_events["bank", "e1"] = replace(kept, return_units=None)
    for again, reasons in (
        (msgspec.structs.replace(PAID, return_units=True), []),
        (PAID, []),
        (msgspec.structs.replace(PAID, status=PaymentReport.FAILED), ["refused_payment"]),
    ):
        sent = shop.decide(shop.item(again, f"again {shop.offset}"))
        assert [reason for reason, _ in letters(sent)] == reasons


async def test_what_is_recorded_or_no_payment_is_not_put_aside() -> None:
    """A refused hold is nobody's money; what is refused by a fault of ours is put aside as that."""
    shop = Shop()
    sent = shop.decide(
        shop.item(Hold(resource_id="shoe"), "hold"),
        shop.item(SHOE, "define"),
        shop.item(PAID, "e1"),
        shop.item(PAID, "x"),
    )
    assert types_of(sent) == [
        events.REQUEST_REFUSED,
        events.RESOURCE_DEFINED,
        events.PAYMENT_RECORDED,
        events.PAYMENT_UNCHANGED,
    ]
    item = shop.item(PAID, "e1")
    shop.ledger.resources.clear()
    culprit = shop.item(msgspec.structs.replace(PAID, event_id="e9"), "e9")
    shop.ledger.fail(culprit.arrived, at(0))
    sent = shop.decide(item, culprit)
    assert letters(sent) == [("internal_error", culprit.incoming.offset)]
    assert shop.refused == (0, 0)


async def test_effects_are_counted_from_0() -> None:
    """Prometheus sees no growth of a counter that is born with its first 1. Seen to fail with an empty counter."""
    counts = Shop().counts
    assert {effect for (effect,) in counts.payments} >= {"refused", "orphaned", "mismatched", "parked", "counted"}
    assert set(counts.payments.values()) == {0}
