"""The log as one SQLite file, for an installation without Kafka.

One process owns the file, so there is nothing to agree on with others: an append is one transaction, and a tail waits
for the next one. The topics promise the same as in Kafka: order within a partition, offsets that are never used twice,
and compaction, which here removes a few rows with each append.
"""

import errno
import fcntl
import itertools
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import structlog

from messages.topics import (
    DEFAULT_PARTITIONS,
    HISTORY_MS,
    LONG_RETENTION_MS,
    RETENTION,
    TOMBSTONE_MS,
    Key,
    Retention,
    Topic,
    partition_of,
)
from stream.embedded.membership import EmbeddedMembership, Group
from stream.log import (
    MAX_POLL_BYTES,
    MAX_POLL_RECORDS,
    RECENT_OFFSETS,
    Entry,
    LogFencedError,
    LogInUseError,
    LogRefusedError,
    LogUnavailableError,
    Stored,
    later_ends,
    refuse_absent,
    refuse_foreign,
    refuse_oversized,
)

EXPIRED_PER_APPEND = 64
"""An append removes up to this many expired records plus twice as many as it adds, so that removal keeps up with
growth and no append waits for a large clean-up."""
EXPIRED_PER_STEP = 1000
"""Most records that `compact` removes in one transaction; other threads append in between."""
BUSY_SECONDS = 5.0
"""How long to wait while a person reads the file with a tool of their own."""

log = structlog.get_logger()

_MODE = 0o600
"""Mode of every file: what was decided is nothing for other accounts, and whoever opens the lock can hold it."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ends (
  topic TEXT NOT NULL, partition INTEGER NOT NULL, next_offset INTEGER NOT NULL,
  PRIMARY KEY (topic, partition)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS records (
  id INTEGER PRIMARY KEY, topic TEXT NOT NULL, partition INTEGER NOT NULL, offset INTEGER NOT NULL,
  key TEXT NOT NULL, appended_at_ms INTEGER NOT NULL, headers BLOB NOT NULL, value BLOB
);
CREATE UNIQUE INDEX IF NOT EXISTS records_in_order ON records (topic, partition, offset);
CREATE TABLE IF NOT EXISTS newest (
  topic TEXT NOT NULL, key TEXT NOT NULL, id INTEGER NOT NULL, PRIMARY KEY (topic, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS expiring (
  due_ms INTEGER NOT NULL, id INTEGER NOT NULL, PRIMARY KEY (due_ms, id)
) WITHOUT ROWID;
"""

