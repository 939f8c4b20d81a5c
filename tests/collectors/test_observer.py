"""What is published of what the tables show: enough to know them exactly, and no more than changed."""

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given

from collectors import observer as observing
from collectors.catalogue import CatalogueRows
from collectors.observer import Observer, Outgoing, Reading, Removal, Unread
from collectors.vicidial.rows import Row
from controller.core.state import ClusterState
from messages.codes import Odd, Unreadable
from messages.keys import KIND_AGENT, KIND_ALIAS, KIND_PHONE
from messages.records import (
    AgentSession,
    AgentStatus,
    Campaign,
    DialerReading,
    Grouping,
    Heartbeat,
    Phone,
    PhoneAlias,
    Poll,
    ProbeResult,
    SystemSettings,
    UnreadTable,
)
from messages.topics import Key
from tests.support.builders import CLUSTER, NOW_MS, ONE, TWO, fold_all
from tests.support.crowd import Crowd
from tests.support.histories import (
    HISTORIES,
    Agent,
    Alias,
    Beat,
    Group,
    PhoneLine,
    Server,
    Step,
    Tables,
    play,
    rows_of,
    with_rest,
)

QUIET = Tables(
    servers=(Server(ONE, "Y", "Y", "MEETME"), Server(TWO, "Y", "Y", "CONFBRIDGE")),
    beats=(Beat(ONE, 0), Beat(TWO, 0)),
    agents=(Agent(1, "1001", ONE, "READY", "SALES", "SIP/1"), Agent(2, "1002", TWO, "PAUSED", "SALES", "SIP/2")),
    rooms=((ONE, 9, 8), (TWO, 7, 6)),
    phones=(PhoneLine("p1", ONE, "Y"), PhoneLine("p2", TWO, "Y")),
    aliases=(Alias("desk", "p1,p2"),),
    campaigns=(Group("SALES", "CASCADING", 9),),
    grouping_limit=20,
    weights=((ONE, 2),),
)


class Watching:
    """An observer, and the time and number of its polls."""

    def __init__(self, epoch: int = 1) -> None:
        self.observer = Observer(CLUSTER, "c1", epoch)
        self.now_ms = NOW_MS

    def sees(
        self, tables: Tables, *, agents: bool = True, catalogue: bool = False, after_ms: int = 500
    ) -> list[Outgoing]:
        return self.reads(rows_of(tables, agents=agents, catalogue=catalogue), after_ms)

    def reads(self, reading: Reading, after_ms: int = 500) -> list[Outgoing]:
        self.now_ms += after_ms
        return self.observer.observe(self.now_ms, reading)

    def settled(self, tables: Tables = QUIET) -> "Watching":
        """Have it know the tables already."""
        self.sees(tables)
        self.sees(tables, catalogue=True)
        return self


def _poll(out: Sequence[Outgoing]) -> Poll:
    last = out[-1]
    assert isinstance(last, Poll)
    assert sum(isinstance(each, Poll) for each in out) == 1
    return last


def _dialer(out: Sequence[Outgoing], server_ip: str = ONE) -> DialerReading:
    return next(each for each in _poll(out).dialers if each.server_ip == server_ip)


def _heartbeat(out: Sequence[Outgoing]) -> Heartbeat:
    heartbeat = _dialer(out).heartbeat
    assert heartbeat is not None
    return heartbeat


def _kinds(out: Sequence[Outgoing]) -> list[type]:
    return [type(each) for each in out]


# --- registrations ----------------------------------------------------------------------------------------------


def _phones(out: Sequence[Outgoing]) -> dict[str, str]:
    return {each.login: each.peer_status for each in out if isinstance(each, Phone)}


