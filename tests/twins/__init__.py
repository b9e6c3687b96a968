"""Servers in memory, held to the same contract suites as the real ones (tests/contract)."""
