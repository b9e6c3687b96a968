"""What things are called in Redis: the names that gateways and workers share. It must not know what is stored under them.

What is cached has a name: a resource `slot:demo`, a part of it `screening:hall#seats`, the list of ids of a kind `slot`. A
resource id has neither of these signs, so no two things share a name.
"""

from dataclasses import dataclass

_PART = "#"


def resource_name(kind: str, resource_id: str) -> str:
    """Return the name of a resource."""
    return f"{kind}:{resource_id}"


def part_name(kind: str, resource_id: str, part: str) -> str:
    """Return the name of something more that is cached of a resource. The resource's tombstone makes it wrong, too."""
    return f"{resource_name(kind, resource_id)}{_PART}{part}"


def whole_name(name: str) -> str:
    """Return the name of the resource that this is a part of; of a resource or a list its own."""
    return name.partition(_PART)[0]


def ids_name(kind: str) -> str:
    """Return the name of the list of all ids of a kind."""
    return kind


def pool_name(word: str, pool: str) -> str:
    """Return the name of a pool within its resource; `word` is what such a pool is called, as in its events."""
    return f"{word}:{pool}"


def held_name(resource: str, pool: str) -> str:
    """Return the name of a pool that a hold has, of the names of its resource and of itself."""
    return f"hold:{resource}:{pool}"


@dataclass(frozen=True, slots=True)
class RedisKeys:
    """The keys of one installation; `prefix` is put before each as it is."""

    prefix: str

    def entry(self, name: str) -> str:
        """Where the cached value is."""
        return f"{self.prefix}entry:{name}"

    def lock(self, name: str) -> str:
        """Where whoever reads it anew has its owner token."""
        return f"{self.prefix}lock:{name}"

    def tombstone(self, name: str) -> str:
        """Where the version is below which a value is no longer so, be it of a resource or of a part of it."""
        return f"{self.prefix}tombstone:{whole_name(name)}"

    def outcomes(self, database: int) -> str:
        """Name the channel on which workers tell outcomes at once."""
        return f"{self.prefix}outcomes:{database}"

    def held(self, name: str) -> str:
        """Where it stands that a hold has a pool; the key lives as long as the hold. `name` is that of `held_name`."""
        return self.prefix + name

    def marker(self, resource: str) -> str:
        """Where the version is as of which the mirror has every held pool of a resource; only then a missing key means free."""
        return f"{self.prefix}mirrored:{resource}"

    def rebuild_lock(self, resource: str) -> str:
        """Where whoever writes the mirror of a resource anew has his owner token, and what was told meanwhile."""
        return f"{self.prefix}lock:mirrored:{resource}"

    def held_index(self, resource: str) -> str:
        """Where the keys of the pools are that the mirror has, and perhaps some whose time is over."""
        return f"{self.prefix}mirrored:{resource}:held"
