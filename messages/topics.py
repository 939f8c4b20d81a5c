"""The topic table: names, keys, and how long each topic retains its records.

All topics have the same number of partitions, and a record goes to the partition of its cluster. So all records of a
cluster are in order within a topic, and the owner of a partition owns all clusters in it.
"""

from enum import StrEnum
from functools import lru_cache

import msgspec

DEFAULT_PREFIX = "hotdesk."
DEFAULT_PARTITIONS = 24
"""Fixed for life: with another number a cluster's records would go to another partition. More owners than this would
idle."""


class Topic(StrEnum):
    """A topic of the log; the value is its name without the prefix."""

    OBSERVATIONS = "observations"
    ORDERS = "orders"
    LOGINS = "logins"
    RANKINGS = "rankings"
    INCIDENTS = "incidents"
    RELOGINS = "relogins"
    AUDIT = "audit"
    DEAD_LETTERS = "dead-letters"


class Retention(StrEnum):
    """The rule by which a topic drops records."""

    COMPACTED = "compacted"
    """The latest record of each key stays for ever, a superseded one for `HISTORY_MS`; a tombstone ends the key."""

    LONG = "long"
    """Everything stays for `LONG_RETENTION_MS`."""


LONG_RETENTION_MS = 90 * 24 * 3600 * 1000
"""A quarter of a year: long enough to look up the day that a customer complains about."""

SEGMENT_MS = 5 * 60 * 1000
"""Compacted topics roll their segments this often, since the open segment is never compacted."""

HISTORY_MS = 60 * 60 * 1000
"""How long a superseded record stays, and so how far back `hotdesk replay` can look. A reader that starts at the
beginning of a topic reads these too: an hour of polls for each cluster."""

TOMBSTONE_MS = 24 * 3600 * 1000
"""How long a tombstone outlives its key, so that a reader that was away for a day still reads it."""

RETENTION: dict[Topic, Retention] = {
    Topic.OBSERVATIONS: Retention.COMPACTED,
    Topic.ORDERS: Retention.COMPACTED,
    Topic.LOGINS: Retention.COMPACTED,
    Topic.RANKINGS: Retention.COMPACTED,
    Topic.INCIDENTS: Retention.COMPACTED,
    Topic.RELOGINS: Retention.COMPACTED,
    Topic.AUDIT: Retention.LONG,
    Topic.DEAD_LETTERS: Retention.LONG,
}


class Key(msgspec.Struct, frozen=True, order=True):
    """The key of a record: `cluster`, `cluster/kind` or `cluster/kind/name`; a name may have further slashes."""

    cluster: str
    kind: str = ""
    name: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.cluster, self.kind, self.name) if part)

    @classmethod
    def parse(cls, text: str) -> "Key":
        """Return the key that `text` writes; never fails, since a cluster's name has no slash."""
        cluster, _, rest = text.partition("/")
        kind, _, name = rest.partition("/")
        return cls(cluster, kind, name)


@lru_cache(maxsize=65_536)
def partition_of(cluster: str, partitions: int) -> int:
    """Return the partition of a cluster, 0 to `partitions` - 1: Kafka's own murmur2 rule, on the cluster's name."""
    return (_murmur2(cluster.encode()) & 0x7FFF_FFFF) % partitions


def _murmur2(data: bytes) -> int:
    """Hash as Kafka's clients do (Austin Appleby's MurmurHash2, seed 0x9747b28c), as an unsigned 32-bit number."""
    mask, m = 0xFFFF_FFFF, 0x5BD1_E995
    h = 0x9747_B28C ^ len(data)
    whole = len(data) & ~3
    for at in range(0, whole, 4):
        k = (int.from_bytes(data[at : at + 4], "little") * m) & mask
        k = ((k ^ (k >> 24)) * m) & mask
        h = ((h * m) & mask) ^ k
    if whole < len(data):
        h = ((h ^ int.from_bytes(data[whole:], "little")) * m) & mask
    h = ((h ^ (h >> 13)) * m) & mask
    return h ^ (h >> 15)
