"""The fast, pure tests: no server, no network, no mocks."""
