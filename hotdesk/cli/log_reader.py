"""Reading a cluster's past from the log itself, for commands that ask no running hotdesk."""

import heapq
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Protocol

from hotdesk.errors import LogFailure, SettingsError
from hotdesk.settings import LogOptions
from messages.topics import Key, Topic, partition_of
from stream.embedded.log import EmbeddedReader
from stream.kafka.log import KafkaLog
from stream.log import LogError, Stored

STEP = 1000
"""Records to read in one go."""


class _LogReader(Protocol):
    @property
    def partitions(self) -> int: ...

    def read(self, topic: Topic, partition: int, offset: int, limit: int = ...) -> Sequence[Stored]: ...

    def close(self) -> None: ...


def records_of(options: LogOptions, cluster: str, topics: Sequence[Topic]) -> Iterator[Stored]:
    """Yield a cluster's records of some topics, in the order in which they were written.

    Raises:
        LogFailure: the log cannot be read.
    """
    try:
        with closing(_open(options)) as log:
            several = (_of(log, topic, cluster) for topic in topics)
            yield from heapq.merge(*several, key=lambda each: each.appended_at_ms)
    except LogError as error:
        raise LogFailure(str(error)) from error


def the_only(names: Sequence[str]) -> str:
    """Return the name of the only cluster in the settings.

    Raises:
        SettingsError: there are several, or none.
    """
    if len(names) != 1:
        raise SettingsError(f"name a cluster with --cluster: {', '.join(names) or 'the settings have none'}")
    return names[0]


def _open(options: LogOptions) -> _LogReader:
    return KafkaLog(options.kafka()) if options.bootstrap else EmbeddedReader(options.path)


def _of(log: _LogReader, topic: Topic, cluster: str) -> Iterator[Stored]:
    partition, offset = partition_of(cluster, log.partitions), 0
    while some := log.read(topic, partition, offset, STEP):
        yield from (each for each in some if Key.parse(each.key).cluster == cluster)
        offset = some[-1].offset + 1
