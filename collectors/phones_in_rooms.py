"""Phones in rooms: is an agent's phone in the conference room of their session? Pure.

A session's row says nothing of it: the row exists before the phone has answered, and stays when the phone is gone. A
dialer's updater writes which channels its Asterisk has, and at which extension; that of a phone in its room is the
room. These tables have no index, so they are read only for sessions that matter: new ones, and those of a dialer whose
Asterisk has started again, or whose updater is back after a silence. They stand still with the updater, and then say
nothing; the dialer's own list of its channels does, where AMI gives it.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from collectors.sessions import Change
from messages.records import ServerIp

LOOK_SECONDS, SELDOM_SECONDS = 120.0, 10.0
"""A phone that has not come by the first is looked for every so often only, by the second: it may come yet."""
READ_SECONDS = 10.0
"""How long after that an answer may still come in: it was asked for some polls before."""
GONE_SECONDS = 5.0
"""A phone is gone if it is missing this long. An updater that gets empty answers deletes all rows, though Asterisk may
only have been slow, and has them back with its next pass."""
MOST = 500
"""Most rooms to look at in one poll."""


NONE_LISTED: Mapping[ServerIp, Collection[str]] = MappingProxyType({})


class Room(NamedTuple):
    """A conference room: the same number is another room on another dialer."""

    server_ip: ServerIp
    conf_exten: str


@dataclass
class _Session:
    room: Room
    since_ms: int
    """Since when its phone is looked for: when it was first seen, or its Asterisk started again."""
    seen_ms: int
    """When it was first seen."""
    missed_ms: int = 0
    """When its phone was last not in its room."""
    missed_since_ms: int = 0
    """Since when the rows have shown it in none; 0: they do not."""
    looked_ms: int = 0
    """When its room was last looked at."""
    phone_in_room: bool | None = None


class Back(NamedTuple):
    """An updater's return."""

    at_ms: int
    away_since_ms: int


NOBODY_BACK: Mapping[ServerIp, Back] = MappingProxyType({})


class Sought(NamedTuple):
    """Phones that are looked for, and what was found of them."""

    missed: frozenset[int]
    """The sessions whose phone was in no room at the last look."""
    gone: frozenset[int]
    """Those of them for which that has been so for a while."""
    waiting: frozenset[int]
    """Those that are yet to be looked at, or whose row may be an old one."""
    there: int
    """How many phones were found in their rooms, also of sessions that began in the silence."""


