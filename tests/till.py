"""Who sells and who is paid: sends commands of products to Kafka, signed as gateways and providers do, and reads the events."""

import base64
import re
import uuid
from dataclasses import dataclass

from aiokafka import ConsumerRecord

from tests.installation import Installation, Process, eventually
from tests.integration.expectations import fresh, headers_of
from topics import events, signatures
from topics.cloudevents import Envelope
from topics.cloudevents import encode as encode_headers
from topics.commands import Command, DefineResource, Hold, PlaceOrder, RecordPayment, encode, fingerprint
from topics.identifiers import hold_id_of, order_id_of, request_id
from topics.log_records import Record
from topics.orders import OrderStatus, PaymentReport
from topics.producer import ResilientProducer
from topics.record import command_record

SECRET = b"a secret of sixteen bytes or more"
SHOP = "gateway/alice"
BANK = signatures.SigningKey("bank", SECRET, frozenset({signatures.Scope.PAYMENT}), "bank/")
PARTNER = signatures.SigningKey("partner", SECRET, frozenset({signatures.Scope.HOLD}), "partner/")
SIGNING_KEYS = ",".join(
    f"{key.key_id}:{base64.b64encode(SECRET).decode()}:{scope}:{key.source_prefix}"
    for key, scope in ((BANK, "payment"), (PARTNER, "hold"))
)


@dataclass
class Till:
    """Who sends commands of products, and reads what became of them."""

    site: Installation
    producer: ResilientProducer

    def record(self, command: Command, source: str, command_id: str, key: signatures.SigningKey | None) -> Record:
        """Return the record of a command, signed or not."""
        topic = self.site.settings.catalogue().commands("product")
        if key is not None:
            return command_record(topic, "product", command, source=source, command_id=command_id, signing_key=key)
        envelope = Envelope(type=type(command).__name__, source=source, id=command_id, data=encode(command))
        return Record(topic, command.resource_id.encode(), envelope.data, encode_headers(envelope, "commands"))

    async def send(self, command: Command, command_id: str) -> None:
        """Send a command as the shop, and wait for nothing but the broker."""
        gateway = signatures.gateway_key(self.site.settings.installation_secret())
        await self.producer.send_all([self.record(command, SHOP, command_id, gateway)])

    async def ask(self, command: Command, command_id: str = "") -> str:
        """Send a command as the shop, and wait for its outcome; return the id of its request."""
        command_id = command_id or uuid.uuid4().hex
        request = await self.give(command, command_id)
        await self.caused_by(command_id)
        return request

    async def give(self, command: Command, command_id: str = "") -> str:
        """Send a command as the shop, and wait for nothing; return the id of its request."""
        command_id = command_id or uuid.uuid4().hex
        await self.send(command, command_id)
        return request_id("product", command.resource_id, SHOP, command_id, fingerprint("product", command))

    async def say(self, payment: RecordPayment, times: int = 1) -> list[str]:
        """Send what a provider says, signed, so many times; return the types of the events that it caused."""
        command_id = await self.report(payment, times)
        return [headers_of(event)["ce_type"] for event in await self.caused_by(command_id)]

    async def report(self, payment: RecordPayment, times: int = 1) -> str:
        """Send what a provider says, and wait for nothing; return the id of the command."""
        command_id = f"{payment.provider}/{payment.event_id}"
        await self.producer.send_all([self.record(payment, "bank/webhook", command_id, BANK)] * times)
        return command_id

    async def told(self) -> list[ConsumerRecord]:
        """Return all events of products."""
        return await self.site.records(self.site.settings.catalogue().events("product"))

    async def caused_by(self, command_id: str) -> list[ConsumerRecord]:
        """Return the events that a command caused, as soon as it is answered."""

        async def answered() -> list[ConsumerRecord]:
            return [event for event in await self.told() if headers_of(event).get("ce_causationid") == command_id]

        found: list[ConsumerRecord] = await eventually(answered, what=f"an answer to {command_id}")
        await eventually(self.all_is_decided, what="the rest of the answer")
        return [event for event in await self.told() if headers_of(event).get("ce_causationid") == command_id] or found

    async def all_is_decided(self) -> bool:
        """Tell whether every record is acknowledged: then its events were sent."""
        return await self.site.is_worked_off("product")

    async def order(self, *, stock: int = 1, payment_seconds: int = 900, price: int = 500) -> tuple[str, str]:
        """Define a product, hold one of it and place an order; return the ids of product and order."""
        shoe = fresh("shoe")
        await self.define(shoe, stock, payment_seconds, price)
        return shoe, order_id_of(await self.ask(PlaceOrder(resource_id=shoe, hold_id=await self.hold(shoe))))

    async def define(self, shoe: str, stock: int = 1, payment_seconds: int = 900, price: int = 500) -> None:
        """Define a product."""
        sale = DefineResource(
            resource_id=shoe, capacity=stock, price=price, currency="EUR", payment_seconds=payment_seconds
        )
        await self.ask(sale)

    async def hold(self, shoe: str) -> str:
        """Hold one unit; return the id of the hold."""
        return hold_id_of(await self.ask(Hold(resource_id=shoe)))

    async def status(self, order_id: str) -> OrderStatus:
        """Return the state of an order, by the database."""
        async with self.site.database() as database:
            return OrderStatus(await database.fetchval("select status from orders where order_id = $1", order_id))

    async def stands(self, order_id: str, status: OrderStatus) -> None:
        """Wait until an order is in a state."""

        async def does() -> bool:
            return await self.status(order_id) is status

        await eventually(does, seconds=10, what=f"{order_id} {status}")

    async def refunds_of(self, shoe: str) -> list[str]:
        """Return the ids of the refunds that were required for a product, copies too."""
        return [
            headers_of(event)["ce_id"]
            for event in await self.told()
            if event.key == shoe.encode() and headers_of(event)["ce_type"] == events.REFUND_REQUIRED
        ]


async def metric(site: Installation, worker: Process, name: str, label: str) -> dict[str, float]:
    """Return what a worker's metric tells, by its only label."""
    port = re.search(r'"probe_port": ?(\d+)', worker.output())
    assert port is not None
    async with site.client(url=f"http://127.0.0.1:{port[1]}") as client, client.session.get("/metrics") as response:
        text = await response.text()
    found = re.findall(rf'^{name}{{{label}="(\w+)"}} (\S+)', text, re.MULTILINE)
    return {value: float(count) for value, count in found}


def paid(
    shoe: str, order_id: str, amount: int | None = 500, status: PaymentReport = PaymentReport.PAID
) -> RecordPayment:
    """Return a payment under names of its own."""
    name = uuid.uuid4().hex
    return RecordPayment(
        resource_id=shoe,
        order_id=order_id,
        provider="bank",
        payment_id=f"p-{name}",
        event_id=f"e-{name}",
        status=status,
        amount=amount,
        currency="EUR",
    )
