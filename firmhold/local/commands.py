"""The commands `up`, `down` and `reset`, as the command line knows them. It must not know how servers are run."""

import os
import signal
import sys
from typing import Annotated

import typer

from firmhold.local.console import Progress
from firmhold.local.failure import LocalError
from firmhold.local.places import Places
from firmhold.local.processes import Identity, open_handle, wait_for_end
from firmhold.local.servers import AlreadyRunningError, clean_up, forget, own
from firmhold.local.stack import launch

DOWN_WITHIN_S = 90.0


def up() -> None:
    """Start everything on this machine and stay: Kafka, Postgres, Redis, the gateway and a worker.

    The first run downloads what is missing into .local/. Data stays there from run to run. A server whose URL is set
    (FIRMHOLD_KAFKA, FIRMHOLD_POSTGRES, FIRMHOLD_REDIS) is used instead of being started. FIRMHOLD_PORT chooses the
    gateway's port. Ctrl-C, or `firmhold down` in another shell, stops it all in order.
    """
    progress = Progress()
    with _told(progress):
        raise typer.Exit(launch(Places.of_checkout(), os.environ, progress))


def down() -> None:
    """Stop what `firmhold up` started in this checkout, and what a crash of it left behind.

    Nothing else is touched: not other checkouts, not servers that were given by their URLs. Data stays.
    """
    progress = Progress()
    with _told(progress):
        os.close(_stop(Places.of_checkout(), progress))


def reset(
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Stop everything and forget the local data: all slots, holds, orders and topics of this checkout.

    Asks first, unless told --yes. Downloads and keys stay, so that the next `firmhold up` is quick.
    """
    progress = Progress()
    places = Places.of_checkout()
    if not yes:
        if not sys.stdin.isatty():
            progress.fail("`reset` deletes the data in .local/ and there is nobody to ask: say --yes.")
            raise typer.Exit(1)
        typer.confirm(f"Delete all data in {places.data}?", abort=True)
    with _told(progress):
        lock = _stop(places, progress)
        forget(places)
        os.close(lock)
        progress.done("local data forgotten")


def _stop(places: Places, progress: Progress) -> int:
    """Stop the launcher of these places, then what is left; returns the lock on them."""
    try:
        lock = own(places)
    except AlreadyRunningError as running:
        identity = Identity.of(running.pid) if running.pid else None
        handle = open_handle(identity) if identity else None
        if handle is not None:
            progress.note(f"stopping the firmhold that is up here (process {running.pid})")
            signal.pidfd_send_signal(handle, signal.SIGTERM)
            if not wait_for_end(handle, DOWN_WITHIN_S):
                raise LocalError(
                    f"Process {running.pid} did not stop within {DOWN_WITHIN_S:.0f} s: `kill -9 {running.pid}`, then "
                    "`make down` again ends what it leaves."
                ) from None
            os.close(handle)
            progress.done("stopped")
        lock = own(places)
        clean_up(places)
        return lock
    leftovers = clean_up(places)
    if leftovers:
        progress.done(f"ended what an earlier run had left behind: {', '.join(leftovers)}")
    else:
        progress.note("nothing was up in this checkout")
    return lock


class _told:  # noqa: N801 - reads as a word at its place of use
    """Turn an error into sentences and exit code 1."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        """Tell a LocalError; all else goes its way."""
        if isinstance(error, LocalError):
            self._progress.fail(str(error))
            raise typer.Exit(1) from error
