"""Write the table of all settings: what `firmhold settings` prints and docs/settings.md holds."""

from collections.abc import Iterator

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from firmhold.settings import Settings

_HEAD = """\
# Settings

Every process of Firmhold is told what to do by these environment variables alone. This table is printed by
`firmhold settings`, and a test compares it with the code.

| variable | default | what it is |
| --- | --- | --- |"""


def settings_table() -> str:
    """Return the page, in Markdown."""
    return "\n".join((_HEAD, *_rows())) + "\n"


def _rows() -> Iterator[str]:
    for name, field in Settings.model_fields.items():
        yield f"| `FIRMHOLD_{name.upper()}` | {_default(field)} | {field.description} |"


def _default(field: FieldInfo) -> str:
    value = field.default
    text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    return f"`{text}`" if text else ""
