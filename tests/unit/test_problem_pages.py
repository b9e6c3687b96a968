"""Each type of problem is explained, and the docs say what the pages say."""

from pathlib import Path

import pytest

from firmhold.settings import Settings
from gateway.problem_texts import TEXTS, advice_of
from gateway.problems import KINDS
from gateway.problems_page import problems_page
from topics.refusals import CATALOGUE, Retry

DOCS = Path(__file__).parents[2] / "docs"


def test_every_type_has_its_paragraph_and_no_other() -> None:
    """In sentences; fails on a type that is added without one."""
    assert set(TEXTS) == set(KINDS)
    assert all(text[-1] == "." for text in TEXTS.values())


@pytest.mark.parametrize("name", KINDS)
def test_the_advice_tells_the_truth_of_the_key(name: str) -> None:
    """Final for its key is what is stored, and only that. Seen to fail with one advice for both."""
    kind = KINDS[name]
    assert kind.is_stored == (name in CATALOGUE and CATALOGUE[name].stored)
    advice = advice_of(kind)
    assert ("final for its key" in advice) == (kind.is_stored and kind.retry is not Retry.SAME_KEY)
    assert ("still free" in advice) == (not kind.is_stored and kind.retry is Retry.NEVER)
    assert ("with the same `Idempotency-Key`" in advice) == (kind.retry is Retry.SAME_KEY)


def test_what_is_malformed_never_succeeds_and_what_may_pass_asks_for_a_new_key() -> None:
    """A program that reads `retry` alone does the right thing."""
    malformed = [kind.retry for kind in KINDS.values() if kind.status in {400, 413} or kind.type == "invalid_request"]
    assert set(malformed) == {Retry.NEVER}
    assert {KINDS[name].retry for name in ("sold_out", "closed", "not_open_yet", "not_found")} == {Retry.NEW_KEY}


def test_the_page_in_the_docs_is_that_of_the_code() -> None:
    """If not: `.venv/bin/python -m gateway.problems_page > docs/problems.md`."""
    assert (DOCS / "problems.md").read_text() == problems_page(Settings.model_construct())