class PhonesInRooms:
    """The phones of the sessions of one epoch."""

    def __init__(self) -> None:
        self._sessions: dict[int, _Session] = {}
        self._missing: dict[int, _Session] = {}
        """Those of them whose phone is not known to be in its room, or is looked for: all, if rows may not be read."""
        self._young: dict[int, _Session] = {}
        """Those of these that are looked at."""
        self._absent: set[int] = set()
        """And those whose phone was not in its room."""
        self._changed: set[int] = set()
        self._to_look_back: dict[int, _Session] = {}
        """The sessions of silent dialers that are yet to be looked at as their updater wrote them last."""
        self._were_there: dict[ServerIp, set[int]] = {}
        self.to_read: tuple[Room, ...] = ()
        """The rooms that the next poll with agents should look at."""
        self.to_list: frozenset[ServerIp] = frozenset()
        """The dialers whose own lists of channels are needed, since their rows may stand still."""

    def of(self, live_agent_id: int) -> bool | None:
        """Return whether a session's phone was in its room when that was last looked at; None: not known."""
        session = self._sessions.get(live_agent_id)
        return None if session is None else session.phone_in_room

    def changed(self) -> frozenset[int]:
        """Return the sessions whose answer has changed since this was last asked."""
        changed, self._changed = frozenset(self._changed), set()
        return changed

    def look_again(self, now_ms: int, dialers: Collection[ServerIp]) -> None:
        """Begin to look again at sessions of dialers whose Asterisk has started again: their phones are gone.

        Or may be: of the first Asterisk that a collector hears of it cannot be known since when it runs.
        """
        for number, session in self._sessions.items() if dialers else ():
            if session.room.server_ip in dialers:
                session.since_ms = now_ms
                self._young[number] = session
                self._set(number, session, None)

    def look_for(self, now_ms: int, numbers: Iterable[int]) -> None:
        """Begin to look for the phones of sessions; what is known of them stands until they are seen or missed."""
        for number in numbers:
            session = self._sessions.get(number)
            if session is not None:
                session.since_ms = now_ms
                self._missing[number] = self._young[number] = session

    def look_back(self, server_ip: ServerIp) -> None:
        """Begin to look whose phones were in their rooms when a dialer's updater, which is silent now, wrote last."""
        there = {number: each for number, each in self._sessions.items() if each.room.server_ip == server_ip}
        self._to_look_back |= {number: each for number, each in there.items() if each.phone_in_room}

    def were_there(self, server_ip: ServerIp) -> frozenset[int]:
        """Return the sessions whose phones were there by such a look, and end it."""
        self._to_look_back = {
            number: each for number, each in self._to_look_back.items() if each.room.server_ip != server_ip
        }
        return frozenset(self._were_there.pop(server_ip, ()))

    def look_for_all(self, now_ms: int, server_ip: ServerIp) -> None:
        """Begin to look for the phones of all sessions of a dialer."""
        self.look_for(now_ms, [number for number, each in self._sessions.items() if each.room.server_ip == server_ip])

    def sought(self, server_ip: ServerIp, numbers: Collection[int], silent_since_ms: int) -> Sought:
        """Return what was found of the phones of these sessions of a dialer, and of those that began in the silence."""
        known = self._sessions.keys() & numbers
        missed = frozenset(known & self._absent)
        return Sought(
            missed=missed,
            gone=frozenset(number for number in missed if _is_gone(self._sessions[number])),
            waiting=frozenset(known & self._young.keys()) - missed,
            there=sum(
                1
                for number, each in self._sessions.items()
                if each.room.server_ip == server_ip
                and each.phone_in_room
                and number not in self._young
                and (number in known or each.seen_ms > silent_since_ms)
            ),
        )

    def watch(  # noqa: PLR0913 # the facts of a poll
        self,
        now_ms: int,
        changes: Iterable[Change],
        found: Collection[Room] | None,
        silent: Collection[ServerIp],
        listed: Mapping[ServerIp, Collection[str]] = NONE_LISTED,
        *,
        looked_at: Collection[Room] | None = None,
        newly_back: Mapping[ServerIp, Back] = NOBODY_BACK,
    ) -> None:
        """Update the answers, and what to read next.

        Args:
            now_ms: the log's time.
            changes: of the sessions, since the last reading.
            found: the rooms in which there is somebody, of those that were looked at; None: they could not be read.
            silent: dialers whose rows may stand still.
            listed: where there are channels, by the dialers' own lists.
            looked_at: the rooms that were looked at; None: those in `to_read`.
            newly_back: dialers whose rows may still be of before a silence. Of a session from before it, a phone that
                they show may be gone, unless the row is new.
        """
        looked_at = frozenset(self.to_read if looked_at is None else looked_at)
        self._follow(now_ms, changes)
        # one that was in its room is not looked for any more, and of an old one nothing can be learned but by a list
        asked = self._young.keys() | self._absent
        if listed:
            asked |= {number for number, each in self._missing.items() if each.room.server_ip in listed}
        for number in asked:
            session = self._missing[number]
            room = session.room
            if room.server_ip in listed:
                self._set(number, session, room.conf_exten in listed[room.server_ip])
            elif found is not None and room.server_ip not in silent and room in looked_at:
                self._see(now_ms, number, session, newly_back.get(room.server_ip), there=room in found)
        if found is not None:
            self._see_back(looked_at, found)
        read_ms, young_ms = now_ms - (LOOK_SECONDS + READ_SECONDS) * 1000, now_ms - LOOK_SECONDS * 1000
        self._young = {number: each for number, each in self._young.items() if each.since_ms > read_ms}
        awaited = {number: each for number, each in self._young.items() if each.since_ms > young_ms}
        awaited |= self._to_look_back
        for number in self._absent - awaited.keys():
            if now_ms - self._missing[number].looked_ms >= SELDOM_SECONDS * 1000:
                awaited[number] = self._missing[number]
        # those of whom least is known, and of them the newest
        in_turn = sorted(awaited, key=lambda number: (awaited[number].looked_ms, -number))
        self.to_read = tuple(awaited[number].room for number in in_turn[:MOST])
        self.to_list = frozenset(room.server_ip for room in self.to_read) & (frozenset(silent) | newly_back.keys())

    def _see(self, now_ms: int, number: int, session: _Session, back: Back | None, *, there: bool) -> None:
        """Record by a row, or that there is none, whether a phone is in its room."""
        session.looked_ms = now_ms
        if not there:
            session.missed_since_ms = session.missed_since_ms or now_ms
            session.missed_ms = now_ms
            self._set(number, session, False)
        elif not _is_old(session, back):
            self._set(number, session, True)

    def _see_back(self, looked_at: Collection[Room], found: Collection[Room]) -> None:
        """Record whose phones were there by the rows of silent updaters."""
        for number in [each for each, session in self._to_look_back.items() if session.room in looked_at]:
            room = self._to_look_back.pop(number).room
            if room in found:
                self._were_there.setdefault(room.server_ip, set()).add(number)

    def _follow(self, now_ms: int, changes: Iterable[Change]) -> None:
        """Follow the sessions that began, ended, or have another room."""
        changes = list(changes)
        for before, now in changes:
            if before is not None and (now is None or now.live_agent_id != before.live_agent_id):
                self._forget(before.live_agent_id)
        for _, now in changes:
            if now is None:
                continue
            number, room = now.live_agent_id, Room(now.server_ip, now.conf_exten)
            known = self._sessions.get(number)
            if known is not None and known.room == room:
                continue
            self._forget(number)
            if not now.remote and not now.on_hook and now.conf_exten:
                session = _Session(room, now_ms, now_ms)
                self._sessions[number] = self._missing[number] = self._young[number] = session

    def _forget(self, number: int) -> None:
        self._sessions.pop(number, None)
        self._missing.pop(number, None)
        self._young.pop(number, None)
        self._to_look_back.pop(number, None)
        self._absent.discard(number)

    def _set(self, number: int, session: _Session, phone_in_room: bool | None) -> None:
        if phone_in_room:
            self._missing.pop(number, None)
            self._young.pop(number, None)
        else:
            self._missing[number] = session
        if phone_in_room is False:
            self._absent.add(number)
        else:
            self._absent.discard(number)
            session.missed_since_ms = 0
        if session.phone_in_room is not phone_in_room:
            session.phone_in_room = phone_in_room
            self._changed.add(number)


def _is_old(session: _Session, back: Back | None) -> bool:
    """Return True if the row of a session's phone may be one that an updater wrote before it was away."""
    return back is not None and session.seen_ms <= back.away_since_ms and session.missed_ms < back.at_ms


def _is_gone(session: _Session) -> bool:
    return session.missed_ms - session.missed_since_ms >= GONE_SECONDS * 1000
