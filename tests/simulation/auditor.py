"""The auditor: from the logs it rebuilds what should be true, and compares it with what was told and what is stored.

It imports the contract (`topics`), its own two modules, and nothing else of ours (a test looks). What it cannot derive
from the command log it takes from what was told and holds all else to it: when a command was decided, and which of two
requests with one key, on two partitions, was first.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from tests.simulation.evidence import Asked, Evidence, Misplaced, Read, TurnedAway, read
from tests.simulation.final_rows import faults_of_rows
from tests.simulation.findings import Audit, Heard
from tests.simulation.put_aside import audit_dead_letters, audit_forwarded, audit_turned_away
from tests.simulation.readings import faults_of_reads
from tests.simulation.rebuilding import Slot, Told
from tests.simulation.sales import audit_sale
from topics import commands, events

SALES = "product"
_BATCHED_HEADERS = frozenset(("ce_traceparent",))  # a copy of a command may be of another trace


def audit(evidence: Evidence) -> Audit:
    """Return what is wrong with this evidence."""
    found = Audit()
    commands = list(read(evidence))
    heard = _listen(evidence, _unordered(commands), found)
    stored = {row["request_id"]: row for row in evidence.rows["requests"]}
    asked: dict[str, Asked] = {}
    lying: dict[str, dict[tuple[int, int], Asked]] = defaultdict(dict)
    owners: dict[tuple[str, str], list[Asked]] = defaultdict(list)
    copies: dict[tuple[str, str], set[int]] = defaultdict(set)
    for it in commands:
        match it:
            case Asked():
                found.looked_at["commands"] += 1
                copies[it.claim].add(it.partition)
                lying[it.request_id].setdefault((it.partition, it.record.offset), it)
                before = asked.get(it.request_id)
                if before is None:
                    owners[it.claim].append(it)
                else:
                    found.looked_at["repeated commands"] += 1
                # Of one partition the first copy is decided; of two, the one that the row says.
                if before is None or (before.partition != it.partition == _partition(stored.get(it.request_id))):
                    asked[it.request_id] = it
            case TurnedAway():
                audit_turned_away(evidence, it, heard, found)
            case Misplaced():
                audit_forwarded(evidence, it, found)
    steps = _steps(asked, lying, stored, found)
    asked |= steps
    told = _by_request(heard, asked, found)
    audit_dead_letters(evidence, commands, told, found)
    owning = _audit_claims(owners, copies, told, found) | steps.keys()
    _audit_definitions(commands, asked, told, found)
    if evidence.kind == SALES:
        audit_sale(evidence, asked, told, found)
    else:
        found.faults += faults_of_rows(evidence, _replay(evidence, asked, owning, told, found))
    found.require(stored.keys() <= asked.keys(), "a request is stored that nobody made")
    _audit_requests(stored, owning, told, found)
    found.looked_at["reads of slots"] += len(evidence.reads)
    found.looked_at["reads of lists"] += len(evidence.lists)
    found.faults += faults_of_reads(evidence, (event.data for event in heard.values() if _changes(event.type)))
    return found


def _partition(row: Mapping[str, Any] | None) -> int | None:
    return None if row is None else row["topic_partition"]


def _steps(
    asked: Mapping[str, Asked],
    lying: Mapping[str, Mapping[tuple[int, int], Asked]],
    stored: Mapping[str, Mapping[str, Any]],
    found: Audit,
) -> dict[str, Asked]:
    """Return the steps that are stored, each of a command that was made, where that lay when the step was taken."""
    steps: dict[str, Asked] = {}
    for request_id, it in asked.items():
        number = 1
        while (row := stored.get((step := it.step(number)).request_id)) is not None:
            copy = lying[request_id].get((row["topic_partition"], row["record_offset"]), it)
            steps[step.request_id] = copy.step(number)
            found.require(row["step_of"] == request_id, f"{_name(it)}: step {number} is stored as of {row['step_of']}")
            number += 1
        found.looked_at["commands with several steps"] += number > 2
    of_a_command = {request_id for request_id, row in stored.items() if row["step_of"] is not None}
    found.require(of_a_command == steps.keys(), f"steps without their command: {sorted(of_a_command ^ steps.keys())}")
    found.looked_at["steps"] += len(steps)
    return steps


def _unordered(commands: Sequence[Read]) -> set[str]:
    """Return the slots whose commands lie on several partitions: they are safe, only their order is nobody's promise."""
    partitions: dict[str, set[int]] = defaultdict(set)
    for it in commands:
        if isinstance(it, Asked):
            partitions[it.command.resource_id].add(it.partition)
    return {resource_id for resource_id, lying in partitions.items() if len(lying) > 1}