_PARTITIONS = "SELECT value FROM facts WHERE name = 'partitions'"
_INSERT = """
INSERT INTO records (topic, partition, offset, key, appended_at_ms, headers, value) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_FIND_NEWEST = "SELECT id FROM newest WHERE topic = ? AND key = ?"
_SET_NEWEST = "INSERT INTO newest (topic, key, id) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET id = excluded.id"
_EXPIRE = "INSERT OR IGNORE INTO expiring (due_ms, id) VALUES (?, ?)"
_SET_END = """
INSERT INTO ends (topic, partition, next_offset) VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET next_offset = excluded.next_offset
"""
_DUE = "SELECT due_ms, id FROM expiring WHERE due_ms <= ? ORDER BY due_ms LIMIT ?"
_FORGET_NEWEST = """
DELETE FROM newest WHERE id = ?1 AND (topic, key) = (SELECT topic, key FROM records WHERE id = ?1)
"""
_FORGET = "DELETE FROM records WHERE id = ?"
_FORGET_DUE = "DELETE FROM expiring WHERE due_ms = ? AND id = ?"
_READ = """
SELECT topic, partition, offset, key, value, headers, appended_at_ms FROM records
WHERE topic = ? AND partition = ? AND offset >= ? ORDER BY offset LIMIT ?
"""
_LATEST = """
SELECT r.topic, r.partition, r.offset, r.key, r.value, r.headers, r.appended_at_ms
FROM newest AS n JOIN records AS r ON r.id = n.id
WHERE n.topic = ?1 AND n.key = ?2 AND r.value IS NOT NULL
UNION ALL
SELECT r.topic, r.partition, r.offset, r.key, r.value, r.headers, r.appended_at_ms
FROM newest AS n JOIN records AS r ON r.id = n.id
WHERE n.topic = ?1 AND n.key >= ?2 || '/' AND n.key < ?2 || '0' AND r.value IS NOT NULL
"""
# '0' follows '/' in the order of characters: the range is all keys that begin with the cluster and a slash

_HEADERS = msgspec.msgpack.Decoder(tuple[tuple[str, bytes], ...])
_NO_HEADERS = msgspec.msgpack.encode(())

_Place = tuple[Topic, int]
"""A topic and a partition."""


def _wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


class EmbeddedLog:
    """The `stream.log.Log` in one file, owned by one process.

    Args:
        path: the file; created with its folder if absent. Files with `-wal`, `-shm` and `.lock` added stand beside it.
        partitions: how many; fixed when the file is created.
        clock_ms: the wall clock, milliseconds since 1970; it measures the ages of records.

    Raises:
        LogRefusedError: another process owns the file, it was made with another number of partitions, it is not a
            SQLite file, or the folder cannot be written.
        LogUnavailableError: another tool kept the file locked.
    """

    def __init__(
        self,
        path: Path,
        partitions: int = DEFAULT_PARTITIONS,
        clock_ms: Callable[[], int] = _wall_clock_ms,
    ) -> None:
        # where a link points to: there SQLite puts its files too
        path = path.resolve()
        self._path = path
        self._partitions = partitions
        self._clock_ms = clock_ms
        self._closed = False
        self._write_lock = threading.Lock()
        self._read_lock = threading.Lock()
        self._changed = threading.Condition()
        self._groups: dict[str, Group] = {}
        self._claims: dict[int, EmbeddedClaim] = {}
        """The newest claim on each partition; guarded by the write lock."""
        self._lock_file = _own(path)
        try:
            with _explained(path):
                self._writer = self._connect()
                try:
                    self._prepare()
                    self._reader = self._connect()
                except BaseException:
                    self._writer.close()
                    raise
        except BaseException:
            os.close(self._lock_file)
            raise

    @property
    def partitions(self) -> int:
        return self._partitions

    def append(self, entries: Sequence[Entry]) -> None:
        """Append `entries` in one transaction: all of them, or none.

        Raises:
            LogUnavailableError: the disk is full or fails; none was stored.
            LogRefusedError: an entry is larger than `stream.log.MAX_RECORD_BYTES`, or the log is closed.
        """
        refuse_oversized(entries)
        if entries:
            with self._write_lock:
                self._write(entries)

    def append_under(self, claim: "EmbeddedClaim", entries: Sequence[Entry]) -> None:
        """As `Claim.append`, for the claim's own use."""
        refuse_oversized(entries)
        refuse_foreign(entries, claim.partition, self._partitions)
        if not entries:
            return
        with self._write_lock:
            if self._claims[claim.partition] is not claim:
                raise LogFencedError(
                    f"partition {claim.partition} of {self._path} was claimed again: do not decide in it any more"
                )
            self._write(entries)

    def claim(self, partition: int) -> "EmbeddedClaim":
        """As `Log.claim`, among the claims within this process."""
        refuse_absent(partition, self._partitions)
        claim = EmbeddedClaim(self, partition)
        # wait for an append under the former claim
        with self._write_lock:
            self._open(self._writer)
            self._claims[partition] = claim
        return claim

    def _write(self, entries: Sequence[Entry]) -> None:
        """Store `entries` in one transaction; the caller holds the write lock."""
        with self._transaction() as writer:
            now_ms = self._clock_ms()
            ends = {place: self._ends[place] for place in map(self._place, entries)}
            for entry in entries:
                place = self._place(entry)
                _store(writer, entry, place[1], ends[place], now_ms)
                ends[place] += 1
            writer.executemany(_SET_END, [(topic, partition, end) for (topic, partition), end in ends.items()])
            _remove_expired(writer, now_ms, EXPIRED_PER_APPEND + 2 * len(entries))
        with self._changed:
            self._ends.update(ends)
            self._changed.notify_all()

    def read(self, topic: Topic, partition: int, offset: int, limit: int = 1000) -> Sequence[Stored]:
        """As `Log.read`; ends early, but never empty, when the records exceed `stream.log.MAX_POLL_BYTES`."""
        with self._read_lock, _explained(self._path):
            return list(_up_to_size(self._open(self._reader).execute(_READ, (topic, partition, offset, limit))))

    def latest(self, topic: Topic, cluster: str) -> Mapping[str, Stored]:
        """As `Log.latest`."""
        with self._read_lock, _explained(self._path):
            rows = self._open(self._reader).execute(_LATEST, (topic, cluster))
            return {stored.key: stored for stored in map(_stored, rows)}

    def tail(
        self,
        topics: Iterable[Topic],
        partitions: Iterable[int],
        *,
        from_start: bool,
        recent: Collection[Topic] = (),
    ) -> "EmbeddedTail":
        """As `Log.tail`."""
        partitions = tuple(partitions)
        places = [(topic, partition) for topic in topics for partition in partitions]
        ends = self.ends(places)
        begins = {place: max(0, end - RECENT_OFFSETS) if place[0] in recent else 0 for place, end in ends.items()}
        return EmbeddedTail(self, begins if from_start else dict(ends), ends)

    def join(self, group: str) -> EmbeddedMembership:
        """As `Log.join`, among the members within this process."""
        with self._changed:
            members = self._groups.setdefault(group, Group(self._partitions))
            member = EmbeddedMembership(self._changed, members)
            members.add(member)
            self._changed.notify_all()
        return member

    def compact(self) -> int:
        """Remove all records that have expired by now, and return how many.

        Superseded records expire `HISTORY_MS` after they were superseded, tombstones `TOMBSTONE_MS` and records
        of topics without compaction `LONG_RETENTION_MS` after they were appended.
        """
        removed = 0
        now_ms = self._clock_ms()
        while True:
            with self._write_lock, self._transaction() as writer:
                step, gone = _remove_expired(writer, now_ms, EXPIRED_PER_STEP)
            removed += gone
            if step < EXPIRED_PER_STEP:
                return removed

    def close(self) -> None:
        """Close the file and release its lock; waits for an append in progress, and wakes tails. Idempotent."""
        with self._write_lock, self._read_lock:
            if self._closed:
                return
            self._closed = True
            self._reader.close()
            self._writer.close()
            os.close(self._lock_file)
        with self._changed:
            self._changed.notify_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def ends(self, places: Iterable[_Place]) -> dict[_Place, int]:
        """As `Log.ends`."""
        with self._changed:
            return {place: self._ends[place] for place in places}

    def ends_beyond(self, positions: Mapping[_Place, int]) -> dict[_Place, int]:
        """Return the next offsets of those places that grew beyond `positions`."""
        return {place: self._ends[place] for place, at in positions.items() if self._ends[place] > at}

    def wait_beyond(self, positions: Mapping[_Place, int], timeout_seconds: float) -> dict[_Place, int]:
        """As `ends_beyond`, waiting up to `timeout_seconds` for a place to grow."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self.ends_beyond(positions), max(timeout_seconds, 0))
            if self._closed:
                raise LogRefusedError(f"{self._path} is closed")
            return self.ends_beyond(positions)

    def _place(self, entry: Entry) -> _Place:
        return entry.topic, partition_of(Key.parse(entry.key).cluster, self._partitions)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self) -> None:
        """Create absent tables, check the number of partitions, and read the end of each partition."""
        self._writer.executescript(_SCHEMA)
        self._writer.execute("INSERT OR IGNORE INTO facts VALUES ('partitions', ?)", (self._partitions,))
        (stored,) = self._writer.execute(_PARTITIONS).fetchone()
        if stored != self._partitions:
            raise LogRefusedError(
                f"{self._path} has {stored} partitions, not {self._partitions}: set it to {stored}, which is "
                "fixed for life, or start with a new file"
            )
        ends = dict.fromkeys(itertools.product(Topic, range(self._partitions)), 0)
        ends |= {(Topic(topic), partition): end for topic, partition, end in self._writer.execute("SELECT * FROM ends")}
        self._ends = ends

    def _open(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        if self._closed:
            raise LogRefusedError(f"{self._path} is closed")
        return connection

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with _explained(self._path):
            writer = self._open(self._writer)
            writer.execute("BEGIN IMMEDIATE")
            try:
                yield writer
                writer.execute("COMMIT")
            except BaseException:
                # a full disk may have rolled it back already
                if writer.in_transaction:
                    writer.execute("ROLLBACK")
                raise


class EmbeddedReader:
    """Reads the file of an `EmbeddedLog` that another process may be writing to, and changes nothing.

    Raises:
        LogRefusedError: there is no such file, or it is not a log.
        LogUnavailableError: another tool kept the file locked.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.exists():
            raise LogRefusedError(f"{path} does not exist: set log.path to the file that hotdesk writes to")
        with _explained(path):
            self._reader = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)
            try:
                self.partitions = _partitions(self._reader, path)
            except BaseException:
                self._reader.close()
                raise

    def read(self, topic: Topic, partition: int, offset: int, limit: int = 1000) -> Sequence[Stored]:
        """As `Log.read`."""
        with _explained(self._path):
            return list(_up_to_size(self._reader.execute(_READ, (topic, partition, offset, limit))))

    def close(self) -> None:
        """Close the file."""
        self._reader.close()


