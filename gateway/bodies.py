"""Request bodies: what each call takes, checked field by field, every fault told with its place."""

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

from aiohttp import web
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from gateway.problems import BODY_TOO_LARGE, INVALID, MALFORMED_JSON, Fault, ProblemError
from topics.commands import AMOUNT_MAX, MAX_SECONDS, MAX_UNITS, DefineResource, contradictions
from topics.identifiers import is_resource_id
from topics.resources import ClaimAt

_QUOTES_OF_ONE_MEMBER = 2
_TEXT = r"^[^\x00-\x1f\x7f]*$"


def _to_utc(instant: datetime) -> datetime:
    try:
        return instant.astimezone(UTC)
    except OverflowError as fault:  # Pydantic takes only errors of its own, and ValueError, for a fault of the field
        message = "this instant is outside of the years that UTC can say"
        raise PydanticCustomError("instant_range", message) from fault


def _as_text(value: object) -> object:
    """Read an integer as its decimal text: a JSON producer's habit."""
    return str(value) if type(value) is int else value


def _resource_id(text: str) -> str:
    if not is_resource_id(text):
        message = "an id has 1 to 64 of A-Z a-z 0-9 . _ - and is not . or .."
        raise ValueError(message)
    return text


Units = Annotated[int, Field(ge=1, le=MAX_UNITS)]
Seconds = Annotated[int, Field(ge=1, le=MAX_SECONDS)]
ClientReference = Annotated[str, Field(min_length=1, max_length=128, pattern=_TEXT)]
Capacity = Annotated[int, Field(ge=0, le=MAX_UNITS)]
Title = Annotated[str, Field(min_length=1, max_length=200, pattern=_TEXT)]
ResourceId = Annotated[str, BeforeValidator(_as_text), AfterValidator(_resource_id)]
Instant = Annotated[AwareDatetime, AfterValidator(_to_utc)]


class Body(BaseModel):
    """A JSON object whose fields are all known; numbers are numbers, texts are texts."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class RequestBody(Body):
    """What every request may carry."""

    client_reference: ClientReference | None = None


class HoldBody(RequestBody):
    """Body of `POST /slots/{id}/hold`."""

    quantity: Units = 1


class ProductHoldBody(RequestBody):
    """Body of `POST /api/holds`."""

    product_id: ResourceId
    qty: Units


class OrderBody(RequestBody):
    """Body of `POST /api/orders`."""

    hold_id: Annotated[str, Field(min_length=1, max_length=200)]


class ExtendBody(RequestBody):
    """Body of `POST /holds/{id}/extend`."""

    seconds: Seconds


class ChangeBody(RequestBody):
    """Body of `PATCH /holds/{id}`: what the hold is to claim, as its kind says."""

    def changes(self) -> dict[str, Any]:
        """Return the fields of the command; raises a problem that names what contradicts another field."""
        return self.model_dump(exclude={"client_reference"}, exclude_none=True)


class QuantityBody(ChangeBody):
    """Body of `PATCH /holds/{id}` where units are alike."""

    quantity: Units


class ResourceBody(RequestBody):
    """The settings that every kind of resource has; the reference is the request's and no setting."""

    hold_seconds: Seconds | None = None
    max_hold_seconds: Seconds | None = None
    claim_at: Literal["hold", "confirm"] = "hold"
    open: bool = True
    opens_at: Instant | None = None
    closes_at: Instant | None = None
    units_per_hold: Units | None = None
    holds_per_buyer: Units | None = None
    title: Title | None = None

    def definition(self, resource_id: str, *, if_version: int | None, if_exists: bool) -> DefineResource:
        """Return the command that defines a resource so; raises a problem that names what contradicts another field."""
        command = DefineResource(resource_id=resource_id, if_version=if_version, if_exists=if_exists, **self._fields())
        found = [Fault(f"{name} {what}", f"/{name}") for name, what in contradictions(command).items()]
        found += self._faults(command)
        if found:
            raise invalid(found)
        return command

    def _faults(self, command: DefineResource) -> list[Fault]:
        """Return what this kind alone finds wrong."""
        del command
        return []

    def _fields(self) -> dict[str, Any]:
        return {**self.model_dump(exclude={"claim_at"}), "claim_at": ClaimAt(self.claim_at)}


