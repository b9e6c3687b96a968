"""A few seeds in `make test`; that a seed is a run; that the auditor is independent, and not blind."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.simulation.auditor import audit
from tests.simulation.evidence import Evidence, Lying
from tests.simulation.run import evidence_of, in_a_process, play
from tests.twins.memory_log import LogRecord

HERE = Path(__file__).parent
OF_THE_AUDITOR = (
    "auditor.py",
    "evidence.py",
    "final_rows.py",
    "findings.py",
    "put_aside.py",
    "readings.py",
    "rebuilding.py",
    "sales.py",
)
ALLOWED = {"topics", "msgspec", *sys.stdlib_module_names}
SEED = 1
SEED_OF_A_SALE = 4


def simulated(seeds: int, hash_seed: str, first: int = 1) -> subprocess.CompletedProcess[str]:
    """Run seeds as `make sim` does."""
    return subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--seeds", str(seeds), "--first", str(first), "--processes", "1"],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.chaos
def test_a_few_seeds_hold_and_a_seed_is_a_run() -> None:
    """No fault is found; and each seed makes the same run again, whatever the hashes of strings are.

    The second was seen to fail with `time.monotonic()` in `workers.sweeping`: the sweeper then sends at other times.
    Which breaks the first was seen to fail on, stands in the docstring of this package, with the seeds that notice.
    """
    some, one = simulated(2, "1"), simulated(1, "2")
    assert some.returncode == one.returncode == 0, some.stdout + some.stderr
    digests = [re.findall(r"digest \w+", run.stdout) for run in (some, one)]
    assert [len(of_run) for of_run in digests] == [2, 1]
    assert digests[0][0] == digests[1][0]


@pytest.mark.chaos
def test_a_sale_holds_and_its_seed_is_a_run() -> None:
    """As that of slots. Which breaks it was seen to fail on, stands in the docstring of this package."""
    one, again = simulated(1, "1", SEED_OF_A_SALE), simulated(1, "2", SEED_OF_A_SALE)
    assert one.returncode == again.returncode == 0, one.stdout + one.stderr
    assert re.findall(r"digest \w+", one.stdout) == re.findall(r"digest \w+", again.stdout)


def test_the_auditor_imports_the_contract_and_nothing_else_of_ours() -> None:
    """What it says is true is not what the core says."""
    imported = set()
    for name in OF_THE_AUDITOR:
        for node in ast.walk(ast.parse((HERE / name).read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module or "")
    others = {name for name in imported if name.partition(".")[0] not in ALLOWED}
    assert others == {f"tests.simulation.{name.removesuffix('.py')}" for name in OF_THE_AUDITOR if name != "auditor.py"}


def of_type(evidence: Evidence, name: bytes) -> list[int]:
    """Return the places of the events of a type."""
    return [number for number, it in enumerate(evidence.events) if ("ce_type", name) in it.headers]


def without_an_event(evidence: Evidence) -> Evidence:
    """Lose an answer: of a refusal that nobody told twice."""
    ids = [dict(it.headers)["ce_id"] for it in evidence.events]
    place = next(place for place in of_type(evidence, b"request.refused") if ids.count(ids[place]) == 1)
    return replace(evidence, events=[it for number, it in enumerate(evidence.events) if number != place])


def with_other_words(evidence: Evidence) -> Evidence:
    """Tell an event once more, with another detail."""
    it = evidence.events[of_type(evidence, b"request.refused")[0]]
    again = replace(_record(it), value=(it.value or b"").replace(b'"detail":"', b'"detail":"oh: '))
    return replace(evidence, events=[*evidence.events, again])


def with_two_events_swapped(evidence: Evidence) -> Evidence:
    """Let a slot's second version appear before its first."""
    placed = of_type(evidence, b"hold.placed")
    first = evidence.events[placed[0]]
    of_slot = [place for place in placed if evidence.events[place].key == first.key]
    second = next(place for place in of_slot if _id(evidence.events[place]) != _id(first))  # the first may come again
    events = list(evidence.events)
    events[placed[0]], events[second] = events[second], events[placed[0]]
    return replace(evidence, events=events)


