"""What producers send in a sale: holds, orders, and a payment provider at its worst, for a few products."""

from dataclasses import dataclass, replace
from random import Random

import msgspec

from tests.simulation.site import GATEWAY, SALES, WORKER, Site
from topics import commands
from topics.cloudevents import Envelope
from topics.cloudevents import encode as encode_headers
from topics.commands import Command, RecordPayment, fingerprint
from topics.identifiers import hold_id_of, order_id_of, request_id
from topics.log_records import Record
from topics.orders import PaymentReport
from topics.signatures import Signed, sign

PRODUCTS = {"cap": 6, "mug": 25, "tee": 90}
NEVER_DEFINED = "gone"
PRICE = 500
_SOURCES = ("gateway/alice", "gateway/bob", "upstream/tests")
_RECENT = 30


@dataclass(frozen=True)
class Sent:
    """A command as it was sent."""

    command: Command
    source: str
    command_id: str

    @property
    def request_id(self) -> str:
        """The id of its request."""
        resource_id = self.command.resource_id
        return request_id(SALES, resource_id, self.source, self.command_id, fingerprint(SALES, self.command))


class Shopping:
    """Makes records, the next from the dice and from what was sent before."""

    def __init__(self, site: Site) -> None:
        """Use the site's dice."""
        self._site = site
        self._random: Random = site.random("workload")
        self._sent: list[Sent] = []
        self._holds: list[Sent] = []
        self._orders: list[Sent] = []
        self._said: list[RecordPayment] = []
        self._number = 0

    def definitions(self) -> list[Record]:
        """Return the first definitions."""
        return [self._record(self._keep(self._definition(name), "gateway/admin")) for name in PRODUCTS]

    def next(self) -> list[Record]:
        """Return the next records, most often one."""
        ways = (
            (self._hold, 26), (self._order, 20), (self._pay, 24), (self._pay_ahead, 8), (self._again, 14),
            (self._refund, 8), (self._call_off, 5), (self._of_hold, 7), (self._with_a_used_key, 2), (self._define, 2),
            (self._expire, 2), (self._pay_for_nothing, 2), (self._pay_for_another, 3), (self._of_a_stranger, 2),
            (self._say_again, 3),
        )  # fmt: skip
        return self._random.choices([way for way, _ in ways], [weight for _, weight in ways])[0]()

    def _hold(self) -> list[Record]:
        sent = self._keep(self._holding(), self._random.choice(_SOURCES))
        self._holds.append(sent)
        return [self._record(sent)]

    def _holding(self) -> commands.Hold:
        return commands.Hold(resource_id=self._random.choice(list(PRODUCTS)), quantity=self._random.choice((1, 1, 2)))

    def _placing(self) -> Sent | None:
        """Return an order on a recent hold, by its owner most often."""
        if not self._holds:
            return None
        hold = self._random.choice(self._holds[-_RECENT:])
        source = hold.source if self._random.random() < 0.95 else self._random.choice(_SOURCES)
        place = commands.PlaceOrder(resource_id=hold.command.resource_id, hold_id=hold_id_of(hold.request_id))
        sent = self._keep(place, source)
        self._orders.append(sent)
        return sent

    def _order(self) -> list[Record]:
        sent = self._placing()
        return self._hold() if sent is None else [self._record(sent)]

    def _pay_ahead(self) -> list[Record]:
        """Return a payment, and behind it its order, now and then never."""
        sent = self._placing()
        if sent is None:
            return self._hold()
        self._count("a payment before its order")
        paid = self._say(sent, PaymentReport.PAID)
        return [paid] if self._random.random() < 0.3 else [paid, self._record(sent)]

    def _pay(self) -> list[Record]:
        if not self._orders:
            return self._order()
        reports = (PaymentReport.PAID,) * 7 + tuple(PaymentReport)
        return [self._say(self._random.choice(self._orders[-_RECENT:]), self._random.choice(reports))]

    def _say(self, order: Sent, report: PaymentReport) -> Record:
        """Return what a provider says of a payment, of a new one or of one that it spoke of before."""
        dice = self._random
        order_id = order_id_of(order.request_id)
        before = [said for said in self._said[-_RECENT:] if said.order_id == order_id]
        provider, payment_id = dice.choice(("bank", "card")), f"p{self._next()}"
        if before and dice.random() < 0.4:
            provider, payment_id = before[-1].provider, before[-1].payment_id
        amount = dice.choice((None, PRICE, PRICE, 2 * PRICE, 2 * PRICE, PRICE // 2, 0))
        currency = None if amount is None else dice.choice(("EUR",) * 9 + ("USD",))
        return self._told(
            RecordPayment(
                resource_id=order.command.resource_id,
                order_id=order_id,
                provider=provider,
                payment_id=payment_id,
                event_id=f"e{self._next()}",
                status=report,
                amount=amount,
                currency=currency,
                return_units=report is PaymentReport.REFUNDED and dice.random() < 0.5,
            )
        )

    def _refund(self) -> list[Record]:
        """Return the refund of something, all of it or a part."""
        if not self._said:
            return self._pay()
        said = self._random.choice(self._said[-2 * _RECENT :])
        amount = self._random.choice((None, None, PRICE, PRICE // 4))
        back = msgspec.structs.replace(
            said,
            event_id=f"e{self._next()}",
            status=PaymentReport.REFUNDED,
            amount=amount,
            currency=None if amount is None else said.currency,
            return_units=self._random.random() < 0.5,
        )
        self._count("a refund")
        return [self._told(back)]

    def _pay_for_nothing(self) -> list[Record]:
        """Return money for a product that never was."""
        self._count("money for nothing")
        hold = commands.PlaceOrder(resource_id=NEVER_DEFINED, hold_id=f"hold_{SALES}~{NEVER_DEFINED}~{'a' * 32}")
        return [self._say(Sent(hold, "gateway/alice", f"c{self._next()}"), PaymentReport.PAID)]

    def _pay_for_another(self) -> list[Record]:
        """Return a payment that was another order's, or an event that was another payment's."""
        if not self._said or not self._orders:
            return self._pay()
        self._count("a payment of another order")
        said, order = self._random.choice(self._said), self._random.choice(self._orders)
        names = {"event_id": f"e{self._next()}"} if self._random.random() < 0.6 else {"payment_id": f"p{self._next()}"}
        place = {"order_id": order_id_of(order.request_id), "resource_id": order.command.resource_id}
        return [self._told(msgspec.structs.replace(said, **names, **place))]

    def _say_again(self) -> list[Record]:
        """Return a word that was said before, under another claim."""
        if not self._said:
            return self._pay()
        said = self._random.choice(self._said)
        self._count("a word under another claim")
        return [self._record(self._keep(said, f"gateway/webhook/{said.provider}"))]

    def _told(self, payment: RecordPayment) -> Record:
        self._said.append(payment)
        return self._record(self._keep(payment, f"gateway/webhook/{payment.provider}", command_id=payment.event_id))

    def _call_off(self) -> list[Record]:
        if not self._orders:
            return self._order()
        order = self._random.choice(self._orders[-_RECENT:])
        resource_id, order_id = order.command.resource_id, order_id_of(order.request_id)
        return [
            self._record(self._keep(commands.CancelOrder(resource_id=resource_id, order_id=order_id), order.source))
        ]

    def _of_hold(self) -> list[Record]:
        if not self._holds:
            return self._hold()
        hold = self._random.choice(self._holds[-_RECENT:])
        shop, hold_id = hold.command.resource_id, hold_id_of(hold.request_id)
        command: Command = self._random.choice(
            (
                commands.Confirm(resource_id=shop, hold_id=hold_id),
                commands.Cancel(resource_id=shop, hold_id=hold_id),
                commands.Extend(resource_id=shop, hold_id=hold_id, seconds=20),
                commands.ChangeHold(resource_id=shop, hold_id=hold_id, quantity=self._random.randint(1, 3)),
            )
        )
        return [self._record(self._keep(command, hold.source))]

    def _again(self) -> list[Record]:
        self._count("the same record again")
        return [self._record(self._random.choice(self._sent))]

    def _with_a_used_key(self) -> list[Record]:
        before = self._random.choice(self._sent)
        source = before.source if before.source in _SOURCES else "gateway/alice"
        return [self._record(self._keep(self._holding(), source, command_id=before.command_id))]

    def _define(self) -> list[Record]:
        return [self._record(self._keep(self._definition(self._random.choice(list(PRODUCTS))), "gateway/admin"))]

    def _definition(self, name: str) -> commands.DefineResource:
        dice = self._random
        return commands.DefineResource(
            resource_id=name,
            capacity=max(1, PRODUCTS[name] + dice.choice((-1, 0, 0, 2))),
            hold_seconds=dice.choice((5, 15)),
            price=PRICE if dice.random() < 0.8 else 2 * PRICE,
            currency="EUR",
            payment_seconds=dice.choice((3, 8)),
        )

    def _expire(self) -> list[Record]:
        return [
            self._record(self._keep(commands.Expire(resource_id=self._random.choice(list(PRODUCTS))), "worker/tests"))
        ]

    def _of_a_stranger(self) -> list[Record]:
        """Return a payment that nobody signed."""
        if not self._orders:
            return self._order()
        self._count("stranger, unsigned payment")
        record = self._say(self._orders[-1], PaymentReport.PAID)
        self._said.pop()
        self._sent.pop()
        return [replace(record, headers=[it for it in record.headers if it[0] != "firmhold-signature"])]

    def _count(self, what: str) -> None:
        self._site.counts[f"sent: {what}"] += 1

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _keep(self, command: Command, source: str, *, command_id: str = "") -> Sent:
        sent = Sent(command, source, command_id or f"c{self._next()}")
        self._count(type(command).__name__)
        self._sent.append(sent)
        return sent

    def _record(self, sent: Sent) -> Record:
        key, value = sent.command.resource_id.encode(), commands.encode(sent.command)
        envelope = Envelope(type=type(sent.command).__name__, source=sent.source, id=sent.command_id, data=value)
        headers = encode_headers(envelope, "commands")
        signer = {"gateway": GATEWAY, "worker": WORKER}.get(sent.source.partition("/")[0])
        if signer is not None:
            fields = Signed(SALES, key, envelope.type, envelope.source, envelope.id, value)
            headers = [*headers, sign(signer, fields)]
        return Record(self._site.catalogue.commands(SALES), key, value, headers)