class EmbeddedTail:
    """Follows partitions of an `EmbeddedLog`; an append wakes it."""

    def __init__(self, log: EmbeddedLog, positions: dict[_Place, int], ends: Mapping[_Place, int]) -> None:
        self._log = log
        self._positions = positions
        self._marked_ends = ends

    def poll(self, timeout_seconds: float) -> Sequence[Stored]:
        """As `Tail.poll`: at most `MAX_POLL_RECORDS`, and not much more than `MAX_POLL_BYTES`."""
        found: list[Stored] = []
        size = 0
        grown = self._log.wait_beyond(self._positions, timeout_seconds)
        # the one furthest behind first, or a busy partition would starve the others
        for place in sorted(grown, key=lambda place: self._positions[place] - grown[place]):
            room = MAX_POLL_RECORDS - len(found)
            if room <= 0 or size >= MAX_POLL_BYTES:
                break
            records = self._log.read(*place, self._positions[place], room)
            found += records
            size += sum(len(record.value or b"") for record in records)
            # an empty answer: the records there were compacted away
            self._positions[place] = records[-1].offset + 1 if records else grown[place]
        return found

    def lag(self) -> int:
        """As `Tail.lag`; exact."""
        ends = self._log.ends_beyond(self._positions)
        return sum(end - self._positions[place] for place, end in ends.items())

    def caught_up(self) -> bool:
        """As `Tail.caught_up`."""
        return all(self._positions[place] >= end for place, end in self._marked_ends.items())

    def read_to_end(self) -> frozenset[int]:
        """As `Tail.read_to_end`."""
        behind = {
            partition
            for (topic, partition), end in self._marked_ends.items()
            if self._positions[topic, partition] < end
        }
        return frozenset(partition for _, partition in self._positions) - behind

    def mark_end(self, ends: Mapping[_Place, int]) -> None:
        """As `Tail.mark_end`."""
        followed = {place: end for place, end in ends.items() if place in self._positions}
        self._marked_ends = later_ends(self._marked_ends, followed)

    def close(self) -> None:
        """Do nothing: it has nothing to close."""