def test_what_a_dialer_tells_of_its_phones_goes_out_at_once_where_the_table_tells_nothing() -> None:
    watching = Watching().settled()
    assert watching.observer.unwritten == {ONE, TWO}
    quiet = rows_of(QUIET, agents=False, catalogue=False)
    told = watching.reads(quiet._replace(registered={ONE: {"SIP/p1": True}, TWO: {"SIP/p2": False}}))
    assert _phones(told) == {"p1": "REGISTERED", "p2": "UNREGISTERED"}
    assert _phones(watching.reads(quiet._replace(registered={ONE: {"SIP/p1": True}, TWO: {"SIP/p2": False}}))) == {}
    # a dialer that cannot be asked any more has its phones not judged
    assert _phones(watching.reads(quiet._replace(registered={ONE: {"SIP/p1": True}}))) == {"p2": ""}


def test_what_somebody_writes_into_the_table_is_believed_over_what_a_dialer_tells() -> None:
    watching = Watching().settled()
    reading = rows_of(QUIET, agents=False, catalogue=True)
    assert reading.rest.catalogue is not None
    written = reading.rest.catalogue._replace(
        phones=[
            tuple(text.encode() for text in (each.login, each.server_ip, each.login, "Y", "SIP", "N", status))
            for each, status in zip(QUIET.phones, ("REACHABLE", "UNKNOWN"), strict=True)
        ]
    )
    told = with_rest(reading, catalogue=written)._replace(registered={ONE: {"SIP/p1": False}, TWO: {"SIP/p2": False}})
    assert _phones(watching.reads(told)) == {"p1": "REACHABLE", "p2": "UNREGISTERED"}
    assert watching.observer.unwritten == {TWO}


# --- what goes out when -----------------------------------------------------------------------------------------


def test_the_first_poll_holds_all_agents_and_the_second_the_catalogue() -> None:
    watching = Watching()
    first = watching.sees(QUIET)
    assert _kinds(first) == [AgentSession, AgentSession, Poll]
    assert _poll(first).full_sequence is None

    second = watching.sees(QUIET, agents=False, catalogue=True)
    assert _kinds(second) == [SystemSettings, Campaign, Phone, Phone, PhoneAlias, Poll]
    assert (_poll(second).sequence, _poll(second).full_sequence) == (2, 1)
    assert _dialer(second).agents == {AgentStatus.READY: 1}


def test_what_did_not_change_is_not_published() -> None:
    watching = Watching().settled()
    assert _kinds(watching.sees(QUIET, catalogue=True)) == [Poll]
    assert _kinds(watching.sees(QUIET, agents=False)) == [Poll]


def test_only_what_changed_is_published() -> None:
    watching = Watching().settled()
    changed = QUIET._replace(
        agents=(QUIET.agents[0]._replace(status="INCALL"), QUIET.agents[1]),
        phones=(QUIET.phones[0], QUIET.phones[1]._replace(active="N")),
    )
    session, phone, _ = watching.sees(changed, catalogue=True)
    assert isinstance(session, AgentSession)
    assert (session.user, session.status) == ("1001", AgentStatus.INCALL)
    assert isinstance(phone, Phone)
    assert (phone.login, phone.active) == ("p2", False)
    assert (session.epoch, session.sequence) == (1, 3)


def test_what_ended_gets_a_tombstone() -> None:
    watching = Watching().settled()
    out = watching.sees(QUIET._replace(agents=QUIET.agents[1:], phones=QUIET.phones[1:], aliases=()), catalogue=True)
    assert [each for each in out if isinstance(each, Removal)] == [
        Removal(Key(CLUSTER, KIND_AGENT, "1001"), 1, 3),
        Removal(Key(CLUSTER, KIND_PHONE, "p1"), 1, 3),
        Removal(Key(CLUSTER, KIND_ALIAS, "desk"), 1, 3),
    ]
    assert _kinds(watching.sees(QUIET._replace(agents=QUIET.agents[1:]), agents=True)) == [Poll]


def test_a_part_that_was_not_read_again_is_taken_as_it_was() -> None:
    watching = Watching().settled()
    reading = rows_of(QUIET._replace(phones=(), aliases=()), agents=True, catalogue=True)
    assert reading.rest.catalogue is not None
    unread = with_rest(reading, catalogue=reading.rest.catalogue._replace(phones=None, aliases=None))
    assert _kinds(watching.reads(unread)) == [Poll]


