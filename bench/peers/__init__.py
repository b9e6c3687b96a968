"""Small programs that do what Firmhold does in the usual ways, as fast as we can make them; one file each.

Each takes `--port`, listens on loopback and ends with SIGTERM.
"""
