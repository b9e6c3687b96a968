"""Where the local stack keeps things. It must not know what runs there.

One `Places` is one independent set of servers: `.local/` for `make up`, `.local/test/` for the tests. Only the
downloads are shared.
"""

import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from firmhold.local.failure import LocalError

_making = Lock()
CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Places:
    """The folders and files of one set of servers under `root`."""

    root: Path
    downloads: Path

    @classmethod
    def of_checkout(cls, checkout: Path = CHECKOUT) -> "Places":
        """Name the places of `make up` in a checkout."""
        return cls(root=checkout / ".local", downloads=checkout / ".local" / "downloads")

    def apart(self, name: str) -> "Places":
        """Name the places of another set of servers, which shares nothing but the downloads."""
        return Places(root=self.root / name, downloads=self.downloads)

    @property
    def data(self) -> Path:
        """What the servers keep; `make reset` forgets it."""
        return self.root / "data"

    @property
    def logs(self) -> Path:
        """One log per child."""
        return self.root / "logs"

    @property
    def run(self) -> Path:
        """Who runs: one record per child, and the launcher's lock."""
        return self.root / "run"

    @property
    def environment_file(self) -> Path:
        """For other shells and programs while the stack is up."""
        return self.root / "stack.env"

    def make(self) -> None:
        """Create the folders; a set made by another user is refused in one line."""
        try:
            for folder in (self.root, self.data, self.logs, self.run, self.downloads):
                folder.mkdir(parents=True, exist_ok=True)
        except PermissionError as error:
            raise LocalError(f"{error.filename} cannot be written by this user: make the checkout yours.") from error
        owner = self.data.stat().st_uid
        if owner != os.geteuid():
            raise LocalError(
                f"The local data in {self.data} was made by user {user_name(owner)}, and this is "
                f"{user_name(os.geteuid())}: run as that user, or `make reset` as that user first."
            )

    def forget_data(self) -> None:
        """Delete what the servers keep, their logs too; downloads, keys and test runs stay."""
        for folder in (self.data, self.logs):
            shutil.rmtree(folder, ignore_errors=False) if folder.exists() else None

    def kept_secret(self, name: str) -> str:
        """Read a secret made once and kept with mode 0600, making it if need be."""
        path = self.root / name
        with _making:  # programs that start beside each other want the same one
            if not path.exists():
                write_private(path, secrets.token_hex(24))
        return path.read_text().strip()


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
    fresh.replace(path)


def user_name(uid: int) -> str:
    """Name a user for a person; numbers of no known user stay numbers."""
    import pwd  # noqa: PLC0415 - only wanted when something is wrong

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
