"""Gets Kafka's jars from Maven Central into `downloads/`, pinned by hash. It must not know how Kafka is run.

`kafka-jars.lock` names each jar with its SHA-256, so that a start needs no resolving and a damaged or half downloaded
jar is found out. `python -m firmhold.local.jars` writes it anew for another version of Kafka; there the log4j binding
is resolved in a call of its own, since together log4j's managed versions replace Kafka's.
"""

import hashlib
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from firmhold.local.failure import LocalError

if TYPE_CHECKING:
    from jgo.maven import MavenContext

KAFKA = "org.apache.kafka:kafka_2.13:4.1.0"
LOG_BINDING = "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3"
LOCK = Path(__file__).with_name("kafka-jars.lock")
AT_ONCE = 8


def locked_jars(lock: Path = LOCK) -> dict[str, str]:
    """Read the lock: the SHA-256 of each `group:artifact:version`."""
    lines = [line for line in lock.read_text().splitlines() if line and not line.startswith("#")]
    return {coordinate: digest for digest, coordinate in (line.split() for line in lines)}


def kafka_classpath(downloads: Path, say: Callable[[str], None] = lambda _: None) -> list[Path]:
    """Give Kafka's jars, downloading what is missing on the first run.

    Raises:
        LocalError: Maven Central is out of reach, or sent something else than was pinned.

    """
    marker = downloads / "kafka-jars.complete"
    lock = LOCK.read_text()
    if marker.exists():
        digest, *names = marker.read_text().splitlines()
        jars = [downloads / name for name in names]
        if digest == hashlib.sha256(lock.encode()).hexdigest() and all(jar.exists() for jar in jars):
            return jars
    wanted = locked_jars()
    say(f"downloading Kafka, {len(wanted)} jars, about 50 MB")
    context = maven(downloads)
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            jars = list(pool.map(lambda item: fetch(context, *item), wanted.items()))
    except (OSError, RuntimeError) as error:  # requests' exceptions are OSErrors
        raise LocalError(
            f"Kafka could not be downloaded: {error}\nIs Maven Central within reach (HTTPS_PROXY)? What arrived is "
            "kept: run it again. Or set FIRMHOLD_KAFKA to a Kafka of your own."
        ) from error
    names = [str(jar.relative_to(downloads)) for jar in jars]
    fresh = marker.with_suffix(".new")
    fresh.write_text("\n".join([hashlib.sha256(lock.encode()).hexdigest(), *names]))
    fresh.replace(marker)
    return jars


def maven(downloads: Path) -> "MavenContext":
    """Open a Maven cache inside `downloads`, so that nobody's home is touched or relied on."""
    from jgo.maven import MavenContext  # noqa: PLC0415 - wanted on the first run only

    return MavenContext(repo_cache=downloads / "maven", timeout=60)


def fetch(context: "MavenContext", coordinate: str, digest: str) -> Path:
    """Give one jar that has the pinned digest, from the cache or from Maven Central."""
    group, artifact, version = coordinate.split(":")
    jar = context.project(group, artifact).at_version(version).artifact()
    path = Path(jar.resolve())
    if sha256(path) != digest:  # a download that was cut short, most likely
        path.unlink()
        path = Path(jar.resolve())
    if sha256(path) != digest:
        raise LocalError(f"{path.name} is not the file that {LOCK.name} pins: not used. Remove {path} and try again.")
    return path


def sha256(path: Path) -> str:
    """Digest one file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_lock(downloads: Path) -> None:
    """Resolve Kafka anew and pin what was found: for whoever changes the version above."""
    import jgo  # noqa: PLC0415 - wanted here only

    context = maven(downloads)
    found: dict[str, str] = {}
    for endpoint in (KAFKA, LOG_BINDING):
        for artifact in jgo.resolve(endpoint):
            coordinate = f"{artifact.groupId}:{artifact.artifactId}"
            known = found.setdefault(coordinate, artifact.version)
            if known != artifact.version:
                sys.stderr.write(f"{coordinate}: Kafka's {known} stays, {endpoint} would like {artifact.version}\n")
    lines = [f"# Kafka's jars, by `python -m {__spec__.name}`."]
    for coordinate, version in sorted(found.items()):
        group, name = coordinate.split(":")
        path = context.project(group, name).at_version(version).artifact().resolve()
        lines.append(f"{sha256(Path(path))} {coordinate}:{version}")
    LOCK.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    write_lock(Path(".local/downloads"))
