"""Rule 1: everything that is decided is decided here, from what is passed in. No I/O, no clock, no randomness, no logging."""
