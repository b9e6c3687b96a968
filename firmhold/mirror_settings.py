"""The settings of the mirror of held seats, a part of `firmhold.settings.Settings`."""

from typing import Annotated, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator
from pydantic_settings import BaseSettings


class MirrorSettings(BaseSettings):
    """What workers are told of the mirror: how often it is looked at, how long it is believed."""

    mirror_look_seconds: Annotated[
        float,
        Field(
            ge=0,
            description="Pause between two looks at the mirror of held seats in Redis: what is not as in Postgres is written "
            "anew; 0 turns this off, and gateways ask Postgres",
        ),
    ] = 10.0
    mirror_anew_seconds: Annotated[
        PositiveFloat,
        Field(description="How often a look writes all of the mirror anew: Redis may have lost a key by itself"),
    ] = 300.0
    mirror_marker_seconds: Annotated[
        PositiveInt,
        Field(
            description="How long the mirror of a screening is believed after the last look at it: so old may an answer be "
            "if Redis did not take a write and the worker died"
        ),
    ] = 30

    @model_validator(mode="after")
    def _markers_outlive_looks(self) -> Self:
        """Keep markers from ending between two looks: all reads would go to Postgres."""
        if self.mirror_marker_seconds < 2 * self.mirror_look_seconds:
            message = (
                f"FIRMHOLD_MIRROR_MARKER_SECONDS ({self.mirror_marker_seconds}) must be at least twice "
                f"FIRMHOLD_MIRROR_LOOK_SECONDS ({self.mirror_look_seconds:g}): the mirror would not be believed between two looks"
            )
            raise ValueError(message)
        return self
