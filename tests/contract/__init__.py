"""One suite for each thing that has a twin in memory: what passes on both may be trusted in simulations."""