def test_a_large_catalogue_comes_in_slices_and_never_holds_up_a_poll() -> None:
    phones = tuple(PhoneLine(f"p{number}", ONE, "Y") for number in range(2 * observing.SLICE))
    large = QUIET._replace(phones=phones, aliases=(Alias("desk", "p1"),))
    watching = Watching()
    watching.sees(large)
    polls = [watching.sees(large, agents=False, catalogue=True)]
    while watching.observer.waiting:
        polls.append(watching.sees(large))
    assert [len(out) - 1 for out in polls] == [observing.SLICE, observing.SLICE, 3]
    assert [_poll(out).full_sequence for out in polls] == [None, None, 1]
    published = [each.login for out in polls for each in out if isinstance(each, Phone)]
    assert Counter(published) == Counter(phone.login for phone in phones)


def test_a_round_publishes_everything_again_and_says_since_when() -> None:
    watching = Watching().settled()
    watching.observer.publish_everything_again()
    out = watching.sees(QUIET, catalogue=True)
    assert sorted(each.__name__ for each in _kinds(out)) == [
        "AgentSession",
        "AgentSession",
        "Campaign",
        "Phone",
        "Phone",
        "PhoneAlias",
        "Poll",
        "SystemSettings",
    ]
    assert _poll(out).full_sequence == 3


def test_in_slices_a_round_counts_from_its_beginning() -> None:
    phones = tuple(PhoneLine(f"p{number}", ONE, "Y") for number in range(observing.SLICE))
    watching = Watching().settled(QUIET._replace(phones=phones))
    while watching.observer.waiting:
        watching.sees(QUIET._replace(phones=phones))
    began = watching.observer.sequence + 1
    watching.observer.publish_everything_again()
    first = watching.sees(QUIET._replace(phones=phones))
    assert _poll(first).full_sequence == 1
    second = watching.sees(QUIET._replace(phones=phones))
    assert _poll(second).full_sequence == began


def test_a_round_asked_for_before_the_first_one_ended_publishes_what_is_known_and_ends_with_that() -> None:
    """An append may have been lost while a part of the catalogue cannot be read."""
    watching = Watching()
    watching.sees(QUIET)
    watching.observer.publish_everything_again()
    assert _kinds(watching.sees(QUIET)) == [AgentSession, AgentSession, Poll]
    assert _poll(watching.sees(QUIET, catalogue=True)).full_sequence == 1


def test_who_left_during_a_round_does_not_come_back() -> None:
    watching = Watching().settled()
    watching.observer.publish_everything_again()
    out = watching.sees(QUIET._replace(agents=QUIET.agents[1:]))
    assert [each.user for each in out if isinstance(each, AgentSession)] == ["1002"]
    assert [each.key.name for each in out if isinstance(each, Removal)] == ["1001"]


# --- agents and counts ------------------------------------------------------------------------------------------


def test_agents_are_counted_by_status_campaign_and_kind() -> None:
    agents = (
        Agent(1, "1", ONE, "READY", "SALES", "SIP/1"),
        Agent(2, "2", ONE, "READY", "HELP", "PJSIP/2"),
        Agent(3, "3", ONE, "CLOSER", "HELP", "IAX2/3"),
        Agent(4, "4", ONE, "SOMETHING", "HELP", ""),
        Agent(5, "5", ONE, "READY", "SALES", "R/5"),
        Agent(6, "6", TWO, "INCALL", "SALES", "SIP/6"),
        Agent(7, "7", ONE, "READY", "SALES", "r/7"),
    )
    out = Watching().sees(QUIET._replace(agents=agents))
    one = _dialer(out)
    assert one.agents == {AgentStatus.READY: 2, AgentStatus.CLOSER: 1, AgentStatus.OTHER: 1}
    assert one.campaigns == {"SALES": 1, "HELP": 3}
    assert one.remote_agents == 2
    assert _dialer(out, TWO).agents == {AgentStatus.INCALL: 1}
    assert _poll(out).odd_rows == {Odd.UNKNOWN_STATUS: 1}


