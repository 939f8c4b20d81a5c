"""Phones in rooms: is an agent's phone in the conference room of their session? Pure.

A session's row says nothing of it: the row exists before the phone has answered, and stays when the phone is gone. A
dialer's updater writes which channels its Asterisk has, and at which extension; that of a phone in its room is the
room. These tables have no index, so they are read only for sessions that matter: new ones, and those of a dialer whose
Asterisk has started again, or whose updater is back after a silence. They stand still with the updater, and then say
nothing; the dialer's own list of its channels does, where AMI gives it.

Note [An Asterisk that started again unseen]. An updater ends with its Asterisk, and cron starts it again within a
minute. Without AMI nothing says which of the two ended: but an Asterisk takes all of its phones with it, and an updater
takes none. So once an updater is back, the phones that were in their rooms before are looked for. If nearly all of
several are missing, and stay so, its Asterisk has started again.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from collectors.sessions import Change
from messages.records import ServerIp

LOOK_SECONDS = 120.0
"""A phone that has not come by then is not looked for any more."""
READ_SECONDS = 10.0
"""How long after that an answer may still come in: it was asked for some polls before."""
GONE_SECONDS = 5.0
"""Phones are gone if they are missing this long. An updater that gets three empty answers deletes all rows, though
Asterisk may only have been slow, and has them back with its next pass."""
LEAST_GONE, SHARE_GONE = 2, 0.75
"""So many phones, and this share of those that were in their rooms, are gone with an Asterisk. Fewer hung up."""
MOST = 500
"""Most rooms to look at in one poll, those of the newest sessions."""


NONE_LISTED: Mapping[ServerIp, Collection[str]] = MappingProxyType({})


class Room(NamedTuple):
    """A conference room: the same number is another room on another dialer."""

    server_ip: ServerIp
    conf_exten: str


@dataclass
class _Session:
    room: Room
    since_ms: int
    """When it was first seen, or its Asterisk started again."""
    phone_in_room: bool | None = None


class _Review(NamedTuple):
    """A search for the phones of a dialer whose updater is back."""

    silent_since_ms: int
    """When the updater was last seen before it was away."""
    were_there: frozenset[int]
    """The sessions whose phone was in its room then."""
    gone_since_ms: int | None = None
    """Since when nearly all are missing; None: they are not."""


class PhonesInRooms:
    """The phones of the sessions of one epoch."""

    def __init__(self) -> None:
        self._sessions: dict[int, _Session] = {}
        self._missing: dict[int, _Session] = {}
        """Those of them whose phone is not known to be in its room: where rows may not be read, all of them."""
        self._young: dict[int, _Session] = {}
        """Those of these that are looked at."""
        self._absent: set[int] = set()
        """And those whose phone was not in its room."""
        self._changed: set[int] = set()
        self._reviews: dict[ServerIp, _Review] = {}
        self._restarted_after_ms: dict[ServerIp, int] = {}
        self.to_read: tuple[Room, ...] = ()
        """The rooms that the next poll with agents should look at."""
        self.to_list: frozenset[ServerIp] = frozenset()
        """The dialers whose own lists of channels are needed, since their rows may stand still."""

    def of(self, live_agent_id: int) -> bool | None:
        """Return whether a session's phone was in its room when that was last looked at; None: not known."""
        session = self._sessions.get(live_agent_id)
        return None if session is None else session.phone_in_room

    def restarted_after_ms(self, server_ip: ServerIp) -> int | None:
        """Return when a dialer was last seen before its Asterisk started again, by its phones; None: it did not."""
        return self._restarted_after_ms.get(server_ip)

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

    def review(self, now_ms: int, server_ip: ServerIp, silent_since_ms: int) -> None:
        """Begin to look for the phones of a dialer whose updater is back: they may have gone with its Asterisk."""
        there = (number for number, each in self._sessions.items() if each.room.server_ip == server_ip)
        were_there = frozenset(number for number in there if self._sessions[number].phone_in_room)
        earlier = self._reviews.get(server_ip)
        if earlier is not None:
            were_there, silent_since_ms = were_there | earlier.were_there, earlier.silent_since_ms
        self._reviews[server_ip] = _Review(silent_since_ms, were_there)
        self._look_for(now_ms, were_there)

    def watch(  # noqa: PLR0913 # the facts of a poll
        self,
        now_ms: int,
        changes: Iterable[Change],
        found: Collection[Room] | None,
        silent: Collection[ServerIp],
        listed: Mapping[ServerIp, Collection[str]] = NONE_LISTED,
        *,
        looked_at: Collection[Room] | None = None,
        newly_back: Collection[ServerIp] = frozenset(),
    ) -> None:
        """Update the answers, and what to read next.

        Args:
            now_ms: the log's time.
            changes: of the sessions, since the last reading.
            found: the rooms in which there is somebody, of those that were looked at; None: they could not be read.
            silent: dialers whose rows may stand still.
            listed: where there are channels, by the dialers' own lists.
            looked_at: the rooms that were looked at; None: those in `to_read`.
            newly_back: dialers whose rows may still be of before a silence: a phone that they show may be gone.
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
            elif found is None or room.server_ip in silent:
                self._set(number, session, None)
            elif room in looked_at and room not in found:
                self._set(number, session, False)
            elif room in looked_at and room.server_ip not in newly_back:
                self._set(number, session, True)
        self._reviews = {
            server_ip: review for each in self._reviews.items() for server_ip, review in self._go_on(now_ms, *each)
        }
        read_ms, young_ms = now_ms - (LOOK_SECONDS + READ_SECONDS) * 1000, now_ms - LOOK_SECONDS * 1000
        self._young = {number: each for number, each in self._young.items() if each.since_ms > read_ms}
        awaited = {number: each.room for number, each in self._young.items() if each.since_ms > young_ms}
        self.to_read = tuple(awaited[number] for number in sorted(awaited, reverse=True)[:MOST])
        self.to_list = frozenset(room.server_ip for room in self.to_read) & frozenset(silent)

    def _look_for(self, now_ms: int, numbers: Iterable[int]) -> None:
        """Begin to look for the phones of sessions."""
        for number in numbers:
            session = self._sessions.get(number)
            if session is not None:
                session.since_ms = now_ms
                self._missing[number] = self._young[number] = session

    def _go_on(self, now_ms: int, server_ip: ServerIp, review: _Review) -> Iterator[tuple[ServerIp, _Review]]:
        """Yield a review as it goes on; nothing: it is over."""
        known = review.were_there & self._sessions.keys()
        gone = known & self._absent
        if len(gone) >= LEAST_GONE and len(gone) >= SHARE_GONE * len(known):
            since_ms = now_ms if review.gone_since_ms is None else review.gone_since_ms
            if now_ms - since_ms < GONE_SECONDS * 1000:
                yield server_ip, review._replace(gone_since_ms=since_ms)
                return
            self._restarted_after_ms[server_ip] = review.silent_since_ms
            self._look_for(now_ms, gone)
        elif known & self._young.keys():
            yield server_ip, review._replace(gone_since_ms=None)

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
                session = _Session(room, now_ms)
                self._sessions[number] = self._missing[number] = self._young[number] = session

    def _forget(self, number: int) -> None:
        self._sessions.pop(number, None)
        self._missing.pop(number, None)
        self._young.pop(number, None)
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
        if session.phone_in_room is not phone_in_room:
            session.phone_in_room = phone_in_room
            self._changed.add(number)
