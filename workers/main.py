"""Build a worker from its settings and run it until it is told to stop: the one place that chooses the real adapters."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import asyncpg
import faust
import structlog
from aiokafka.errors import KafkaError
from faust.types import TP
from redis.asyncio import Redis

from firmhold.exposition import Exposition
from firmhold.settings import Settings
from schema.connections import Timeouts, lazy_pool
from schema.live_seats import LiveSeats
from schema.open_payments import open_payments
from schema.rows import ResourceKey
from schema.store import Store
from topics.admin import disagreements
from topics.catalogue import Catalogue
from topics.partitions import partition_of
from topics.producer import ResilientProducer
from topics.redis_keys import RedisKeys
from topics.redis_patience import Rest
from topics.signatures import worker_key
from workers.applying import Applier
from workers.assignment import Assignment
from workers.backoff import backoff
from workers.crash_points import Hooks
from workers.emitting import Emitter
from workers.intake import Group, make_app, take_in
from workers.invalidation import Invalidator
from workers.measuring import Parts, readings
from workers.mirror_rebuilding import Rebuild, Rebuilder
from workers.mirroring import Mirror
from workers.payment_watch import PaymentWatch
from workers.pipeline import Limits, Pipeline
from workers.probe import probe
from workers.progress import Progress
from workers.pseudonyms import as_sent, pseudonyms
from workers.purging import Purge, Purger
from workers.reading import Reader
from workers.redis_mirror import MirrorLives, RedisMirror
from workers.redis_tombstones import RedisTombstones
from workers.sweeping import Sweep, Sweeper
from workers.waiting import is_set_within

_log = structlog.get_logger(__name__)
_FAUST_STOP_SECONDS = 2.5
_REBUILD_CALL_SECONDS = 2.0  # nobody waits for a rebuild, and a house has thousands of seats


class TopicsDisagreeError(Exception):
    """The broker's topics are not those of the catalogue; the message has a sentence for each difference."""


async def run(settings: Settings, hooks: Hooks | None = None) -> None:
    """Run a worker until SIGTERM or SIGINT. Raises what it does not understand; whoever started it starts it again."""
    hooks = hooks or Hooks()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    catalogue = settings.catalogue()
    worker_id = settings.worker_id or f"{socket.gethostname()}-{os.getpid()}"
    structlog.contextvars.bind_contextvars(worker=worker_id)
    async with _servers(settings) as servers:
        invalidator = _invalidator(settings, servers)
        mirror_store = _mirror_store(settings, servers, timeout_seconds=settings.redis_timeout_ms / 1000)
        mirror = Mirror(mirror_store, Rest(settings.redis_rest_ms / 1000))
        pipeline = _pipeline(settings, hooks, servers, invalidator, mirror)
        app = make_app(
            Group(settings.kafka, f"{settings.topic_prefix}{settings.consumer_group}", settings.session_timeout_seconds)
        )
        take_in(app, catalogue, pipeline.inbox.put)
        assignment = Assignment(app)
        sweeper, purger = _sweeper(settings, app, servers, pipeline.progress), _purger(settings, servers)
        rebuilder = _rebuilder(settings, servers, mirror)
        watch = PaymentWatch(partial(open_payments, servers.pool), settings.open_payments_seconds)
        parts = Parts(pipeline, invalidator, mirror, rebuilder, sweeper, purger, watch, servers.producer, assignment)
        async with probe(
            settings.host,
            settings.worker_port,
            ready=lambda: assignment.is_made,
            last_progress=pipeline.last_progress,
            exposition=Exposition(readings(parts)),
        ) as port:
            if await _topics_agree(settings.kafka, catalogue, stop):
                _log.info("worker starts", probe_port=port)
                beside = [task.run for task in (sweeper, purger, rebuilder, watch) if task.is_on]
                await _work(app, pipeline, beside, stop, settings.drain_seconds)
    _log.info("worker stopped", batches=pipeline.counts.batches, commands=pipeline.counts.commands)


@dataclass(frozen=True, slots=True)
class _Servers:
    """The servers behind a worker, each reached when it is first needed."""

    pool: asyncpg.Pool
    store: Store
    live_seats: LiveSeats
    redis: Redis
    producer: ResilientProducer


@asynccontextmanager
async def _servers(settings: Settings) -> AsyncIterator[_Servers]:
    """Open what a worker needs, and close it after."""
    timeouts = Timeouts(
        lock_ms=settings.postgres_lock_timeout_ms,
        statement_ms=settings.postgres_statement_timeout_ms,
        transaction_ms=settings.postgres_transaction_timeout_ms,
        idle_in_transaction_ms=settings.postgres_idle_timeout_ms,
    )
    redis = Redis.from_url(settings.redis.get_secret_value())
    producer = ResilientProducer(settings.kafka, client_id="firmhold-worker")
    pool = lazy_pool(
        settings.postgres.get_secret_value(),
        connections_max=settings.postgres_connections_max,
        timeouts=timeouts,
        role="worker",
        looks_up=True,
    )
    try:
        async with pool:
            yield _Servers(pool, Store(pool), LiveSeats(pool), redis, producer)
    finally:
        await producer.stop()
        await redis.aclose()


def _invalidator(settings: Settings, servers: _Servers) -> Invalidator:
    tombstones = RedisTombstones(
        servers.redis,
        RedisKeys(settings.redis_prefix),
        tombstone_seconds=settings.tombstone_seconds,
        timeout_seconds=settings.redis_timeout_ms / 1000,
    )
    return Invalidator(tombstones, Rest(settings.redis_rest_ms / 1000))


