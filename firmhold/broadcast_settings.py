"""The settings of broadcasts, a part of `firmhold.settings.Settings`."""

from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt
from pydantic_settings import BaseSettings


class BroadcastSettings(BaseSettings):
    """What a gateway is told of listeners: how many, what is kept for them, how long they wait."""

    stream_stuck_seconds: Annotated[
        PositiveFloat,
        Field(description="How long a listener may take nothing of what is sent to him before his stream is ended"),
    ] = 20.0
    listeners_max: Annotated[
        PositiveInt,
        Field(description="Listeners to broadcasts that one gateway has at once; more are answered 503"),
    ] = 5_000
    broadcast_events_max: Annotated[
        PositiveInt,
        Field(
            description="Last events of a screening that a gateway keeps at least for listeners that come again; they are "
            "kept until there are twice as many. Who missed more gets a snapshot"
        ),
    ] = 200
    broadcast_idle_max: Annotated[
        PositiveInt,
        Field(description="Screenings that a gateway follows on though nobody listens any more, for who comes again"),
    ] = 32
    broadcast_snapshot_ms: Annotated[
        PositiveInt, Field(description="How long a snapshot of a screening's seats serves those who need one")
    ] = 250
    broadcast_pause_ms: Annotated[
        PositiveInt,
        Field(
            description="Pause between two rounds of sending to all listeners of a screening; the first goes at once"
        ),
    ] = 100
    broadcast_ahead_seconds: Annotated[
        PositiveFloat,
        Field(
            description="How long a listener waits for the event that he says he has seen and this gateway has not, before "
            "he gets a snapshot"
        ),
    ] = 5.0
    broadcast_check_seconds: Annotated[
        PositiveFloat,
        Field(
            description="Pause between two comparisons of what listeners were told with Postgres: events that were lost, "
            "another database"
        ),
    ] = 5.0
