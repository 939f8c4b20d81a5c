"""The simulated cluster in a real database: it behaves as VICIdial does, above all when something fails."""

import itertools
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
from pymysql.connections import Connection

from simulator import schema
from simulator.agents import Habits
from simulator.cluster import SimulatedCluster, vicidial_chooses
from simulator.database import Database
from simulator.desks import Pick
from simulator.plan import CampaignPlan, ClusterPlan
from simulator.populate import populate
from simulator.statistics import Counted

BUSY = Habits(
    arrival=(0, 3),
    waiting=(1, 4),
    talking=(3, 8),
    wrapping=(1, 2),
    pausing=(2, 5),
    session=(1000, 2000),
    away=(2, 4),
    relogin=(2, 4),
    retry=(1, 2),
    notices_dead_call=(10, 10),
)
PLAN = ClusterPlan(dialers=3, agents=30, remote_agents=2)
ONE, TWO, THREE = (dialer.server_ip for dialer in PLAN.dialer_plans)
EVERYBODY = [agent.user for agent in PLAN.agent_plans]


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Floor:
    """A cluster that moves second by second, and what its tables show."""

    def __init__(self, connection: Connection, cluster: SimulatedCluster, clock: Clock) -> None:
        self.connection = connection
        self.cluster = cluster
        self.clock = clock

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self.connection.cursor() as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall())

    def execute(self, statement: str, *values: object) -> None:
        self.rows(statement, *values)

    def pass_time(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.now += 1
            self.cluster.step()

    def until(self, condition: Callable[[], bool], *, seconds: int = 120) -> None:
        """Let time pass until the condition holds."""
        for _ in range(seconds):
            if condition():
                return
            self.pass_time(1)
        assert condition(), f"not within {seconds} s"

    def placed(self) -> dict[str, str]:
        """Where each agent with a browser is logged in."""
        return dict(self.rows("SELECT user, server_ip FROM vicidial_live_agents WHERE extension NOT LIKE 'R%%'"))

    def heartbeat_ages(self) -> dict[str, float]:
        """Each dialer's heartbeat behind the clock, in whole seconds."""
        return {
            server_ip: round(int(self.clock.now) - last_update.timestamp())
            for server_ip, last_update in self.rows("SELECT server_ip, last_update FROM server_updater")
        }

    def stale_rows(self) -> int:
        """How many agents' rows were not refreshed for more than two seconds."""
        limit = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.clock.now - 2))
        return len(
            self.rows(
                "SELECT 1 FROM vicidial_live_agents WHERE extension NOT LIKE 'R%%' AND last_update_time < %s", limit
            )
        )

    def status_of(self, user: str) -> str:
        return str(self.rows("SELECT status FROM vicidial_live_agents WHERE user = %s", user)[0][0])

    def order(self, user: str, order: str) -> None:
        """Do to a user's rows what the agent API does."""
        self.execute("UPDATE vicidial_live_agents SET external_pause = %s WHERE user = %s", order, user)


Opens = Callable[..., AbstractContextManager[Floor]]


@pytest.fixture
def opened(database: Database) -> Opens:
    """Yield a function that opens a cluster in a database of its own."""

    @contextmanager
    def opens(
        plan: ClusterPlan = PLAN,
        pick: Pick = vicidial_chooses,
        habits: Habits = BUSY,
        refresh_seconds: float = 1,
    ) -> Iterator[Floor]:
        name = f"floor_{uuid.uuid4().hex}"
        clock = Clock()
        with database.connect() as connection:
            schema.create(connection, name)
            populate(connection, plan, now=clock.now)
            cluster = SimulatedCluster(
                lambda: database.connect(database=name),
                plan,
                pick,
                habits=habits,
                refresh_seconds=refresh_seconds,
                clock=clock,
                threads=1,
            )
            yield Floor(connection, cluster, clock)
            cluster.stop()
            connection.query(f"DROP DATABASE `{name}`")

    return opens


@pytest.fixture
def floor(opened: Opens) -> Iterator[Floor]:
    """Yield the usual cluster with everybody logged in."""
    with opened() as floor:
        floor.cluster.begin_mid_shift()
        yield floor


def test_without_hotdesk_vicidial_spreads_the_agents(opened: Opens) -> None:
    with opened() as floor:
        floor.until(lambda: floor.cluster.logged_in == len(EVERYBODY))
        assert Counter(floor.placed().values()) == {ONE: 10, TWO: 10, THREE: 10}
        assert floor.cluster.statistics.counts()[Counted.OWN_CHOICES] == 30


