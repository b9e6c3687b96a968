"""Twins of the servers, in memory. `tests/contract` holds each to the suite that its original passes."""
