"""Build a gateway from its settings and serve until it is told to stop: the one place that chooses the real adapters."""

import asyncio
import resource
import secrets
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import asyncpg
import structlog
from aiohttp import web
from redis.asyncio import Redis

from firmhold.settings import Settings
from gateway import (
    broadcast_stream,
    demo_provider,
    holds,
    openapi,
    operating,
    orders,
    pages,
    products,
    publishing,
    request_stream,
    requests,
    screenings,
    slots,
    webhooks,
)
from gateway.answering import answer
from gateway.answers import Answers, KindOfAnswers
from gateway.availability import Availability
from gateway.broadcast import Broadcast, BroadcastBounds
from gateway.cache import CacheBounds
from gateway.cache_store import CacheStore
from gateway.callers import Callers
from gateway.context import CONTEXT, Context, HttpLimits
from gateway.event_reader import EventReader
from gateway.grouping import Grouping
from gateway.http_server import Runner
from gateway.measuring import measure
from gateway.offsets import OffsetWatch
from gateway.payment_inbox import PaymentInbox
from gateway.problems import Problems
from gateway.prompt_listener import PromptListener
from gateway.publishing import Publisher
from gateway.rate_limits import RateLimits, policies_of
from gateway.redis_cache import RedisCache
from gateway.redis_seats import RedisSeats
from gateway.resting_cache import RestingCache
from gateway.seat_maps import SeatMaps, lifetimes
from gateway.seat_mirror import SeatMirror
from gateway.submission import Bounds, Submitter
from gateway.waiters import Waiters
from gateway.webhook_secrets import webhook_secrets
from schema.connections import Timeouts, lazy_pool
from schema.reads import Reads
from topics.producer import ResilientProducer
from topics.redis_keys import RedisKeys
from topics.redis_patience import Rest
from topics.signatures import gateway_key

_log = structlog.get_logger(__name__)
PARTS = (
    operating,
    pages,
    openapi,
    requests,
    request_stream,
    broadcast_stream,
    holds,
    slots,
    screenings,
    products,
    orders,
    webhooks,
)
_KINDS: Mapping[str, KindOfAnswers] = {
    slots.KIND: slots.Slots(),
    screenings.KIND: screenings.Screenings(),
    products.KIND: products.Products(),
}
_OPEN_REQUESTS_SECONDS = 3.0
_OPEN_CONNECTIONS_SECONDS = 2.0  # aiohttp waits for this long up to twice


async def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then answer what is open, after moments with what is known by then."""
    _allow_connections()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with application(settings) as app:
        runner = Runner(app, access_log=None, shutdown_timeout=_OPEN_CONNECTIONS_SECONDS)
        await runner.setup()
        site = web.TCPSite(runner, settings.host, settings.port, backlog=4096)
        await site.start()
        _log.info("gateway listens", host=settings.host, port=runner.addresses[0][1])
        await stop.wait()
        await site.stop()
        app[CONTEXT].broadcast.close()
        await app[CONTEXT].waiters.drained(_OPEN_REQUESTS_SECONDS)
        await runner.cleanup()
    _log.info("gateway stopped")


def _allow_connections() -> None:
    """Take as many open files as the system allows: often 1,024 are given, and each listener is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@asynccontextmanager
async def application(settings: Settings) -> AsyncIterator[web.Application]:
    """Build the application with all it needs; what runs behind it ends with the block."""
    producer = ResilientProducer(settings.kafka, client_id="firmhold-gateway")
    pool = pool_of(settings)
    redis = Redis.from_url(settings.redis.get_secret_value())
    async with pool, redis:
        reads = Reads(pool)
        cache = _cache(settings, redis)
        context = _context(
            settings,
            producer,
            reads,
            availability=_availability(settings, reads, cache),
            seat_maps=_seat_maps(settings, reads, cache),
            seat_mirror=_seat_mirror(settings, reads, redis),
        )
        publisher = context.submitter.publisher
        running = (
            context.reader.run,
            context.prompt_listener.run,
            context.offsets.run,
            publisher.watch_log,
            publisher.watch_backlog,
            context.broadcast.watch,
        )
        background = [asyncio.create_task(run()) for run in running]
        app = web.Application(middlewares=[answer], client_max_size=settings.body_bytes_max)
        app[CONTEXT] = context
        measure(app, producer)
        for part in PARTS:
            app.add_routes(part.routes())
        if settings.demo_provider:
            app.add_routes(demo_provider.routes())
        try:
            yield app
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            await context.broadcast.stop()
            await producer.stop()
            for of_kind in context.availability.values():
                await of_kind.close()
            await context.seat_maps.close()
            await context.seat_mirror.close()


