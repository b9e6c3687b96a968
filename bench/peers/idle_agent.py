"""A limit: a Faust agent that takes events and does nothing, set up as our worker's. No worker on Faust can be faster.

Says `ready`, and when it has taken `--count` events `passed` with the time of the machine's monotonic clock.
"""

import argparse
import asyncio
import time
from typing import Any

import uvloop

from firmhold.memory import tune_memory
from workers.intake import Group, make_app

SESSION_SECONDS = 10.0


async def main(options: argparse.Namespace) -> None:
    """Take events until there were enough."""
    app = make_app(Group(options.kafka, options.topic, SESSION_SECONDS))
    done, assigned = asyncio.Event(), asyncio.Event()
    topic = app.topic(options.topic, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    async def take(stream: Any) -> None:  # noqa: ANN401 - Faust's interface has its own streams only
        count = 0
        async for event in stream.unacknowledged():
            event.ack()
            count += 1
            if count == options.count:
                print(f"passed {time.monotonic()}", flush=True)  # noqa: T201 - the driver reads it
                done.set()

    async def on_assigned(*_: object, **__: object) -> None:
        assigned.set()

    app.agent(topic)(take)
    app.on_partitions_assigned.connect(on_assigned)
    starting = asyncio.create_task(app.start())
    await assigned.wait()
    print("ready", flush=True)  # noqa: T201 - the driver reads it
    await done.wait()
    starting.cancel()
    await app.stop()


if __name__ == "__main__":
    PARSER = argparse.ArgumentParser()
    PARSER.add_argument("--kafka", required=True)
    PARSER.add_argument("--topic", required=True)
    PARSER.add_argument("--count", type=int, required=True)
    tune_memory()
    uvloop.run(main(PARSER.parse_args()))