def _listen(evidence: Evidence, unordered: set[str], found: Audit) -> dict[str, Heard]:
    """Read the events: repeated word for word, each slot's in the order of its versions, without gaps, nothing oversold."""
    heard: dict[str, Heard] = {}
    changes: dict[str, list[Heard]] = defaultdict(list)
    for record in evidence.events:
        headers = {name: text for name, text in record.headers if name not in _BATCHED_HEADERS}
        event_id, type_name = headers["ce_id"].decode(), headers["ce_type"].decode()
        before = heard.get(event_id)
        if before is not None:
            found.looked_at["repeated events"] += 1
            same = before.value == record.value and dict(before.headers) == headers
            found.require(same, f"event {event_id} was sent again with other words")
            continue
        value = record.value or b""
        event = Heard(event_id, type_name, headers, value, events.decode_data(type_name, value))
        heard[event_id] = event
        found.looked_at[f"{type_name} {event.data.reason}" if type_name == events.REQUEST_REFUSED else type_name] += 1
        if _changes(type_name) and not _keeps_version(event, changes[event.data.resource_id]):
            changes[event.data.resource_id].append(event)
    for resource_id, its in changes.items():
        if resource_id in unordered:
            its.sort(key=lambda event: int(event.data.version))
        for before, event in zip([None, *its], its, strict=False):
            _audit_version(event, None if before is None else before.data, found)
    return heard


def _changes(type_name: str) -> bool:
    return type_name not in events.CHANGE_NOTHING


def _keeps_version(event: Heard, before: Sequence[Heard]) -> bool:
    """Tell whether a provider's word was recorded and changed nothing."""
    is_word = event.type == events.PAYMENT_RECORDED and bool(before)
    return is_word and bool(event.data.version == before[-1].data.version)


def _audit_version(event: Heard, before: Any, found: Audit) -> None:  # noqa: ANN401 - data of any event
    """Look at an event beside the one before it: the next version, and never more out than there is or was."""
    data, expected = event.data, 1 if before is None else before.version + 1
    found.require(
        data.version == expected, f"{data.resource_id}: version {data.version} appeared where {expected} was due"
    )
    if before is not None:
        is_later = before.decided_at <= data.decided_at and before.arrived_at <= data.arrived_at
        found.require(is_later, f"{data.resource_id}: time ran backwards at version {data.version}")
    units = data.counters
    out = units.held + units.taken
    was_out = 0 if before is None else before.counters.held + before.counters.taken
    found.require(
        out <= max(units.capacity, was_out), f"{data.resource_id} is sold twice at version {data.version}: {units}"
    )


def _by_request(heard: Mapping[str, Heard], asked: Mapping[str, Asked], found: Audit) -> dict[str, list[Heard]]:
    """Sort the events by the request that caused them."""
    told: dict[str, list[Heard]] = defaultdict(list)
    for event in heard.values():
        if event.type == events.RECORD_REJECTED:
            continue
        request_id = events.request_id_of({name: text.decode() for name, text in event.headers.items()})
        found.require(request_id in asked, f"event {event.id} answers what nobody asked")
        place = f"{request_id}/{len(told[request_id])}"
        has_its_own = event.type == events.REFUND_REQUIRED
        found.require(has_its_own or event.id == place, f"event {event.id} appeared out of its place, as {place}")
        told[request_id].append(event)
    return told


