"""Every setting, from environment variables `FIRMHOLD_*` alone; docs/settings.md is compared with this file and its parts."""

import re
import secrets
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from firmhold.broadcast_settings import BroadcastSettings
from firmhold.key_lists import SIGNING_KEYS, SIGNING_SECRET_BYTES_MIN, SettingError, numbered_entries, signing_key
from firmhold.mirror_settings import MirrorSettings
from topics.catalogue import Catalogue
from topics.signatures import GATEWAY_KEY_ID, WORKER_KEY_ID, KeyRing, gateway_key, worker_key

__all__ = ["SIGNING_SECRET_BYTES_MIN", "SettingError", "Settings", "numbered_entries"]

_SCHEMES = {"postgres": ("postgresql://", "postgres://"), "redis": ("redis://", "rediss://", "unix://")}
_HOSTS = re.compile(r"((\[[0-9A-Fa-f:.]+\]|[^:\[\]]*)(:\d+)?(,|$))*")


class Settings(BroadcastSettings, MirrorSettings):
    """What a process of Firmhold is told by its environment; names are upper-cased and prefixed with FIRMHOLD_."""

    model_config = SettingsConfigDict(env_prefix="FIRMHOLD_", extra="ignore", frozen=True, hide_input_in_errors=True)

    kafka: Annotated[str, Field(description="Kafka bootstrap servers, host:port, separated by commas")] = (
        "127.0.0.1:9092"
    )
    postgres: Annotated[SecretStr, Field(description="Postgres, postgresql://user:password@host:port/database")] = (
        SecretStr("postgresql://firmhold@127.0.0.1:5432/firmhold")
    )
    redis: Annotated[SecretStr, Field(description="Redis, redis://host:port/database")] = SecretStr(
        "redis://127.0.0.1:6379/0"
    )
    url: Annotated[
        str, Field(description="Where the gateway is reached from outside; problem types and `seed` use it")
    ] = "http://127.0.0.1:8080"
    host: Annotated[str, Field(description="Address that gateway and worker probe listen on")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="Port of the gateway")] = 8080
    worker_port: Annotated[
        int, Field(ge=0, le=65535, description="Port of the worker's /healthz and /readyz; 0 takes any")
    ] = 0
    worker_id: Annotated[str, Field(description="Name of this worker in logs; empty takes host and process id")] = ""

    secret: Annotated[
        SecretStr, Field(description="Secret that hold tokens and our own signing keys are derived from")
    ] = SecretStr("")
    signing_keys: Annotated[
        SecretStr,
        Field(
            description="Trusted producers: `key id:base64 secret:scope+scope:source prefix`, separated by commas; "
            "a secret has at least 16 bytes. Who names buyers needs the scope `trusted`"
        ),
    ] = SecretStr("")
    admin_key: Annotated[SecretStr, Field(description="Bearer key that may define resources")] = SecretStr("")
    webhook_secret: Annotated[
        SecretStr,
        Field(
            description="Secrets of payment webhooks by Standard Webhooks: `whsec_` and base64, several separated by spaces "
            "while one is replaced; in local mode made and printed if none is set"
        ),
    ] = SecretStr("")
    stripe_secret: Annotated[
        SecretStr,
        Field(description="Secrets of Stripe's webhooks, as Stripe shows them; several and none as above"),
    ] = SecretStr("")
    demo_provider: Annotated[
        bool,
        Field(
            description="Whether `/demo/payments` plays a payment provider: for trying things out, never in production"
        ),
    ] = False

    redis_prefix: Annotated[str, Field(description="Put before each Redis key")] = "firmhold:"
    api_keys: Annotated[
        SecretStr,
        Field(
            description="Callers: `account:key:scope+scope`, separated by commas; none at all: everybody is anonymous"
        ),
    ] = SecretStr("")
    topic_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,64}$", description="Put before each topic name")] = (
        ""
    )
    partitions: Annotated[PositiveInt, Field(description="Partitions of each topic when it is created")] = 64
    replication: Annotated[PositiveInt, Field(description="Replicas of each partition")] = 3
    command_retention_days: Annotated[PositiveInt, Field(description="Retention of the command topics")] = 7
    event_retention_days: Annotated[PositiveInt, Field(description="Retention of the event topics")] = 7
    dead_letter_retention_days: Annotated[PositiveInt, Field(description="Retention of the dead-letter topics")] = 30
    request_retention_days: Annotated[
        PositiveInt, Field(description="How long outcomes are kept; an older record is dead-lettered `too_old`")
    ] = 14
    consumer_group: Annotated[str, Field(description="Consumer group of the workers, behind the topic prefix")] = (
        "firmhold-worker"
    )

    batch_commands_max: Annotated[PositiveInt, Field(description="Commands that one transaction decides at most")] = 500
    inbox_events_max: Annotated[PositiveInt, Field(description="Records that wait for the batcher at most")] = 2000
    inbox_bytes_max: Annotated[PositiveInt, Field(description="Bytes of records that wait for the batcher at most")] = (
        64 * 1024 * 1024
    )
    batches_in_flight_max: Annotated[
        PositiveInt, Field(description="Decided batches that wait for their events to be sent")
    ] = 8
    culprits_max: Annotated[
        PositiveInt, Field(description="Commands an hour that may fail by a fault of ours before the worker stops")
    ] = 100
    retry_first_ms: Annotated[PositiveInt, Field(description="First pause before a batch is tried again")] = 50
    retry_longest_ms: Annotated[PositiveInt, Field(description="Longest pause before a batch is tried again")] = 2_000
    drain_seconds: Annotated[PositiveFloat, Field(description="How long a stopping process finishes what it began")] = (
        7.0
    )
    session_timeout_seconds: Annotated[
        PositiveFloat,
        Field(description="After how long a dead worker's partitions move on (the broker's minimum is 6)"),
    ] = 10.0

    expiries_max: Annotated[
        PositiveInt,
        Field(
            description="Holds that one transaction expires at most; more are expired in several, one after the other"
        ),
    ] = 5_000
    parked_payment_seconds: Annotated[
        PositiveInt,
        Field(
            description="How long a payment waits for an order that has not come, before its money is to be given back"
        ),
    ] = 900
    open_payments_seconds: Annotated[
        float,
        Field(
            ge=0,
            description="Pause between two counts of the payments that need somebody, for the metrics; 0 turns that off",
        ),
    ] = 15.0
    seat_holds_buyer: Annotated[
        Literal["pseudonym", "as_sent"],
        Field(
            description="How the audit of seats names buyers: by a pseudonym that FIRMHOLD_SECRET gives, or `as_sent`"
        ),
    ] = "pseudonym"
    sweep_seconds: Annotated[
        float, Field(ge=0, description="Pause between two looks for holds whose time is over; 0 turns the sweeper off")
    ] = 1.0
    sweep_again_seconds: Annotated[
        PositiveFloat,
        Field(
            description="After how long an Expire is published again though the first is not decided: only if it was lost"
        ),
    ] = 30.0
    sweep_holds_max: Annotated[
        PositiveInt, Field(description="Holds that one page of such a look has; a look reads all pages")
    ] = 1_000

    purge_margin_hours: Annotated[
        PositiveInt,
        Field(
            description="How much longer than FIRMHOLD_REQUEST_RETENTION_DAYS outcomes are kept: by as much may the clocks "
            "of the broker and Postgres differ"
        ),
    ] = 24
    purge_seconds: Annotated[
        float, Field(ge=0, description="Pause between two looks for outcomes that are too old; 0 turns purging off")
    ] = 60.0
    purge_requests_max: Annotated[PositiveInt, Field(description="Outcomes that one transaction forgets at most")] = 500
    purge_pause_ms: Annotated[
        PositiveInt, Field(description="Pause between two such transactions while there is more to forget")
    ] = 200

    postgres_connections_max: Annotated[PositiveInt, Field(description="Connections to Postgres of one process")] = 8
    postgres_lock_timeout_ms: Annotated[PositiveInt, Field(description="Longest wait for a row lock")] = 4_000
    postgres_statement_timeout_ms: Annotated[PositiveInt, Field(description="Longest statement")] = 8_000
    postgres_transaction_timeout_ms: Annotated[PositiveInt, Field(description="Longest transaction")] = 15_000
    postgres_idle_timeout_ms: Annotated[PositiveInt, Field(description="Longest silence within a transaction")] = 4_000
    redis_timeout_ms: Annotated[PositiveInt, Field(description="Longest wait for Redis before it is done without")] = (
        100
    )
    redis_rest_ms: Annotated[
        PositiveInt,
        Field(description="How long a gateway, or a worker with its mirror, leaves Redis alone that did not answer"),
    ] = 1_000
    tombstone_seconds: Annotated[PositiveInt, Field(description="How long an invalidation outlives its write")] = 60
    cache_slots_seconds: Annotated[
        PositiveInt, Field(description="How long the availability of slots is served from the cache")
    ] = 10
    cache_screenings_seconds: Annotated[
        PositiveInt, Field(description="How long screenings and their maps are served from the cache")
    ] = 10
    cache_products_seconds: Annotated[
        PositiveInt, Field(description="How long products with their stock are served from the cache")
    ] = 120
    cache_stale_seconds: Annotated[
        int, Field(ge=0, description="How long after that it may be served if it cannot be read anew in time")
    ] = 60
    cache_lock_ms: Annotated[
        PositiveInt, Field(description="After how long another gateway may read what one began to read for the cache")
    ] = 5_000
    cache_wait_ms: Annotated[
        PositiveInt, Field(description="How long a gateway waits for what another one reads before it does without")
    ] = 1_000
    cache_ids_max: Annotated[
        PositiveInt, Field(description="Ids of one kind that are cached; where there are more, pages of them are read")
    ] = 10_000
    page_max: Annotated[PositiveInt, Field(le=2_000, description="Resources that one page of a list has at most")] = (
        1_000
    )
    ids_asked_max: Annotated[PositiveInt, Field(le=2_000, description="Ids that `?ids=` may name at once")] = 100

    wait_default_seconds: Annotated[
        float, Field(ge=0, description="How long an answer is waited for where the client does not say")
    ] = 2.0
    wait_max_seconds: Annotated[PositiveFloat, Field(description="Longest wait that a client may prefer")] = 30.0
    publish_timeout_seconds: Annotated[
        PositiveFloat,
        Field(description="How long Kafka may take to acknowledge before the answer is 503, outcome unknown"),
    ] = 5.0
    publications_max: Annotated[
        PositiveInt,
        Field(
            description="Commands that one gateway has on their way to Kafka at once; more are answered 503, new holds from "
            "three quarters of them on: the rest is for confirm, cancel, extend and change"
        ),
    ] = 2_000
    log_silent_ms: Annotated[
        PositiveInt,
        Field(
            description="After how long without any acknowledgement of Kafka's new commands are answered 503 at once"
        ),
    ] = 1_000
    log_probe_ms: Annotated[PositiveInt, Field(description="Pause between two looks for life of a silent Kafka")] = 250
    backlog_age_max_seconds: Annotated[
        PositiveFloat,
        Field(
            description="How long a partition's oldest command may wait for its decision before new holds of that "
            "partition are answered 503 (confirm, cancel, extend and change never are); longer than a worker's restart"
        ),
    ] = 15.0
    backlog_poll_ms: Annotated[
        PositiveInt, Field(description="Pause between two readings of how far the workers are in all partitions")
    ] = 500
    postgres_read_timeout_seconds: Annotated[
        PositiveFloat, Field(description="How long Postgres may take to answer a read before the answer is 503")
    ] = 5.0
    offset_poll_ms: Annotated[
        PositiveInt, Field(description="Pause between two readings of offsets while somebody polls")
    ] = 100
    waiters_max: Annotated[
        PositiveInt, Field(description="Requests that one gateway lets wait at once, event streams counted")
    ] = 20_000
    stream_ping_seconds: Annotated[
        PositiveFloat,
        Field(
            description="Pause between two signs of life on an event stream; a client that is gone is noticed by them"
        ),
    ] = 15.0
    body_bytes_max: Annotated[PositiveInt, Field(description="Longest request body")] = 65_536
    webhook_bytes_max: Annotated[
        PositiveInt, Field(le=1_048_576, description="Longest webhook of a payment provider that is read")
    ] = 262_144
    key_format: Annotated[
        Literal["any", "uuid"], Field(description="`uuid` refuses idempotency keys that are not UUIDs")
    ] = "any"
    retry_after_seconds: Annotated[PositiveInt, Field(description="Retry-After of 202 and 503 answers")] = 1
    rate_limits: Annotated[
        str,
        Field(
            description='Writes that each account of FIRMHOLD_API_KEYS may send to one gateway: `"burst";q=100;w=60` is '
            "100 a minute, several separated by commas; none: unlimited"
        ),
    ] = ""
    log_format: Annotated[Literal["auto", "json", "console"], Field(description="`auto`: console on a terminal")] = (
        "auto"
    )
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"], Field(description="Least level that is logged")
    ] = "INFO"
    log_repeats_max: Annotated[
        PositiveInt,
        Field(description="Lines of one message that are logged within FIRMHOLD_LOG_REPEAT_SECONDS at most"),
    ] = 5
    log_repeat_seconds: Annotated[
        PositiveFloat, Field(description="After how long it is told how many lines were left out")
    ] = 10.0

    @field_validator("host", "url", "kafka")
    @classmethod
    def _not_empty(cls, text: str) -> str:
        if not text.strip():
            message = "must not be empty"
            raise ValueError(message)
        return text.strip()

    @field_validator("postgres", "redis")
    @classmethod
    def _is_url(cls, url: SecretStr, info: ValidationInfo) -> SecretStr:
        """Refuse what is no URL of that server here, where the message cannot show the password in it."""
        schemes = _SCHEMES[info.field_name or ""]
        if not url.get_secret_value().startswith(schemes):
            message = f"must be a URL that begins with {' or '.join(schemes)}"
            raise ValueError(message)
        hosts = url.get_secret_value().partition("://")[2].partition("/")[0].rpartition("@")[2]
        if not _HOSTS.fullmatch(hosts):
            message = "must have a port that is a number; / : @ ? # in a password are written as %2F %3A %40 %3F %23"
            raise ValueError(message)
        return url

    @model_validator(mode="after")
    def _outcomes_outlive_records(self) -> Self:
        """Deduplicate for as long as a record can come again (E-32)."""
        if self.request_retention_days <= self.command_retention_days:
            message = (
                f"FIRMHOLD_REQUEST_RETENTION_DAYS ({self.request_retention_days}) must exceed "
                f"FIRMHOLD_COMMAND_RETENTION_DAYS ({self.command_retention_days}): "
                "a record must not outlive the outcome that deduplicates it"
            )
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _tombstones_outlive_locks(self) -> Self:
        """Keep who read before a write from storing after its tombstone is gone (E-57)."""
        if self.tombstone_seconds * 1000 < 2 * self.cache_lock_ms:
            message = (
                f"FIRMHOLD_TOMBSTONE_SECONDS ({self.tombstone_seconds}) must be at least twice "
                f"FIRMHOLD_CACHE_LOCK_MS ({self.cache_lock_ms}): an old value could be stored after an invalidation"
            )
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _nobody_pays_with_no_money(self) -> Self:
        """Keep the demo provider to where everybody is anonymous: whoever can call it can pay any order."""
        if self.demo_provider and self.api_keys.get_secret_value():
            message = (
                "FIRMHOLD_DEMO_PROVIDER is on and FIRMHOLD_API_KEYS is set: whoever reaches the gateway could pay any order of "
                "these accounts with no money. Turn FIRMHOLD_DEMO_PROVIDER off, or unset FIRMHOLD_API_KEYS to try things out"
            )
            raise ValueError(message)
        return self

    def installation_secret(self) -> bytes:
        """Return FIRMHOLD_SECRET; a process without one could not agree with the others, so that is an error."""
        secret = self.secret.get_secret_value().encode()
        if not secret:
            raise SettingError(
                f"FIRMHOLD_SECRET is not set: give every process the same secret, for example {secrets.token_hex(24)}"
            )
        return secret

    def catalogue(self) -> Catalogue:
        """Return the topics of this installation."""
        return Catalogue(
            prefix=self.topic_prefix,
            partitions=self.partitions,
            replication=self.replication,
            command_retention_days=self.command_retention_days,
            event_retention_days=self.event_retention_days,
            dead_letter_retention_days=self.dead_letter_retention_days,
        )

    def key_ring(self) -> KeyRing:
        """Return the signing keys that a worker trusts: the gateways', and those of FIRMHOLDSIGNING_KEYS."""
        secret = self.installation_secret()
        keys = {GATEWAY_KEY_ID: gateway_key(secret), WORKER_KEY_ID: worker_key(secret)}
        for number, entry in numbered_entries(SIGNING_KEYS, self.signing_keys.get_secret_value()):
            key = signing_key(number, entry)
            if key.key_id in keys:
                raise SettingError(
                    f"{SIGNING_KEYS}: the key id of entry {number} is another key's, or ours: give each its own"
                )
            keys[key.key_id] = key
        return KeyRing(keys.values())
