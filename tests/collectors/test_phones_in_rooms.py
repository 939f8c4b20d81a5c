"""Phones in rooms: looked for while it matters, and known only if somebody is there."""

from collections.abc import Collection, Mapping

from collectors.phones_in_rooms import LOOK_SECONDS, MOST, NOBODY_BACK, NONE_LISTED, Back, PhonesInRooms, Room
from collectors.sessions import Change
from collectors.vicidial.rows import AgentRow
from messages.records import AgentStatus

ONE, TWO = "10.0.0.1", "10.0.0.2"
NOW_MS = 1_000_000
NOBODY: frozenset[str] = frozenset()


class Phones(PhonesInRooms):
    """As an observer shows them all sessions of a poll, by what has changed."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[str, AgentRow] = {}

    def see(  # noqa: PLR0913 # the facts of a poll
        self,
        now_ms: int,
        agents: Collection[AgentRow],
        found: Collection[Room] | None,
        silent: Collection[str],
        listed: Mapping[str, Collection[str]] = NONE_LISTED,
        *,
        newly_back: Mapping[str, Back] = NOBODY_BACK,
    ) -> None:
        before, self._known = self._known, {each.user: each for each in agents}
        changes = [Change(before.get(user), self._known.get(user)) for user in before | self._known]
        self.watch(
            now_ms, [each for each in changes if each.before != each.now], found, silent, listed, newly_back=newly_back
        )


def _agent(number: int, room: str = "8600051", server_ip: str = ONE, *, extension: str = "SIP/1") -> AgentRow:
    return AgentRow(number, str(number), server_ip, extension, room, AgentStatus.PAUSED, "", "", "", False, 0)


def _looked(agents: list[AgentRow]) -> Phones:
    phones = Phones()
    phones.see(NOW_MS, agents, None, NOBODY)
    return phones


def test_a_new_session_is_looked_at_until_its_phone_has_come() -> None:
    agent = _agent(1)
    phones = _looked([agent])
    assert (phones.of(1), phones.to_read) == (None, (Room(ONE, "8600051"),))
    phones.see(NOW_MS + 1000, [agent], frozenset(), NOBODY)
    assert (phones.of(1), phones.changed()) == (False, frozenset({1}))
    phones.see(NOW_MS + 2000, [agent], {Room(TWO, "8600051")}, NOBODY)
    assert (phones.of(1), phones.changed()) == (False, frozenset())
    phones.see(NOW_MS + 3000, [agent], {Room(ONE, "8600051")}, NOBODY)
    assert (phones.of(1), phones.changed(), phones.to_read) == (True, frozenset({1}), ())
    phones.see(NOW_MS + 4000, [agent], None, NOBODY)
    assert (phones.of(1), phones.changed()) == (True, frozenset())


def test_rows_that_may_stand_still_say_nothing() -> None:
    agent, room = _agent(1), Room(ONE, "8600051")
    phones = _looked([agent])
    phones.see(NOW_MS + 1000, [agent], {room}, {ONE})
    assert phones.of(1) is None
    phones.see(NOW_MS + 2000, [agent], frozenset(), NOBODY)
    phones.see(NOW_MS + 3000, [agent], {room}, {ONE})
    assert phones.of(1) is False, "it was missed, and is not known to have come"
    phones.see(NOW_MS + 5000, [agent], None, NOBODY)
    assert phones.of(1) is False, "the tables could not be read"


def test_the_dialers_own_list_says_what_rows_that_stand_still_do_not() -> None:
    agent = _agent(1)
    phones = _looked([agent])
    assert phones.to_list == frozenset()
    phones.see(NOW_MS + 1000, [agent], frozenset(), {ONE, TWO})
    assert (phones.of(1), phones.to_list) == (None, frozenset({ONE}))
    phones.see(NOW_MS + 2000, [agent], frozenset(), {ONE}, {ONE: {"8600052"}})
    assert phones.of(1) is False
    phones.see(NOW_MS + 3000, [agent], frozenset(), {ONE}, {ONE: {"8600051"}})
    assert phones.of(1) is True
    assert phones.to_list == frozenset()


def test_a_phone_that_does_not_come_is_looked_for_seldom_and_found_when_it_does() -> None:
    agent, late_ms = _agent(1), NOW_MS + round(LOOK_SECONDS * 1000)
    phones = _looked([agent])
    phones.see(late_ms - 1, [agent], frozenset(), NOBODY)
    assert phones.to_read
    phones.see(late_ms, [agent], frozenset(), NOBODY)
    assert (phones.to_read, phones.of(1)) == ((), False)
    phones.see(late_ms + 9000, [agent], None, NOBODY)
    assert (phones.to_read, phones.of(1)) == ((), False)
    phones.see(late_ms + 10_000, [agent], None, NOBODY)
    phones.see(late_ms + 11_000, [agent], {Room(ONE, "8600051")}, NOBODY)
    assert phones.of(1) is True


def test_no_phone_is_looked_for_where_none_has_to_be() -> None:
    on_hook = _agent(2)._replace(on_hook=True)
    phones = _looked([_agent(1, extension="R/1"), on_hook, _agent(3, room="")])
    assert phones.to_read == ()


def test_the_newest_sessions_are_looked_at_first() -> None:
    agents = [_agent(number, str(8_600_000 + number)) for number in range(MOST + 10)]
    phones = _looked(agents)
    assert len(phones.to_read) == MOST
    assert phones.to_read[0].conf_exten == str(8_600_000 + MOST + 9)
    phones.see(NOW_MS + 1000, agents, frozenset(), NOBODY)
    assert (phones.of(0), phones.of(MOST)) == (None, False)


def test_after_a_restart_of_asterisk_the_sessions_there_are_looked_at_again() -> None:
    agents = [_agent(1), _agent(2, server_ip=TWO)]
    phones = _looked(agents)
    phones.see(NOW_MS + 1000, agents, {Room(ONE, "8600051"), Room(TWO, "8600051")}, NOBODY)
    phones.changed()
    later_ms = NOW_MS + 10_000_000
    phones.look_again(later_ms, {ONE})
    assert (phones.of(1), phones.of(2), phones.changed()) == (None, True, frozenset({1}))
    phones.see(later_ms + 500, agents, None, NOBODY)
    assert phones.to_read == (Room(ONE, "8600051"),)


def test_another_session_of_the_same_agent_is_another_phone() -> None:
    phones = _looked([_agent(1)])
    phones.see(NOW_MS + 1000, [_agent(1)], {Room(ONE, "8600051")}, NOBODY)
    phones.see(NOW_MS + 2000, [_agent(2)], None, NOBODY)
    assert (phones.of(1), phones.of(2)) == (None, None)
    phones.see(NOW_MS + 3000, [_agent(2, room="8600052")], {Room(ONE, "8600051")}, NOBODY)
    assert phones.of(2) is None, "its room is another one now, which was not looked at"


def test_a_session_whose_user_becomes_another_is_still_looked_for() -> None:
    phones = Phones()
    phones.see(NOW_MS, [_agent(1)], None, NOBODY)
    other = _agent(1)._replace(user="other")
    phones.watch(NOW_MS + 1000, [Change(None, other), Change(_agent(1), None)], None, NOBODY)
    assert phones.to_read == (Room(ONE, "8600051"),)


def test_a_row_of_before_a_silence_shows_no_phone_unless_it_is_new() -> None:
    """An updater that is back may leave old rows for a while; one that it has deleted and written again is new."""
    old, late, room = _agent(1), _agent(2, "8600052"), Room(ONE, "8600051")
    back = {ONE: Back(NOW_MS + 60_000, NOW_MS + 500)}
    phones = _looked([old])
    phones.look_again(NOW_MS + 30_000, {ONE})
    found = [room, Room(ONE, "8600052")]
    phones.see(NOW_MS + 60_000, [old, late], None, NOBODY, newly_back=back)
    phones.see(NOW_MS + 61_000, [old, late], found, NOBODY, newly_back=back)
    assert (phones.of(1), phones.of(2)) == (None, True), "the later session had no phone by then"
    assert phones.to_list == {ONE}, "its own list of channels shows it at once"
    phones.see(NOW_MS + 62_000, [old, late], [], NOBODY, newly_back=back)
    phones.see(NOW_MS + 63_000, [old, late], found, NOBODY, newly_back=back)
    assert phones.of(1) is True


def test_rooms_are_looked_at_in_turn() -> None:
    agents = [_agent(number, str(8600000 + number)) for number in range(MOST + 100)]
    phones = _looked(agents)
    first = set(phones.to_read)
    phones.see(NOW_MS + 1000, agents, [], NOBODY)
    assert {Room(ONE, each.conf_exten) for each in agents} - first <= set(phones.to_read)


def test_how_long_a_phone_was_missed_counts_from_the_first_row_that_showed_it() -> None:
    """What the dialer's own list said before is another's word."""
    agent = _agent(1)
    phones = _looked([agent])
    phones.see(NOW_MS + 1000, [agent], None, NOBODY, {ONE: NOBODY})
    phones.see(NOW_MS + 20_000, [agent], [], NOBODY)
    assert phones.sought(ONE, {1}, NOW_MS).gone == frozenset()
    phones.see(NOW_MS + 25_000, [agent], [], NOBODY)
    assert phones.sought(ONE, {1}, NOW_MS).gone == {1}
