"""A seeded simulation of workers over twins of their servers, and an auditor. `make sim`; see docs/simulation.md."""
