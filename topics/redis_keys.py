"""What things are called in Redis: the names that gateways and workers share. It must not know what is stored under them.

What is cached has a name: a resource `slot:demo`, the list of ids of a kind `slot`. A resource id has no colon, so no two
things share a name.
"""

from dataclasses import dataclass


def resource_name(kind: str, resource_id: str) -> str:
    """Return the name of a resource."""
    return f"{kind}:{resource_id}"


def ids_name(kind: str) -> str:
    """Return the name of the list of all ids of a kind."""
    return kind


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
        """Where the version is below which a value is no longer so."""
        return f"{self.prefix}tombstone:{name}"
