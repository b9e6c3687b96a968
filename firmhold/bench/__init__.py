"""Measures a running stack, and beside it the small programs of bench/peers."""