class EmbeddedClaim:
    """The right to store decisions in a partition of an `EmbeddedLog`, which creates it."""

    def __init__(self, log: EmbeddedLog, partition: int) -> None:
        self._log = log
        self.partition = partition
        self._closed = False

    def append(self, entries: Sequence[Entry]) -> None:
        """As `Claim.append`; if it fails, none was stored, and the claim remains."""
        if self._closed:
            raise LogRefusedError("this claim is closed")
        self._log.append_under(self, entries)

    def close(self) -> None:
        """As `Claim.close`."""
        self._closed = True


def _store(writer: sqlite3.Connection, entry: Entry, partition: int, offset: int, now_ms: int) -> None:
    """Insert one record, and schedule the removal of it, or of the one that it supersedes."""
    headers = msgspec.msgpack.encode(entry.headers) if entry.headers else _NO_HEADERS
    topic, key = entry.topic, entry.key
    record = (topic, partition, offset, key, now_ms, headers, entry.value)
    row_id = writer.execute(_INSERT, record).lastrowid
    if RETENTION[topic] is Retention.LONG:
        writer.execute(_EXPIRE, (now_ms + LONG_RETENTION_MS, row_id))
    else:
        for (superseded,) in writer.execute(_FIND_NEWEST, (topic, key)).fetchall():
            writer.execute(_EXPIRE, (now_ms + HISTORY_MS, superseded))
        if entry.value is None:
            writer.execute(_EXPIRE, (now_ms + TOMBSTONE_MS, row_id))
    writer.execute(_SET_NEWEST, (topic, key, row_id))