def _audit_claims(
    owners: Mapping[tuple[str, str], list[Asked]],
    copies: Mapping[tuple[str, str], set[int]],
    told: Mapping[str, list[Heard]],
    found: Audit,
) -> set[str]:
    """Each claim has one owner, and of one partition the first; returns the requests that own theirs."""
    owning: set[str] = set()
    for claim, requests in owners.items():
        kept = [it for it in requests if _reason(told.get(it.request_id, [])) != "idempotency_key_reused"]
        if not kept and isinstance(requests[0].command, commands.RecordPayment):
            kept = requests[:1]  # a provider's event that was another payment's is refused so, and owns its claim
        found.require(len(kept) == 1, f"the claim {claim} has {len(kept)} owners of {len(requests)} requests")
        owning |= {it.request_id for it in kept}
        if len(requests) > 1:
            found.looked_at["claims used for two requests"] += 1
        if kept and len(copies[claim]) == 1:
            found.require(kept[0] is requests[0], f"the claim {claim} belongs to {requests[0].request_id}")
    return owning


def _audit_definitions(
    commands: Sequence[Read], asked: Mapping[str, Asked], told: Mapping[str, list[Heard]], found: Audit
) -> None:
    """Whatever lies behind a definition on its own partition finds the slot, also where partitions race to create it."""
    first: dict[tuple[str, int], tuple[int, int]] = {}
    for it in commands:
        if isinstance(it, Asked) and any(
            event.type == events.RESOURCE_DEFINED for event in told.get(it.request_id, ())
        ):
            first.setdefault((it.command.resource_id, it.partition), (it.record.offset, it.part))
    for it in asked.values():
        defined = first.get((it.command.resource_id, it.partition))
        if defined is not None and defined < (it.record.offset, it.part):
            is_found = all(event.data.version > 0 for event in told.get(it.request_id, ()))
            found.require(is_found, f"{_name(it)} was decided without its slot, which was defined at {defined}")


def _reason(told: list[Heard]) -> str | None:
    return told[-1].data.reason if told and told[-1].type == events.REQUEST_REFUSED else None


def _replay(
    evidence: Evidence, asked: Mapping[str, Asked], owning: set[str], told: Mapping[str, list[Heard]], found: Audit
) -> dict[str, Slot]:
    """Decide all again, in the order of the log, and compare word by word what was told."""
    slots: dict[str, Slot] = {}
    stored = {row["request_id"]: row for row in evidence.rows["requests"]}
    lying: dict[str, dict[int, list[Asked]]] = defaultdict(lambda: defaultdict(list))
    for request_id, it in asked.items():
        row = stored.get(request_id)
        where = None if row is None else (row["topic_partition"], row["record_offset"])
        if found.require(
            where == (it.partition, it.record.offset), f"{_name(it)} was not decided there but at {where}"
        ):
            lying[it.command.resource_id][it.partition].append(it)

    ended_at_once: Counter[tuple[str, datetime]] = Counter()
    for resource_id, partitions in lying.items():
        slot = slots[resource_id] = Slot(resource_id)
        for its in partitions.values():
            its.sort(key=lambda it: (it.record.offset, it.part, it.step_of is None, it.claim_id))
            times = [stored[it.request_id]["decided_at"] for it in its]
            found.require(times == sorted(times), f"{resource_id}: its commands were not decided in the log's order")
        for it in _in_turn(slot, partitions.values(), stored, told):
            decided_at = stored[it.request_id]["decided_at"]
            said = told.get(it.request_id, [])
            ended = {event.data.hold.id for event in said if event.type == events.HOLD_EXPIRED}
            expected = slot.answer(it, decided_at, owns_claim=it.request_id in owning, ended=ended)
            ended_at_once[resource_id, decided_at] += len(ended)
            _audit_expiries(evidence, it, slot, (len(ended), ended_at_once[resource_id, decided_at]), found)
            if len(partitions) > 1:  # which of a refused hold and its confirmation was first, nobody tells
                expected = [_as_not_found(one) for one in expected]
            _compare(it, expected, said, found, as_not_found=len(partitions) > 1)
            found.require(
                stored[it.request_id]["arrived_at"] == slot.arrived_at, f"{_name(it)}: stored with another arrival"
            )
    return slots


