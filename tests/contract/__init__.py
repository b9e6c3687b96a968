"""Contract suites: each runs on a twin and on the real server, and earns the right to trust the twin."""
