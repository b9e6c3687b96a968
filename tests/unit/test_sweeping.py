"""Whom the sweeper asks for, look by look: what is due, what is on its way, and what is decided meanwhile."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from schema.rows import ResourceKey
from tests.unit.builders import WORKER
from topics.catalogue import Catalogue
from topics.log_records import Acknowledgement, Record
from workers.progress import Progress
from workers.sweeping import Sweep, Sweeper

LONG_SECONDS = 3600.0
OURS, PARTITION = "ours", 3


@dataclass
class Log:
    """The sweeper's surroundings: what is due, page by page, whose it is, and the log that it writes to."""

    due: list[list[str]] = field(default_factory=list)
    is_owned: bool = True
    asked: list[str] = field(default_factory=list)
    progress: Progress = field(default_factory=Progress)
    catalogue: Catalogue = field(default_factory=Catalogue)

    async def pages(self, holds_max: int) -> AsyncIterator[list[ResourceKey]]:
        """Yield what is due."""
        assert holds_max > 0
        for page in self.due:
            yield [ResourceKey("slot", name) for name in page]

    def is_ours(self, key: ResourceKey) -> bool:
        """Tell by the name."""
        return self.is_owned and key.resource_id.startswith(OURS)

    async def send_all(self, records: Sequence[Record]) -> list[Acknowledgement]:
        """Put records on the log, one behind the other."""
        self.asked += [(record.key or b"").decode() for record in records]
        end = len(self.asked)
        return [Acknowledgement(PARTITION, offset, 0) for offset in range(end - len(records), end)]

    def decide(self, offset: int) -> None:
        """Let the worker decide as far as this offset."""
        self.progress.note(self.catalogue.commands("slot"), PARTITION, offset)

    def sweeper(self, again_seconds: float = LONG_SECONDS) -> Sweeper:
        """Return a sweeper in these surroundings."""
        return Sweeper(
            due_resources=self.pages,
            is_ours=self.is_ours,
            progress=self.progress,
            send_all=self.send_all,
            catalogue=self.catalogue,
            signing_key=WORKER,
            sweep=Sweep(pause_seconds=1.0, again_seconds=again_seconds, holds_max=100),
        )


async def test_r9_once_until_it_is_decided() -> None:
    """While its Expire waits a resource is not asked for again; when it is decided and there is more to do, it is.

    Seen to fail on `_is_waiting` without `progress`, and on one that is always false.
    """
    log = Log([["ours-1", "ours-2"]])
    sweeper = log.sweeper()
    await sweeper.sweep_once()
    await sweeper.sweep_once()
    assert log.asked == ["ours-1", "ours-2"]
    log.decide(0)
    await sweeper.sweep_once()
    assert log.asked == ["ours-1", "ours-2", "ours-1"]


async def test_decided_while_it_looks() -> None:
    """What is found due may be decided by the time it is found: it is not asked for on the strength of that look.

    Seen to fail on `_is_waiting` asked behind the look.
    """
    log = Log([["ours-1"]])
    sweeper = log.sweeper()
    await sweeper.sweep_once()
    look = log.pages

    async def pages(holds_max: int) -> AsyncIterator[list[ResourceKey]]:
        async for page in look(holds_max):
            log.decide(0)
            yield page

    sweeper._due_resources = pages
    await sweeper.sweep_once()
    assert log.asked == ["ours-1"]


async def test_much_that_is_due_of_others() -> None:
    """However much of others is in front of it, ours is found.

    Seen to fail on a look at the first page only.
    """
    log = Log([*([f"theirs-{number}"] for number in range(100)), ["theirs", "ours-1"]])
    await log.sweeper().sweep_once()
    assert log.asked == ["ours-1"]


async def test_an_expire_that_was_lost() -> None:
    """A resource is asked for again after a long time, whatever became of the first Expire.

    Seen to fail on `_is_waiting` without the time.
    """
    log = Log([["ours-1"]])
    sweeper = log.sweeper(again_seconds=0.0)
    await sweeper.sweep_once()
    await sweeper.sweep_once()
    assert log.asked == ["ours-1", "ours-1"]


async def test_a_partition_that_came_back() -> None:
    """What was asked for before a partition went to another worker is forgotten: who knows what became of it.

    Seen to fail on `_is_waiting` without `is_ours`.
    """
    log = Log([["ours-1"]])
    sweeper = log.sweeper()
    await sweeper.sweep_once()
    log.is_owned = False
    await sweeper.sweep_once()
    log.is_owned = True
    await sweeper.sweep_once()
    assert log.asked == ["ours-1", "ours-1"]
