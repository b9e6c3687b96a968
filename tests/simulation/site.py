"""The one installation of a simulated world: its servers, the weather to each, and what the run counts."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random

from gateway.cache import CacheBounds
from tests.simulation.caching import News
from tests.simulation.evidence import ListRead, SlotRead
from tests.simulation.weather import KAFKA_FAULTS, POSTGRES_FAULTS, REDIS_FAULTS, Weather, WeatheredLine
from tests.simulation.world import World
from tests.twins.memory_cache import MemoryCache
from tests.twins.memory_log import LogRecord, MemoryLog
from tests.twins.memory_store import MemoryPostgres
from tests.twins.row_locks import Patience
from topics import signatures
from topics.catalogue import Catalogue

KIND = "slot"
SALES = "product"
PARKING = timedelta(seconds=8)
PARTITIONS = 3
SECRET = b"the secret of the simulation"
GATEWAY = signatures.gateway_key(SECRET)
WORKER = signatures.worker_key(SECRET)
PARTNER = signatures.SigningKey(
    "partner", b"theirs", frozenset({signatures.Scope.HOLD, signatures.Scope.TRUSTED}), "partner/"
)
START = datetime(2026, 1, 1, tzinfo=UTC)
SESSION_SECONDS = 6.0


def _bounds(dice: Random) -> CacheBounds:
    """Return how long a cache keeps and waits; half of them keep nothing stale."""
    return CacheBounds(
        fresh_ms=dice.choice((1_000, 10_000)),
        stale_ms=dice.choice((0, 0, 2_000, 20_000)),
        lock_ms=dice.choice((500, 5_000)),
        wait_ms=dice.choice((100, 1_000)),
        names_max=100,
    )


class Site:
    """Servers, weather and counts."""

    def __init__(self, world: World, seed: int) -> None:
        """Build it in an empty world; every fourth seed is a sale of products."""
        self.world = world
        self.kind = SALES if seed % 4 == 0 else KIND
        self.seed = seed
        self.counts: Counter[str] = Counter()
        self.broker_ahead = timedelta(0)
        self.catalogue = Catalogue(partitions=PARTITIONS, replication=1)
        self.keys = signatures.KeyRing([GATEWAY, WORKER, PARTNER])
        patience = self.random("patience")
        self.postgres = MemoryPostgres(
            self.now, Patience(lock_seconds=patience.choice((1.0, 4.0)), idle_seconds=patience.choice((2.0, 4.0)))
        )
        self.log = MemoryLog(self.catalogue, lambda: self.now() + self.broker_ahead, SESSION_SECONDS, self._appended)
        # What the workers' transactions end at most; sometimes they differ, as while a new setting is rolled out.
        self.expiries: tuple[int, ...] = self.random("expiries").choice(((5_000,), (5_000,), (1,), (2,), (1, 5_000)))
        self.bounds = _bounds(self.random("cache"))
        self.cache = MemoryCache(self._now_ms, tombstone_ms=2 * self.bounds.lock_ms)
        self.news = News(self.kind, (self.bounds.fresh_ms + self.bounds.stale_ms) / 1000)
        self.reads: list[SlotRead] = []
        self.lists: list[ListRead] = []
        self.faults: list[str] = []
        self._servers = {name: world.process(name) for name in ("postgres", "kafka", "redis")}
        self.weather = {
            "postgres": Weather("postgres", self.random("postgres"), POSTGRES_FAULTS, 0.004),
            "kafka": Weather("kafka", self.random("kafka"), KAFKA_FAULTS, 0.006),
            "redis": Weather("redis", self.random("redis"), REDIS_FAULTS, 0.001),
        }

    def _appended(self, record: LogRecord) -> None:
        """See that an event is told only after the cache was told: a reader that knows it must not find what was before."""
        if record.topic != self.catalogue.events(self.kind):
            return
        version = int(dict(record.headers).get("ce_sequence", b"0"))
        resource_id = (record.key or b"").decode()
        if version and not self.news.tell(resource_id, version, self.world.time()):
            self.faults.append(f"{resource_id}: version {version} was told before its tombstone was written")

    def random(self, name: str) -> Random:
        """Return the dice of one part: another part's throws do not change these."""
        return Random(f"{self.seed}/{name}")

    def now(self) -> datetime:
        """Return the time of day: Postgres's clock."""
        return START + timedelta(microseconds=round(self.world.time() * 1_000_000))

    def _now_ms(self) -> int:
        return int(self.now().timestamp() * 1000)

    def line(self, server: str) -> WeatheredLine:
        """Return a line to a server."""
        return WeatheredLine(self.world, self._servers[server], self.weather[server])

    def records(self, topic: str) -> list[LogRecord]:
        """Return what lies on a topic."""
        return self.log.records(topic)

    def lag(self) -> int:
        """Return how many commands are not acknowledged."""
        places = [(self.catalogue.commands(self.kind), number) for number in range(PARTITIONS)]
        return sum(self.log.end_offset(place) - self.log.group.committed.get(place, 0) for place in places)