def test_rooms_are_those_of_the_dialers_own_kind() -> None:
    out = Watching().sees(QUIET)
    assert (_dialer(out).rooms, _dialer(out).rooms_free) == (9, 8)
    assert (_dialer(out, TWO).rooms, _dialer(out, TWO).rooms_free) == (107, 106)


def test_of_two_sessions_of_one_user_the_newer_is_told_and_both_are_counted() -> None:
    watching = Watching()
    twice = (Agent(9, "anna", TWO, "READY", "SALES", "SIP/1"), Agent(3, "Anna", ONE, "PAUSED", "SALES", "SIP/1"))
    out = watching.sees(QUIET._replace(agents=twice))
    assert [(each.user, each.live_agent_id) for each in out if isinstance(each, AgentSession)] == [("anna", 9)]
    assert _dialer(out).agents == {AgentStatus.PAUSED: 1}
    assert _dialer(out, TWO).agents == {AgentStatus.READY: 1}
    assert _poll(out).odd_rows == {Odd.TWO_SESSIONS: 1}

    out = watching.sees(QUIET._replace(agents=twice[1:]))
    assert [(each.user, each.live_agent_id) for each in out if isinstance(each, AgentSession)] == [("Anna", 3)]
    assert not any(isinstance(each, Removal) for each in out)


def test_odd_rows_stay_counted_as_long_as_they_stand() -> None:
    stranger = QUIET._replace(agents=(Agent(1, "1", "10.9.9.9", "HUH", "SALES", "SIP/1"),))
    watching = Watching()
    expected = {Odd.SESSION_WITHOUT_SERVER: 1, Odd.UNKNOWN_STATUS: 1}
    for _ in range(3):
        assert _poll(watching.sees(stranger)).odd_rows == expected
    assert _poll(watching.sees(stranger, agents=False)).odd_rows == expected
    assert _poll(watching.sees(QUIET)).odd_rows == {}


# --- heartbeats -------------------------------------------------------------------------------------------------


def _beat(value: str | None, age: str | None = "0.5", db_time: str | None = None) -> Reading:
    def row(*columns: str | None) -> Row:
        return tuple(None if column is None else column.encode() for column in columns)

    server = row(ONE, "D1", "", "Y", "Y", "Y", "", "MEETME")
    return Reading(dialers=[server], heartbeats=[row(ONE, value, db_time, age)] if value or age else [])


def test_a_heartbeat_has_progressed_when_its_value_changed() -> None:
    watching = Watching()
    assert _heartbeat(watching.reads(_beat("12:00:00"))) == Heartbeat(
        progressed_at_ms=None, watched_since_ms=NOW_MS + 500, age_seconds=0.5
    )
    assert _heartbeat(watching.reads(_beat("12:00:00"))).progressed_at_ms is None
    moved = _heartbeat(watching.reads(_beat("12:00:01", "0.25")))
    assert moved == Heartbeat(
        progressed_at_ms=NOW_MS + 1500, watched_since_ms=NOW_MS + 500, age_seconds=0.25, clock_skew_seconds=-0.25
    )
    still = _heartbeat(watching.reads(_beat("12:00:01", "9.25"), after_ms=9000))
    assert (still.progressed_at_ms, still.age_seconds, still.clock_skew_seconds) == (NOW_MS + 1500, 9.25, -0.25)


def test_the_values_own_time_says_nothing_about_progress() -> None:
    """A dialer an hour off is as alive as any, and a clock that is set back is progress too."""
    watching = Watching()
    watching.reads(_beat("12:00:05", "3600.5"))
    back = _heartbeat(watching.reads(_beat("11:59:00", "3665.5")))
    assert back.progressed_at_ms == watching.now_ms
    assert back.clock_skew_seconds == -3665.5


def test_the_databases_own_time_stamp_is_progress_too() -> None:
    watching = Watching()
    watching.reads(_beat("12:00:00", db_time="12:00:00"))
    assert _heartbeat(watching.reads(_beat("12:00:00", db_time="12:00:01"))).progressed_at_ms == watching.now_ms


