"""Faults: what must hold when processes die, pause, or lose a server."""
