"""Faults of real parts: who is moved, how often, and how long it takes.

One collector and two controllers as processes, over a real Kafka, on a real MariaDB, with real Asterisk dialers where
a probe is asked.
"""

import ipaddress
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from controller.api.schemas import RankingAnswer
from simulator.asterisk import AMI_SECRET, AMI_USER, Asterisk, AsteriskTree, free_host
from simulator.broker import Broker
from simulator.database import Database
from simulator.plan import ClusterPlan
from tests.support.cable import Cable
from tests.support.kafka_home import KAFKA_HOME
from tests.support.processes import ACT, CLUSTER, Process, Site, grants, site, until
from tests.support.shift import Shift, decides, shift
from tests.support.timing import on_this_machine

ROOT = Path(__file__).parents[2]
PLAN = ClusterPlan(dialers=4, agents=24, remote_agents=0)
OFTEN = "20"
"""Moves of a user: who logs in while nobody decides may land on the dead dialer again, by VICIdial's own choice."""
SLOWLY = "2"
"""Moves a second: an evacuation of six agents takes so long that something can happen in the middle."""
JUDGED_SECONDS = 9.0
"""Longer than a dialer is watched before it loses its agents: what has not happened by then does not happen."""
TAKEOVER_SECONDS = 10.0


@pytest.fixture
def west(database: Database) -> Iterator[Site]:
    """Yield a cluster, and an account that may move agents."""
    with site(database, PLAN) as made:
        made.run(*grants(made, ACT))
        yield made


def let_pass(seconds: float) -> None:
    """Wait for what must not happen."""
    began = time.monotonic()
    until(lambda: time.monotonic() - began > seconds, "time passes", seconds + 5)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_another_controller_finishes_an_evacuation_and_no_session_is_told_twice(
    tmp_path: Path, broker: Broker, west: Site, end: signal.Signals
) -> None:
    with shift(tmp_path, broker, west, moves_per_second=SLOWLY, moves_of_a_user=OFTEN) as at:
        victim = at.owner.client.dialers()[0].server_ip
        stranded, owner = set(at.cluster.agents_on(victim)), at.owner
        at.cluster.kill(victim)
        until(at.logouts, "the first is moved", 20)
        owner.signal(end)
        assert at.new_owner(owner) < TAKEOVER_SECONDS
        until(lambda: stranded <= set(at.logouts()), "the rest is moved", 20)
        if end is signal.SIGSTOP:
            owner.signal(signal.SIGCONT)
            until(lambda: owner.client.http.get("/healthz").is_success and not decides(owner), "it stands back")
            at.controllers.append(owner)  # from now on it may be given the cluster again
        until(lambda: at.all_is_well(without=victim), "everybody is home", 30)
        assert at.logouts() == at.logins_on(victim)


def test_faults_of_the_collector_and_of_the_database_move_nobody(tmp_path: Path, broker: Broker) -> None:
    with (
        Database(tmp_path / "mariadb") as database,
        site(database, PLAN) as west,
        Cable(database.port) as cable,
    ):
        west.run(*grants(west, ACT))
        with shift(tmp_path, broker, west, port=str(cable.port)) as at:
            collector = at.collector
            collector.signal(signal.SIGSTOP)
            second = at.start("collect")
            until(lambda: leads(second), "another takes over", 10)
            collector.signal(signal.SIGCONT)
            second.signal(signal.SIGKILL)
            until(lambda: leads(collector), "the first takes over", 10)
            with west.connect() as stall, stall.cursor() as cursor:
                cursor.execute("LOCK TABLES server_updater READ")
                until(lambda: sees_no_heartbeat(at), "no heartbeat is seen to advance", 20)
            database.restart()
            for dialer in west.plan.dialer_plans:
                at.cluster.restart_updater(dialer.server_ip)
            until(at.all_is_well, "the database is back", 40)
            at.cluster.skew(west.plan.dialer_plans[0].server_ip, -300)
            cable.cut()
            let_pass(JUDGED_SECONDS)
            assert sees_no_heartbeat(at)
            cable.mend()
            until(at.all_is_well, "all is well", 40)
            let_pass(JUDGED_SECONDS)
            assert at.logouts() == {}
            until(at.all_is_well, "all is well")


def ranking_of(process: Process) -> RankingAnswer | None:
    return process.client.ranking()


def why_not_ready(process: Process) -> str:
    return " ".join(process.client.http.get("/readyz").json()["why"])


def leads(collector: Process) -> bool:
    return collector.client.metric("hotdesk_collector_leading", cluster=CLUSTER) == 1


def sees_no_heartbeat(at: Shift) -> bool:
    """Return True if nothing advances any more: a table whose writers wait may keep its readers waiting, too."""
    ranking = at.owner.client.ranking()
    return ranking is not None and (ranking.stale or all(each.state in {"suspect", "down"} for each in ranking.dialers))