def test_a_heartbeat_that_stands_still_is_in_doubt_until_it_beats_and_one_step_does_not_do() -> None:
    watching = Watching()
    watching.reads(_beat("12:00:00"))
    watching.reads(_beat("12:00:01"))
    watching.reads(_beat("12:00:01"), after_ms=1499)
    assert watching.observer.in_doubt == frozenset()
    watching.reads(_beat("12:00:01"), after_ms=1)
    assert watching.observer.in_doubt == {ONE}
    for value, after_ms, in_doubt in (
        ("12:00:11", 9000, {ONE}),
        ("12:00:22", 11_000, {ONE}),
        ("12:00:23", 1000, {ONE}),
        ("12:00:24", 1000, set()),
    ):
        watching.reads(_beat(value), after_ms=after_ms)
        assert watching.observer.in_doubt == in_doubt, value


def test_a_dialer_without_a_row_for_its_heartbeat_is_in_doubt() -> None:
    watching = Watching()
    watching.reads(_beat(None, None))
    assert watching.observer.in_doubt == {ONE}


def test_the_work_of_a_dialer_in_doubt_is_read_and_what_it_did_since_then_published() -> None:
    watching = Watching()
    watching.reads(_beat("12:00:00"))
    watching.reads(_beat("12:00:01"))
    assert not list(watching.observer.work_to_read)
    watching.reads(_beat("12:00:01"), after_ms=1500)
    assert watching.observer.work_to_read == (ONE,)
    before = _dialer(watching.reads(with_rest(_beat("12:00:01"), work=[(ONE.encode(), b"7")])))
    worked = _dialer(watching.reads(with_rest(_beat("12:00:01"), work=[(ONE.encode(), b"8")])))
    assert (before.worked_at_ms, worked.worked_at_ms) == (None, watching.now_ms)


def _session(out: Sequence[Outgoing]) -> AgentSession | None:
    return next((each for each in out if isinstance(each, AgentSession)), None)


def _in_room(value: str, *, agents: bool = True, channels: Sequence[Row] | None = None, started: str = "1") -> Reading:
    row = (b"7", b"1001", ONE.encode(), b"SIP/1", b"8600051", b"PAUSED", b"", b"", b"", b"N", b"0")
    reading = with_rest(_beat(value), channels=channels, agents=[row] if agents else None)
    return reading._replace(started={ONE: started})


def test_a_silent_screen_is_published_and_counted_until_it_polls_again() -> None:
    watching = Watching().settled()
    silent = with_rest(rows_of(QUIET, agents=True, catalogue=False), silent_screens=[(b"1", b"95")])
    watching.reads(silent)
    out = watching.reads(silent, 10_000)
    (session,) = (each for each in out if isinstance(each, AgentSession))
    assert (session.live_agent_id, session.screen_silent_since_ms) == (1, watching.now_ms - 10_000 - 95_000)
    assert (_dialer(out).silent_screens, _dialer(out, TWO).silent_screens) == (1, 0)
    out = watching.reads(with_rest(rows_of(QUIET, agents=True, catalogue=False), silent_screens=[]), 10_000)
    (session,) = (each for each in out if isinstance(each, AgentSession))
    assert (session.screen_silent_since_ms, _dialer(out).silent_screens) == (None, 0)


def test_whether_a_phone_is_in_its_room_is_published_as_it_changes_and_anew_after_a_restart() -> None:
    watching = Watching()
    told = []
    for reading in (
        _in_room("12:00:00"),
        _in_room("12:00:01", channels=[]),
        _in_room("12:00:01", channels=[]),
        _in_room("12:00:02", channels=[(ONE.encode(), b"8600051")]),
        _in_room("12:00:02"),
        _in_room("12:00:03", agents=False, started="2"),
    ):
        session = _session(watching.reads(reading))
        told.append("" if session is None else session.phone_in_room)
    assert told == [None, False, "", True, "", None]
    assert list(watching.observer.rooms_to_read) == []
    watching.reads(_in_room("12:00:03", started="2"))
    assert list(watching.observer.rooms_to_read) == [(ONE, "8600051")]


