"""Idempotency-Key: a Structured Field String, a bare token leniently, everything else a problem."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.idempotency import KEY_CHARACTERS_MAX, key_of
from gateway.problems import KEY_MALFORMED, KEY_MISSING, ProblemError

VISIBLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=KEY_CHARACTERS_MAX)


def read(*lines: str, required: bool = True, uuid_only: bool = False) -> str:
    """Read the header lines of a call that needs a key."""
    return key_of(lines, required=required, uuid_only=uuid_only)


def quoted(key: str) -> str:
    """Write a key as RFC 8941 has it."""
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("k", "k"),
        ('"k"', "k"),
        (' "k" ', "k"),
        ("A-Za.z_0~9", "A-Za.z_0~9"),
        ("7", "7"),
        ("1.5", "1.5"),
        ('"7"', "7"),
        ('"a b"', "a b"),
        ('" "', " "),
        ('"\\"\\\\"', '"\\'),
        ('"k";v=1', "k"),
        ('"k"; v="1, 2";w', "k"),
        ("k" * 255, "k" * 255),
        (quoted("k" * 255), "k" * 255),
        (quoted('"' * 255), '"' * 255),
    ],
)
def test_keys_that_are_taken(text: str, key: str) -> None:
    """A quoted string and a token of unreserved characters; parameters are no part of the key."""
    assert read(text) == key


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        '""',
        '"k',
        'k"',
        '"k""l"',
        '"k" l',
        '"k", "l"',
        "k l",
        "k;v=1",
        "k/l",
        '"k\\l"',
        '"kéy"',
        "kéy",
        '"\x7f"',
        '"\t"',
        '"\udcff"',
        "\udcff",
        "?1",
        ":aGk=:",
        "@1700000000",
        '%"k"',
        "()",
        '("k")',
        "'k'",
        "k" * 256,
        quoted("k" * 256),
    ],
)
def test_keys_that_are_malformed(text: str) -> None:
    """Neither: 400, nothing is guessed."""
    with pytest.raises(ProblemError) as raised:
        read(text)
    assert raised.value.kind is KEY_MALFORMED


def test_two_lines_are_malformed() -> None:
    """The field is one item, not a list."""
    with pytest.raises(ProblemError) as raised:
        read("k", "k")
    assert raised.value.kind is KEY_MALFORMED


def test_no_key() -> None:
    """Where it is required that is a problem; elsewhere each request has a key of its own."""
    with pytest.raises(ProblemError) as raised:
        read()
    assert raised.value.kind is KEY_MISSING
    assert read(required=False) != read(required=False)
    assert read(required=False, uuid_only=True)


@pytest.mark.parametrize(
    "text", ["k", "123e4567-e89b-12d3-a456-4266141740000", "123e4567e89b12d3a456426614174000", '" "']
)
def test_uuid_only(text: str) -> None:
    """The documented form, quoted or bare, and nothing else."""
    with pytest.raises(ProblemError) as raised:
        read(text, uuid_only=True)
    assert raised.value.kind is KEY_MALFORMED
    key = str(uuid.uuid4())
    assert read(key, uuid_only=True) == read(quoted(key), uuid_only=True) == key


@given(key=VISIBLE)
def test_every_visible_key_is_read_back(key: str) -> None:
    """What a client quotes to the letter of RFC 8941 is the key that we see."""
    assert read(quoted(key)) == key


@given(lines=st.lists(st.text() | st.text(st.sampled_from('"\\;=, ()a1?:'), max_size=40), max_size=2))
def test_never_anything_but_a_key_or_a_problem(lines: list[str]) -> None:
    """Whatever is sent, the key is 1 to 255 visible characters, or the answer is a problem."""
    try:
        key = read(*lines)
    except ProblemError as problem:
        assert problem.kind in {KEY_MISSING, KEY_MALFORMED}  # noqa: PT017 - either outcome is right
        return
    assert 1 <= len(key) <= KEY_CHARACTERS_MAX
    assert all(" " <= character <= "~" for character in key)
