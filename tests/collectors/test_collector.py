"""The loop on a real database and a real log: who collects, what reaches the log, and what happens when parts fail."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from collectors import leadership, leading
from collectors.heartbeats import DOUBT_SECONDS
from collectors.metrics import CollectorInstruments
from collectors.outages import NO_LIMITS, Outages
from collectors.vicidial.database import VicidialDatabase
from collectors.vicidial.settings import DatabaseSettings
from controller.core.ranking import rank_dialers
from controller.core.state import ClusterState
from messages.codes import ReasonCode
from messages.records import AgentStatus, EpochClaim, Outage, Poll, Resynchronise
from messages.topics import Topic
from messages.words import sentence
from simulator.database import Database
from stream.embedded.log import EmbeddedLog
from stream.entries import entry_of
from stream.log import Log
from stream.outbox import Outbox
from tests.support.breakable_log import BreakableLog
from tests.support.builders import CLUSTER, NOW_MS, PARTITIONS, PLAIN, eventually
from tests.support.cable import Cable
from tests.support.old_server import make_old
from tests.support.running_collector import Following, Running
from tests.support.vicidial_database import SMALL, MakeVicidial, Vicidial

FIRST, SECOND, THIRD = (dialer.server_ip for dialer in SMALL.dialer_plans)


Start = Callable[..., Running]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EmbeddedLog]:
    """Yield a log in a file."""
    with EmbeddedLog(tmp_path / "log.db", PARTITIONS) as log:
        yield log


@pytest.fixture
def following(log: EmbeddedLog) -> Following:
    """Return what the log tells."""
    return Following(log)


@pytest.fixture
def start(log: EmbeddedLog, vicidial: Vicidial) -> Iterator[Start]:
    """Yield a function that starts a collector, which is stopped at the latest when the test ends."""
    running: list[Running] = []

    def start_one(
        name: str = "c1", *, to: Log | None = None, settings: DatabaseSettings | None = None, bound: int = 100_000
    ) -> Running:
        running.append(Running(to or log, settings or vicidial.settings, name, bound))
        return running[-1]

    yield start_one
    for each in running:
        each.stop()


def _beat(vicidial: Vicidial) -> None:
    vicidial.run("UPDATE server_updater SET last_update = NOW()")


def _kill_leader(vicidial: Vicidial) -> None:
    ((number,),) = vicidial.run("SELECT IS_USED_LOCK(CONCAT('hotdesk.', DATABASE()))")
    vicidial.run(f"KILL {number}")


def _takes_logins(state: ClusterState) -> set[str]:
    return {standing.server_ip for standing in rank_dialers(state, PLAIN) if standing.rank is not None}


# --- what reaches the log ---------------------------------------------------------------------------------------


def test_the_log_tells_what_the_tables_hold_and_follows_them(
    start: Start, vicidial: Vicidial, following: Following
) -> None:
    _beat(vicidial)
    vicidial.log_in("1001", FIRST)
    vicidial.log_in("1002", FIRST, status="PAUSED")
    collector = start()
    state = following.until(lambda state: len(state.observed.aliases) == SMALL.agents)
    assert len(state.observed.phones) == SMALL.agents * SMALL.dialers
    assert state.observed.campaigns.keys() == {"sales", "support"}
    assert state.observed.dialers[FIRST].agents == {AgentStatus.READY: 1, AgentStatus.PAUSED: 1}
    assert state.observed.dialers[FIRST].rooms_free == SMALL.rooms
    assert state.observed.poll is not None
    assert state.observed.poll.odd_rows == {}
    assert collector.leads

    vicidial.run("UPDATE vicidial_live_agents SET status = 'INCALL', server_ip = %s WHERE user = '1001'", SECOND)
    vicidial.run("DELETE FROM vicidial_live_agents WHERE user = '1002'")
    vicidial.run("UPDATE servers SET active = 'N' WHERE server_ip = %s", THIRD)
    vicidial.run("UPDATE phones SET active = 'N' WHERE login = '1001a'")
    vicidial.run("DELETE FROM phones_alias WHERE alias_id = 'desk1002'")
    state = following.until(
        lambda state: (
            "1002" not in state.observed.agents
            and "desk1002" not in state.observed.aliases
            and not state.observed.phones["1001a"].active
        )
    )
    assert (state.observed.agents["1001"].server_ip, state.observed.agents["1001"].status) == (
        SECOND,
        AgentStatus.INCALL,
    )
    assert state.observed.dialers[SECOND].agents == {AgentStatus.INCALL: 1}
    assert not state.observed.dialers[FIRST].agents
    assert not state.observed.dialers[THIRD].active
    assert state.observed.stamp[0] == 1


def test_a_heartbeat_that_advances_is_seen_to_advance(start: Start, vicidial: Vicidial, following: Following) -> None:
    vicidial.run("UPDATE server_updater SET last_update = NOW() - INTERVAL 1 HOUR")
    start()
    following.until(lambda state: bool(state.observed.dialers))
    assert _takes_logins(following.state) == set()
    vicidial.run("UPDATE server_updater SET last_update = NOW() - INTERVAL 59 MINUTE WHERE server_ip = %s", FIRST)
    state = following.until(lambda state: _takes_logins(state) == {FIRST})
    heartbeat = state.observed.dialers[FIRST].heartbeat
    assert heartbeat is not None
    assert heartbeat.progressed_at_ms is not None
    assert heartbeat.clock_skew_seconds == pytest.approx(-59 * 60, abs=30)


def test_a_dialer_whose_heartbeat_stands_still_is_seen_to_work_by_what_its_listener_writes(
    start: Start, vicidial: Vicidial, following: Following
) -> None:
    start()
    following.until(lambda state: bool(state.observed.dialers))
    vicidial.run("UPDATE server_updater SET last_update = NOW() + INTERVAL 1 SECOND")

    def worked(state: ClusterState) -> bool:
        vicidial.run("INSERT INTO vicidial_manager (status, server_ip) VALUES ('SENT', %s)", SECOND)
        vicidial.run("INSERT INTO vicidial_manager (status, server_ip) VALUES ('UPDATED', %s)", FIRST)
        return state.observed.dialers[FIRST].worked_at_ms is not None

    dialers = following.until(worked).observed.dialers
    heartbeat = dialers[FIRST].heartbeat
    assert heartbeat is not None
    assert (dialers[FIRST].worked_at_ms or 0) - (heartbeat.progressed_at_ms or 0) > DOUBT_SECONDS * 1000
    assert dialers[SECOND].worked_at_ms is None


def test_an_older_schema_is_collected_and_what_it_lacks_is_told(
    start: Start, make_vicidial: MakeVicidial, following: Following
) -> None:
    start(settings=make_vicidial(old=True).settings)
    state = following.until(lambda state: len(state.observed.aliases) == SMALL.agents)
    assert state.observed.settings is not None
    assert "phones.peer_status" in state.observed.settings.missing_columns
    assert all(dialer.agent_logins for dialer in state.observed.dialers.values())


def test_told_to_it_publishes_everything_again(start: Start, log: EmbeddedLog, following: Following) -> None:
    start()
    following.until(lambda state: len(state.observed.aliases) == SMALL.agents)
    order = Resynchronise(cluster=CLUSTER, ordered_at_ms=NOW_MS, by="me")
    elsewhere = Resynchronise(cluster="east", ordered_at_ms=NOW_MS, by="me")
    log.append([entry_of(elsewhere), entry_of(order)])
    state = following.until(
        lambda state: state.observed.poll is not None and (state.observed.poll.full_sequence or 0) > 1
    )
    assert state.observed.poll is not None
    since = (1, state.observed.poll.full_sequence)
    everything = [*state.observed.phones.values(), *state.observed.aliases.values(), *state.observed.campaigns.values()]
    assert len(everything) == SMALL.agents * SMALL.dialers + SMALL.agents + 2
    assert all((each.epoch, each.sequence) >= since for each in everything)


# --- one at a time ----------------------------------------------------------------------------------------------


def test_of_two_one_collects_and_the_other_takes_over_within_five_seconds(
    start: Start, vicidial: Vicidial, following: Following
) -> None:
    vicidial.log_in("1001", FIRST)
    first = start("c1")
    following.until(lambda state: state.observed.poll is not None)
    second = start("c2")
    following.polls_on()
    assert (first.leads, second.leads) == (True, False)
    assert following.state.observed.stamp[0] == 1

    vicidial.run("DELETE FROM vicidial_live_agents")
    vicidial.log_in("1003", SECOND)
    first.stop()
    state = following.until(lambda state: state.observed.stamp >= (2, 1), seconds=5)
    assert state.observed.poll is not None
    assert state.observed.poll.collector == "c2"
    assert second.leads
    assert not first.leads
    assert state.observed.agents.keys() == {"1003"}
    assert state.observed.outage is None


def test_a_standby_that_cannot_reach_the_database_does_not_say_that_it_is_down(
    start: Start, vicidial: Vicidial, following: Following, log: EmbeddedLog
) -> None:
    first = start("c1")
    following.until(lambda state: state.observed.poll is not None)
    following.polls_on()
    cut_off = start("c2", settings=msgspec.structs.replace(vicidial.settings, port=1))
    tries = {"cluster": CLUSTER, "kind": "unavailable"}
    assert eventually(lambda: cut_off.metric("hotdesk_poll_errors_total", **tries) >= 3)
    following.polls_on()
    assert first.leads
    outages = [each for each in log.latest(Topic.OBSERVATIONS, CLUSTER) if each.endswith("/outage")]
    assert outages == []


def test_a_leader_whose_connection_is_killed_begins_a_new_epoch(
    start: Start, vicidial: Vicidial, following: Following
) -> None:
    vicidial.log_in("1001", FIRST)
    start()
    following.until(lambda state: state.observed.poll is not None)
    _kill_leader(vicidial)
    state = following.until(lambda state: state.observed.stamp >= (2, 3), seconds=5)
    assert state.observed.outage is None
    assert state.observed.agents.keys() == {"1001"}
    assert state.observed.observed_at_ms > 0
    assert len(following.records(Outage)) == 1


def test_of_a_killed_leader_and_its_standby_exactly_one_goes_on(
    start: Start, vicidial: Vicidial, following: Following
) -> None:
    first, second = start("c1"), start("c2")
    following.until(lambda state: state.observed.poll is not None)
    for epoch in (2, 3, 4):
        _kill_leader(vicidial)
        following.until(lambda state, epoch=epoch: state.observed.stamp >= (epoch, 3), seconds=5)  # type: ignore[misc]
        assert eventually(lambda: first.leads != second.leads, 5)
    assert following.state.observed.stamp[0] == 4
    leaders = {(each.epoch, each.collector) for each in following.records(Poll) if isinstance(each, Poll)}
    assert sorted(epoch for epoch, _ in leaders) == [1, 2, 3, 4]


def test_time_never_goes_back_from_one_epoch_to_the_next(
    start: Start, vicidial: Vicidial, following: Following
) -> None:
    start()
    for epoch in (1, 2):
        following.until(lambda state, epoch=epoch: state.observed.stamp >= (epoch, 3))  # type: ignore[misc]
        _kill_leader(vicidial)
    following.until(lambda state: state.observed.stamp >= (3, 3))
    polls = [each for each in following.records(Poll) if isinstance(each, Poll)]
    # a poll that was late by as much as one takes may leave the next one no time of its own
    assert all(earlier.observed_at_ms <= later.observed_at_ms for earlier, later in pairwise(polls))
    first_of = [next(each for each in polls if each.epoch == epoch).observed_at_ms for epoch in (1, 2, 3)]
    assert first_of == sorted(set(first_of)), "an epoch begins later than the one before"
    assert all((a.epoch, a.sequence) < (b.epoch, b.sequence) for a, b in pairwise(polls))


def test_a_poll_that_begins_on_time_has_the_time_at_which_it_was_due() -> None:
    polls = [
        leading.time_of_poll(100.0 + 0.5 * number, 100.0 + 0.5 * number + late)
        for number, late in enumerate((0.004, 0.0001, 0.03, 0.2))
    ]
    assert polls == [100.0, 100.5, 101.0, 101.7]


def test_a_log_that_is_hours_ahead_goes_on_from_there_and_knows_the_time_of_day(
    start: Start, log: EmbeddedLog, following: Following
) -> None:
    ahead_ms = round(time.time() * 1000) + 7_200_000
    poll = Poll(
        cluster=CLUSTER, epoch=3, sequence=9, observed_at_ms=ahead_ms, full_sequence=1, collector="c0", dialers=()
    )
    log.append([entry_of(poll)])
    running = start()
    polled = following.until(lambda state: state.observed.stamp >= (4, 2)).observed.poll
    assert polled is not None
    assert polled.observed_at_ms > ahead_ms
    assert abs(polled.wall_ms - time.time() * 1000) < 30_000
    assert abs(running.metric("hotdesk_collector_clock_ahead_seconds", of="database")) < 30
    assert abs(running.metric("hotdesk_collector_clock_ahead_seconds", of="log")) < 30


OTHER_PROCESS = """
import sys, threading
from pathlib import Path
import msgspec
from prometheus_client import CollectorRegistry
from collectors.collector import Collector
from collectors.vicidial.settings import DatabaseSettings
from collectors.metrics import CollectorInstruments
from stream.embedded.log import EmbeddedLog
from stream.outbox import Outbox

