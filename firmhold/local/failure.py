"""The one exception a person sees: what happened, to which thing, what to do, where the log is."""


class LocalError(Exception):
    """Something about the local stack that a person must read; its text is whole sentences."""


class StartCancelledError(Exception):
    """Stopping was asked for while something was still starting; nothing is wrong."""
