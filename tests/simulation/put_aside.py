"""The auditor's part on what was not decided: rejected, put aside, forwarded; and payments that were refused."""

from collections.abc import Mapping, Sequence

from tests.simulation.evidence import Evidence, Lying, Misplaced, Read, TurnedAway
from tests.simulation.findings import Audit, Heard
from topics import events
from topics.events import REQUEST_REFUSED
from topics.identifiers import is_resource_id


def audit_turned_away(evidence: Evidence, it: TurnedAway, heard: Mapping[str, Heard], found: Audit) -> None:
    """Ask that it was answered where its key says whom, and put aside unless it is only forbidden."""
    found.looked_at[f"turned away: {it.reason}"] += 1
    record = it.record
    where = f"{record.topic}/{record.partition}/{record.offset}/{it.part}"
    if record.key is not None and is_resource_id(record.key.decode("utf-8", "replace")):
        answer = heard.get(where)
        found.require(
            answer is not None and answer.type == events.RECORD_REJECTED and answer.data.reason == it.reason,
            f"{where} is {it.reason} and was not rejected so: {answer}",
        )
    if it.is_dead_letter:
        kept = [letter for letter in evidence.dead_letters if _coordinates(letter) == where.rpartition("/")[0]]
        reasons = {dict(letter.headers)["firmhold-dlq-reason"].decode() for letter in kept}
        same = all((letter.key, letter.value) == (record.key, record.value) for letter in kept)
        found.require(it.reason in reasons and same, f"{where} is {it.reason}, its dead letters say {reasons}")


def _coordinates(letter: Lying) -> str:
    headers = dict(letter.headers)
    return "/".join(headers[f"firmhold-dlq-{name}"].decode() for name in ("topic", "partition", "offset"))


def audit_forwarded(evidence: Evidence, it: Misplaced, found: Audit) -> None:
    """Ask that a record on a wrong partition was copied to the right one, with the mark that says so."""
    found.looked_at["misplaced"] += 1
    mark = ("firmhold-forwarded", f"{it.record.partition}/{it.record.offset}".encode())
    there = any(
        record.partition == it.home and mark in record.headers and record.value == it.record.value
        for record in evidence.commands
    )
    found.require(there, f"the record {mark[1].decode()} was not forwarded to partition {it.home}")


def audit_dead_letters(
    evidence: Evidence, commands: Sequence[Read], told: Mapping[str, Sequence[Heard]], found: Audit
) -> None:
    """Nothing was put aside that could be decided, but for payments that were refused: and each of these was."""
    bad = {_place(it.record) for it in commands if isinstance(it, TurnedAway) and it.is_dead_letter}
    stored = {row["request_id"]: row for row in evidence.rows["requests"]}
    refused = {
        f"{evidence.catalogue.commands(evidence.kind)}/{row['topic_partition']}/{row['record_offset']}": request_id
        for request_id, row in stored.items()
        if row["command"] == "RecordPayment" and told.get(request_id) and told[request_id][-1].type == REQUEST_REFUSED
    }
    found.looked_at["payments refused and put aside"] += len(refused)
    letters = {_coordinates(letter): dict(letter.headers)["firmhold-dlq-reason"] for letter in evidence.dead_letters}
    for place, reason in letters.items():
        is_money = place in refused and reason == b"refused_payment"
        found.require(place in bad or is_money, f"{place} is a dead letter ({reason!r}) and could be decided")
    lost = refused.keys() - letters.keys()
    found.require(not lost, f"payments were refused and not put aside: {sorted(lost)[:3]}")


def _place(record: Lying) -> str:
    return f"{record.topic}/{record.partition}/{record.offset}"
