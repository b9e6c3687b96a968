"""The command `firmhold`: one door to every process and tool."""

import asyncio
import logging
import os
import sys
from collections.abc import Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import structlog
import typer
import uvloop
from rich.console import Console
from rich.markup import escape

from firmhold import failures, logs
from firmhold.local import commands as local
from firmhold.memory import tune_memory
from firmhold.settings import Settings

app = typer.Typer(
    name="firmhold",
    help="A reservation engine: held for a while, then made firm or given back, and never sold twice.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
topics_app = typer.Typer(help="The Kafka topics: create them, or see what they should be.", no_args_is_help=True)
app.add_typer(topics_app, name="topics")
requests_app = typer.Typer(help="Requests: what became of one.", no_args_is_help=True)
app.add_typer(requests_app, name="requests")
app.command()(local.up)
app.command()(local.down)
app.command()(local.reset)

_console = Console(soft_wrap=True)
_EXIT_SOFTWARE = 70


def main() -> None:
    """Run the command line; a failure that is to be expected is told in a sentence."""
    try:
        app()
    except Exception as fault:
        failure = failures.told(fault)
        if failure is None:
            raise
        _tell(failure)
        sys.exit(failure.exit_code)


def _tell(failure: failures.Told) -> None:
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    for line in failure.lines:
        console.print(f"[red]firmhold:[/] {escape(line)}")


def _settings() -> Settings:
    settings = Settings()
    logs.configure(settings)
    return settings


def _settings_of_tool() -> Settings:
    """Return the settings for a command that tells its failures itself: the Kafka client's own words would be noise."""
    settings = _settings()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    return settings


def _run_process(coroutine: Coroutine[None, None, None]) -> None:
    """Run a long-lived process on uvloop, and leave at once when it is done: no library's thread may hold us up."""
    code = 0
    tune_memory()
    try:
        uvloop.run(coroutine)
    except Exception as fault:  # noqa: BLE001 - whatever it is, say it and leave with a code of its own
        failure = failures.told_of_process(fault)
        if failure is None:
            structlog.get_logger("firmhold").critical("process ends", fault=repr(fault), exc_info=fault)
            code = _EXIT_SOFTWARE
        else:
            _tell(failure)
            code = failure.exit_code
    logs.close()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


@app.command()
def gateway() -> None:
    """Serve HTTP: publishes commands to Kafka and answers with what the workers decide.

    Example: FIRMHOLD_PORT=8080 firmhold gateway
    """
    from gateway.main import run  # noqa: PLC0415 - each process loads only what it runs

    _run_process(run(_settings()))


@app.command()
def worker() -> None:
    """Decide commands: reads them from Kafka, stores the outcome in Postgres, tells it in events.

    Start as many as you like; Kafka spreads the partitions over them.
    """
    from workers.main import run  # noqa: PLC0415 - each process loads only what it runs

    _run_process(run(_settings()))


@topics_app.command("create")
def topics_create() -> None:
    """Create the topics that are missing, and give the others the catalogue's settings; safe to repeat.

    Partitions and replicas of an existing topic are never changed.
    """
    from topics.admin import create_topics, settle_topics  # noqa: PLC0415 - only this command needs the admin client

    settings = _settings_of_tool()
    created = asyncio.run(create_topics(settings.kafka, settings.catalogue()))
    settled = asyncio.run(settle_topics(settings.kafka, settings.catalogue()))
    for name in created:
        _console.print(f"created {name}", highlight=False)
    for name in settled:
        _console.print(f"changed the settings of {name} to those of the catalogue", highlight=False)
    _console.print("all topics exist", highlight=False)


@app.command()
def migrate() -> None:
    """Bring Postgres to the newest schema; safe to repeat, and to run from several places at once."""
    from schema.migrate import migrate as apply  # noqa: PLC0415 - only this command needs the migration library

    for name in apply(_settings_of_tool().postgres.get_secret_value()):
        _console.print(f"applied {name}", highlight=False)
    _console.print("the schema is up to date", highlight=False)


@app.command()
def seed() -> None:
    """Define the demo slots through the gateway, so that there is something to hold."""
    from firmhold.seed import seed as define  # noqa: PLC0415 - only this command needs a client

    for line in asyncio.run(define(_settings_of_tool())):
        _console.print(line, highlight=False)


@app.command()
def define(
    file: Annotated[Path, typer.Argument(help="NDJSON, or CSV with a header line; `-` reads standard input.")],
    *,
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="How many are on their way at once.")] = 16,
    run: Annotated[
        str, typer.Option(help="Go on with the run of this name: what it has defined is not given again.")
    ] = "",
) -> None:
    """Define many resources through the gateway: a line each, `id` names it, `kind` is slot unless it says otherwise.

    The other fields are those of the PUT call. FIRMHOLD_URL names the gateway, FIRMHOLD_ADMIN_KEY is its admin key.

    NDJSON: {"id": "room-1", "capacity": 3, "title": "A room"}

    CSV: id,capacity,title and below it room-1,3,A room

    A faulty line is told with its number and stops no other. Run again, it restores what the file says; with the `--run`
    that an interrupted run has printed it goes on where that was. Exit code 1 if any failed.
    """
    from firmhold.define import define_file, new_run  # noqa: PLC0415 - only this command needs a client

    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as fault:
        raise typer.BadParameter(f"{file} cannot be read: {fault}", param_hint="FILE") from fault
    tool, run = _settings_of_tool(), run or new_run()
    failed = asyncio.run(define_file(tool, text, concurrency=concurrency, run=run, tell=_tell_line))
    raise typer.Exit(1 if failed else 0)


