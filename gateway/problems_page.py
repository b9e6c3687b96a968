"""`python -m gateway.problems_page > docs/problems.md`: what the service's own pages tell, with the default settings."""

import sys
from collections.abc import Iterator

from firmhold.settings import Settings
from gateway.key_policy import policy
from gateway.problem_texts import advice_of, text_of
from gateway.problems import KINDS


def problems_page(settings: Settings) -> str:
    """Return the page as Markdown."""
    return "\n".join(_lines(settings)) + "\n"


def _lines(settings: Settings) -> Iterator[str]:
    yield "# Problems, and the policy of Idempotency-Key"
    yield ""
    yield "Written by `python -m gateway.problems_page > docs/problems.md`; a test compares. A running gateway tells the same at"
    yield "`/problems`, with its own settings, and at the address that is the `type` of each problem (RFC 9457)."
    yield ""
    yield "`retry` says what a client can do: `same_key` send the same request again with the same key, `new_key` try later"
    yield "with a new one, `never` the request will not succeed as it is."
    yield ""
    yield "## Idempotency-Key"
    for name, text in policy(settings.request_retention_days, uuid_only=settings.key_format == "uuid").items():
        yield f"\n**{name}.** {text}"
    yield ""
    yield "## Every type"
    for kind in KINDS.values():
        yield f"\n### {kind.type}\n"
        yield f"{kind.title}. Status {kind.status}, retry `{kind.retry.value}`.\n"
        yield f"{text_of(kind)} {advice_of(kind)}"


if __name__ == "__main__":
    sys.stdout.write(problems_page(Settings.model_construct()))
