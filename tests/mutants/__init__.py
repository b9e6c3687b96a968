"""Mutation testing of the core: each small change of what is decided should fail a test."""
