"""Tests over the doors that others use, on real servers."""