def with_a_unit_sold_twice(evidence: Evidence) -> Evidence:
    """Store that a confirmed hold was cancelled, and keep its unit taken."""
    return _with_hold(evidence, "confirmed", status="cancelled")


def with_a_longer_life(evidence: Evidence) -> Evidence:
    """Store a hold that was never told so long."""
    hold = evidence.rows["holds"][0]
    return _with_hold(evidence, hold["status"], expires_at=hold["expires_latest_at"].replace(year=2100))


def with_a_request_of_nobody(evidence: Evidence) -> Evidence:
    """Lose the record of a decided command."""
    asked = next(it for it in evidence.commands if (it.key, dict(it.headers).get("ce_id")) == (b"aula", b"c1"))
    return replace(evidence, commands=[it for it in evidence.commands if it is not asked])


def with_a_lost_dead_letter(evidence: Evidence) -> Evidence:
    """Forget what was put aside."""
    return replace(evidence, dead_letters=[])


def with_a_good_record_put_aside(evidence: Evidence) -> Evidence:
    """Put aside what was decided."""
    letter = _record(evidence.dead_letters[0])
    headers = [(name, b"0" if name == "firmhold-dlq-offset" else text) for name, text in letter.headers]
    return replace(evidence, dead_letters=[*evidence.dead_letters, replace(letter, headers=tuple(headers))])


def with_another_reason(evidence: Evidence) -> Evidence:
    """Refuse as sold out what was refused for another reason, in word and row."""
    events = [
        replace(_record(it), value=(it.value or b"").replace(b'"reason":"not_found"', b'"reason":"sold_out"'))
        for it in evidence.events
    ]
    return replace(evidence, events=events)


def with_an_old_answer(evidence: Evidence) -> Evidence:
    """Let a gateway answer with the version before the one that it had to know."""
    place, it = next((place, it) for place, it in enumerate(evidence.reads) if it.version == it.version_least > 1)
    return replace(evidence, reads=[*evidence.reads[:place], replace(it, version=it.version - 1)])


def with_a_made_up_answer(evidence: Evidence) -> Evidence:
    """Let a gateway answer with a unit that nobody has."""
    it = next(it for it in evidence.reads if it.version > 0)
    capacity, held, remaining = it.units
    return replace(evidence, reads=[replace(it, units=(capacity, held, remaining + 1))])


def with_a_list_without_a_slot(evidence: Evidence) -> Evidence:
    """Let a gateway forget a slot that was told of."""
    it = next(it for it in evidence.lists if it.least)
    return replace(evidence, lists=[replace(it, ids=it.ids - {min(it.least)})])


def with_money_kept(evidence: Evidence) -> Evidence:
    """Store as paid what is to be given back."""
    return _with_payment(evidence, "refund_required", status="paid")


def with_more_money(evidence: Evidence) -> Evidence:
    """Store another amount than was told."""
    return _with_payment(evidence, "paid", amount=7)


def with_a_refund_that_nobody_was_told(evidence: Evidence) -> Evidence:
    """Lose each word of a refund."""
    lost = _id(evidence.events[of_type(evidence, b"refund.required")[0]])
    return replace(evidence, events=[it for it in evidence.events if _id(it) != lost])


def with_a_word_of_nobody(evidence: Evidence) -> Evidence:
    """Forget one word of a provider."""
    return replace(evidence, rows={**evidence.rows, "payment_events": evidence.rows["payment_events"][1:]})


def with_units_of_nobody(evidence: Evidence) -> Evidence:
    """Give back the units of a paid order, and tell nobody."""
    place = next(place for place, row in enumerate(evidence.rows["orders"]) if row["status"] == "paid")
    orders = list(evidence.rows["orders"])
    orders[place] = {**orders[place], "units_are": "returned"}
    return replace(evidence, rows={**evidence.rows, "orders": orders})


