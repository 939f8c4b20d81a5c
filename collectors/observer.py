"""Turn the rows of a poll into records. Pure: rows and the time in, records out.

A poll has a record for each change, then the record that closes it. Agents are published at once and completely, since
the counts in the closing record are theirs. Phones, aliases, campaigns and settings (the catalogue) follow in slices,
a few thousand for each poll, so that they never delay the record of a dialer that was switched off.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from collectors.catalogue import Catalogue, CatalogueRow, CatalogueRows, Place, record_of
from collectors.heartbeats import Heartbeats
from collectors.phones_in_rooms import NONE_LISTED, PhonesInRooms, Room
from collectors.probes.phone_lists import NONE_KNOWN, Registered
from collectors.restarts import Restarts
from collectors.screens import Screens
from collectors.sessions import DialerCounts, Sessions
from collectors.vicidial import rows
from collectors.vicidial.rows import (
    AgentRow,
    DialerRow,
    LoginRow,
    OddRows,
    Rooms,
    Row,
    SessionRow,
)
from collectors.work import Work
from messages.codes import ReasonCode, Unreadable
from messages.keys import KIND_AGENT
from messages.records import (
    AgentSession,
    DialerReading,
    Poll,
    ProbeResult,
    ServerIp,
    Stamped,
    UnreadTable,
)
from messages.topics import Key

SLICE = 4000
"""Most records of the catalogue in one poll."""
NO_SESSIONS = DialerCounts()


class Removal(NamedTuple):
    """A tombstone: the key has ended."""

    key: Key
    epoch: int
    sequence: int


Outgoing = Stamped | Removal


class RestRows(NamedTuple):
    """The rows that a poll reads besides flags and heartbeats. A part that is None was not read this time."""

    agents: Collection[SessionRow] | None = None
    conferences: Iterable[Row] | None = None
    """Read together with the agents, as `confbridges`."""
    confbridges: Iterable[Row] | None = None
    logins: Iterable[Row] = ()
    """Logins since the last reading, oldest first."""
    silent_screens: Iterable[Row] | None = None
    """The sessions whose screen is silent, read together with the agents."""
    lost_screens: Iterable[Row] | None = None
    """The logins whose screen VICIdial no longer knows, read together with the agents."""
    channels: Iterable[Row] | None = None
    """Of the rooms in `looked_at` those in which there is somebody, read together with the agents."""
    work: Iterable[Row] | None = None
    """The work of the dialers in `worked_of`."""
    worked_of: Collection[ServerIp] | None = None
    """Of whom work was read, which may have been asked for by an earlier poll; None: of `Observer.work_to_read`."""
    looked_at: Collection[Room] | None = None
    """The rooms that were looked at, for the same reason; None: those in `Observer.rooms_to_read`."""
    catalogue: CatalogueRows | None = None


class Unread(NamedTuple):
    """A table that cannot be read now."""

    seconds: float
    """How long ago it was last read, or since when that was tried."""
    why: Unreadable


class Reading(NamedTuple):
    """The rows and probe results of one poll. A part that is None was not read this time."""

    dialers: Iterable[Row]
    heartbeats: Iterable[Row]
    rest: RestRows = RestRows()
    unread: Mapping[str, Unread] = MappingProxyType({})
    """The tables that cannot be read now, by name."""
    doubts: tuple[ReasonCode, ...] = ()
    """Reasons for which nothing may be carried out, as far as the collector knows."""
    probes: Mapping[ServerIp, Mapping[str, ProbeResult]] = MappingProxyType({})
    """The latest result of each dialer's probes, by kind. It comes from no table, and is as old as the probe."""
    started: Mapping[ServerIp, str] = MappingProxyType({})
    """When each dialer's Asterisk started, by its own words, as far as it is known."""
    registered: Registered = NONE_KNOWN
    """The dialers' own answers about their phones, for those in `Observer.unwritten`."""
    extensions: Mapping[ServerIp, Collection[str]] = NONE_LISTED
    """Where there are channels, by the own lists of the dialers in `Observer.channels_to_list`."""