def test_the_user_log_tells_what_was_typed_and_what_was_chosen(opened: Opens) -> None:
    asked: list[tuple[str, str, str]] = []

    def pick(user: str, alias: str, campaign: str) -> str:
        asked.append((user, alias, campaign))
        return f"{user}b"

    with opened(pick=pick) as floor:
        floor.until(lambda: floor.cluster.logged_in == len(EVERYBODY))
        assert set(floor.placed().values()) == {TWO}
        assert ("1001", "desk1001", "SALES") in asked
        assert floor.rows(
            "SELECT event, phone_login, server_phone, server_ip, extension FROM vicidial_user_log WHERE user = '1001'"
        ) == [("LOGIN", "desk1001", "1001b", TWO, "SIP/1001")]
        assert floor.cluster.statistics.counts()[Counted.OWN_CHOICES] == 0


def test_a_pick_that_fails_leaves_the_choice_to_vicidial(opened: Opens) -> None:
    def pick(_user: str, _alias: str, _campaign: str) -> str:
        raise TimeoutError

    with opened(pick=pick) as floor:
        floor.until(lambda: floor.cluster.logged_in == len(EVERYBODY))
        assert Counter(floor.placed().values()) == {ONE: 10, TWO: 10, THREE: 10}


def test_agents_work_and_inbound_ones_wait_as_closers(floor: Floor) -> None:
    seen: dict[object, set[object]] = {"SALES": set(), "SUPPORT": set()}
    for _ in range(30):
        floor.pass_time(1)
        for campaign, status in floor.rows("SELECT campaign_id, status FROM vicidial_live_agents"):
            seen[campaign].add(status)
    assert seen == {
        "SALES": {"READY", "QUEUE", "INCALL", "PAUSED"},
        "SUPPORT": {"CLOSER", "QUEUE", "INCALL", "PAUSED", "READY"},
    }  # READY in SUPPORT: its remote agent
    assert floor.rows("SELECT 1 FROM vicidial_live_agents WHERE call_server_ip NOT IN ('', server_ip)")


def test_a_killed_dialer_falls_silent_but_its_agents_rows_stay_fresh(floor: Floor) -> None:
    before = floor.placed()
    floor.cluster.kill(TWO)
    floor.pass_time(30)
    ages = floor.heartbeat_ages()
    assert ages[TWO] >= 29
    assert max(ages[ONE], ages[THREE]) <= 1
    assert floor.placed() == before
    assert floor.stale_rows() == 0


def test_a_dead_dialers_calls_are_noticed_late_and_no_new_ones_come(floor: Floor) -> None:
    on_two = floor.cluster.agents_on(TWO)
    floor.until(lambda: any(floor.status_of(user) == "INCALL" for user in on_two))
    floor.cluster.kill(TWO)
    floor.pass_time(25)
    assert {floor.status_of(user) for user in on_two} <= {"READY", "CLOSER", "PAUSED", "QUEUE"}


def test_a_hung_dialers_heartbeat_steps(floor: Floor) -> None:
    floor.cluster.hang(ONE)
    ages = []
    for _ in range(25):
        floor.pass_time(1)
        ages.append(floor.heartbeat_ages()[ONE])
    assert 9 <= max(ages) <= 11
    assert sum(later < earlier for earlier, later in itertools.pairwise(ages)) == 2
    assert "INCALL" not in {floor.status_of(user) for user in floor.cluster.agents_on(ONE)}
    assert floor.rows("SELECT 1 FROM vicidial_live_agents WHERE status = 'INCALL'")


def test_a_heartbeat_may_stand_still_while_calls_go_on(floor: Floor) -> None:
    floor.cluster.stall(ONE)
    floor.pass_time(25)
    assert floor.heartbeat_ages()[ONE] >= 25
    assert "INCALL" in {floor.status_of(user) for user in floor.cluster.agents_on(ONE)}
    assert _calls_written(floor, ONE, 4)
    floor.cluster.unstall(ONE)
    floor.pass_time(2)
    assert floor.heartbeat_ages()[ONE] <= 1


def _calls_written(floor: Floor, server_ip: str, seconds: int) -> int:
    """Return how many calls a dialer's listener writes down in so many seconds; the chores clear them away."""

    def written() -> set[int]:
        return {row[0] for row in floor.rows("SELECT man_id FROM vicidial_manager WHERE server_ip = %s", server_ip)}

    before, seen = written(), set[int]()
    for _ in range(seconds):
        floor.pass_time(1)
        seen |= written()
    return len(seen - before)