class SlotBody(ResourceBody):
    """Body of `PUT /slots/{id}`."""

    capacity: Capacity


class ProductBody(ResourceBody):
    """Body of `PUT /api/products/{id}`. `stock` is all that is ever for sale, `price` that of one in minor units."""

    stock: Capacity
    price: Annotated[int, Field(ge=0, le=AMOUNT_MAX)]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    name: Title | None = None
    payment_seconds: Seconds | None = None

    def _fields(self) -> dict[str, Any]:
        return {"capacity" if name == "stock" else name: value for name, value in super()._fields().items()}


B = TypeVar("B", bound=Body)


def read_reference(request: web.Request) -> str | None:
    """Return the client_reference of a call without a body, from its query."""
    values = request.query.getall("client_reference", [])
    if not values:
        return None
    if len(values) > 1:
        raise bad_parameter("client_reference", "was sent more than once")
    try:
        return RequestBody(client_reference=values[0]).client_reference
    except ValidationError as fault:
        detail = "has 1 to 128 characters, and no control characters"
        raise bad_parameter("client_reference", detail) from fault


async def read_bytes(request: web.Request) -> bytes:
    """Read the body of a request as it is, once. Most bodies came with their heads, and need not be waited for."""
    content = request.content
    try:
        body = content.read_nowait() if content.is_eof() else await request.read()
    except web.HTTPRequestEntityTooLarge as fault:
        raise _too_large(request) from fault
    except web.RequestPayloadError as fault:
        error = ProblemError(MALFORMED_JSON, "the body is not encoded as its headers say")
        error.ends_connection = True  # where the next request would begin nobody knows
        raise error from fault
    if len(body) > request.client_max_size:
        raise _too_large(request)
    return body


def _too_large(request: web.Request) -> ProblemError:
    return ProblemError(BODY_TOO_LARGE, f"a body has at most {request.client_max_size} bytes")


async def read_body(request: web.Request, model: type[B]) -> B:
    """Read and check the body of a request; no body at all is an empty object."""
    text = (await read_bytes(request)).strip() or b"{}"
    try:
        body = model.model_validate_json(text)
    except ValidationError as fault:
        raise _problem(fault) from fault
    if text.count(b'"') > _QUOTES_OF_ONE_MEMBER:
        json.loads(text, object_pairs_hook=_members)  # Pydantic takes the last of two members of one name
    return body


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object that says a thing twice: which one its sender meant nobody can tell (RFC 8259, 4)."""
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in members if names.count(name) > 1)
        raise ProblemError(MALFORMED_JSON, f"the member {twice[:64]!r} is there more than once")
    return members


def _problem(fault: ValidationError) -> ProblemError:
    errors = fault.errors(include_url=False, include_context=False, include_input=False)
    if errors[0]["type"] == "json_invalid":
        return ProblemError(MALFORMED_JSON, errors[0]["msg"])
    return invalid([Fault(error["msg"], _pointer(error["loc"])) for error in errors])


def bad_parameter(name: str, detail: str) -> ProblemError:
    """Return the problem of a query parameter."""
    return not_in_body(f"the query parameter {name} {detail}")


def not_in_body(detail: str) -> ProblemError:
    """Return the problem of what is invalid in the path or the query: no JSON Pointer leads there."""
    return ProblemError(INVALID, detail, errors=[Fault(detail, "")])


def invalid(faults: list[Fault]) -> ProblemError:
    """Return the problem that names each bad field."""
    detail = "; ".join(f"{fault.pointer or 'the body'}: {fault.detail}" for fault in faults)
    return ProblemError(INVALID, detail, errors=faults)


def _pointer(place: tuple[Any, ...]) -> str:
    """Write a JSON Pointer (RFC 6901)."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in place)