def pool_of(settings: Settings) -> asyncpg.Pool:
    """Return connections to Postgres whose statements go by keys, also if they were planned while there was nothing."""
    return lazy_pool(
        settings.postgres.get_secret_value(),
        connections_max=settings.postgres_connections_max,
        timeouts=Timeouts(statement_ms=settings.postgres_statement_timeout_ms),
        role="gateway",
        looks_up=True,
    )


def _cache(settings: Settings, redis: Redis) -> CacheStore:
    """Return the one cache of what is free."""
    cache = RedisCache(redis, RedisKeys(settings.redis_prefix), timeout_seconds=settings.redis_timeout_ms / 1000)
    return RestingCache(cache, settings.redis_rest_ms / 1000)


def _availability(settings: Settings, reads: Reads, cache: CacheStore) -> dict[str, Availability]:
    """Return what is free of each kind, read through the cache."""
    fresh_seconds = {
        slots.KIND: settings.cache_slots_seconds,
        screenings.KIND: settings.cache_screenings_seconds,
        products.KIND: settings.cache_products_seconds,
    }
    return {
        kind: Availability(
            kind,
            shown.availability,
            reads,
            store=cache,
            bounds=_cache_bounds(settings, fresh_seconds[kind] * 1000, settings.cache_stale_seconds * 1000),
            ids_max=settings.cache_ids_max,
        )
        for kind, shown in _KINDS.items()
    }


def _seat_maps(settings: Settings, reads: Reads, cache: CacheStore) -> SeatMaps:
    """Return the maps of screenings, read through the cache."""
    lives = lifetimes(settings.cache_screenings_seconds, settings.cache_stale_seconds, settings.tombstone_seconds)
    return SeatMaps(screenings.KIND, reads, store=cache, bounds=_cache_bounds(settings, *lives))


def _cache_bounds(settings: Settings, fresh_ms: int, stale_ms: int) -> CacheBounds:
    return CacheBounds(
        fresh_ms=fresh_ms,
        stale_ms=stale_ms,
        lock_ms=settings.cache_lock_ms,
        wait_ms=settings.cache_wait_ms,
        names_max=settings.page_max,
        read_ms=round(settings.postgres_read_timeout_seconds * 1000),
    )


def _seat_mirror(settings: Settings, reads: Reads, redis: Redis) -> SeatMirror:
    """Return who tells of single seats."""
    seats = RedisSeats(
        redis,
        RedisKeys(settings.redis_prefix),
        timeout_seconds=settings.redis_timeout_ms / 1000,
        rest=Rest(settings.redis_rest_ms / 1000),
    )
    return SeatMirror(
        seats, reads.seats_held_until, seats_max=settings.page_max, seconds=settings.postgres_read_timeout_seconds
    )