settings = msgspec.json.decode(sys.argv[2], type=DatabaseSettings)
registry = CollectorRegistry()
stop = threading.Event()
with EmbeddedLog(Path(sys.argv[1]), 4) as log:
    outbox = Outbox(log)
    collector = Collector("west", settings, log, outbox, CollectorInstruments(registry), name="frozen")
    threading.Thread(target=collector.run, args=(stop,), daemon=True).start()
    led = None
    while True:
        leads = registry.get_sample_value("hotdesk_collector_leading", {"cluster": "west"}) == 1
        if leads != led:
            led = leads
            print("leads" if leads else "stands by", file=sys.stderr, flush=True)
        threading.Event().wait(0.02)
"""


def _hears(process: "subprocess.Popen[str]", word: str) -> bool:
    """Read what a process says until it says `word`."""
    assert process.stderr is not None
    return any(line.strip() == word for line in process.stderr)


def test_a_frozen_leader_loses_its_place_and_does_not_take_it_back(
    start: Start, vicidial: Vicidial, following: Following, tmp_path: Path
) -> None:
    """The other process has a log of its own, since one process owns a file; only the lock is between them."""
    program = [sys.executable, "-c", OTHER_PROCESS, str(tmp_path / "other.db")]
    with subprocess.Popen(  # noqa: S603 # this program
        [*program, msgspec.json.encode(vicidial.settings).decode()],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as frozen:
        try:
            assert _hears(frozen, "leads")
            standby = start("standby")
            frozen.send_signal(signal.SIGSTOP)
            following.until(lambda state: state.observed.stamp >= (1, 1), seconds=5)
            frozen.send_signal(signal.SIGCONT)
            assert _hears(frozen, "stands by")
            following.polls_on()
            assert standby.leads
            assert following.state.observed.stamp[0] == 1
        finally:
            os.kill(frozen.pid, signal.SIGKILL)


# --- when the database fails ------------------------------------------------------------------------------------


def test_a_database_that_stops_is_told_and_nobody_dies_of_it(
    start: Start, own_server: Database, following: Following
) -> None:
    vicidial = Vicidial(own_server, SMALL, old=False)
    _beat(vicidial)
    vicidial.log_in("1001", FIRST)
    collector = start(settings=vicidial.settings)
    following.until(lambda state: len(state.observed.aliases) == SMALL.agents)
    _beat(vicidial)
    before = following.until(lambda state: _takes_logins(state) == {FIRST, SECOND, THIRD})
    last_poll = before.observed.observed_at_ms

    own_server.stop()
    state = following.until(lambda state: state.observed.outage is not None)
    assert state.observed.outage is not None
    since = state.observed.outage.unreachable_since_ms
    assert last_poll <= since < last_poll + 60_000
    assert vicidial.settings.where in state.observed.outage.why
    assert eventually(lambda: len(following.records(Outage)) >= 3)
    state = following.state
    assert state.observed.outage is not None
    assert state.observed.outage.unreachable_since_ms == since
    assert _takes_logins(state) == {FIRST, SECOND, THIRD}
    assert state.observed.agents.keys() == {"1001"}
    assert not collector.leads
    assert collector.failures >= 3

    own_server.start()
    state = following.until(lambda state: state.observed.outage is None)
    assert state.observed.stamp[0] == 2
    assert state.observed.dialers.keys() == {FIRST, SECOND, THIRD}
    assert all(dialer.heartbeat is None for dialer in state.observed.dialers.values())
    assert state.observed.dialers[FIRST].agents == {AgentStatus.READY: 1}
    assert state.observed.agents.keys() == {"1001"}
    vicidial.run("INSERT INTO server_updater (server_ip, last_update) VALUES (%s, NOW())", FIRST)
    following.until(lambda state: state.observed.dialers[FIRST].heartbeat is not None)


def test_a_database_that_is_away_at_the_start_is_waited_for(
    start: Start, own_server: Database, following: Following
) -> None:
    vicidial = Vicidial(own_server, SMALL, old=False)
    own_server.stop()
    collector = start(settings=vicidial.settings)
    state = following.until(lambda state: state.observed.outage is not None)
    assert state.observed.poll is None
    assert collector.failures >= 1
    own_server.start()
    state = following.until(lambda state: state.observed.poll is not None)
    assert state.observed.outage is None


def test_a_table_that_is_refused_is_told_and_not_asked_for_without_pause(
    start: Start, vicidial: Vicidial, following: Following
) -> None:
    vicidial.run(f"REVOKE SELECT (server_ip, last_update, db_time) ON server_updater FROM `{vicidial.user}`@`%%`")
    began = time.monotonic()
    collector = start()
    assert eventually(lambda: collector.failures >= 3)
    assert time.monotonic() - began > 0.5
    state = following.until(lambda state: state.observed.outage is not None)
    assert state.observed.outage is not None
    assert "server_updater" in state.observed.outage.why
    assert len(following.records(EpochClaim)) <= collector.failures + 1

    vicidial.run(f"GRANT SELECT (server_ip, last_update, db_time) ON server_updater TO `{vicidial.user}`@`%%`")
    following.until(lambda state: state.observed.poll is not None and state.observed.outage is None)


# --- when the log fails -----------------------------------------------------------------------------------------


def _sequences(following: Following) -> list[tuple[int, int]]:
    return [(each.epoch, each.sequence) for each in following.records(Poll) if isinstance(each, Poll)]


def test_while_the_log_is_away_records_wait_and_none_is_lost(
    start: Start, log: EmbeddedLog, vicidial: Vicidial, following: Following
) -> None:
    line = BreakableLog(log)
    collector = start(to=line)
    following.until(lambda state: len(state.observed.aliases) == SMALL.agents)
    line.cut()
    assert eventually(lambda: line.refused > 0)
    told = following.state.observed.stamp
    vicidial.log_in("1001", FIRST)
    assert eventually(lambda: len(collector.outbox) >= 10)
    assert following.state.observed.stamp == told
    line.mend()
    following.until(lambda state: "1001" in state.observed.agents)
    assert eventually(lambda: len(collector.outbox) == 0)
    sequences = _sequences(following)
    assert sequences == [(1, number) for number in range(1, len(sequences) + 1)]


def test_a_full_queue_stops_the_polling_instead_of_dropping(
    start: Start, log: EmbeddedLog, vicidial: Vicidial, following: Following
) -> None:
    line = BreakableLog(log)
    collector = start(to=line, bound=12)
    following.until(lambda state: len(state.observed.aliases) == SMALL.agents)
    line.cut()
    assert eventually(lambda: collector.outbox.full("west"))
    polled = collector.metric("hotdesk_poll_seconds_count")
    refused = line.refused
    assert eventually(lambda: line.refused > refused)
    assert collector.metric("hotdesk_poll_seconds_count") <= polled + 1
    assert len(collector.outbox) < 12 + 10
    vicidial.log_in("1001", FIRST)
    line.mend()
    following.until(lambda state: "1001" in state.observed.agents)
    following.polls_on()
    sequences = _sequences(following)
    assert sequences == [(1, number) for number in range(1, len(sequences) + 1)]


def test_a_leader_that_the_log_takes_nothing_from_makes_room_for_one_that_reaches_it(
    start: Start, log: EmbeddedLog, following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leading, "USELESS_SECONDS", 1.0)
    line = BreakableLog(log)
    cut_off = start("c1", to=line)
    following.until(lambda state: state.observed.poll is not None)
    standby = start("c2")
    following.polls_on()
    assert (cut_off.leads, standby.leads) == (True, False)
    line.cut()
    following.until(lambda state: state.observed.stamp >= (2, 3))
    assert (cut_off.leads, standby.leads) == (False, True)
    line.mend()
    following.polls_on(20)
    assert following.state.observed.stamp[0] == 2, "what waited in the first one's queue is of an epoch that is over"
    assert standby.leads


def test_a_log_that_is_away_at_the_start_is_waited_for(start: Start, log: EmbeddedLog, following: Following) -> None:
    line = BreakableLog(log)
    line.cut()
    collector = start(to=line)
    assert not collector.leads
    line.mend()
    following.until(lambda state: state.observed.poll is not None)


# --- two servers, two logs ----------------------------------------------------------------------------------------


def test_a_leader_gives_way_to_a_later_term_and_stays_away_while_that_polls(
    start: Start, make_vicidial: MakeVicidial, following: Following
) -> None:
    """As after a switch-over: each has the lock of its own server."""
    former = start("c1")
    following.until(lambda state: state.observed.poll is not None)
    later = start("c2", settings=make_vicidial().settings)
    following.until(lambda state: state.observed.stamp >= (2, 3))
    assert eventually(lambda: not former.leads)
    following.polls_on(30)
    assert following.state.observed.stamp[0] == 2
    assert (former.leads, later.leads) == (False, True)
    later.stop()
    following.until(lambda state: state.observed.stamp >= (3, 1))
    assert former.leads


def test_an_address_that_leads_to_another_server_is_followed_once_every_heartbeat_stands_still(
    start: Start, vicidial: Vicidial, own_server: Database, following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leading, "STILL_SECONDS", 1.0)
    moved = Vicidial(own_server, SMALL, old=False, like=vicidial)
    with Cable(vicidial.server.port) as address:
        collector = start(settings=msgspec.structs.replace(vicidial.settings, port=address.port))
        following.until(lambda state: state.observed.poll is not None)
        following.polls_on(15)
        assert following.state.observed.stamp[0] == 1, "it is the same server, and stands still"
        address.lead_to(own_server.port)
        moved.log_in("1001", FIRST)
        state = following.until(lambda state: "1001" in state.observed.agents)
        assert state.observed.stamp[0] == 2
        assert collector.leads


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have collectors find another installation in a second or two."""
    monkeypatch.setattr(leadership, "FOREIGN_SECONDS", 1.0)
    monkeypatch.setattr(leadership, "QUIET_SECONDS", 0.5)
    monkeypatch.setattr(leadership, "ANOTHER_SECONDS", 4.0)
    monkeypatch.setattr(leading, "DOUBTS_SECONDS", 0.2)