@pytest.mark.parametrize("fault", ["kill", "hang"])
def test_the_listener_of_a_dead_asterisk_writes_no_call(floor: Floor, fault: str) -> None:
    assert _calls_written(floor, ONE, 5)
    getattr(floor.cluster, fault)(ONE)
    assert not _calls_written(floor, ONE, 10)


def test_a_skewed_clock_shows_in_the_heartbeat_and_it_advances_all_the_same(floor: Floor) -> None:
    floor.cluster.skew(THREE, -3600)
    floor.pass_time(5)
    assert floor.heartbeat_ages()[THREE] in {3600, 3601}
    assert floor.heartbeat_ages()[ONE] <= 1


def test_for_two_minutes_vicidial_sends_agents_to_a_dead_dialer_and_then_no_more(floor: Floor) -> None:
    floor.cluster.kill(ONE)
    for user in floor.cluster.agents_on(ONE):
        floor.order(user, "LOGOUT")
    floor.until(lambda: floor.cluster.statistics.counts()[Counted.ORDERED_LOGOUTS] >= 10)
    floor.until(lambda: floor.cluster.logged_in == 30)
    assert floor.cluster.agents_on(ONE)
    floor.pass_time(120)
    for user in floor.cluster.agents_on(ONE):
        floor.order(user, "LOGOUT")
    floor.until(lambda: not floor.cluster.agents_on(ONE))
    floor.until(lambda: floor.cluster.logged_in == 30)
    assert set(floor.placed().values()) == {TWO, THREE}


def test_a_booted_dialer_has_ended_its_sessions_and_their_agents_come_back(floor: Floor) -> None:
    floor.cluster.kill(TWO)
    floor.pass_time(10)
    floor.cluster.bring_back(TWO)
    assert TWO not in floor.placed().values()
    assert floor.rows("SELECT user FROM vicidial_live_agents WHERE server_ip = %s", TWO) == [("r2",)]
    floor.until(lambda: floor.cluster.logged_in < 30)
    floor.until(lambda: floor.cluster.logged_in == 30)
    assert Counter(floor.placed().values()) == {ONE: 10, TWO: 10, THREE: 10}
    assert floor.heartbeat_ages()[TWO] <= 1


@pytest.mark.parametrize(
    ("shut", "opens", "column"),
    [
        (SimulatedCluster.switch_off, SimulatedCluster.switch_on, "active"),
        (SimulatedCluster.close_logins, SimulatedCluster.open_logins, "active_agent_login_server"),
    ],
)
def test_an_operators_switch_keeps_new_logins_away_and_nobody_else(
    floor: Floor,
    shut: Callable[[SimulatedCluster, str], None],
    opens: Callable[[SimulatedCluster, str], None],
    column: str,
) -> None:
    shut(floor.cluster, ONE)
    assert floor.rows(f"SELECT server_ip FROM servers WHERE {column} = 'N'") == [(ONE,)]
    floor.pass_time(10)
    assert len(floor.cluster.agents_on(ONE)) == 10
    for user in floor.cluster.agents_on(ONE):
        floor.order(user, "LOGOUT")
    floor.until(lambda: not floor.cluster.agents_on(ONE))
    floor.until(lambda: floor.cluster.logged_in == 30)
    assert not floor.cluster.agents_on(ONE)
    opens(floor.cluster, ONE)
    assert floor.rows(f"SELECT server_ip FROM servers WHERE {column} = 'N'") == []


def test_an_order_to_log_out_ends_the_session_in_order(floor: Floor) -> None:
    was = floor.rows("SELECT live_agent_id FROM vicidial_live_agents WHERE user = '1005'")
    floor.order("1005", "LOGOUT")
    floor.until(lambda: len(floor.rows("SELECT 1 FROM vicidial_user_log WHERE user = '1005'")) == 3)
    events = floor.rows("SELECT event FROM vicidial_user_log WHERE user = '1005' ORDER BY user_log_id")
    assert events == [("LOGIN",), ("LOGOUT",), ("LOGIN",)]
    assert floor.rows("SELECT live_agent_id FROM vicidial_live_agents WHERE user = '1005'") != was


def test_a_deleted_row_ends_the_session_on_the_screen(floor: Floor) -> None:
    floor.execute("DELETE FROM vicidial_live_agents WHERE user = '1005'")
    floor.until(lambda: floor.cluster.statistics.counts()[Counted.LOST_SESSIONS] == 1)
    floor.until(lambda: "1005" in floor.placed())