def test_a_broker_that_dies_moves_nobody_and_afterwards_a_dead_dialers_agents_are_moved(
    tmp_path: Path, west: Site
) -> None:
    with Broker(KAFKA_HOME, tmp_path / "kafka") as own, shift(tmp_path, own, west, moves_of_a_user=OFTEN) as at:
        owner, (dead, closed) = at.owner, [each.server_ip for each in west.plan.dialer_plans[:2]]
        own.kill()
        at.cluster.kill(dead)
        at.cluster.close_logins(closed)
        let_pass(JUDGED_SECONDS)
        assert "the log takes no records: " in why_not_ready(at.collector)
        assert why_not_ready(owner)
        assert owner.client.ask("1001", "desk1001").status_code == httpx.codes.SERVICE_UNAVAILABLE
        at.cluster.bring_back(dead)
        own.start()
        news = until(lambda: [each for each in map(ranking_of, at.controllers) if each and not each.stale], "news", 60)
        assert [each.rank for each in news[0].dialers if each.server_ip == closed] == [None]
        at.cluster.open_logins(closed)
        until(at.all_is_well, "all is well", 60)
        assert at.logouts() == {}, "nobody is moved for what is over"
        victim = west.plan.dialer_plans[2].server_ip
        stranded = set(at.cluster.agents_on(victim))
        at.cluster.kill(victim)
        until(lambda: at.all_is_well(without=victim), "everybody is home", 40)
        assert at.logouts() == dict.fromkeys(stranded, 1)


def test_half_the_fleet_at_once_is_the_brakes_and_one_is_not(tmp_path: Path, broker: Broker, west: Site) -> None:
    with shift(tmp_path, broker, west) as at:
        victims = [each.server_ip for each in west.plan.dialer_plans[:3]]
        for victim in victims:
            at.cluster.kill(victim)
        until(lambda: at.owner.client.metric("hotdesk_dialer_state", state="down") == 3, "they are seen to be dead", 20)
        assert at.owner.client.metric("hotdesk_cluster_braked", cluster=CLUSTER) == 1
        let_pass(2)
        assert at.logouts() == {}
        for victim in victims[1:]:
            at.cluster.bring_back(victim)
        stranded = set(at.cluster.agents_on(victims[0]))
        until(lambda: not at.cluster.agents_on(victims[0]), "one dead dialer is no fleet's trouble", 30)
        until(lambda: at.cluster.logged_in == PLAN.agents, "everybody is home", 20)
        assert at.logouts() == dict.fromkeys(stranded, 1)


def test_a_dialer_that_is_switched_off_is_left_when_calls_have_ended(
    tmp_path: Path, broker: Broker, west: Site
) -> None:
    with shift(tmp_path, broker, west) as at:
        leaving = west.plan.dialer_plans[1].server_ip
        staff = set(at.cluster.agents_on(leaving))
        at.cluster.switch_off(leaving)
        until(lambda: leaving not in at.owner.client.offered(), "it takes no more logins", 3)
        until(at.logouts, "those without a call leave", 20)
        # calls last up to a minute and a half: nobody was made to hang up
        with west.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM vicidial_live_agents WHERE external_hangup <> ''")
            assert cursor.fetchone() == (0,)
        assert set(at.logouts()) <= staff
        assert set(at.logouts().values()) == {1}


def test_an_asterisk_that_hangs_loses_its_agents_though_its_heartbeat_goes_on(
    tmp_path: Path, broker: Broker, database: Database
) -> None:
    tree = AsteriskTree(Path(os.environ.get("HOTDESK_ASTERISK_TREE") or ROOT / ".parts" / "asterisk"))
    first = ipaddress.IPv4Address(free_host())
    plan = ClusterPlan(dialers=3, agents=15, remote_agents=0, first_ip=str(first))
    with ExitStack() as stack:
        dialers = {
            each.server_ip: stack.enter_context(Asterisk(tree, tmp_path / each.server_id, each.server_ip))
            for each in plan.dialer_plans
        }
        west = stack.enter_context(site(database, plan))
        west.run(*grants(west, ACT))
        at = stack.enter_context(shift(tmp_path, broker, west, ami_user=AMI_USER, ami_secret=AMI_SECRET, sip="true"))
        victim, gone = (each.server_ip for each in plan.dialer_plans[:2])
        stranded = set(at.cluster.agents_on(victim))
        dialers[victim].freeze()
        at.cluster.hang(victim)
        until(lambda: at.all_is_well(without=victim), "everybody is home", 40)
        assert at.logouts() == dict.fromkeys(stranded, 1)
        dialers[victim].thaw()
        at.cluster.bring_back(victim)
        until(lambda: state_of(at, victim) == "recovering", "it is back, on probation")
        stranded = set(at.cluster.agents_on(gone))
        before, killed = at.logouts(), time.monotonic()
        dialers[gone].kill()
        at.cluster.kill(gone)
        until(lambda: at.logouts() != before, "the first is moved", 20)
        assert time.monotonic() - killed < on_this_machine(8), "as long as without a probe"
        until(lambda: not at.cluster.agents_on(gone) and at.cluster.logged_in == plan.agents, "everybody is home", 40)
        again = {user: count - before.get(user, 0) for user, count in at.logouts().items()}
        assert {user: count for user, count in again.items() if count} == dict.fromkeys(stranded, 1)


def state_of(at: Shift, server_ip: str) -> str:
    return next((each.state for each in at.owner.client.dialers() if each.server_ip == server_ip), "")
