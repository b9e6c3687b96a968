"""Wait for an event, but not for longer than so many seconds."""

import asyncio


async def is_set_within(event: asyncio.Event, seconds: float) -> bool:
    """Return True as soon as the event is set, or False when the time is over."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return event.is_set()
    return True
