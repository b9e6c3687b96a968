"""Play the scenarios of a sale, written as tables like those of `tests.unit.scenario`, with a product for the slot.

    define shoe capacity=2 price=500 currency=EUR     -> defined
    hold k1 shoe quantity=2                           -> held
    plan o1 shoe k1                                   the order gets its name before it is sent, if it ever is
    order o1 shoe k1                                  -> placed amount=1000 due=900
    pay e1 shoe o1 bank/p1 paid amount=1000           -> counted paid:o1 counted=1000
    pay e1 shoe o1 bank/p1 paid amount=1000 claim=x   -> unchanged      (the provider's event was recorded before)
    refuse shoe o1                                    -> refund_required refund:bank/p1   (the order is called off)

A result has a word for each event, in their order: that of the answer alone, that of each other with what it is about.
"""

from dataclasses import dataclass, field

from tests.unit.ledger import Ledger
from tests.unit.scenario import Line, Scenario, numbers_of
from topics import events
from topics.events import EventData, HoldChanged, OrderChanged, PaymentRecorded, RefundRequired, RequestRefused
from topics.identifiers import order_id_of, request_id_of
from workers.core.batch import Outcome

_WORDS = {
    events.RESOURCE_DEFINED: "defined",
    events.HOLD_PLACED: "held",
    events.PAYMENT_UNCHANGED: "unchanged",
    events.PAYMENT_ORPHANED: "orphaned",
    events.REFUND_REQUIRED: "refund",
}


@dataclass
class Sale(Scenario):
    """A scenario of products; `orders` are the ids of orders by their names, whether they came or not."""

    ledger: Ledger = field(default_factory=Ledger)
    kind: str = "product"
    orders: dict[str, str] = field(default_factory=dict)

    def play_line(self, number: int, words: list[str]) -> Line | None:
        """Read a line; None if it sends nothing."""
        arrow = words.index("->") if "->" in words else len(words)
        verb, *given = words[:arrow]
        options = dict(word.split("=") for word in given if "=" in word)
        names = [word for word in given if "=" not in word]
        match verb, names:
            case ("plan" | "order") as placing, [order, resource_id, hold]:
                line = self._line(number, ["place", resource_id, hold, f"claim={order}", *(words[4:] or ["->"])])
                self.orders[order] = order_id_of(self._arrived(line).request_id)
                return None if placing == "plan" else line
            case "pay", [event, resource_id, order, payment, report]:
                provider, _, payment_id = payment.partition("/")
                options = {"claim": event} | options | {"status": report, "order_id": self.orders[order]}
                options |= {"provider": provider, "payment_id": payment_id, "event_id": event}
                return self._line(number, ["pay", resource_id, *_given(options), *words[arrow:]])
            case "refuse", [resource_id, order]:
                options["order_id"] = self.orders.get(order, order)
                return self._line(number, ["refuse", resource_id, *_given(options), *words[arrow:]])
            case _:
                return self._line(number, words)

    def result(self, outcome: Outcome) -> tuple[list[str], dict[str, str]]:
        """Return an outcome as the words and the numbers of a result; the numbers are those of the last order told."""
        if outcome.events is None:
            return ["too_old"], {}
        words = ["again"] if outcome.repeated else []
        numbers: dict[str, str] = {}
        answered = 0
        for event in outcome.events:
            data = events.decode_data(event.type, bytes(event.data))
            assert not isinstance(data, events.RecordRejected)
            told: EventData = data  # type: ignore[assignment] # what is stored is one of these
            words.append(self._word(event.type, told) if event.answers else self._about(event.type, told))
            answered += event.answers
            numbers |= numbers_of(told)
        assert answered <= 1, "a command is answered once"
        return words or ["done"], numbers

    def _word(self, type_name: str, data: EventData) -> str:
        match data:
            case RequestRefused():
                return data.reason
            case PaymentRecorded(effect=effect) if effect is not None and type_name == events.PAYMENT_RECORDED:
                return effect.value
            case _:
                return _WORDS.get(type_name, type_name.partition(".")[2])

    def _about(self, type_name: str, data: EventData) -> str:
        word = self._word(type_name, data)
        match data:
            case HoldChanged():
                return f"{word}:{self.claims[request_id_of(data.hold.id)]}"
            case OrderChanged():
                return f"{word}:{next(name for name, its in self.orders.items() if its == data.order.id)}"
            case PaymentRecorded():
                return f"{word}:{data.payment.provider}/{data.payment.payment_id}"
            case RefundRequired():
                return f"{word}:{data.provider}/{data.payment_id}"
            case _:
                raise AssertionError(type_name)


def _given(options: dict[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in options.items()]
