"""A screening: a pool of one for each seat, named by it, and a pool of many for each area.

A blocked seat is a pool without capacity. Who asks for the best available gets seats side by side in one row or nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from schema.rows import Hold as HoldRow
from topics.commands import Cancel, ChangeHold, Command, DefineResource, Hold
from topics.resources import ClaimAt, Settings
from topics.seating import Plan, area_of, faults_of_plan, faults_of_wish, house_of, pool_of_area, seats_not_in
from workers.core.kinds import FindBest
from workers.core.kinds.best_available import BestSeats

_NOT_OF_DEFINITIONS = ("capacity", "price", "currency", "name", "payment_seconds")


@dataclass(frozen=True, slots=True)
class Screening:
    """The kind `screening`; implements `workers.core.kinds.Kind`."""

    hold_seconds: int = 600
    max_hold_seconds: int = 1800
    takes_orders: bool = False
    needs_token: bool = True
    names_pools: bool = True

    def fault_of(self, command: Command) -> str | None:
        """Say what is wrong with a plan or a wish, with its place; a hold needs a token from its beginning."""
        return next(_faults(command), None)

    def capacities(self, command: DefineResource) -> dict[str, int]:
        """Count a seat as one unit, a blocked one as none, an area as what it takes."""
        house = house_of(self.plan(command))
        seats = {seat.id: 0 if seat.is_blocked else 1 for seat in house.seats.values()}
        return seats | {pool_of_area(area.id): area.capacity for area in command.areas or ()}

    def sale(self, command: DefineResource) -> None:
        """Sell nothing: a hold is made firm by its confirmation."""

    def plan(self, command: DefineResource) -> Plan:
        """Return rows, areas and focal point."""
        return Plan(rows=command.rows or (), areas=command.areas or (), focal=command.focal)

    def told_alone(self, pool: str) -> str | None:
        """Tell of each seat by itself, of areas with their holds."""
        return "seat" if area_of(pool) is None else None

    def pools_of(self, command: Command) -> frozenset[str] | None:
        """Return what is named; a definition and the search for the best need to see the house."""
        match command:
            case DefineResource():
                return None
            case Hold() if command.best_available is not None:
                return None
            case Hold() | ChangeHold():
                return frozenset(_named(command))
            case _:
                return frozenset()

    def quantity_of(self, command: Hold) -> int:
        """Count seats and places."""
        return len(command.seats or ()) + (command.best_available or 0) + sum((command.areas or {}).values())

    def finder(self, settings: Settings) -> BestSeats:
        """Find seats side by side."""
        return BestSeats(_plan_of(settings))

    def claims(self, command: Hold, find_best: FindBest) -> dict[str, int] | None:
        """Claim what is named, and the best seats that are free."""
        named = _named(command)
        if command.best_available is None:
            return named
        found = find_best(command.best_available)
        return None if found is None else dict.fromkeys(found, 1) | named

    def claims_of(self, hold: HoldRow) -> dict[str, int]:
        """Claim what it has: it claimed all of it from its beginning."""
        return hold.units

    def changed_claims(self, hold: HoldRow, command: ChangeHold) -> dict[str, int]:
        """Claim the seats or the areas that are named now, and of what is not named the same as before."""
        kept = {
            pool: units
            for pool, units in hold.units.items()
            if (command.seats if area_of(pool) is None else command.areas) is None
        }
        return kept | _named(command)

    def returned(self, hold: HoldRow, command: Cancel) -> dict[str, int]:
        """Give back the seats that are named, of those that the hold has; else all."""
        if command.seats is None:
            return hold.units
        return {seat: hold.units[seat] for seat in command.seats if seat in hold.units}

    def unknown_of(self, claims: dict[str, int], settings: Settings) -> list[str]:
        """Return the seats and the areas that are not in the plan; one that was left out is not, though it may be out."""
        plan = _plan_of(settings)
        areas = {area.id for area in plan.areas}
        named = {pool: area_of(pool) for pool in claims}
        seats = seats_not_in(plan, [pool for pool, area in named.items() if area is None])
        return [*seats, *(pool for pool, area in named.items() if area is not None and area not in areas)]


def _plan_of(settings: Settings) -> Plan:
    return settings.plan if isinstance(settings.plan, Plan) else Plan()


def _named(command: Hold | ChangeHold) -> dict[str, int]:
    seats = dict.fromkeys(command.seats or (), 1)
    return seats | {pool_of_area(area): units for area, units in (command.areas or {}).items()}


def _faults(command: Command) -> Iterator[str]:
    match command:
        case DefineResource():
            yield from (
                f"a screening has no {name}" for name in _NOT_OF_DEFINITIONS if getattr(command, name) is not None
            )
            if command.claim_at is not ClaimAt.HOLD:
                yield "seats are claimed by the hold: claim_at cannot be confirm"
            faults = faults_of_plan(command.rows or (), command.areas or (), command.focal)
        case Hold():
            if command.quantity != 1:
                yield "a hold of a screening has no quantity: it names seats, best_available or areas"
            if command.token_hash is None:
                yield "a hold of a screening needs a token_hash: seats are only for who shows the token"
            faults = faults_of_wish(command.seats, command.best_available, command.areas)
        case ChangeHold():
            if isinstance(command.quantity, int):
                yield "a hold of a screening has no quantity: it changes to seats or areas"
            faults = faults_of_wish(command.seats, None, command.areas)
        case Cancel() if command.seats is not None:
            faults = faults_of_wish(command.seats, None, None)
        case _:
            return
    yield from (f"{fault.detail} - at {fault.pointer or 'the whole'}" for fault in faults)
