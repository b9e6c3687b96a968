"""The edge: HTTP to the contract and back. Decides nothing."""