def _audit_expiries(evidence: Evidence, it: Asked, slot: Slot, ended: tuple[int, int], found: Audit) -> None:
    """Look at what a command ended, and with it its transaction: never more than it may, never less while more is due."""
    by_it, at_once = ended
    least, most = evidence.expiries
    found.require(by_it <= most, f"{_name(it)} ended {by_it} holds at once, and may {most}")
    left = [] if slot.arrived_at is None or slot.settings is None else slot.due(slot.arrived_at)
    found.require(
        not left or at_once >= least, f"{_name(it)} left {len(left)} holds that are over, and ended {at_once}"
    )
    found.looked_at["an Expire that left a part"] += bool(left)


def _in_turn(
    slot: Slot,
    partitions: Iterable[Sequence[Asked]],
    stored: Mapping[str, Mapping[str, Any]],
    told: Mapping[str, list[Heard]],
) -> Iterator[Asked]:
    """Yield the commands of each partition in its order; of several, what comes next in the light of what was told.

    It is called for the next when the last was answered: what its answer must be tells whether one may be next.
    """
    queues = [deque(its) for its in partitions]

    def turn(queue: deque[Asked]) -> tuple[Any, ...]:
        it = queue[0]
        row, its = stored[it.request_id], told.get(it.request_id, [])
        loud = next((telling for one in queue if (telling := told.get(one.request_id, []))), [])
        is_early = bool(loud) and loud[0].data.version == 0  # what is not there has no lock, and so no order of times
        changes = bool(its) and _changes(its[0].type)
        is_next = not its or its[0].data.version == slot.version + changes
        is_possible = is_next and row["arrived_at"] == slot.arrival(it, row["decided_at"])
        return not is_early, row["decided_at"], not is_possible, row["arrived_at"], changes

    while queues := [queue for queue in queues if queue]:
        yield min(queues, key=turn).popleft()


def _name(it: Asked) -> str:
    where = f"{it.partition}/{it.record.offset}"
    return f"{type(it.command).__name__} of {it.command.resource_id} at {where} ({it.source}, {it.claim_id})"


def _as_not_found(told: Told) -> Told:
    type_name, data = told
    if isinstance(data, events.RequestRefused) and data.reason == "hold_refused":
        return type_name, msgspec.structs.replace(data, reason="hold_not_found")
    return told


def _compare(it: Asked, expected: list[Told], told: list[Heard], found: Audit, *, as_not_found: bool = False) -> None:
    """Compare type, data, and who is answered."""
    found.require(
        len(told) == len(expected),
        f"{_name(it)}: told {[event.type for event in told]}, due {[type_name for type_name, _ in expected]}",
    )
    for place, ((type_name, data), event) in enumerate(zip(expected, told, strict=False)):
        said = msgspec.structs.replace(event.data, detail="") if hasattr(event.data, "detail") else event.data
        saying = _as_not_found((event.type, said)) if as_not_found else (event.type, said)
        found.require(
            saying == (type_name, data),
            f"{_name(it)}: event {place} says {event.type} {said}, due was {type_name} {data}",
        )
        answers = place == len(expected) - 1 and type_name != "hold.expired"
        cause = event.headers["ce_causationid"].decode()
        found.require(cause == it.cause, f"event {event.id} comes from {cause!r}, due was {it.cause!r}")
        answered = event.headers.get("ce_correlationid", b"").decode()
        found.require(answered == (it.request_id if answers else ""), f"event {event.id} answers {answered!r}")
        record = event.headers.get("ce_commandrecord", b"").decode()
        decided = f"{it.record.partition}/{it.record.offset}" if answers else ""
        found.require(record == decided, f"event {event.id} is of record {record!r}, due was {decided!r}")


def _audit_requests(
    requests: Mapping[str, Mapping[str, Any]], owning: set[str], told: Mapping[str, list[Heard]], found: Audit
) -> None:
    """Compare what is stored of each request with what was told of it."""
    for request_id, row in requests.items():
        stored = [(event.id, event.type, bytes(event.data)) for event in events.decode_stored(row["events"])]
        said = [(event.id, event.type, event.value) for event in told.get(request_id, [])]
        found.require(stored == said, f"{request_id}: what is stored is not what was told")
        found.require(row["owns_claim"] == (request_id in owning), f"{request_id}: owns_claim is {row['owns_claim']}")
        found.require(row["reason"] == _reason(told.get(request_id, [])), f"{request_id}: reason is {row['reason']}")
