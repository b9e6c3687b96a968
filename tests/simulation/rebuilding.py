"""What should be true of one slot: its life told again from the design, with the contract's words and none of the core's.

Plain and slow: every count is counted anew from the holds. `answer` returns the events that a command must have had.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from tests.simulation.evidence import Asked
from topics import commands, events
from topics.identifiers import hold_id_of
from topics.resources import ClaimAt, Counters, HoldStatus, Settings

POOL = "units"
HOLD_SECONDS = 300
MAX_HOLD_SECONDS = 1800

Told = tuple[str, events.EventData]
OfSlot = commands.Confirm | commands.Cancel | commands.Extend | commands.ChangeHold


@dataclass(frozen=True)
class Placed:
    """A hold that was granted; `claims` tells whether it has taken its units."""

    hold_id: str
    account: str
    token_hash: str | None
    buyer: str | None
    client_reference: str | None
    quantity: int
    claims: bool
    granted_at: datetime
    expires_at: datetime
    latest: datetime
    status: HoldStatus = HoldStatus.HELD
    ended_at: datetime | None = None

    @property
    def units(self) -> dict[str, int]:
        """What it claims of each pool."""
        return {POOL: self.quantity} if self.claims else {}

    def view(self) -> events.HoldView:
        """Return it as events show it."""
        return events.HoldView(
            id=self.hold_id,
            status=self.status,
            quantity=self.quantity,
            units=self.units,
            granted_at=self.granted_at,
            expires_at=self.expires_at,
            expires_latest_at=self.latest,
            ended_at=self.ended_at,
            client_reference=self.client_reference,
        )


@dataclass
class Slot:
    """A slot that may not be defined yet."""

    resource_id: str
    settings: Settings | None = None
    capacity: int = 0
    version: int = 0
    last_arrived_at: datetime | None = None
    arrived_at: datetime | None = None
    holds: dict[str, Placed] = field(default_factory=dict)
    refused: dict[str, tuple[str, str]] = field(default_factory=dict)

    def out(self, status: HoldStatus) -> int:
        """Count the units that holds of a status have taken."""
        return sum(hold.quantity for hold in self.holds.values() if hold.status is status and hold.claims)

    def free(self) -> int:
        """Count what is left; below zero if more is out than there is."""
        return self.capacity - self.out(HoldStatus.HELD) - self.out(HoldStatus.CONFIRMED)

    def counters(self) -> Counters:
        """Return what events carry."""
        held, taken = self.out(HoldStatus.HELD), self.out(HoldStatus.CONFIRMED)
        return Counters(self.capacity, held, taken, max(0, self.free()), max(0, -self.free()))

    def arrival(self, asked: Asked, decided_at: datetime) -> datetime:
        """Return when the command counts as arrived."""
        arrived_at = min(asked.appended_at, decided_at)
        return arrived_at if self.last_arrived_at is None else max(arrived_at, self.last_arrived_at)

    def due(self, arrived_at: datetime) -> list[Placed]:
        """Return the holds that are over, in the order in which they end."""
        due = (hold for hold in self.holds.values() if hold.status is HoldStatus.HELD and hold.expires_at <= arrived_at)
        return sorted(due, key=lambda hold: (hold.expires_at, hold.hold_id))

    def answer(
        self, asked: Asked, decided_at: datetime, *, owns_claim: bool, ended: Collection[str] = ()
    ) -> list[Told]:
        """Decide the command; return the events that tell of it, in order.

        An `Expire` may leave a part to the next: it ends as many as it told of, `ended`, and those are the oldest.
        """
        self.arrived_at = self.arrival(asked, decided_at)
        turn = _Turn(self, asked, self.arrived_at, decided_at)
        if self.settings is not None:
            turn.expire(self._to_end(asked, ended))
        no = turn.first_no(owns_claim=owns_claim) or turn.obey()
        if no is not None:
            turn.refuse(no)
        if self.settings is not None:
            self.last_arrived_at = turn.arrived_at
        return turn.told

    def _to_end(self, asked: Asked, ended: Collection[str]) -> list[Placed]:
        due = [] if self.arrived_at is None else self.due(self.arrived_at)
        if not isinstance(asked.command, commands.Expire):
            return due
        # Of those that end at one instant it may be any.
        oldest = sorted(due, key=lambda hold: (hold.expires_at, hold.hold_id not in ended))[: len(ended)]
        return [hold for hold in due if hold in oldest]


@dataclass
class _Turn:
    """One command being decided; what a command may ask for returns the reason for its refusal, None if it is granted."""

    slot: Slot
    asked: Asked
    arrived_at: datetime
    decided_at: datetime
    told: list[Told] = field(default_factory=list)

    def expire(self, due: Iterable[Placed]) -> None:
        for hold in due:
            self._change("hold.expired", replace(hold, status=HoldStatus.EXPIRED, ended_at=hold.expires_at))

    def first_no(self, *, owns_claim: bool) -> str | None:
        if not owns_claim:
            return "idempotency_key_reused"
        if self.asked.wanted_until is not None and self.asked.wanted_until <= self.decided_at:
            return "command_expired"
        return None

    def refuse(self, reason: str) -> None:
        slot = self.slot
        data = events.RequestRefused(
            resource_id=slot.resource_id,
            command=type(self.asked.command).__name__,
            version=slot.version,
            reason=reason,
            detail="",
            arrived_at=self.arrived_at,
            decided_at=self.decided_at,
            counters=None if slot.settings is None else slot.counters(),
            client_reference=commands.client_reference_of(self.asked.command),
            retry_at=slot.settings.opens_at if slot.settings is not None and reason == "not_open_yet" else None,
        )
        self.told.append(("request.refused", data))
        if isinstance(self.asked.command, commands.Hold):
            slot.refused[hold_id_of(self.asked.request_id)] = (self.asked.account, reason)

    def obey(self) -> str | None:
        match self.asked.command:
            case commands.Expire():
                return None
            case commands.DefineResource() as command:
                return self._define(command)
            case _ if self.slot.settings is None:
                return "not_found"
            case commands.Hold() as command:
                return self._place(command, self.slot.settings)
            case commands.Confirm() | commands.Cancel() | commands.Extend() | commands.ChangeHold() as command:
                return self._of_hold(command, self.slot.settings)
            case command:
                raise AssertionError(f"nobody asks a slot for {command}")

    def _define(self, command: commands.DefineResource) -> str | None:
        slot = self.slot
        if command.if_version is not None and command.if_version != slot.version:
            return "version_mismatch"
        seconds = command.hold_seconds or HOLD_SECONDS
        created = slot.settings is None
        slot.settings = Settings(
            hold_seconds=seconds,
            max_hold_seconds=command.max_hold_seconds or max(seconds, MAX_HOLD_SECONDS),
            claim_at=command.claim_at,
            open=command.open,
            opens_at=command.opens_at,
            closes_at=command.closes_at,
            units_per_hold=command.units_per_hold,
            holds_per_buyer=command.holds_per_buyer,
            title=command.title,
        )
        slot.capacity = command.capacity or 0
        slot.version += 1
        data = events.ResourceDefined(
            resource_id=slot.resource_id,
            version=slot.version,
            created=created,
            settings=slot.settings,
            counters=slot.counters(),
            arrived_at=self.arrived_at,
            decided_at=self.decided_at,
            client_reference=command.client_reference,
        )
        self.told.append(("resource.defined", data))
        return None

    def _not_open(self, settings: Settings) -> str | None:
        if not settings.open or (settings.closes_at is not None and self.arrived_at >= settings.closes_at):
            return "closed"
        if settings.opens_at is not None and self.arrived_at < settings.opens_at:
            return "not_open_yet"
        return None

    def _place(self, command: commands.Hold, settings: Settings) -> str | None:
        slot = self.slot
        no = self._not_open(settings)
        if no is not None:
            return no
        if settings.units_per_hold is not None and command.quantity > settings.units_per_hold:
            return "units_per_hold_exceeded"
        live = sum(hold.status is HoldStatus.HELD and hold.buyer == command.buyer for hold in slot.holds.values())
        if command.buyer is not None and settings.holds_per_buyer is not None and live >= settings.holds_per_buyer:
            return "holds_per_buyer_exceeded"
        claims = settings.claim_at is ClaimAt.HOLD
        if claims and command.quantity > slot.free():
            return "sold_out"
        lifetime = min(settings.hold_seconds, settings.max_hold_seconds)
        hold = Placed(
            hold_id=hold_id_of(self.asked.request_id),
            account=self.asked.account,
            token_hash=command.token_hash,
            buyer=command.buyer,
            client_reference=command.client_reference,
            quantity=command.quantity,
            claims=claims,
            granted_at=self.decided_at,
            expires_at=self.decided_at + timedelta(seconds=lifetime),
            latest=self.decided_at + timedelta(seconds=settings.max_hold_seconds),
        )
        self._change("hold.placed", hold)
        return None

    def _of_hold(self, command: OfSlot, settings: Settings) -> str | None:
        hold = self.slot.holds.get(command.hold_id)
        if hold is None:
            account, _ = self.slot.refused.get(command.hold_id, (None, ""))
            return "hold_refused" if account == self.asked.account else "hold_not_found"
        shown = command.token_hash is not None and command.token_hash == hold.token_hash
        if hold.account != self.asked.account and not shown:
            return "hold_not_found"
        return self._to(hold, command, settings)

    def _to(self, hold: Placed, command: OfSlot, settings: Settings) -> str | None:
        match command:
            case commands.Confirm():
                return self._confirm(hold)
            case commands.Cancel():
                return self._cancel(hold)
            case _ if hold.status is not HoldStatus.HELD:
                return f"hold_{hold.status.value}"
            case commands.Extend():
                return self._extend(hold, command.seconds)
            case commands.ChangeHold():
                return self._change_quantity(hold, command.quantity, settings)

    def _confirm(self, hold: Placed) -> str | None:
        if hold.status is HoldStatus.CONFIRMED:
            return self._unchanged(hold)
        if hold.status is not HoldStatus.HELD:
            return f"hold_{hold.status.value}"
        if not hold.claims and hold.quantity > self.slot.free():
            return "sold_out"
        return self._change("hold.confirmed", replace(hold, status=HoldStatus.CONFIRMED, claims=True))

    def _cancel(self, hold: Placed) -> str | None:
        if hold.status in {HoldStatus.CANCELLED, HoldStatus.EXPIRED}:
            return self._unchanged(hold)
        ended = replace(hold, status=HoldStatus.CANCELLED, ended_at=self.decided_at)
        return self._change("hold.cancelled", ended)

    def _extend(self, hold: Placed, seconds: int) -> str | None:
        wanted = min(self.decided_at + timedelta(seconds=seconds), hold.latest)
        if wanted <= hold.expires_at:
            return self._unchanged(hold)
        return self._change("hold.extended", replace(hold, expires_at=wanted))

    def _change_quantity(self, hold: Placed, quantity: int, settings: Settings) -> str | None:
        if quantity == hold.quantity:
            return self._unchanged(hold)
        if quantity > hold.quantity:
            no = self._not_open(settings)
            if no is not None:
                return no
            if settings.units_per_hold is not None and quantity > settings.units_per_hold:
                return "units_per_hold_exceeded"
            if hold.claims and quantity - hold.quantity > self.slot.free():
                return "sold_out"
        return self._change("hold.changed", replace(hold, quantity=quantity))

    def _unchanged(self, hold: Placed) -> str | None:
        self._tell("hold.unchanged", hold)
        return None

    def _change(self, type_name: str, hold: Placed) -> str | None:
        self.slot.holds[hold.hold_id] = hold
        self.slot.version += 1
        self._tell(type_name, hold)
        return None

    def _tell(self, type_name: str, hold: Placed) -> None:
        reference = None if type_name == "hold.expired" else commands.client_reference_of(self.asked.command)
        data = events.HoldChanged(
            resource_id=self.slot.resource_id,
            version=self.slot.version,
            hold=hold.view(),
            counters=self.slot.counters(),
            arrived_at=self.arrived_at,
            decided_at=self.decided_at,
            client_reference=reference,
        )
        self.told.append((type_name, data))