def test_orders_of_the_agent_api_are_taken_back_when_heeded(floor: Floor) -> None:
    floor.until(lambda: floor.status_of("1001") == "INCALL")
    floor.execute("UPDATE vicidial_live_agents SET external_hangup='1', external_status='DROP' WHERE user='1001'")
    floor.pass_time(1)
    assert floor.rows(
        "SELECT status, external_hangup, external_status FROM vicidial_live_agents WHERE user='1001'"
    ) == [("PAUSED", "", "DROP")]
    floor.pass_time(1)
    assert floor.rows("SELECT status, external_status FROM vicidial_live_agents WHERE user = '1001'") == [("READY", "")]


def test_a_dialer_without_a_free_room_takes_nobody_more(opened: Opens) -> None:
    with opened(plan=ClusterPlan(dialers=2, agents=10, rooms=4, remote_agents=0)) as floor:
        floor.until(lambda: floor.cluster.statistics.counts()[Counted.REFUSED_LOGINS] >= 5)
        assert Counter(floor.placed().values()) == {ONE: 4, TWO: 4}


def test_rooms_left_behind_are_tidied_up_by_a_living_dialer(opened: Opens) -> None:
    restless = Habits(arrival=(0, 1), session=(3, 6), away=(10_000, 10_000))
    with opened(habits=restless) as floor:
        floor.cluster.kill(THREE)
        floor.until(lambda: floor.cluster.statistics.counts()[Counted.LOGOUTS] == 30, seconds=600)
        floor.pass_time(25)
        left = floor.rows("SELECT DISTINCT server_ip FROM vicidial_conferences WHERE extension <> ''")
        assert left == [(THREE,)]


@pytest.mark.parametrize("engine", ["MEETME", "CONFBRIDGE"])
def test_a_shift_can_begin_with_everybody_logged_in(opened: Opens, engine: str) -> None:
    plan = ClusterPlan(dialers=3, agents=30, remote_agents=2, conf_engine=engine)  # type: ignore[arg-type]
    with opened(plan=plan) as floor:
        floor.cluster.begin_mid_shift()
        assert Counter(floor.placed().values()) == {ONE: 10, TWO: 10, THREE: 10}
        assert floor.cluster.logged_in == 30
        check_invariants(floor)
        floor.pass_time(20)
        assert floor.cluster.statistics.counts()[Counted.LOST_SESSIONS] == 0
        assert floor.stale_rows() == 0
        check_invariants(floor)


def check_invariants(floor: Floor) -> None:
    """AgentPause what must be true of the tables between any two steps."""
    sessions = floor.rows(
        "SELECT user, server_ip, conf_exten, extension FROM vicidial_live_agents WHERE extension NOT LIKE 'R%%'"
    )
    users = [row[0] for row in sessions]
    assert len(set(users)) == len(users)
    assert set(users) <= set(EVERYBODY)
    rooms = [(server_ip, int(room)) for _, server_ip, room, _ in sessions]
    assert len(set(rooms)) == len(rooms)
    owners = {
        (server_ip, room): extension
        for server_ip, room, extension in floor.rows(
            "SELECT server_ip, conf_exten, extension FROM vicidial_conferences WHERE extension <> '' UNION ALL"
            " SELECT server_ip, conf_exten, extension FROM vicidial_confbridges WHERE extension <> ''"
        )
    }
    for _, server_ip, room, extension in sessions:
        assert owners[server_ip, int(room)] == extension


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_whatever_happens_the_tables_hold_together(opened: Opens, seed: int) -> None:
    draw = Random(seed)  # noqa: S311 (seeded is the point)
    restless = Habits(
        **{name: getattr(BUSY, name) for name in ("arrival", "waiting", "talking", "relogin", "retry")},
        session=(10, 40),
        away=(1, 5),
    )
    with opened(plan=ClusterPlan(dialers=3, agents=30, rooms=12, seed=seed), habits=restless) as floor:
        cluster = floor.cluster
        happenings: list[Callable[[str], object]] = [
            cluster.kill,
            cluster.hang,
            cluster.bring_back,
            cluster.bring_back,
            cluster.switch_off,
            cluster.switch_on,
            cluster.close_logins,
            cluster.open_logins,
            lambda server_ip: cluster.skew(server_ip, draw.uniform(-5, 5)),
            lambda _: floor.order(draw.choice(EVERYBODY), draw.choice(["LOGOUT", "PAUSE!1", "RESUME!2"])),
            lambda _: floor.execute("DELETE FROM vicidial_live_agents WHERE user = %s", draw.choice(EVERYBODY)),
        ]
        for _ in range(30):
            draw.choice(happenings)(draw.choice([ONE, TWO, THREE]))
            floor.pass_time(2)
            check_invariants(floor)
        for server_ip in (ONE, TWO, THREE):
            cluster.bring_back(server_ip)
            cluster.switch_on(server_ip)
            cluster.open_logins(server_ip)
        floor.until(lambda: set(floor.placed()) == set(cluster_users(cluster)) and len(floor.placed()) >= 20)
        counts = cluster.statistics.counts()
        assert counts[Counted.FAILED_STATEMENTS] == 0
        assert cluster.logged_in == counts[Counted.LOGINS] - counts[Counted.LOGOUTS] - counts[Counted.LOST_SESSIONS]