def _context(
    settings: Settings,
    producer: ResilientProducer,
    reads: Reads,
    *,
    availability: dict[str, Availability],
    seat_maps: SeatMaps,
    seat_mirror: SeatMirror,
) -> Context:
    secret = settings.installation_secret()
    catalogue = settings.catalogue()
    waiters = Waiters(settings.waiters_max)
    problems = Problems(settings.url.rstrip("/"), settings.retry_after_seconds)
    answers = Answers(_KINDS, problems, secret)
    limits = HttpLimits(
        wait_default_seconds=settings.wait_default_seconds,
        wait_max_seconds=settings.wait_max_seconds,
        read_seconds=settings.postgres_read_timeout_seconds,
        retry_after_seconds=settings.retry_after_seconds,
        ping_seconds=settings.stream_ping_seconds,
        stuck_seconds=settings.stream_stuck_seconds,
        uuid_keys_only=settings.key_format == "uuid",
        page_max=settings.page_max,
        ids_asked_max=settings.ids_asked_max,
        retention_days=settings.request_retention_days,
        webhook_bytes_max=settings.webhook_bytes_max,
    )
    offsets = OffsetWatch(
        settings.kafka, f"{settings.topic_prefix}{settings.consumer_group}", settings.offset_poll_ms / 1000
    )
    broadcast = Broadcast(screenings.KIND, reads, _broadcast_bounds(settings))
    grouping = Grouping(producer.send_all, gateway_key(secret))
    publisher = Publisher(grouping, settings.kafka, offsets, catalogue, _bounds(settings))
    prompt_listener = _prompt_listener(settings, waiters, publisher)
    return Context(
        callers=Callers(settings.api_keys.get_secret_value(), _admin_key(settings)),
        submitter=Submitter(
            publisher=publisher,
            catalogue=catalogue,
            secret=secret,
            waiters=waiters,
            reads=reads,
            answers=answers,
            bounds=Bounds(limits.read_seconds, settings.retry_after_seconds),
        ),
        reads=reads,
        answers=answers,
        problems=problems,
        waiters=waiters,
        offsets=offsets,
        reader=EventReader(
            settings.kafka,
            catalogue,
            waiters,
            publisher.note_decided,
            {catalogue.events(screenings.KIND): broadcast},
            heard=prompt_listener.heard,
        ),
        prompt_listener=prompt_listener,
        broadcast=broadcast,
        catalogue=catalogue,
        limits=limits,
        rate_limits=RateLimits(policies_of(settings.rate_limits)),
        availability=availability,
        seat_maps=seat_maps,
        seat_mirror=seat_mirror,
        payments=PaymentInbox(publisher, catalogue),
        webhook_secrets=webhook_secrets(settings),
    )


def _prompt_listener(settings: Settings, waiters: Waiters, publisher: Publisher) -> PromptListener:
    url, keys = settings.redis.get_secret_value(), RedisKeys(settings.redis_prefix)
    return PromptListener(url, keys, settings.catalogue(), waiters, publisher.note_decided)


def _bounds(settings: Settings) -> publishing.Bounds:
    return publishing.Bounds(
        publish_seconds=settings.publish_timeout_seconds,
        publications_max=settings.publications_max,
        silent_seconds=settings.log_silent_ms / 1000,
        probe_seconds=settings.log_probe_ms / 1000,
        backlog_age_seconds=settings.backlog_age_max_seconds,
        backlog_poll_seconds=settings.backlog_poll_ms / 1000,
        retry_after_seconds=settings.retry_after_seconds,
    )


def _broadcast_bounds(settings: Settings) -> BroadcastBounds:
    return BroadcastBounds(
        listeners_max=settings.listeners_max,
        idle_max=settings.broadcast_idle_max,
        events_max=settings.broadcast_events_max,
        snapshot_seconds=settings.broadcast_snapshot_ms / 1000,
        pause_seconds=settings.broadcast_pause_ms / 1000,
        ahead_seconds=settings.broadcast_ahead_seconds,
        check_seconds=settings.broadcast_check_seconds,
        read_seconds=settings.postgres_read_timeout_seconds,
    )


def _admin_key(settings: Settings) -> str:
    """Return the key that may define resources; in local mode one is made and shown if none is set."""
    key = settings.admin_key.get_secret_value()
    if not key and not settings.api_keys.get_secret_value():
        key = secrets.token_urlsafe(24)
        print(f"no FIRMHOLD_ADMIN_KEY is set; for this run it is {key}", flush=True)  # noqa: T201 - shown once, never logged
    return key
