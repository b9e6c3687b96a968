"""Who sells seats: sends commands of screenings to Kafka, signed as a gateway does, and reads the events."""

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from aiokafka import ConsumerRecord

from tests.installation import Installation, eventually
from tests.integration.expectations import fresh, headers_of
from topics import signatures
from topics.commands import Command, DefineResource, Hold, fingerprint
from topics.identifiers import hold_id_of, request_id
from topics.log_records import Record
from topics.producer import ResilientProducer
from topics.record import command_record
from topics.seating import Area, Row

SOURCE = "gateway/alice"
TOKEN = hashlib.sha256(b"the token").hexdigest()


@dataclass
class BoxOffice:
    """Who sends commands of screenings, and reads what became of them."""

    site: Installation
    producer: ResilientProducer

    def record(self, command: Command, command_id: str) -> Record:
        """Return the record of a command, signed by a gateway."""
        topic = self.site.settings.catalogue().commands("screening")
        key = signatures.gateway_key(self.site.settings.installation_secret())
        return command_record(topic, "screening", command, source=SOURCE, command_id=command_id, signing_key=key)

    async def ask(self, *commands: Command) -> list[str]:
        """Send commands at once, wait until all are decided, and return the ids of the holds that they are or would be."""
        sent = [(uuid.uuid4().hex, command) for command in commands]
        await self.producer.send_all([self.record(command, command_id) for command_id, command in sent])
        await eventually(self.all_is_decided, seconds=60, what="every command decided")
        return [
            hold_id_of(
                request_id("screening", command.resource_id, SOURCE, command_id, fingerprint("screening", command))
            )
            for command_id, command in sent
        ]

    async def all_is_decided(self) -> bool:
        """Tell whether every record is acknowledged: then its events were sent."""
        return await self.site.is_worked_off("screening")

    async def define(self, *rows: Row, areas: Sequence[Area] = (), hold_seconds: int = 600) -> str:
        """Define a screening; return its id."""
        screening = fresh("screening")
        await self.ask(
            DefineResource(
                resource_id=screening, rows=rows or None, areas=tuple(areas) or None, hold_seconds=hold_seconds
            )
        )
        return screening

    async def hold(self, screening: str, *seats: str, buyer: str | None = None) -> str:
        """Hold seats; return the id of the hold."""
        (hold_id,) = await self.ask(Hold(resource_id=screening, seats=seats, token_hash=TOKEN, buyer=buyer))
        return hold_id

    async def told(self, screening: str) -> list[tuple[str, dict[str, Any]]]:
        """Return types and data of all events of a screening, each once, in the order in which they were sent."""
        records = await self.site.records(self.site.settings.catalogue().events("screening"))
        mine = {headers_of(event)["ce_id"]: event for event in records if event.key == screening.encode()}
        return [_read(event) for event in mine.values()]


def _read(event: ConsumerRecord) -> tuple[str, dict[str, Any]]:
    headers, data = headers_of(event), msgspec.json.decode(event.value or b"")
    assert int(headers["ce_sequence"]) == data["version"]
    return headers["ce_type"], data
