"""Turn the event that answers a request into the HTTP answer: the same whether it is waited for, replayed or polled."""

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache
from typing import Any, Protocol

import msgspec
from aiohttp import web

from gateway.bodies import ChangeBody
from gateway.problems import KINDS, Problems
from schema.money import payment_view
from schema.reads import ResourceReading
from schema.rows import Payment
from topics import events
from topics.events import HoldChanged, HoldView, OrderChanged, PaymentRecorded, RequestRefused, ResourceDefined
from topics.identifiers import RoutedId, request_id_of
from topics.orders import OrderView, PaymentView
from topics.resources import Counters, Settings

Style = Callable[[dict[str, Any]], dict[str, Any]]
"""How a call shows what `GET` shows in full."""

_TOKENS_MAX = 4_096
_OK = 200
_CREATED = 201
_SECOND = timedelta(seconds=1)
_TICK = timedelta(microseconds=1)


class KindOfAnswers(Protocol):
    """How one kind shows its holds and resources, and what is special about its holds."""

    @property
    def takes_orders(self) -> bool:
        """Tell whether its holds are made firm by orders that are paid."""

    @property
    def needs_token(self) -> bool:
        """Tell whether a hold is only for who shows its token, its owner's account not being enough."""

    @property
    def change_body(self) -> type[ChangeBody]:
        """Return the body that changes a hold."""

    def hold_members(self, resource_id: str, hold: HoldView) -> dict[str, Any]:
        """Return the members of a hold that are this kind's own."""

    def resource(self, resource_id: str, version: int, settings: Settings, counters: Counters) -> dict[str, Any]:
        """Return a resource as the kind's GET shows it."""

    def resource_path(self, resource_id: str) -> str:
        """Return where the resource is."""

    def availability(self, resource_id: str, reading: ResourceReading) -> dict[str, Any]:
        """Return what is free of a resource, as lists and the cache have it."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """An answer to be."""

    status: int
    body: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    is_refusal: bool = False
    client_reference: str | None = None


def http_date(instant: datetime) -> str:
    """Write an instant as HTTP has dates (RFC 9110, 5.6.7), in whole seconds and never before it.

    A Retry-After that is a date is right whenever a stored refusal is told again, and by no clock of ours.
    """
    return format_datetime((instant + (_SECOND - _TICK)).replace(microsecond=0).astimezone(UTC), usegmt=True)


@lru_cache(_TOKENS_MAX)  # made for the command, and again for its answer
def hold_token(secret: bytes, request_id: str) -> str:
    """Return the token of the hold that `request_id` places: HMAC-SHA256, hex. Only its owner is ever told."""
    token = _keyed(secret).copy()
    token.update(request_id.encode())
    return token.hexdigest()


@lru_cache  # half of what OpenSSL takes is for taking in the key
def _keyed(secret: bytes) -> hmac.HMAC:
    return hmac.new(secret, b"firmhold hold token ", "sha256")


def token_hash(token: str) -> str:
    """Return what commands and tables carry of a token: its SHA-256, hex."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