def _tell_line(line: str, *, is_fault: bool) -> None:
    Console(stderr=is_fault, highlight=False, soft_wrap=True).print(escape(line))


@app.command()
def settings() -> None:
    """Show every environment variable, its default and what it is, as a Markdown table."""
    from firmhold.settings_table import settings_table  # noqa: PLC0415 - only this command needs it

    sys.stdout.write(settings_table())


@app.command()
def metrics() -> None:
    """Show every metric of gateway and worker, and what to conclude from it, as a Markdown table."""
    from firmhold.metrics import metrics_table  # noqa: PLC0415 - only this command needs it

    sys.stdout.write(metrics_table())


@app.command()
def doctor(
    *,
    timeout_seconds: Annotated[float, typer.Option(help="How long each of the three may take to answer.")] = 5.0,
) -> None:
    """Check what Firmhold needs: the three URLs, the topics against the catalogue, timestamp type, clock skew."""
    from firmhold.doctor import examine  # noqa: PLC0415 - only this command needs all clients

    findings = asyncio.run(examine(_settings_of_tool(), timeout_seconds))
    for finding in findings:
        mark = "[green]ok  [/]" if finding.is_good else "[red]FAIL[/]"
        _console.print(f"{mark} {finding.subject}: {escape(finding.text)}", highlight=False)
    raise typer.Exit(0 if all(finding.is_good for finding in findings) else 1)


@app.command()
def audit(
    *,
    resource: Annotated[str | None, typer.Option(help="Look at this resource id only.")] = None,
    since_hours: Annotated[
        float | None, typer.Option(min=0, help="Look at requests and records of the last hours only.")
    ] = None,
    wait_seconds: Annotated[
        float, typer.Option(min=0, help="How long the workers may take to come past what is decided meanwhile.")
    ] = 30.0,
    statement_seconds: Annotated[float, typer.Option(min=1, help="Longest statement in Postgres.")] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Compare counters with rows, rows with events, events with commands: on a running system, changing nothing.

    Exits with 1 if anything contradicts anything.
    """
    from firmhold.audit.running import Scope, audit  # noqa: PLC0415 - only this command needs all clients
    from firmhold.audit.telling import as_document, as_lines  # noqa: PLC0415 - the same

    since = None if since_hours is None else timedelta(hours=since_hours)
    checks = asyncio.run(audit(_settings_of_tool(), Scope(resource, since, wait_seconds, statement_seconds)))
    if as_json:
        sys.stdout.write(as_document(checks))
    else:
        for line in as_lines(checks):
            _console.print(escape(line), highlight=False)
    raise typer.Exit(1 if any(check.count for check in checks) else 0)


@app.command()
def bench(
    *,
    scenario: Annotated[list[str] | None, typer.Option(help="Which one; may be repeated. None: all.")] = None,
    peers: Annotated[bool, typer.Option("--peers", help="Measure the programs of bench/peers beside it.")] = False,
    rounds: Annotated[int, typer.Option(min=1, help="How often each is measured, in turn with the others.")] = 5,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long each time.")] = 4.0,
    clients: Annotated[str, typer.Option(help="Numbers of clients at once.")] = "1,64,256",
    commands: Annotated[int, typer.Option(min=1, help="How many commands go straight to Kafka.")] = 100_000,
    warm_up: Annotated[
        float, typer.Option(min=0.0, help="For how many seconds the stack is used before all that.")
    ] = 150.0,
    report: Annotated[
        Path | None, typer.Option(help="Write JSON, PNG and HTML there; needs Pillow, the extra `bench`.")
    ] = None,
) -> None:
    """Measure a running stack: it defines slots of its own and fills them with holds. Not for production.

    Example: . .local/stack.env && firmhold bench --peers --report .local/bench

    Exits with 1 if a target that was measured is missed.
    """
    from firmhold.bench.command import bench_stack, clients_of, scenarios_of  # noqa: PLC0415 - only this needs all that
    from firmhold.bench.running import Plan  # noqa: PLC0415 - the same

    plan = Plan(scenarios_of(scenario or []), peers, rounds, seconds, clients_of(clients), commands, warm_up)
    is_met = bench_stack(_settings_of_tool(), plan, report, Console(highlight=False))
    raise typer.Exit(0 if is_met else 1)


@requests_app.command("show")
def requests_show(
    asked: Annotated[str, typer.Argument(metavar="ID", help="The id of a request, a hold or an order.")],
) -> None:
    """Show what is stored of a request, and of its order: the payments, and those that wait for an order that has not come.

    Example: firmhold requests show order_product~demo~…
    """
    from firmhold.requests_shown import NoSuchIdError, show  # noqa: PLC0415 - only this command needs it

    try:
        lines = asyncio.run(show(_settings_of_tool(), asked))
    except NoSuchIdError as fault:
        raise typer.BadParameter(str(fault), param_hint="ID") from fault
    for line in lines:
        _console.print(escape(line), highlight=False)


if __name__ == "__main__":
    main()
