"""Counters against rows: each pool against the holds and orders that claim of it, each resource against its pools."""

from firmhold.audit.findings import Check
from schema.audits import AuditedPool, AuditedResource
from topics.resources import Counters

COUNTERS = "counters"
_ADVICE = (
    "Stop the workers and set it by hand to what the rows add up to, then `firmhold audit` again; "
    "and find out who wrote it: no worker writes one without the other"
)


def counters_check() -> Check:
    """Return the check, nothing looked at yet."""
    return Check(COUNTERS, "pools against holds and orders, resources against pools")


def check_counters(check: Check, resource: AuditedResource) -> None:
    """Compare the counters of a resource with what its rows add up to. What is due but not swept yet counts as held."""
    check.looked_at += 1
    subject = f"{resource.key.kind} {resource.key.resource_id}"
    if resource.counters is None:
        check.tell(
            subject,
            found="it has pools, live holds or orders and no row in `resources`",
            wanted="each resource has one",
            advice="Define it again (`PUT`), or restore its row from a backup",
        )
        return
    for pool in resource.pools:
        _check_pool(check, subject, pool)
    _compare(check, subject, "resources", resource.counters, _sums(resource))


def _check_pool(check: Check, subject: str, pool: AuditedPool) -> None:
    subject = f"{subject}, pool {pool.name}"
    if pool.counters is None:
        check.tell(
            subject,
            found=f"holds and orders claim {pool.claimed_held + pool.claimed_taken} units of it and it has no row in `pools`",
            wanted="each pool that is claimed has one",
            advice="Restore its row from a backup",
        )
        return
    capacity, held, taken, ceiling = pool.counters
    for name, stored, claimed in (("held", held, pool.claimed_held), ("taken", taken, pool.claimed_taken)):
        if stored != claimed:
            check.tell(
                subject,
                found=f"pools.{name} is {stored}",
                wanted=f"the rows that claim of it add up to {claimed}",
                advice=_ADVICE,
            )
    if ceiling < max(capacity, held + taken):
        check.tell(
            subject,
            found=f"pools.ceiling is {ceiling}",
            wanted=f"it is never below its capacity {capacity}, nor below the {held + taken} units that are out",
            advice=_ADVICE,
        )


def _sums(resource: AuditedResource) -> Counters:
    pools = [pool.counters for pool in resource.pools if pool.counters is not None]
    free = [capacity - held - taken for capacity, held, taken, _ in pools]
    return Counters(
        capacity=sum(capacity for capacity, _, _, _ in pools),
        held=sum(held for _, held, _, _ in pools),
        taken=sum(taken for _, _, taken, _ in pools),
        remaining=sum(max(0, units) for units in free),
        oversubscribed_by=sum(max(0, -units) for units in free),
    )


def _compare(check: Check, subject: str, table: str, stored: Counters, wanted: Counters) -> None:
    for name in Counters.__struct_fields__:
        if getattr(stored, name) != getattr(wanted, name):
            check.tell(
                subject,
                found=f"{table}.{name} is {getattr(stored, name)}",
                wanted=f"its pools come to {getattr(wanted, name)}",
                advice=_ADVICE,
            )