def cluster_users(cluster: SimulatedCluster) -> list[str]:
    return [user for server_ip in (ONE, TWO, THREE) for user in cluster.agents_on(server_ip)]


def test_a_seed_repeats_the_same_day(opened: Opens) -> None:
    def day(seed: int) -> list[tuple[object, ...]]:
        with opened(plan=ClusterPlan(dialers=3, agents=30, seed=seed)) as floor:
            floor.pass_time(15)
            floor.cluster.kill(TWO)
            floor.pass_time(25)
            return floor.rows("SELECT user, server_ip, status, conf_exten, lead_id FROM vicidial_live_agents")

    assert day(1) == day(1)
    assert day(1) != day(2)


def test_it_survives_the_database_and_a_lost_heartbeat_row_comes_back_with_its_script(server_folder: Path) -> None:
    clock = Clock()
    with Database(server_folder / "outage") as server:
        with server.connect() as connection:
            schema.create(connection, "asterisk")
            populate(connection, PLAN, now=clock.now)
            connection.query("FLUSH TABLES")
        cluster = SimulatedCluster(
            lambda: server.connect(database="asterisk"), PLAN, habits=BUSY, clock=clock, threads=1
        )

        def seconds(count: int) -> None:
            for _ in range(count):
                clock.now += 1
                cluster.step()

        seconds(10)
        assert cluster.logged_in == 30
        server.kill()
        seconds(5)
        assert cluster.statistics.counts()[Counted.FAILED_STATEMENTS] >= 5
        server.start()
        seconds(5)
        with server.connect(database="asterisk") as connection:
            floor = Floor(connection, cluster, clock)
            assert floor.heartbeat_ages() == {}
            cluster.restart_updater(ONE)
            cluster.bring_back(TWO)
            seconds(2)
            assert floor.heartbeat_ages().keys() == {ONE, TWO}
            assert max(floor.heartbeat_ages().values()) <= 1
            floor.until(lambda: cluster.logged_in == 30)
        cluster.stop()


def test_it_runs_by_itself_and_leaves_nothing_running(
    database: Database, eventually: Callable[[Callable[[], bool]], bool]
) -> None:
    plan = ClusterPlan(dialers=4, agents=60)
    name = f"threads_{uuid.uuid4().hex}"
    with database.connect() as connection:
        schema.create(connection, name)
        populate(connection, plan, now=time.time())
        before = threading.active_count()
        with SimulatedCluster(
            lambda: database.connect(database=name), plan, habits=Habits(arrival=(0, 1)), threads=3
        ) as cluster:
            assert eventually(lambda: cluster.logged_in == 60)
            assert eventually(lambda: cluster.statistics.counts()[Counted.REFRESHES] >= 120)
            assert eventually(lambda: cluster.statistics.counts()[Counted.HEARTBEATS] >= 12)
        assert threading.active_count() == before
        counts = cluster.statistics.counts()
        written = cluster.statistics.take_write_seconds()
        assert len(written) == (counts[Counted.REFRESHES] + counts[Counted.HEARTBEATS] + counts[Counted.STATE_CHANGES])
        assert all(seconds > 0 for seconds in written)
        assert cluster.statistics.take_write_seconds() == []
        connection.query(f"DROP DATABASE `{name}`")


@pytest.mark.parametrize(("refresh_seconds", "writes"), [(1, 100), (5, 20)])
def test_refreshing_less_often_writes_less(opened: Opens, refresh_seconds: float, writes: int) -> None:
    plan = ClusterPlan(dialers=1, agents=10, campaigns=(CampaignPlan("IDLE"),), remote_agents=0)
    with opened(
        plan=plan, habits=Habits(arrival=(0, 0), settling=(1000, 1000)), refresh_seconds=refresh_seconds
    ) as floor:
        floor.until(lambda: floor.cluster.logged_in == 10)
        before = floor.cluster.statistics.counts()[Counted.REFRESHES]
        floor.pass_time(10)
        assert floor.cluster.statistics.counts()[Counted.REFRESHES] - before == writes
