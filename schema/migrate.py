"""Apply the migrations that are not applied yet (yoyo: kept for years, plain SQL files, a lock against two at once)."""

from importlib.resources import as_file, files
from urllib.parse import urlsplit, urlunsplit

from yoyo import get_backend, read_migrations


def migrate(url: str) -> list[str]:
    """Bring the database at `url` (postgresql://…) to the newest schema; return the names of what was applied."""
    backend = get_backend(_with_driver(url))
    with as_file(files("schema").joinpath("migrations")) as folder, backend.lock():
        pending = backend.to_apply(read_migrations(str(folder)))
        backend.apply_migrations(pending)
        names = [migration.id for migration in pending]
    backend.connection.close()
    return names


def _with_driver(url: str) -> str:
    """Name psycopg 3, which yoyo does not choose by itself."""
    return urlunsplit(urlsplit(url)._replace(scheme="postgresql+psycopg"))


def names() -> list[str]:
    """Return the names of all migrations, in their order."""
    with as_file(files("schema").joinpath("migrations")) as folder:
        return [migration.id for migration in read_migrations(str(folder))]