@pytest.mark.usefixtures("impatient")
def test_two_installations_are_told_of_on_both_sides(start: Start, following: Following, tmp_path: Path) -> None:
    start("c1")
    following.until(lambda state: state.observed.poll is not None and state.observed.poll.doubts == ())
    with EmbeddedLog(tmp_path / "other.db", PARTITIONS) as other:
        second, elsewhere = start("c2", to=other), Following(other)
        state = elsewhere.until(lambda state: state.observed.outage is not None)
        assert state.observed.outage is not None
        assert state.observed.outage.why == sentence(ReasonCode.ANOTHER_INSTALLATION)
        following.until(
            lambda state: (
                state.observed.poll is not None and state.observed.poll.doubts == (ReasonCode.ANOTHER_INSTALLATION,)
            )
        )
        second.stop()
        following.until(lambda state: state.observed.poll is not None and state.observed.poll.doubts == ())


@pytest.mark.usefixtures("impatient")
def test_a_second_installation_carries_nothing_out_while_the_first_restarts(
    start: Start, following: Following, tmp_path: Path
) -> None:
    first = start("c1")
    following.until(lambda state: state.observed.poll is not None)
    with EmbeddedLog(tmp_path / "other.db", PARTITIONS) as other:
        start("c2", to=other)
        elsewhere = Following(other)
        elsewhere.until(lambda state: state.observed.outage is not None)
        first.stop()
        elsewhere.until(lambda state: state.observed.poll is not None)
        again = start("c1 again")
        following.until(lambda state: state.observed.outage is not None)
        elsewhere.polls_on(45)
        doubts = {each.doubts for each in elsewhere.records(Poll) if isinstance(each, Poll)}
        assert doubts == {(ReasonCode.ANOTHER_INSTALLATION,)}, "the first one waits since its restart, and says so"
        again.stop()
        elsewhere.until(lambda state: state.observed.poll is not None and state.observed.poll.doubts == ())


