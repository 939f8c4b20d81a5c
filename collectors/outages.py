"""Outages: when a cluster's database does not answer, records on the log say so each time, and the journal once."""

from collections.abc import Mapping

import structlog

from collectors.metrics import CollectorInstruments
from collectors.observer import Unread
from collectors.vicidial.database import DatabaseError, DatabaseRefusedError, VicidialDatabase
from collectors.vicidial.settings import DatabaseSettings
from messages.codes import Unreadable
from messages.records import Outage
from stream.entries import entry_of
from stream.outbox import Outbox

UNREAD_SECONDS = 3.0
"""VICIdial's own clean-up holds a table for a second or two each hour, which is not worth a word."""

log = structlog.get_logger()

NO_LIMITS = "this database keeps no time limit for a statement; hotdesk goes on with its own, of 3 s for any answer"
"""The word about MariaDB before 10.1 and MySQL before 5.7.8."""


class Outages:
    """The last complaint about a collector's database. It belongs to the collector's thread."""

    def __init__(
        self, cluster: str, settings: DatabaseSettings, outbox: Outbox, instruments: CollectorInstruments, *, name: str
    ) -> None:
        """Begin with a database about which nothing was said; `name` is the collector's."""
        self._cluster = cluster
        self._settings = settings
        self._outbox = outbox
        self._instruments = instruments
        self._name = name
        self._missing: tuple[str, ...] = ()
        self._keeps_limits = True
        self._complaint: str | None = None
        """The last complaint about the database; None: it answers."""
        self._unreachable_since_ms = 0
        self._unread: dict[str, Unreadable] = {}
        """The tables that could not be read at the last poll."""
        self._say = log.bind(cluster=cluster)

    def note_unread(self, unread: Mapping[str, Unread]) -> None:
        """Log once that a table cannot be read, while flags and heartbeats are; and once that it is read again."""
        for table, each in unread.items():
            if each.seconds >= UNREAD_SECONDS and self._unread.get(table) is not each.why:
                self._unread[table] = each.why
                self._say.warning("a table cannot be read; what was read last still counts", table=table, why=each.why)
        for table in self._unread.keys() - unread.keys():
            del self._unread[table]
            self._say.info("a table is read again", table=table)

    def note_database(self, database: VicidialDatabase) -> None:
        """Log once that a database answers again, and what it lacks."""
        if self._complaint is not None:
            self._complaint = None
            self._say.info("the database answers again", database=self._settings.where)
        if database.missing_columns != self._missing:
            self._missing = database.missing_columns
            self._say.info("this schema lacks columns, or they are not granted", columns=database.missing_columns)
        if database.keeps_limits != self._keeps_limits:
            self._keeps_limits = database.keeps_limits
            if not database.keeps_limits:
                self._say.warning(NO_LIMITS, database=self._settings.where)

    def note_outage(
        self, error: DatabaseError, epoch: int, sequence: int, since_ms: int, *, publish: bool = True
    ) -> None:
        """Publish that the database does not answer, each time it was tried; log it once for each complaint.

        `since_ms`: when it last answered, in the log's time. `publish`: False while another collector reaches it.
        """
        kind = "refused" if isinstance(error, DatabaseRefusedError) else "unavailable"
        self._instruments.errors.labels(self._cluster, kind).inc()
        if self._complaint is None:
            self._unreachable_since_ms = since_ms
        if self._complaint != str(error):
            self._complaint = str(error)
            self._say.warning("the database cannot be read; trying again", why=str(error))
        if not publish:
            return
        outage = Outage(
            cluster=self._cluster,
            epoch=epoch,
            sequence=sequence,
            unreachable_since_ms=self._unreachable_since_ms,
            collector=self._name,
            why=str(error),
        )
        self._outbox.put([entry_of(outage)])
