"""Which test shows which edge case: `python -m tests.cases > docs/cases.md`; a test fails on a gap."""