def _remove_expired(writer: sqlite3.Connection, now_ms: int, limit: int) -> tuple[int, int]:
    """Remove up to `limit` due records; return how many were due, and how many of them were still there."""
    due = writer.execute(_DUE, (now_ms, limit)).fetchall()
    ids = [(row_id,) for _due_ms, row_id in due]
    writer.executemany(_FORGET_NEWEST, ids)
    removed = writer.executemany(_FORGET, ids).rowcount if ids else 0
    writer.executemany(_FORGET_DUE, due)
    return len(due), removed


def _up_to_size(rows: Iterable[tuple[Any, ...]]) -> Iterator[Stored]:
    size = 0
    for stored in map(_stored, rows):
        yield stored
        size += len(stored.value or b"")
        if size >= MAX_POLL_BYTES:
            return


def _stored(row: tuple[Any, ...]) -> Stored:
    topic, partition, offset, key, value, headers, appended_at_ms = row
    return Stored(
        topic=Topic(topic),
        partition=partition,
        offset=offset,
        key=key,
        value=value,
        headers=() if headers == _NO_HEADERS else _HEADERS.decode(headers),
        appended_at_ms=appended_at_ms,
    )


def _partitions(reader: sqlite3.Connection, path: Path) -> int:
    """Return the number of partitions of a log."""
    tables = {name for (name,) in reader.execute("SELECT name FROM sqlite_master")}
    found = reader.execute(_PARTITIONS).fetchone() if "facts" in tables else None
    if found is None:
        raise LogRefusedError(f"{path} is not a log of hotdesk's: set log.path to the file that it writes to")
    return int(found[0])


def _own(path: Path) -> int:
    """Lock the file for this process, and return the lock's descriptor; the kernel releases it when we end."""
    lock_path = path.with_name(path.name + ".lock")
    with _named(path.parent):
        _make_folder(path.parent)
    lock_file = _opened(lock_path)
    try:
        fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.read(lock_file, 32).decode(errors="replace").strip() or "unknown"
        os.close(lock_file)
        raise LogInUseError(
            f"{path} is in use by process {owner}: stop that one, or set another file for this one"
        ) from error
    try:
        # SQLite gives the files that it makes beside it the mode of this one, and leaves those of before as they are
        left = (each for suffix in ("-wal", "-shm") if (each := path.with_name(path.name + suffix)).exists())
        for each in (path, *left):
            os.close(_opened(each))
    except BaseException:
        os.close(lock_file)
        raise
    os.truncate(lock_file, 0)
    os.write(lock_file, b"%d\n" % os.getpid())
    return lock_file


def _opened(path: Path) -> int:
    """Return a descriptor of a file that only this account may read, whatever the umask is and the file was."""
    with _named(path):
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _MODE)
    if stat.S_IMODE(os.fstat(opened).st_mode) != _MODE:
        try:
            os.fchmod(opened, _MODE)
        except OSError as error:
            # of another account that lets us write it: so it was set up
            log.warning("other accounts may read a file of the log", path=str(path), why=error.strerror)
    return opened


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Raise our own error, with the path at fault."""
    try:
        yield
    except OSError as error:
        remedy = (
            "it is a symbolic link: remove it"
            if error.errno == errno.ELOOP
            else "let this user write to it and its folder, or set log.path to another one"
        )
        raise LogRefusedError(f"{path} cannot be written ({error.strerror}): {remedy}") from error


def _make_folder(path: Path) -> None:
    """Make a folder and those above it that only this account may use."""
    if not path.exists():
        _make_folder(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Raise our own errors in place of SQLite's."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise LogUnavailableError(f"{path} cannot be used now: {error}; check its disk and folder") from error
    except sqlite3.DatabaseError as error:
        raise LogRefusedError(f"{path} cannot be read: {error}; restore it, or start with a new file") from error