class Answers:
    """Renders outcomes for the account that made the request."""

    def __init__(self, kinds: Mapping[str, KindOfAnswers], problems: Problems, secret: bytes) -> None:
        """Know the kinds by name, the catalogue of problems, and the secret of hold tokens."""
        self._kinds = kinds
        self._problems = problems
        self._secret = secret

    def of_event(self, place: RoutedId, event_type: str, data: bytes) -> Rendered:
        """Render the event that answered a request to the owner of that request."""
        request_id = str(place)
        decoded = events.decode_data(event_type, data)
        match decoded:
            case RequestRefused():
                return self._refusal(request_id, decoded)
            case HoldChanged():
                # Only the request that placed the hold is its owner's for sure: another one may have come with the token.
                body = self.hold(place, decoded.hold, is_owner=request_id_of(decoded.hold.id) == request_id)
                reference = decoded.client_reference
                if event_type == events.HOLD_PLACED:
                    headers = {"Location": body["links"]["self"]}
                    return Rendered(_CREATED, body, headers, client_reference=reference)
                return Rendered(_OK, body | _request_reference(reference), client_reference=reference)
            case ResourceDefined():
                return self._definition(place, decoded)
            case OrderChanged():
                return self._order(place, decoded, is_new=event_type == events.ORDER_PLACED)
            case PaymentRecorded():
                return self._payment(decoded)
            case _:
                message = f"{event_type} does not answer a request"
                raise AssertionError(message)

    def _refusal(self, request_id: str, refused: RequestRefused) -> Rendered:
        kind = KINDS[refused.reason]
        reference = refused.client_reference
        more: dict[str, Any] = {"request_id": request_id}
        if reference is not None:
            more["client_reference"] = reference
        headers = {}
        if refused.retry_at is not None:
            more["retry_at"] = refused.retry_at
            headers["Retry-After"] = http_date(refused.retry_at)
        if isinstance(refused.order_id, str):
            more |= {"order_id": refused.order_id, "links": {"order": _path_of_order(refused.order_id)}}
        if refused.in_the_way is not msgspec.UNSET:
            more["in_the_way"] = refused.in_the_way
        body = self._problems.members(kind, refused.detail, f"/requests/{request_id}", **more)
        return Rendered(kind.status, body, headers, is_refusal=True, client_reference=reference)

    def hold(self, place: RoutedId, view: HoldView, *, is_owner: bool) -> dict[str, Any]:
        """Return a hold; its owner sees the token too."""
        kind = self._kinds[place.kind]
        request_id = request_id_of(view.id)
        token = {"hold_token": hold_token(self._secret, request_id)} if is_owner else {}
        return {
            "id": view.id,
            **kind.hold_members(place.resource_id, view),
            "status": view.status.value,
            "granted_at": view.granted_at,
            "expires_at": view.expires_at,
            "expires_latest_at": view.expires_latest_at,
            "client_reference": view.client_reference,
            **token,
            "links": {
                "self": f"/holds/{view.id}",
                "request": f"/requests/{request_id}",
                place.kind: kind.resource_path(place.resource_id),
            }
            | ({} if view.order_id is None else {"order": _path_of_order(view.order_id)}),
        }

    def knows(self, kind: str) -> bool:
        """Tell whether there is a kind of that name here."""
        return kind in self._kinds

    def takes_orders(self, kind: str) -> bool:
        """Tell whether holds of that kind become orders."""
        return kind in self._kinds and self._kinds[kind].takes_orders

    def needs_token(self, kind: str) -> bool:
        """Tell whether a hold of that kind is only for who shows its token."""
        return self._kinds[kind].needs_token

    def change_body(self, kind: str) -> type[ChangeBody]:
        """Return the body that changes a hold of that kind."""
        return self._kinds[kind].change_body

    def order(self, place: RoutedId, view: OrderView, payments: Sequence[Payment] | None = None) -> dict[str, Any]:
        """Return an order; with its payments, where they are given."""
        kind = self._kinds[place.kind]
        shown = {} if payments is None else {"payments": [_payment_members(payment_view(it)) for it in payments]}
        return {
            "id": view.id,
            "hold_id": view.hold_id,
            f"{place.kind}_id": place.resource_id,
            "qty": view.quantity,
            "price": view.unit_price,
            "amount": view.amount,
            "currency": view.currency,
            "status": view.status.value,
            "ended_by": None if view.ended_by is None else view.ended_by.value,
            "payment_due_at": view.payment_due_at,
            "created_at": view.placed_at,
            "updated_at": view.updated_at,
            "counted": view.counted,
            "overpaid_by": view.overpaid_by,
            "refund_due": view.refund_due,
            "client_reference": view.client_reference,
            **shown,
            "links": {
                "self": _path_of_order(view.id),
                "hold": f"/holds/{view.hold_id}",
                place.kind: kind.resource_path(place.resource_id),
            },
        }

    def _order(self, place: RoutedId, changed: OrderChanged, *, is_new: bool) -> Rendered:
        body, reference = self.order(place, changed.order), changed.client_reference
        if is_new:
            return Rendered(_CREATED, body, {"Location": body["links"]["self"]}, client_reference=reference)
        return Rendered(_OK, body | _request_reference(reference), client_reference=reference)

    def _payment(self, recorded: PaymentRecorded) -> Rendered:
        body = {"order_id": recorded.payment.order_id, **_payment_members(recorded.payment)}
        if recorded.effect is not None:
            body["effect"] = recorded.effect.value
        reference = recorded.client_reference
        return Rendered(_OK, body | _request_reference(reference), client_reference=reference)

    def _definition(self, place: RoutedId, defined: ResourceDefined) -> Rendered:
        kind = self._kinds[place.kind]
        body = kind.resource(defined.resource_id, defined.version, defined.settings, defined.counters)
        headers = {"ETag": etag(defined.version)}
        if defined.created:
            headers["Location"] = kind.resource_path(defined.resource_id)
        reference = defined.client_reference
        status = _CREATED if defined.created else _OK
        return Rendered(status, body | _request_reference(reference), headers, client_reference=reference)

    def resource(
        self, kind: str, resource_id: str, version: int, settings: Settings, counters: Counters
    ) -> dict[str, Any]:
        """Return a resource as the kind's GET shows it."""
        return self._kinds[kind].resource(resource_id, version, settings, counters)


def _request_reference(reference: str | None) -> dict[str, Any]:
    """Return the client_reference of a request beside what it changed, which may have one of its own."""
    return {} if reference is None else {"request_reference": reference}


def _path_of_order(order_id: str) -> str:
    return f"/api/orders/{order_id}"


def _payment_members(view: PaymentView) -> dict[str, Any]:
    return {
        "provider": view.provider,
        "payment_id": view.payment_id,
        "status": view.status.value,
        "amount": view.amount,
        "refunded_amount": view.refunded_amount,
        "currency": view.currency,
    }


def picked(body: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return these members of an answer, and the client_reference if there is one."""
    reference = body["client_reference"]
    return {name: body[name] for name in names} | ({} if reference is None else {"client_reference": reference})


def token_shown(request: web.Request) -> str | None:
    """Return the hash of the token that the caller shows; the token itself goes no further."""
    token = request.headers.get("Hold-Token")
    return None if token is None else token_hash(token)


def etag(version: int) -> str:
    """Return the entity tag of a version of a resource."""
    return f'"{version}"'
