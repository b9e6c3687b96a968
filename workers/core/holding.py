"""What happens to holds: placed, changed, extended, confirmed, cancelled, expired. The table of the lifecycle rules."""

from datetime import timedelta

from msgspec.structs import replace

from schema.rows import Hold, Resource
from topics import commands, events
from topics.identifiers import hold_id_of
from topics.resources import ClaimAt, HoldStatus, Settings
from workers.core.lifecycle import NEXT, REFUSAL_OF_STATUS, Happening
from workers.core.state import Draft
from workers.core.telling import Ask, No, tell_of, tell_unchanged
from workers.core.units import give_back, listed, make_firm, take, told


def expire(draft: Draft, hold: Hold) -> None:
    """Expire a hold whose time is over."""
    give_back(draft, hold)
    ended = replace(hold, status=NEXT[hold.status][Happening.EXPIRE], ended_at=hold.expires_at)
    tell_of(draft, events.HOLD_EXPIRED, ended, answers=False)


def placed_before(draft: Draft, ask: Ask) -> bool:
    """Answer from the hold that this request placed before its outcome was purged, if it did: it stands for the outcome."""
    hold = draft.hold(hold_id_of(ask.request_id)) if isinstance(ask.command, commands.Hold) else None
    if hold is not None:
        tell_unchanged(draft, hold)
    return hold is not None


def place(draft: Draft, ask: Ask, command: commands.Hold) -> No | None:
    """Place a hold, all of it or nothing."""
    resource = draft.resource
    if resource is None:
        return no_resource(command.resource_id)
    settings, sale = resource.settings, resource.settings.terms
    quantity = draft.kind.quantity_of(command)
    price = None if sale is None else sale.price
    no = (
        _not_now(draft, settings)
        or _too_many_units(settings, quantity, price)
        or _too_many_holds(draft, settings, command)
    )
    if no is not None:
        return no
    claims = _claims(draft, settings, command)
    if isinstance(claims, No):
        return claims
    claimed = claims if settings.claim_at is ClaimAt.HOLD else {}
    no = take(draft, claimed)
    if no is not None:
        return no
    lifetime = timedelta(seconds=min(settings.hold_seconds, settings.max_hold_seconds))
    hold = Hold(
        hold_id=hold_id_of(ask.request_id),
        account=ask.account,
        token_hash=command.token_hash,
        buyer=command.buyer,
        client_reference=command.client_reference,
        status=HoldStatus.HELD,
        quantity=quantity,
        units=claimed,
        granted_at=draft.decided_at,
        expires_at=draft.decided_at + lifetime,
        expires_latest_at=draft.decided_at + timedelta(seconds=settings.max_hold_seconds),
        unit_price=price,
        currency=None if sale is None else sale.currency,
    )
    tell_of(draft, events.HOLD_PLACED, hold)
    return None


def _claims(draft: Draft, settings: Settings, command: commands.Hold) -> dict[str, int] | No:
    """Return the units that the hold asks for, or why there are none such, free or not."""
    claims = draft.kind.claims(command, draft.find_best)
    if claims is None:
        return No("sold_out", "so many free units next to each other are not left")
    return _unknown(draft, settings, claims) or claims


def _unknown(draft: Draft, settings: Settings, claims: dict[str, int]) -> No | None:
    unknown = draft.kind.unknown_of(claims, settings)
    return No("unknown_pool", f"there is no {listed(unknown)}", in_the_way=tuple(unknown)) if unknown else None


def confirm(draft: Draft, ask: Ask, command: commands.Confirm) -> No | None:
    """Make a hold firm. One that has not claimed its units yet takes them now, or lives on."""
    hold = find(draft, ask, command, Happening.CONFIRM, made_firm_by_orders=draft.kind.takes_orders)
    if isinstance(hold, No):
        return hold
    confirmed = NEXT[hold.status][Happening.CONFIRM]
    if hold.status is confirmed:
        tell_unchanged(draft, hold)
        return None
    units = hold.units or draft.kind.claims_of(hold)
    no = None if hold.units else take(draft, units)
    if no is not None:
        return no
    make_firm(draft, units)
    tell_of(draft, events.HOLD_CONFIRMED, replace(hold, status=confirmed, units=units))
    return None


def cancel(draft: Draft, ask: Ask, command: commands.Cancel) -> No | None:
    """Give a hold back, held or confirmed, or a part of it; one that is over stays as it is."""
    hold = find(draft, ask, command, Happening.CANCEL)
    if isinstance(hold, No):
        return hold
    ended = NEXT[hold.status][Happening.CANCEL]
    if hold.status is ended:
        tell_unchanged(draft, hold)
        return None
    returned = draft.kind.returned(hold, command)
    if returned != hold.units:
        _give_back_part(draft, hold, returned)
        return None
    give_back(draft, hold)
    tell_of(draft, events.HOLD_CANCELLED, replace(hold, status=ended, ended_at=draft.decided_at))
    return None


def _give_back_part(draft: Draft, hold: Hold, returned: dict[str, int]) -> None:
    """Give back some units of a hold, which goes on with the others; none: it has them no more, or never had."""
    if not returned:
        tell_unchanged(draft, hold)
        return
    give_back(draft, hold, returned)
    left = _beyond(hold.units, returned)
    tell_of(draft, events.HOLD_CHANGED, replace(hold, quantity=sum(left.values()), units=left))