class Observer:
    """The state of one collector's polls in one epoch."""

    def __init__(self, cluster: str, collector: str, epoch: int) -> None:
        self._cluster = cluster
        self._collector = collector
        self._epoch = epoch
        self._sequence = 0
        self.observed_at_ms = 0
        """The log's time of the last poll; 0: none."""
        self._heartbeats = Heartbeats()
        self._work = Work()
        self._phones_in_rooms = PhonesInRooms()
        self._screens = Screens()
        self._restarts = Restarts()
        self._sessions = Sessions()
        self._since_ms: dict[str, int] = {}
        """By user: when the present status and lead of the session were first seen."""
        self._typed: dict[str, LoginRow] = {}
        """By user: the latest login, with the phone login that was typed."""
        self._rooms: dict[bool, dict[ServerIp, Rooms]] = {}
        """By whether they are confbridges; a kind that this epoch has not read yet is absent."""
        self.in_doubt: frozenset[ServerIp] = frozenset()
        """Dialers whose heartbeat stands still or is missing."""
        self._catalogue = Catalogue()
        self._to_publish: dict[Place, str] = {}
        """Rows of the catalogue (and of the agents, in a round) that wait for their slice, each with its name."""
        self._agents_known = False
        """This epoch has read the agents."""
        self._round_since: int | None = 1
        """The poll that began the present round of publishing everything; None: no round. An epoch's first round ends
        when everything was read once."""
        self._full_sequence: int | None = None
        self._odd: dict[str, OddRows] = {}
        self.wall_ahead_ms: int | None = None
        """How far the database's wall clock is ahead of the log's time; None: not read."""

    @property
    def epoch(self) -> int:
        """This leadership term."""
        return self._epoch

    @property
    def sequence(self) -> int:
        """The number of the last poll."""
        return self._sequence

    @property
    def unwritten(self) -> frozenset[ServerIp]:
        """The dialers for which the table does not have the registration of phones."""
        return self._catalogue.unwritten

    @property
    def work_to_read(self) -> tuple[ServerIp, ...]:
        """The dialers whose work the next poll should read: those whose heartbeat is in doubt."""
        return self._work.to_read

    @property
    def rooms_to_read(self) -> tuple[Room, ...]:
        """The rooms that the next poll with agents should look at: those of new sessions without a phone."""
        return self._phones_in_rooms.to_read

    @property
    def channels_to_list(self) -> frozenset[ServerIp]:
        """The dialers that should list their channels themselves: phones are awaited, and rows may stand still."""
        return self._phones_in_rooms.to_list

    @property
    def screens_in_doubt(self) -> bool:
        """True if the next poll with agents should look at the screens: some seem to be lost."""
        return self._screens.in_doubt

    @property
    def last_beat_ms(self) -> int | None:
        """When any dialer's heartbeat last advanced, or was first watched; None: there are none."""
        return self._heartbeats.last_beat_ms

    @property
    def waiting(self) -> int:
        """The number of records that wait for their slice."""
        return len(self._to_publish)

    def publish_everything_again(self) -> None:
        """Begin a round: publish everything again, in slices."""
        if self._is_complete:
            self._round_since = self._sequence + 1  # else the first round of the epoch is under way
        self._to_publish |= {(KIND_AGENT, name): row.user for name, row in self._sessions.of_user.items()}
        self._to_publish |= self._catalogue.names()

    def observe(self, now_ms: int, reading: Reading) -> list[Outgoing]:
        """Return the records of a poll: changes, ends, and last the record that closes it.

        `now_ms` is the log's time of the reading: monotonic within the epoch.
        """
        self._sequence += 1
        self.observed_at_ms = now_ms
        out: list[Outgoing] = []
        self._odd["dialers"] = odd = OddRows()
        dialers = rows.dialers(reading.dialers, odd)
        self._heartbeats.watch(now_ms, rows.heartbeats(reading.heartbeats, dialers, odd))
        self.in_doubt = self._heartbeats.in_doubt | {ip for ip in dialers if self._heartbeats.of(ip) is None}
        doubted = [ip for ip in sorted(self.in_doubt) if dialers[ip].asterisk]
        rest = reading.rest
        worked = None if rest.work is None else rows.work(rest.work)
        self._work.watch(now_ms, doubted, worked, rest.worked_of)
        self._restarts.watch(now_ms, reading.started, self._heartbeats, self._phones_in_rooms)
        if rest.agents is None:
            out += map(self._record, self._sessions.present(self._phones_in_rooms.changed()).values())
        else:
            self._agents_known = True
            out += self._agent_records(now_ms, rest, reading.extensions, dialers)
        for confbridges, read in enumerate((rest.conferences, rest.confbridges)):
            if read is not None:
                self._odd[f"rooms/{confbridges}"] = odd = OddRows()
                self._rooms[bool(confbridges)] = rows.rooms(read, odd)
        if rest.catalogue is not None:
            self._to_publish |= self._catalogue.update(rest.catalogue, dialers)
        self._to_publish |= self._catalogue.update_registrations(reading.registered)
        out += self._slice()
        silent, lost = self._screens.count(), self._screens.count_lost()
        out.append(
            Poll(
                cluster=self._cluster,
                epoch=self._epoch,
                sequence=self._sequence,
                observed_at_ms=now_ms,
                full_sequence=self._full_sequence,
                collector=self._collector,
                database_ms=None if self.wall_ahead_ms is None else now_ms + self.wall_ahead_ms,
                dialers=tuple(
                    self._dialer(each, reading, silent[each.server_ip], lost[each.server_ip])
                    for each in dialers.values()
                ),
                odd_rows=rows.counted((self._odd | self._catalogue.odd).values()),
                agents_known=self._agents_known,
                rooms_known=self._rooms.keys() >= {each.confbridge for each in dialers.values()},
                unread=tuple(
                    UnreadTable(table=table, since_ms=now_ms - round(each.seconds * 1000), why=each.why)
                    for table, each in sorted(reading.unread.items())
                ),
                doubts=reading.doubts,
            )
        )
        return out

    @property
    def _is_complete(self) -> bool:
        """True once this epoch has read everything."""
        return self._agents_known and self._catalogue.is_complete

    def _agent_records(
        self,
        now_ms: int,
        rest: RestRows,
        extensions: Mapping[ServerIp, Collection[str]],
        dialers: dict[ServerIp, DialerRow],
    ) -> Iterator[Outgoing]:
        logins = rows.logins(rest.logins)
        changes = self._sessions.read(rest.agents or ())
        self._odd["agents"] = self._sessions.odd(dialers)
        for name, (before, now) in changes.items():
            if now is None:
                del self._since_ms[name]
            elif not _is_same_work(now, before):
                self._since_ms[name] = now_ms
        # VICIdial writes the log of a login after the session's row
        typed = [name for name, login in logins.items() if login != self._typed.get(name)]
        self._typed.update(logins)
        found = None if rest.channels is None else {Room(*each) for each in rows.channels(rest.channels)}
        # what an updater wrote that has not been seen to live may be from before a new start of its Asterisk
        unproven = self._heartbeats.unproven
        rooms = self._phones_in_rooms.to_read if rest.looked_at is None else rest.looked_at
        looked_at = [room for each in rooms if (room := Room(*each)).server_ip not in unproven]
        self._phones_in_rooms.watch(
            now_ms,
            changes.values(),
            found,
            self.in_doubt,
            extensions,
            looked_at=looked_at,
            newly_back=self._heartbeats.newly_back(now_ms),
        )
        silent = None if rest.silent_screens is None else rows.silent_screens(rest.silent_screens)
        lost = None if rest.lost_screens is None else rows.lost_screens(rest.lost_screens)
        self._screens.watch(now_ms, self._sessions.by_number, silent, lost)
        to_record = {name: now for name, (_, now) in changes.items() if now is not None}
        to_record |= {name: now for name in typed if (now := self._sessions.of_user.get(name)) is not None}
        to_record |= self._sessions.present(self._phones_in_rooms.changed() | self._screens.changed())
        yield from map(self._record, to_record.values())
        for before, now in changes.values():
            if before is not None and now is None:
                yield self._ended(KIND_AGENT, before.user)

    def _slice(self) -> Iterator[Outgoing]:
        for key in list(self._to_publish)[:SLICE]:
            name = self._to_publish.pop(key)
            row = self._sessions.of_user.get(key[1]) if key[0] == KIND_AGENT else self._catalogue.rows.get(key)
            # An agent who left since the round began has already had a tombstone.
            if row is not None:
                yield self._record(row)
            elif key[0] != KIND_AGENT:
                yield self._ended(key[0], name)
        if self._round_since is not None and not self._to_publish and self._is_complete:
            self._full_sequence, self._round_since = self._round_since, None

    def _dialer(self, row: DialerRow, reading: Reading, silent: int, lost: int) -> DialerReading:
        counts = self._sessions.on_dialer.get(row.server_ip, NO_SESSIONS)
        its_rooms = self._rooms.get(row.confbridge, {}).get(row.server_ip, Rooms(0, 0))
        return DialerReading(
            server_ip=row.server_ip,
            server_id=row.server_id,
            description=row.description,
            active=row.active,
            agent_logins=row.agent_logins,
            asterisk=row.asterisk,
            twin_server_ip=row.twin_server_ip,
            heartbeat=self._heartbeats.of(row.server_ip),
            agents=dict(counts.by_status),
            remote_agents=counts.remote,
            campaigns=dict(counts.by_campaign),
            rooms=its_rooms.total,
            rooms_free=its_rooms.free,
            probes=dict(reading.probes.get(row.server_ip, {})),
            started=reading.started.get(row.server_ip, ""),
            restarted_after_ms=self._restarts.after_ms(row.server_ip),
            worked_at_ms=self._work.of(row.server_ip),
            silent_screens=silent,
            lost_screens=lost,
        )

    def _record(self, row: AgentRow | CatalogueRow) -> Stamped:
        if not isinstance(row, AgentRow):
            return record_of(row, self._cluster, self._epoch, self._sequence)
        login = self._typed.get(row.user.lower())
        return AgentSession(
            cluster=self._cluster,
            epoch=self._epoch,
            sequence=self._sequence,
            **row._asdict(),
            changed_at_ms=self._since_ms[row.user.lower()],
            remote=row.remote,
            phone_in_room=self._phones_in_rooms.of(row.live_agent_id),
            screen_silent_since_ms=self._screens.since_ms(row.live_agent_id),
            screen_lost=self._screens.is_lost(row.live_agent_id),
            typed="" if login is None or login.server_ip != row.server_ip else login.typed,
        )

    def _ended(self, kind: str, name: str) -> Removal:
        return Removal(Key(self._cluster, kind, name), self._epoch, self._sequence)


def _is_same_work(agent: AgentRow, before: AgentRow | None) -> bool:
    """Return True if the session, its status and its lead are as before."""
    if agent is before:
        return True  # nearly always
    work = (agent.live_agent_id, agent.status, agent.lead_id)
    return before is not None and work == (before.live_agent_id, before.status, before.lead_id)
