"""Compare counters with rows, rows with events, events with commands, on a running system."""
