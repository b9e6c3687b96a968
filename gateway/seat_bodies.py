"""Request bodies about seats: plans of houses, and what a hold asks for. `topics.seating` says what contradicts itself."""

from collections.abc import Iterable, Sized
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from pydantic import AfterValidator, Field

from gateway.bodies import Body, Capacity, ChangeBody, RequestBody, ResourceBody, Units, invalid
from gateway.problems import Fault
from topics import seating
from topics.commands import DefineResource

C = TypeVar("C", bound=Sized)
_SEES_NO_NEWLINE = r"(?!\n)"  # Python needs that; Pydantic's `$` is the end


def _pattern(of_contract: str) -> str:
    return of_contract.removesuffix(_SEES_NO_NEWLINE)


def _some(named: C) -> C:
    """Refuse a collection of none; as a least length it would also be told of one whose items are wrong."""
    if not named:
        message = "it names none"
        raise ValueError(message)
    return named


SeatId = Annotated[str, Field(pattern=_pattern(seating.SEAT_PATTERN))]
AreaId = Annotated[str, Field(pattern=_pattern(seating.AREA_PATTERN))]
Number = Annotated[int, Field(ge=1, le=seating.SEATS_PER_ROW_MAX)]
Seats = Annotated[
    tuple[SeatId, ...],
    Field(max_length=seating.SEATS_MAX, json_schema_extra={"minItems": 1}),
    AfterValidator(_some),
]
Areas = Annotated[
    dict[AreaId, Units],
    Field(max_length=seating.AREAS_MAX, json_schema_extra={"minProperties": 1}),
    AfterValidator(_some),
]


class RowBody(Body):
    """A row of seats, numbered from 1."""

    row: Annotated[str, Field(pattern=_pattern(seating.ROW_PATTERN))]
    seats: Number
    kind: Annotated[str, Field(pattern=_pattern(seating.KIND_PATTERN))] = "standard"
    blocked: Annotated[tuple[Number, ...], Field(max_length=seating.SEATS_PER_ROW_MAX)] = ()


class AreaBody(Body):
    """An area without seats."""

    id: AreaId
    capacity: Capacity


class ScreeningBody(ResourceBody):
    """Body of `PUT /screenings/{id}`: rows from the front to the back, areas, and the seat that all want to be near."""

    rows: Annotated[tuple[RowBody, ...], Field(max_length=seating.ROWS_MAX)] = ()
    areas: Annotated[tuple[AreaBody, ...], Field(max_length=seating.AREAS_MAX)] = ()
    focal: SeatId | None = None
    claim_at: Literal["hold"] = "hold"

    def _fields(self) -> dict[str, Any]:
        fields = super()._fields()
        rows = msgspec.convert(fields.pop("rows"), tuple[seating.Row, ...])
        areas = msgspec.convert(fields.pop("areas"), tuple[seating.Area, ...])
        return {**fields, "rows": rows or None, "areas": areas or None}

    def _faults(self, command: DefineResource) -> list[Fault]:
        return _told(seating.faults_of_plan(command.rows or (), command.areas or (), command.focal))


class SeatsHoldBody(RequestBody):
    """Body of `POST /screenings/{id}/holds`: seats by name or so many side by side, and places in areas."""

    seats: Seats | None = None
    best_available: Number | None = None
    areas: Areas | None = None

    def wish(self) -> dict[str, Any]:
        """Return the fields of the command; raises a problem that names what contradicts another field."""
        return _wish(self, self.best_available)


class SeatsChangeBody(ChangeBody):
    """Body of `PATCH /holds/{id}` of seats: which seats, and how many places in areas; what is left out stays."""

    seats: Seats | None = None
    areas: Areas | None = None

    def changes(self) -> dict[str, Any]:
        """See `ChangeBody`."""
        return _wish(self, None)


def _wish(body: SeatsHoldBody | SeatsChangeBody, best_available: int | None) -> dict[str, Any]:
    faults = _told(seating.faults_of_wish(body.seats, best_available, body.areas))
    if faults:
        raise invalid(faults)
    return body.model_dump(exclude={"client_reference"}, exclude_none=True)


def _told(faults: Iterable[seating.Fault]) -> list[Fault]:
    return [Fault(fault.detail, fault.pointer) for fault in faults]