def test_a_phone_is_looked_for_anew_once_it_is_known_which_asterisk_is_running() -> None:
    """It may have started in the moment of a collector's takeover, and the table of channels stands still by then."""
    watching = Watching()
    there = [(ONE.encode(), b"8600051")]
    told = []
    for reading in (
        _in_room("12:00:00")._replace(started={}),
        _in_room("12:00:01", channels=there)._replace(started={}),
        _in_room("12:00:01", agents=False),
    ):
        session = _session(watching.reads(reading))
        told.append("" if session is None else session.phone_in_room)
    assert told == [None, True, None]
    watching.reads(_in_room("12:00:02"))
    assert list(watching.observer.rooms_to_read) == [(ONE, "8600051")]


def test_channels_of_an_updater_that_was_never_seen_to_live_say_nothing() -> None:
    """Its Asterisk may have started again before this collector came, and the table is from before that."""
    watching = Watching()
    there = [(ONE.encode(), b"8600051")]
    watching.reads(_in_room("12:00:00"))
    for _ in range(2):
        session = _session(watching.reads(_in_room("12:00:00", channels=there)))
        assert session is None or session.phone_in_room is None
    session = _session(watching.reads(_in_room("12:00:01", channels=there)))
    assert session is not None
    assert session.phone_in_room is True


@pytest.mark.parametrize(("asterisk", "read"), [(b"N", []), (b"Y", [ONE])])
def test_work_is_read_of_one_with_an_asterisk_also_while_it_is_switched_off(asterisk: bytes, read: list[str]) -> None:
    """Agents stay on one that is drained until their calls end."""
    watching = Watching()
    watching.reads(Reading(dialers=[(ONE.encode(), b"D1", b"", b"N", b"Y", asterisk, b"", b"MEETME")], heartbeats=[]))
    assert watching.observer.in_doubt == {ONE}
    assert list(watching.observer.work_to_read) == read


def test_a_row_that_comes_back_is_watched_anew() -> None:
    """A database restart empties the table: an old row's progress says nothing about the new one."""
    watching = Watching()
    watching.reads(_beat("12:00:00"))
    watching.reads(_beat("12:00:01"))
    assert _dialer(watching.reads(_beat(None, None))).heartbeat is None
    back = _heartbeat(watching.reads(_beat("12:00:09")))
    assert (back.progressed_at_ms, back.watched_since_ms) == (None, watching.now_ms)


def test_a_new_epoch_trusts_no_progress_it_did_not_see() -> None:
    watching = Watching(epoch=2)
    assert _heartbeat(watching.reads(_beat("12:00:05"))).progressed_at_ms is None


# --- whatever stands in the tables ------------------------------------------------------------------------------


def _expected_agents(tables: Tables) -> dict[str, tuple[int, str, str, AgentStatus, str, bool]]:
    known = set(AgentStatus)
    newest: dict[str, Agent] = {}
    for agent in sorted(tables.agents):
        newest[agent.user.lower()] = agent
    return {
        name: (
            agent.live_agent_id,
            agent.user,
            agent.server_ip,
            AgentStatus(agent.status) if agent.status in known else AgentStatus.OTHER,
            agent.campaign,
            agent.extension == "R/1",
        )
        for name, agent in newest.items()
    }


def _expected_dialers(tables: Tables) -> dict[str, tuple[object, ...]]:
    rooms = {ip: (total, free) for ip, total, free in tables.rooms}
    expected: dict[str, tuple[object, ...]] = {}
    for server in tables.servers:
        here = [agent for agent in tables.agents if agent.server_ip == server.server_ip]
        people = [agent for agent in here if agent.extension != "R/1"]
        extra = 100 if server.engine == "CONFBRIDGE" and server.server_ip in rooms else 0
        total, free = rooms.get(server.server_ip, (0, 0))
        expected[server.server_ip] = (
            server.active == "Y",
            server.agent_logins == "Y",
            len(people),
            Counter(agent.campaign for agent in people),
            len(here) - len(people),
            total + extra,
            free + extra,
            any(beat.server_ip == server.server_ip for beat in tables.beats),
        )
    return expected


