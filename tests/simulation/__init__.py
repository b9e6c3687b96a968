"""A seeded simulation of workers and gateways over twins of their servers, and an auditor. `make sim`; see CONTRIBUTING.md."""
