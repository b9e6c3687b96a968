"""Holds against requests: each granted request has its hold, each hold the request that asked for it."""

from dataclasses import dataclass, field

from firmhold.audit.findings import Check
from firmhold.audit.marks import Marks
from schema.audits import AuditedHold, AuditedRequest
from topics.identifiers import hold_id_of
from topics.signatures import account_of


@dataclass(slots=True)
class Holds:
    """The comparison in both directions."""

    marks: Marks
    check: Check = field(default_factory=lambda: Check("holds", "holds against the requests that asked for them"))

    def judge_request(self, request: AuditedRequest) -> None:
        """Look whether a request has a hold exactly if it was granted one."""
        granted = request.command == "Hold" and request.reason is None
        if granted == request.has_hold:
            return
        why = f"was refused: {request.reason}" if request.reason else "was granted"
        self.check.tell(
            f"request {request.request_id}",
            found=f"its {request.command} {why}, and {hold_id_of(request.request_id)} {_is_there(request.has_hold)}",
            wanted=f"that hold {_should_be(granted)}",
            advice="Compare with a backup: no worker writes one without the other",
        )

    def judge_hold(self, hold: AuditedHold) -> None:
        """Look whether the request is there that a hold was granted to, unless it may have been purged, and its order."""
        self.check.looked_at += 1
        subject, granted_at = f"{hold.key.kind} {hold.key.resource_id}, hold {hold.hold.hold_id}", hold.hold.granted_at
        if hold.lacks_order:
            self.check.tell(
                subject,
                found="it is used, and no order is there that used it",
                wanted="a hold is used by its order alone",
                advice="Restore the order from a backup: its units are claimed by nobody now",
            )
        if hold.source is not None and hold.hold.account != account_of(hold.source):
            self.check.tell(
                subject,
                found=f"it belongs to {hold.hold.account}",
                wanted=f"its request was made by {hold.source}",
                advice="Set its account to that of the request, and find out who wrote it",
            )
        if hold.source is not None or self.marks.may_be_purged(granted_at):
            return
        self.check.tell(
            subject,
            found=f"it was granted at {granted_at.isoformat()} and the request that asked for it is not stored",
            wanted="requests are kept for the request retention",
            advice="Restore the request from a backup; the hold itself still stands for its outcome (the same key is "
            "answered from it)",
        )


def _is_there(there: bool) -> str:
    return "is there" if there else "is not there"


def _should_be(there: bool) -> str:
    return "should be there" if there else "should not be there"
