"""Fetches are written and read in larger pieces, and are byte for byte those of aiokafka."""

import struct
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import cast

import pytest
from aiokafka.protocol import fetch
from aiokafka.protocol.types import Array, Int32, Int64, Schema, String
from hypothesis import given
from hypothesis import strategies as st

from topics.packed_fetches import pack_fetches

_INT16, _INT32, _INT64 = (st.integers(-(2**bits), 2**bits - 1) for bits in (15, 31, 63))
_NAMES = st.text("abc.-_", max_size=20)
_ASKED = st.tuples(_INT32, _INT32, _INT64, _INT64, _INT32)
_ABORTED = st.none() | st.lists(st.tuples(_INT64, _INT64), max_size=3)
_TOLD = st.tuples(_INT32, _INT16, _INT64, _INT64, _INT64, _ABORTED, _INT32, st.none() | st.binary(max_size=50))


def _topics(rows: st.SearchStrategy[tuple[object, ...]]) -> st.SearchStrategy[list[tuple[str, object]]]:
    return st.lists(st.tuples(_NAMES, st.none() | st.lists(rows, max_size=4)), max_size=3)


@pytest.fixture(scope="module")
def as_aiokafka_does() -> ModuleType:
    """Load aiokafka's own a second time, and change the first."""
    pack_fetches()
    pack_fetches()
    spec = cast("ModuleSpec", find_spec(fetch.__name__))
    untouched = module_from_spec(spec)
    cast("Loader", spec.loader).exec_module(untouched)
    return untouched


@given(_topics(_ASKED))
def test_what_is_asked_for_is_written_as_aiokafka_does(
    as_aiokafka_does: ModuleType, topics: list[tuple[str, object]]
) -> None:
    """Seen to fail with a number of another size."""
    request = (-1, 500, 1, 2**20, 0, 0, -1, topics, [("gone", [3])], "rack")
    assert fetch.FetchRequest_v11(*request).encode() == as_aiokafka_does.FetchRequest_v11(*request).encode()


@given(_topics(_TOLD))
def test_what_is_told_is_read_as_aiokafka_does(as_aiokafka_does: ModuleType, topics: list[tuple[str, object]]) -> None:
    """Seen to fail with aborted transactions that were lost."""
    fetched = as_aiokafka_does.FetchResponse_v11(0, 0, 0, topics).encode()
    assert fetch.FetchResponse_v11.decode(fetched).topics == as_aiokafka_does.FetchResponse_v11.decode(fetched).topics


@pytest.mark.usefixtures("as_aiokafka_does")
@pytest.mark.parametrize("missing", range(1, 42, 5))
def test_a_fetch_that_ends_early_is_refused(missing: int) -> None:
    """Records that were cut off must not pass for shorter ones."""
    fetched = fetch.FetchResponse_v11(0, 0, 0, [("t", [(0, 0, 1, 1, 0, [], -1, b"records")])]).encode()
    with pytest.raises((ValueError, struct.error)):
        fetch.FetchResponse_v11.decode(fetched[:-missing])


def test_a_schema_that_is_not_known_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another aiokafka may have other partitions."""
    partitions = Array(("partition", Int32), ("fetch_offset", Int64))
    topics = Array(("topic", String()), ("partitions", partitions))
    monkeypatch.setattr(fetch.FetchRequest_v11, "SCHEMA", Schema(("topics", topics)))
    with pytest.raises(TypeError, match="was written for"):
        pack_fetches()
