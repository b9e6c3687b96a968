"""All tests; `servers.py` has the real servers they run on."""