def _assert_agents_are_known(state: ClusterState, tables: Tables) -> None:
    assert {
        name: (each.live_agent_id, each.user, each.server_ip, each.status, each.campaign_id, each.remote)
        for name, each in state.observed.agents.items()
    } == _expected_agents(tables)
    assert {
        ip: (
            each.active,
            each.agent_logins,
            sum(each.agents.values()),
            each.campaigns,
            each.remote_agents,
            each.rooms,
            each.rooms_free,
            each.heartbeat is not None,
        )
        for ip, each in state.observed.dialers.items()
    } == _expected_dialers(tables)


def _assert_catalogue_is_known(state: ClusterState, tables: Tables) -> None:
    phones: dict[str, PhoneLine] = {}
    for line in sorted(tables.phones, key=lambda each: (each.active == "N", each.server_ip, each.login)):
        phones.setdefault(line.login.lower(), line)
    assert {name: (each.login, each.server_ip, each.active) for name, each in state.observed.phones.items()} == {
        name: (line.login, line.server_ip, line.active == "Y") for name, line in phones.items()
    }
    assert {name: (each.alias_id, ",".join(each.logins)) for name, each in state.observed.aliases.items()} == {
        alias.alias_id.lower(): alias for alias in tables.aliases
    }
    assert {
        name: (each.campaign_id, each.grouping, each.grouping_limit) for name, each in state.observed.campaigns.items()
    } == {group.campaign_id.lower(): (group[0], Grouping(group[1]), group[2]) for group in tables.campaigns}
    assert state.observed.settings is not None
    assert state.observed.settings.grouping_limit == tables.grouping_limit
    assert state.observed.settings.weights == dict(tables.weights)


