"""Phones in rooms: is an agent's phone in the conference room of their session? Pure.

A session's row says nothing of it: the row exists before the phone has answered, and stays when the phone is gone. A
dialer's updater writes which channels its Asterisk has, and at which extension; that of a phone in its room is the
room. These tables have no index, so they are read only for sessions that matter: new ones, and those of a dialer whose
Asterisk has started again. They stand still with the updater, and then say nothing; the dialer's own list of its
channels does, where AMI gives it.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from collectors.vicidial.rows import AgentRow
from messages.records import ServerIp

LOOK_SECONDS = 120.0
"""A phone that has not come by then is not looked for any more."""
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


class PhonesInRooms:
    """The phones of the sessions of one epoch."""

    def __init__(self) -> None:
        self._sessions: dict[int, _Session] = {}
        self._changed: set[int] = set()
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
        """Begin to look again at sessions of dialers whose Asterisk has started again: their phones are gone."""
        for number, session in self._sessions.items():
            if session.room.server_ip in dialers:
                session.since_ms = now_ms
                self._set(number, session, None)

    def watch(  # noqa: PLR0913 # the facts of a poll
        self,
        now_ms: int,
        agents: Iterable[AgentRow],
        found: Collection[Room] | None,
        silent: Collection[ServerIp],
        listed: Mapping[ServerIp, Collection[str]] = NONE_LISTED,
        *,
        looked_at: Collection[Room] | None = None,
    ) -> None:
        """Update the answers, and what to read next.

        Args:
            now_ms: the log's time.
            agents: the sessions of this poll.
            found: the rooms in which there is somebody, of those that were looked at; None: they could not be read.
            silent: dialers whose rows may stand still.
            listed: where there are channels, by the dialers' own lists.
            looked_at: the rooms that were looked at; None: those in `to_read`.
        """
        before, looked_at = self._sessions, frozenset(self.to_read if looked_at is None else looked_at)
        self._sessions = {}
        for agent in agents:
            room = Room(agent.server_ip, agent.conf_exten)
            session = before.get(agent.live_agent_id)
            if session is None or session.room != room:
                if agent.remote or agent.on_hook or not agent.conf_exten:
                    continue
                session = _Session(room, now_ms)
            self._sessions[agent.live_agent_id] = session
            if room.server_ip in listed:
                if not session.phone_in_room:
                    self._set(agent.live_agent_id, session, room.conf_exten in listed[room.server_ip])
            elif found is None or room.server_ip in silent:
                # one that was in its room is not looked at any more, and was there
                known = session.phone_in_room or None
                self._set(agent.live_agent_id, session, known)
            elif room in looked_at and not session.phone_in_room:
                self._set(agent.live_agent_id, session, room in found)
        young_ms = now_ms - LOOK_SECONDS * 1000
        awaited = {
            number: each.room
            for number, each in self._sessions.items()
            if not each.phone_in_room and each.since_ms > young_ms
        }
        self.to_read = tuple(awaited[number] for number in sorted(awaited, reverse=True)[:MOST])
        self.to_list = frozenset(room.server_ip for room in self.to_read) & frozenset(silent)

    def _set(self, number: int, session: _Session, phone_in_room: bool | None) -> None:
        if session.phone_in_room is not phone_in_room:
            session.phone_in_room = phone_in_room
            self._changed.add(number)