def with_an_order_that_is_paid(evidence: Evidence) -> Evidence:
    """Store as paid what was cancelled."""
    place = next(place for place, row in enumerate(evidence.rows["orders"]) if row["status"] == "cancelled")
    orders = list(evidence.rows["orders"])
    orders[place] = {**orders[place], "status": "paid"}
    return replace(evidence, rows={**evidence.rows, "orders": orders})


def with_too_little_money(evidence: Evidence) -> Evidence:
    """Tell that an order is paid with a cent less than it costs."""
    told = [
        replace(_record(it), value=re.sub(rb'"counted":\d+', b'"counted":1', it.value or b"")) for it in evidence.events
    ]
    return replace(evidence, events=told)


def without_money_put_aside(evidence: Evidence) -> Evidence:
    """Lose the dead letters of refused payments."""
    kept = [it for it in evidence.dead_letters if ("firmhold-dlq-reason", b"refused_payment") not in it.headers]
    return replace(evidence, dead_letters=kept)


def _with_payment(evidence: Evidence, now: str, **columns: object) -> Evidence:
    rows = list(evidence.rows["payments"])
    place = next(number for number, row in enumerate(rows) if row["status"] == now and row["parked_until"] is None)
    rows[place] = {**rows[place], **columns}
    return replace(evidence, rows={**evidence.rows, "payments": rows})


def _with_hold(evidence: Evidence, now: str, **columns: object) -> Evidence:
    place = next(number for number, row in enumerate(evidence.rows["holds"]) if row["status"] == now)
    holds = [{**row, **columns} if number == place else row for number, row in enumerate(evidence.rows["holds"])]
    return replace(evidence, rows={**evidence.rows, "holds": holds})


def _id(it: Lying) -> bytes | None:
    return dict(it.headers)["ce_id"]


def _record(it: object) -> LogRecord:
    assert isinstance(it, LogRecord)
    return it


LIES: Sequence[Callable[[Evidence], Evidence]] = (
    without_an_event,
    with_other_words,
    with_two_events_swapped,
    with_a_unit_sold_twice,
    with_a_longer_life,
    with_a_request_of_nobody,
    with_a_lost_dead_letter,
    with_a_good_record_put_aside,
    with_another_reason,
    with_an_old_answer,
    with_a_made_up_answer,
    with_a_list_without_a_slot,
)


LIES_OF_A_SALE: Sequence[Callable[[Evidence], Evidence]] = (
    without_an_event,
    with_other_words,
    with_money_kept,
    with_more_money,
    with_a_refund_that_nobody_was_told,
    with_a_word_of_nobody,
    with_units_of_nobody,
    with_an_order_that_is_paid,
    with_too_little_money,
    without_money_put_aside,
)


def found_in(seed: int, lies: Sequence[Callable[[Evidence], Evidence]]) -> dict[str, list[str]]:
    """Return what the auditor finds in the evidence of one run: as it is, and with each of the lies."""

    def work() -> dict[str, list[str]]:
        evidence = evidence_of(play(seed))
        return {"": audit(evidence).faults, **{lie.__name__: audit(lie(evidence)).faults for lie in lies}}

    answer = in_a_process(work, dict[str, list[str]])
    assert answer is not None
    return answer


@pytest.fixture(scope="module")
def found() -> dict[str, list[str]]:
    """Give what the auditor finds in a run of slots."""
    return found_in(SEED, LIES)


@pytest.fixture(scope="module")
def found_of_a_sale() -> dict[str, list[str]]:
    """Give what the auditor finds in a run of products."""
    return found_in(SEED_OF_A_SALE, LIES_OF_A_SALE)


@pytest.mark.parametrize("lie", [lie.__name__ for lie in LIES])
def test_the_auditor_notices(found: dict[str, list[str]], lie: str) -> None:
    """It finds nothing in what is true, and something in each thing that is not."""
    assert found[""] == []
    assert found[lie] != []


@pytest.mark.parametrize("lie", [lie.__name__ for lie in LIES_OF_A_SALE])
def test_the_auditor_notices_in_a_sale(found_of_a_sale: dict[str, list[str]], lie: str) -> None:
    """The same of units and money."""
    assert found_of_a_sale[""] == []
    assert found_of_a_sale[lie] != []