def test_a_server_that_becomes_read_only_or_replicates_is_one_not_to_write_to(
    start: Start, own_server: Database, following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leading, "DOUBTS_SECONDS", 0.2)
    vicidial = Vicidial(own_server, SMALL, old=False)
    start(settings=vicidial.settings)
    following.until(lambda state: state.observed.poll is not None and state.observed.poll.doubts == ())
    for begin, end in (
        ("SET GLOBAL read_only = 1", "SET GLOBAL read_only = 0"),
        # by a name of its own, as where it replicates from several
        ("START SLAVE 'west'", "STOP SLAVE 'west'"),
    ):
        vicidial.run("CHANGE MASTER 'west' TO MASTER_HOST = '127.0.0.1', MASTER_PORT = 1, MASTER_USER = 'nobody'")
        vicidial.run(begin)
        following.until(
            lambda state: state.observed.poll is not None and state.observed.poll.doubts == (ReasonCode.REPLICA,)
        )
        vicidial.run(end)
        following.until(lambda state: state.observed.poll is not None and state.observed.poll.doubts == ())


# --- the end ----------------------------------------------------------------------------------------------------


def test_it_ends_at_once_whatever_it_is_doing(
    start: Start, log: EmbeddedLog, vicidial: Vicidial, following: Following
) -> None:
    leader = start("leader")
    following.until(lambda state: state.observed.poll is not None)
    standby = start("standby")
    lost = start("lost", settings=msgspec.structs.replace(vicidial.settings, port=1))
    assert eventually(lambda: lost.failures >= 2)
    line = BreakableLog(log)
    line.cut()
    cut_off = start("cut off", to=line)
    assert all(each.stop() < 3 for each in (cut_off, lost, standby, leader))


def test_a_database_without_time_limits_is_said_once(
    vicidial: Vicidial, log: EmbeddedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_old(monkeypatch)
    outbox = Outbox(log)
    outages = Outages(CLUSTER, vicidial.settings, outbox, CollectorInstruments(CollectorRegistry()), name="me")
    with capture_logs() as said:
        for _ in range(2):
            with VicidialDatabase(vicidial.settings) as database:
                outages.note_database(database)
    outbox.close(0.2)
    assert [each["event"] for each in said] == [NO_LIMITS]