def _mirror_store(settings: Settings, servers: _Servers, *, timeout_seconds: float) -> RedisMirror:
    lives = MirrorLives(
        marker_ms=settings.mirror_marker_seconds * 1000,
        tombstone_ms=settings.tombstone_seconds * 1000,
        lock_ms=settings.cache_lock_ms,
    )
    return RedisMirror(servers.redis, RedisKeys(settings.redis_prefix), lives, timeout_seconds=timeout_seconds)


def _rebuilder(settings: Settings, servers: _Servers, mirror: Mirror) -> Rebuilder:
    store = _mirror_store(settings, servers, timeout_seconds=_REBUILD_CALL_SECONDS)
    rebuild = Rebuild(settings.mirror_look_seconds, settings.mirror_anew_seconds)
    return Rebuilder(mirror, store, servers.live_seats, rebuild)


def _pipeline(
    settings: Settings, hooks: Hooks, servers: _Servers, invalidator: Invalidator, mirror: Mirror
) -> Pipeline:
    catalogue = settings.catalogue()
    return Pipeline(
        reader=Reader(settings.key_ring(), catalogue.partitions),
        applier=Applier(
            servers.store.transaction,
            parking=timedelta(seconds=settings.parked_payment_seconds),
            request_retention=timedelta(days=settings.request_retention_days),
            expiries_max=settings.expiries_max,
            reached=hooks.reached,
            buyer_kept=pseudonyms(settings.installation_secret())
            if settings.seat_holds_buyer == "pseudonym"
            else as_sent,
        ),
        invalidator=invalidator,
        mirror=mirror,
        emitter=Emitter(catalogue),
        send_all=hooks.around_sending(servers.producer.send_all),
        limits=Limits(
            inbox_events_max=settings.inbox_events_max,
            inbox_bytes_max=settings.inbox_bytes_max,
            batch_commands_max=settings.batch_commands_max,
            batches_in_flight_max=settings.batches_in_flight_max,
            culprits_max=settings.culprits_max,
            retry_first_seconds=settings.retry_first_ms / 1000,
            retry_longest_seconds=settings.retry_longest_ms / 1000,
        ),
        reached=hooks.reached,
    )


def _sweeper(settings: Settings, app: faust.App, servers: _Servers, progress: Progress) -> Sweeper:
    catalogue = settings.catalogue()

    def is_ours(key: ResourceKey) -> bool:
        home = TP(catalogue.commands(key.kind), partition_of(key.resource_id.encode(), catalogue.partitions))
        return home in app.consumer.assignment()

    return Sweeper(
        due_resources=servers.store.due_resources,
        is_ours=is_ours,
        progress=progress,
        send_all=servers.producer.send_all,
        catalogue=catalogue,
        signing_key=worker_key(settings.installation_secret()),
        sweep=Sweep(settings.sweep_seconds, settings.sweep_again_seconds, settings.sweep_holds_max),
    )


def _purger(settings: Settings, servers: _Servers) -> Purger:
    purge = Purge(
        older_than=timedelta(days=settings.request_retention_days, hours=settings.purge_margin_hours),
        requests_max=settings.purge_requests_max,
        pause_seconds=settings.purge_pause_ms / 1000,
        again_seconds=settings.purge_seconds,
    )
    return Purger(servers.store.purge_requests, purge)


async def _topics_agree(bootstrap_servers: str, catalogue: Catalogue, stop: asyncio.Event) -> bool:
    """Return once the broker has the topics of the catalogue; False if told to stop before; raises if they differ."""
    for pause in backoff(0.2, 2.0):
        try:
            found = await disagreements(bootstrap_servers, catalogue)
        except (KafkaError, OSError, TimeoutError) as fault:
            _log.warning("kafka does not answer, the worker waits for it", fault=repr(fault))
            found = None
        if found:
            message = "; ".join(map(str, found)) + ". Run `firmhold doctor`: it says what helps"
            raise TopicsDisagreeError(message)
        if found is not None or await is_set_within(stop, pause):
            break
    return not stop.is_set()


async def _work(
    app: faust.App,
    pipeline: Pipeline,
    beside: Sequence[Callable[[], Coroutine[None, None, None]]],
    stop: asyncio.Event,
    drain_seconds: float,
) -> None:
    """Run Faust, the pipeline and what runs beside it until one fails or we are told to stop; drain, let Faust commit."""
    work = asyncio.create_task(pipeline.run())
    besides = [asyncio.create_task(run()) for run in beside]

    async def drain(*_: object, **__: object) -> None:
        """Finish and acknowledge what was begun: fetching has stopped, the last commit is still to come."""
        pipeline.stop()
        await asyncio.wait((work,), timeout=drain_seconds)

    app.on_before_shutdown.connect(drain)
    starting = asyncio.create_task(app.start())
    ends = {
        work,
        *besides,
        asyncio.create_task(stop.wait()),
        asyncio.create_task(_crashed(app, starting)),
    }
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    finally:
        starting.cancel()
        for task in besides:
            task.cancel()
        await _stop_app(app, drain_seconds + _FAUST_STOP_SECONDS)
        for end in ends - {work}:
            end.cancel()
        work.cancel()
        results = await asyncio.gather(starting, *ends, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result


async def _crashed(app: faust.App, starting: asyncio.Task[None]) -> None:
    """Return when Faust is stopped; raises the reason if it crashed."""
    await starting
    await app.wait_until_stopped()
    if app.crash_reason is not None:
        raise app.crash_reason


async def _stop_app(app: faust.App, seconds: float) -> None:
    try:
        await asyncio.wait_for(app.stop(), seconds)
    except Exception as fault:  # noqa: BLE001 - we are stopping: what is not acknowledged comes again
        _log.warning("faust did not stop in order", fault=repr(fault))