def extend(draft: Draft, ask: Ask, command: commands.Extend) -> No | None:
    """Let a hold live for so many seconds from its decision, within its longest life. It never shortens."""
    hold = find(draft, ask, command, Happening.EXTEND)
    if isinstance(hold, No):
        return hold
    wanted = min(draft.decided_at + timedelta(seconds=command.seconds), hold.expires_latest_at)
    if wanted <= hold.expires_at:
        tell_unchanged(draft, hold)
    else:
        tell_of(draft, events.HOLD_EXTENDED, replace(hold, expires_at=wanted))
    return None


def change(draft: Draft, ask: Ask, command: commands.ChangeHold) -> No | None:
    """Change what a hold claims, in place, all or nothing; limits are asked of what is taken in addition only."""
    hold = find(draft, ask, command, Happening.CHANGE)
    if isinstance(hold, No):
        return hold
    wanted = draft.kind.changed_claims(hold, command)
    quantity = sum(wanted.values())
    if quantity == hold.quantity and (not hold.units or wanted == hold.units):
        tell_unchanged(draft, hold)
        return None
    no = _grow(draft, hold, wanted, quantity)
    if no is not None:
        return no
    if hold.units:
        give_back(draft, hold, _beyond(hold.units, wanted))
    tell_of(draft, events.HOLD_CHANGED, replace(hold, quantity=quantity, units=wanted if hold.units else {}))
    return None


def _grow(draft: Draft, hold: Hold, wanted: dict[str, int], quantity: int) -> No | None:
    """Take what the changed hold needs in addition; its own units are not in its way."""
    more = _beyond(wanted, hold.units)
    settings = existing(draft).settings
    if quantity > hold.quantity or (hold.units and more):
        no = _not_now(draft, settings) or _too_many_units(settings, quantity, hold.unit_price)
        if no is not None:
            return no
    return (_unknown(draft, settings, more) or take(draft, more)) if hold.units else None


def _beyond(units: dict[str, int], others: dict[str, int]) -> dict[str, int]:
    """Return by how much the first exceed the second, pool by pool."""
    return {name: count - others.get(name, 0) for name, count in units.items() if count > others.get(name, 0)}


def find(
    draft: Draft, ask: Ask, command: commands.OfHold, happening: Happening, *, made_firm_by_orders: bool = False
) -> Hold | No:
    """Return the hold of a command if it is the caller's and may go that way; else the refusal, in order of precedence."""
    if draft.resource is None:
        return no_resource(command.resource_id)
    hold = draft.hold(command.hold_id)
    if hold is None:
        return _never_placed(draft, ask, command.hold_id)
    account = None if draft.kind.needs_token else hold.account
    if not is_entitled(ask, account, hold.token_hash, command.token_hash):
        return _no_hold(command.hold_id)
    if made_firm_by_orders:
        return No("needs_order", "place an order with the hold: it becomes firm when the order is paid")
    if happening not in NEXT[hold.status]:
        return No(REFUSAL_OF_STATUS[hold.status], f"the hold is {hold.status.value}", order_id=hold.order_id)
    return hold


def _never_placed(draft: Draft, ask: Ask, hold_id: str) -> No:
    """Tell a hold that was refused from one never seen; the former only to who asked for it."""
    account, reason = draft.state.refused.get(hold_id, (None, ""))
    if account != ask.account:
        return _no_hold(hold_id)
    return No("hold_refused", f"the hold was refused: {reason}")


def _no_hold(hold_id: str) -> No:
    return No("hold_not_found", f"there is no hold {hold_id}, or it is not yours")


def is_entitled(ask: Ask, account: str | None, token_hash: str | None, shown: str | None) -> bool:
    """Tell whether a hold or an order is the caller's: by its account (None: no account will do), or by its token."""
    return account == ask.account or (shown is not None and shown == token_hash)


def no_resource(resource_id: str) -> No:
    """Refuse a command of a resource that does not exist."""
    return No("not_found", f"there is no resource {resource_id}")


def existing(draft: Draft) -> Resource:
    """Return the resource of a hold."""
    if draft.resource is None:
        message = "a hold cannot be on a resource that does not exist"
        raise AssertionError(message)
    return draft.resource


def _not_now(draft: Draft, settings: Settings) -> No | None:
    """Ask whether the resource is open: of taking units only, and judged on arrival."""
    if not settings.open:
        return No("closed", "the resource is closed to new holds")
    if settings.closes_at is not None and settings.closes_at <= draft.arrived_at:
        return No("closed", f"the resource closed at {settings.closes_at.isoformat()}")
    if settings.opens_at is not None and draft.arrived_at < settings.opens_at:
        return No("not_open_yet", f"the resource opens at {settings.opens_at.isoformat()}", retry_at=settings.opens_at)
    return None


def _too_many_units(settings: Settings, units: int, unit_price: int | None) -> No | None:
    """Ask for the limit of a hold, and for that of money: a hold never costs more than an amount can say."""
    most = settings.units_per_hold
    if unit_price:
        most = min(commands.AMOUNT_MAX // unit_price, commands.MAX_UNITS if most is None else most)
    if most is None or units <= most:
        return None
    return No("units_per_hold_exceeded", f"{told(units)} asked for, one hold may have {most}")


def _too_many_holds(draft: Draft, settings: Settings, command: commands.Hold) -> No | None:
    most = settings.holds_per_buyer
    if most is None or command.buyer is None or draft.live_holds_of(command.buyer) < most:
        return None
    return No("holds_per_buyer_exceeded", f"the buyer has as many live holds as one may have: {most}")