@given(HISTORIES)
def test_folding_what_was_published_gives_exactly_what_the_tables_hold(history: list[Step]) -> None:
    """Over the wire, after every poll, in slices of three, through new epochs and rounds."""
    state = ClusterState(CLUSTER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(observing, "SLICE", 3)
        for polled in play(history):
            fold_all(state, polled.log)
            assert state.observed.stamp == (polled.epoch, polled.sequence)
            assert state.observed.poll is not None
            _assert_agents_are_known(state, polled.tables)
            if state.observed.poll.full_sequence is not None and not polled.waiting:
                _assert_catalogue_is_known(state, polled.tables)
    assert state.observed.poll is not None
    assert state.observed.poll.full_sequence is not None


@given(HISTORIES)
def test_the_log_of_a_history_grows_by_no_more_than_what_changed(history: list[Step]) -> None:
    """Seen once more, with the observer settled, the same tables publish nothing but the poll."""
    watching = Watching()
    for step in history:
        watching.sees(step.tables, catalogue=watching.observer.sequence > 0)
    last = history[-1].tables
    watching.sees(last, catalogue=True)
    assert _kinds(watching.sees(last, catalogue=True)) == [Poll]


# --- probes --------------------------------------------------------------------------------------------------


def test_each_probe_stands_with_its_dialer_and_nobody_elses() -> None:
    heard = {ONE: {"ami": ProbeResult.MUTE, "sip": ProbeResult.ALIVE}, "10.0.0.99": {"ami": ProbeResult.ALIVE}}
    watching = Watching()
    out = watching.reads(rows_of(QUIET, agents=False, catalogue=False)._replace(probes=heard))
    assert {each.server_ip: each.probes for each in _poll(out).dialers} == {ONE: heard[ONE], TWO: {}}
    assert _dialer(watching.sees(QUIET)).probes == {}


def test_the_rows_of_a_crowd_are_those_that_a_collector_reads() -> None:
    crowd = Crowd(dialers=3, agents=30)
    records = Observer(CLUSTER, "c", 1).observe(NOW_MS, crowd.reading(catalogue=True))
    (poll,) = (each for each in records if isinstance(each, Poll))
    assert poll.odd_rows == {}
    kinds = Counter(type(each) for each in records)
    assert (kinds[AgentSession], kinds[PhoneAlias], kinds[Phone]) == (30, 30, 90)
    assert sum(sum(each.agents.values()) for each in poll.dialers) == 30


# --- parts that cannot be read --------------------------------------------------------------------------------------


def test_an_epoch_whose_agents_cannot_be_read_yet_says_so_and_is_complete_only_after() -> None:
    watching = Watching()
    for catalogue in (True, False, False):
        (*_, poll) = watching.sees(QUIET, agents=False, catalogue=catalogue)
        assert isinstance(poll, Poll)
        assert (poll.agents_known, poll.full_sequence) == (False, None)
    (*_, poll) = watching.sees(QUIET)
    assert isinstance(poll, Poll)
    assert (poll.agents_known, poll.full_sequence) == (True, 1)


@pytest.mark.parametrize("part", ["phones", "aliases", "campaigns", "settings", "weights"])
def test_an_epoch_is_complete_once_each_part_of_the_catalogue_was_read(part: str) -> None:
    watching = Watching()
    whole = rows_of(QUIET, agents=True, catalogue=True)
    assert whole.rest.catalogue is not None
    locked = CatalogueRows(**whole.rest.catalogue._asdict() | {part: None})
    (*_, poll) = watching.reads(with_rest(whole, catalogue=locked))
    assert isinstance(poll, Poll)
    assert poll.full_sequence is None
    (*_, poll) = watching.reads(whole)
    assert isinstance(poll, Poll)
    assert poll.full_sequence == 1


@pytest.mark.parametrize("part", ["phones", "aliases", "campaigns", "settings", "weights"])
def test_what_was_read_before_still_counts_while_it_cannot_be_read(part: str) -> None:
    watching = Watching().settled()
    whole = rows_of(QUIET, agents=True, catalogue=True)
    assert whole.rest.catalogue is not None
    locked = CatalogueRows(**whole.rest.catalogue._asdict() | {part: None})
    (poll,) = watching.reads(with_rest(whole, catalogue=locked, conferences=None))
    assert isinstance(poll, Poll)
    assert [(each.rooms, each.rooms_free) for each in poll.dialers] == [(9, 8), (107, 106)]


def test_a_table_that_cannot_be_read_is_told_of_with_its_age() -> None:
    watching = Watching().settled()
    unread = {"phones": Unread(2.5, Unreadable.CRASHED)}
    (*_, poll) = watching.reads(rows_of(QUIET, agents=True, catalogue=False)._replace(unread=unread))
    assert isinstance(poll, Poll)
    assert poll.unread == (UnreadTable(table="phones", since_ms=watching.now_ms - 2500, why=Unreadable.CRASHED),)


def test_aliases_are_told_only_once_the_phones_that_they_list_are_known() -> None:
    watching = Watching(epoch=2)
    whole = rows_of(QUIET, agents=True, catalogue=True)
    assert whole.rest.catalogue is not None
    without = with_rest(whole, catalogue=CatalogueRows(**whole.rest.catalogue._asdict() | {"phones": None}))
    out = watching.reads(without)
    assert PhoneAlias not in _kinds(out)
    assert _poll(out).odd_rows == {}
    assert {Phone, PhoneAlias} <= {*_kinds(watching.reads(whole))}


@pytest.mark.parametrize(("part", "known"), [("conferences", False), ("confbridges", True)])
def test_rooms_are_known_once_those_of_the_dialers_own_kinds_were_read(part: str, known: bool) -> None:
    meetme = QUIET._replace(servers=QUIET.servers[:1])
    reading = rows_of(meetme, agents=True, catalogue=False)
    assert _poll(Watching().reads(with_rest(reading, **{part: None}))).rooms_known is known
