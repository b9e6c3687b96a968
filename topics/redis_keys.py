"""What things are called in Redis: the names that gateways and workers share. It must not know what is stored under them.

What is cached has a name: a resource `slot:demo`, a part of it `screening:hall:seats`, the list of ids of a kind `slot`. A
resource id has no colon, so no two things share a name.
"""

from dataclasses import dataclass


def resource_name(kind: str, resource_id: str) -> str:
    """Return the name of a resource."""
    return f"{kind}:{resource_id}"


def part_name(kind: str, resource_id: str, part: str) -> str:
    """Return the name of something more that is cached of a resource. The resource's tombstone makes it wrong, too."""
    return f"{resource_name(kind, resource_id)}:{part}"


def whole_name(name: str) -> str:
    """Return the name of the resource that this is a part of; of a resource or a list its own."""
    return ":".join(name.split(":")[:2])


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
        """Where the version is below which a value is no longer so, be it of a resource or of a part of it."""
        return f"{self.prefix}tombstone:{whole_name(name)}"
