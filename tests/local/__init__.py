"""Tests of the local stack and of what the other tests stand on."""
