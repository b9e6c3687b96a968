"""What goes wrong between processes and their servers: delays, requests and answers that are lost, servers that are away."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

import asyncpg
from aiokafka.errors import KafkaConnectionError

from tests.simulation.world import Process, World

Answer = TypeVar("Answer")
Fault = Callable[[], Exception]

POSTGRES_FAULTS: tuple[Fault, ...] = (
    lambda: asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
    lambda: asyncpg.CannotConnectNowError("the database system is starting up"),
    lambda: asyncpg.TooManyConnectionsError("sorry, too many clients already"),
    lambda: asyncpg.SerializationError("could not serialize access"),
    lambda: ConnectionRefusedError("postgres refuses"),
    TimeoutError,
)
KAFKA_FAULTS: tuple[Fault, ...] = (KafkaConnectionError, lambda: ConnectionResetError("kafka hung up"), TimeoutError)
REDIS_FAULTS: tuple[Fault, ...] = (lambda: ConnectionError("redis hung up"), TimeoutError)


@dataclass
class Weather:
    """How bad it is on the way to one server: shares of requests that are lost, and of answers."""

    name: str
    random: Random
    faults: tuple[Fault, ...]
    delay_seconds: float
    lost_requests: float = 0.0
    lost_answers: float = 0.0
    is_away: bool = False
    seen: dict[str, int] = field(default_factory=dict)

    def clear(self) -> None:
        """Be fine from now on."""
        self.lost_requests = self.lost_answers = 0.0
        self.is_away = False

    def count(self, what: str) -> None:
        """Count something that happened."""
        self.seen[f"{self.name}: {what}"] = self.seen.get(f"{self.name}: {what}", 0) + 1

    def delay(self) -> float:
        """Return how long a message takes this time; now and then much longer."""
        usual = self.delay_seconds * self.random.uniform(0.2, 2.0)
        return usual * 50 if self.random.random() < 0.005 else usual

    def loses_request(self) -> bool:
        """Tell whether a request does not get there."""
        return self.is_away or self.random.random() < self.lost_requests

    def loses_answer(self) -> bool:
        """Tell whether an answer does not come back."""
        return self.is_away or self.random.random() < self.lost_answers

    def fault(self) -> Exception:
        """Return what a client is told."""
        return self.random.choice(self.faults)()


class WeatheredLine:
    """A `tests.twins.line.Line` through the weather. What has reached the server is done, whatever becomes of the client."""

    def __init__(self, world: World, server: Process, weather: Weather) -> None:
        """Lead to a server, which is a process that never dies."""
        self._world = world
        self._server = server
        self._weather = weather

    async def ask(self, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """Let the server do the work."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._server.start(self._serve(work, answer))
        return await answer

    async def _serve(self, work: Callable[[], Awaitable[Answer]], answer: asyncio.Future[Answer]) -> None:
        weather = self._weather
        await asyncio.sleep(weather.delay())
        result: Answer | Exception
        if weather.loses_request():
            weather.count("request lost")
            result = weather.fault()
        else:
            try:
                result = await work()
            except Exception as fault:  # noqa: BLE001 - whatever it is, it is the answer
                result = fault
                weather.count(type(fault).__name__)
            if weather.loses_answer():
                weather.count("answer lost")
                result = weather.fault()
        await asyncio.sleep(weather.delay())
        if answer.done():
            return
        if isinstance(result, Exception):
            answer.set_exception(result)
        else:
            answer.set_result(result)
