"""Say whether the worker lives and is ready, over HTTP on a port of its own."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from firmhold.exposition import CONTENT_TYPE, Exposition


@asynccontextmanager
async def probe(
    host: str,
    port: int,
    *,
    ready: Callable[[], bool],
    last_progress: Callable[[], float],
    exposition: Exposition,
) -> AsyncIterator[int]:
    """Serve /healthz, /readyz and /metrics for the length of the block; yields the port (useful if 0 was asked for).

    `last_progress` is the event loop's time at which the worker last had nothing to do or got something done. It is
    told and not judged: a worker that waits for Postgres or Kafka does what it should, and ending it would not help.
    """

    async def readyz(_: web.Request) -> web.Response:
        is_ready = ready()
        return web.json_response({"ready": is_ready}, status=200 if is_ready else 503)

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"stalled_seconds": max(0.0, asyncio.get_running_loop().time() - last_progress())})

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=exposition.text(), headers={"Content-Type": CONTENT_TYPE})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
