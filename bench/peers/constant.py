"""A limit: an aiohttp handler that reads the body and answers one and the same. No gateway on aiohttp can be faster."""

from aiohttp import web

from bench.peers.serving import answer, arguments, body_of_hold, hold_id_of, serve

BODY = body_of_hold("constant", hold_id_of("constant", "key"), 1)


async def hold(request: web.Request) -> web.Response:
    """Hold nothing."""
    await request.read()
    return answer(BODY)


async def get(_: web.Request) -> web.Response:
    """Tell of nothing."""
    return answer(BODY, 200)


if __name__ == "__main__":
    serve(arguments().parse_args().port, [web.post("/slots/{slot_id}/hold", hold), web.get("/slots/availability", get)])
