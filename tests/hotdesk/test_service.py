"""All roles in one process on a real database, with a simulated cluster that logs in and fails."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from controller.core.policy import Policy
from hotdesk.errors import LogFailure, SettingsError
from hotdesk.service import Service
from hotdesk.settings import ApiOptions, LogOptions
from hotdesk.wanted import Role, Wanted
from messages import metrics
from simulator.agents import Habits
from simulator.cluster import SimulatedCluster
from simulator.database import Database
from simulator.plan import ClusterPlan
from simulator.ports import free_port
from stream.embedded.log import EmbeddedLog
from tests.support.builders import secret_file
from tests.support.processes import CLUSTER, Client, Site, Start, site, until
from tests.support.timing import on_this_machine

SIXTY = ClusterPlan(dialers=4, agents=60, remote_agents=2)
HURRIED = Habits(arrival=(0, 2), session=(10_000, 10_000))
"""Everybody comes in at once, and stays."""


@contextmanager
def running(folder: Path, at: Site) -> Iterator[Client]:
    """Run all roles in this process, and give a client once every desk is known."""
    wanted = Wanted(
        roles=frozenset(Role),
        log=LogOptions(path=folder / "log.db", partitions=4),
        api=ApiOptions(port=0),
        databases={CLUSTER: at.settings},
        policies={CLUSTER: Policy()},
    )
    with Service(wanted) as service:
        client = Client(service.url)
        try:
            last = at.plan.agent_plans[-1].alias
            until(lambda: client.alias(last), "the last desk is known")
            yield client
        finally:
            client.close()


@pytest.mark.parametrize(
    ("role", "tokens", "warned"),
    [
        ("collect", "read {0}r\npick {0}p\nadmin {0}a\n", ["pick", "admin"]),
        ("collect", "read {0}r\n", None),
        ("serve", "read {0}r\nadmin {0}a\n", None),
    ],
)
def test_a_collector_says_at_its_start_that_its_tokens_may_do_more_than_it_needs(
    start: Start, tmp_path: Path, role: str, tokens: str, warned: list[str] | None
) -> None:
    file = secret_file(tmp_path / "tokens", tokens.format("token-of-this-test-"))
    process = start(role, "--api.port", "0", "--clusters.west.port", "1", "--api.token-file", str(file))
    until(lambda: process.lines("ready to answer"), "it has started")
    said = [line for line in process.lines() if "its token file has some that may do more" in line["event"]]
    assert [line["scopes"] for line in said] == ([] if warned is None else [warned])


@pytest.fixture
def living(west: Site, tmp_path: Path) -> Iterator[tuple[Client, SimulatedCluster]]:
    """Yield a running hotdesk and the living cluster it watches, every dialer of it offered."""
    with west.living() as cluster, running(tmp_path, west) as client:
        until(lambda: len(client.offered()) == 3, "every dialer is offered")
        yield client, cluster


def seconds_until(condition: Callable[[], object], what: str) -> float:
    """Return how long it took until a condition held."""
    began = time.monotonic()
    until(condition, what)
    return time.monotonic() - began


def why_not(client: Client, server_ip: str) -> list[str]:
    """Return what keeps new logins away from a dialer."""
    return [why.value for each in client.dialers() if each.server_ip == server_ip for why in each.ineligible_because]


def stalled(client: Client) -> list[float | None]:
    """Return how long each dialer's heartbeat has stood still, in seconds; None: there is none."""
    return [each.heartbeat_stalled_seconds for each in client.dialers()]


def test_sixty_agents_who_come_in_at_once_land_at_most_one_apart(database: Database, tmp_path: Path) -> None:
    with site(database, SIXTY) as sixty, running(tmp_path, sixty) as client:

        def pick(user: str, alias: str, campaign: str) -> str:
            return client.pick(user, alias, campaign).phone_login

        with sixty.living(pick, HURRIED) as cluster:
            until(lambda: cluster.logged_in == 60, "everybody is in", 30)
            counts = [len(cluster.agents_on(dialer.server_ip)) for dialer in SIXTY.dialer_plans]
            assert max(counts) - min(counts) <= 1, counts
            until(lambda: client.metric("hotdesk_dialer_agents") == 60, "everybody is counted")
            until(lambda: client.metric("hotdesk_cluster_slots") == 0, "every slot is used up")
            assert client.metric("hotdesk_picks_total", outcome="picked") == 60


def test_a_killed_dialer_is_not_offered_within_four_seconds_and_again_when_it_is_back(
    living: tuple[Client, SimulatedCluster],
) -> None:
    client, cluster = living
    until(lambda: all(each.state == "up" for each in client.dialers()), "every dialer was seen to live")
    victim = client.pick("1001", "desk1001").server_ip
    cluster.kill(victim)
    assert seconds_until(lambda: victim not in client.offered(), "the dead dialer is noticed") < on_this_machine(4)
    assert why_not(client, victim) == ["suspect"]
    assert client.pick("1001", "desk1001").server_ip != victim  # asked again, the slot moves too
    assert len(client.offered()) == 2
    cluster.bring_back(victim)
    assert seconds_until(lambda: victim in client.offered(), "it is offered again") < on_this_machine(4)


def test_a_table_that_is_locked_for_long_hides_no_dead_dialer_and_is_named(
    living: tuple[Client, SimulatedCluster], west: Site
) -> None:
    client, cluster = living
    until(lambda: all(each.state == "up" for each in client.dialers()), "every dialer was seen to live")
    with west.connect() as report, report.cursor() as cursor:
        cursor.execute("LOCK TABLES vicidial_user_log WRITE")
        until(lambda: client.metric("hotdesk_table_unread_seconds", table="vicidial_user_log") > 0, "it is told of")
        victim = client.dialers()[0].server_ip
        cluster.kill(victim)
        assert seconds_until(lambda: victim not in client.offered(), "the dead dialer is noticed") < on_this_machine(4)
        ranking = client.ranking()
        assert ranking is not None
        assert ("vicidial_user_log", "locked") in {(each.table, each.why.value) for each in ranking.unread}
        assert "vicidial_user_log has not been read" in ranking.summary
    until(lambda: client.metric("hotdesk_table_unread_seconds") == 0, "it is read again")
    assert client.metric("hotdesk_statements_failed_total", statement="logins") >= 1


def test_a_dialer_switched_off_is_not_offered_within_a_second_and_a_half(
    living: tuple[Client, SimulatedCluster],
) -> None:
    client, cluster = living
    victim = client.pick("1001", "desk1001").server_ip
    cluster.switch_off(victim)
    assert seconds_until(lambda: victim not in client.offered(), "the switch is noticed") < on_this_machine(1.5)
    assert why_not(client, victim) == ["switched_off"]
    assert client.pick("1002", "desk1002").server_ip != victim
    cluster.switch_on(victim)
    assert seconds_until(lambda: victim in client.offered(), "it is offered again") < on_this_machine(1.5)


def test_a_dialer_whose_clock_is_wrong_is_offered_all_the_same(living: tuple[Client, SimulatedCluster]) -> None:
    client, cluster = living
    skewed = min(client.offered())
    cluster.skew(skewed, -600)
    until(lambda: client.metric("hotdesk_dialer_clock_skew_seconds", server_ip=skewed) < -590, "the skew is known")
    assert skewed in client.offered()


def test_a_database_that_stops_is_an_outage_and_no_dead_dialer_and_all_heals(tmp_path: Path, short: Path) -> None:
    plan = ClusterPlan(dialers=3, agents=6, remote_agents=1)
    with (
        Database(short) as server,
        site(server, plan) as alone,
        alone.living() as cluster,
        running(tmp_path, alone) as client,
    ):
        until(lambda: [each.state for each in client.dialers()] == ["up"] * 3, "every dialer was seen to live")
        assert client.metric("hotdesk_cluster_database_up") == 1
        server.stop()
        stopped = time.monotonic()

        def outage() -> int | None:
            ranking = client.ranking()
            return None if ranking is None else ranking.database_unreachable_since_ms

        until(outage, "the outage shows")
        assert client.metric("hotdesk_cluster_database_up") == 0
        assert client.offered() == {dialer.server_ip for dialer in plan.dialer_plans}  # nobody died of it
        until(
            lambda: client.ask("1001", "desk1001").status_code == httpx.codes.SERVICE_UNAVAILABLE, "picks are refused"
        )
        assert 4 < time.monotonic() - stopped < on_this_machine(8)
        refused = client.ask("1001", "desk1001")
        assert (refused.status_code, refused.json()["title"]) == (httpx.codes.SERVICE_UNAVAILABLE, "stale")
        assert client.metric("hotdesk_poll_errors_total", kind="unavailable") >= 1

        server.start()  # which empties server_updater, so that no dialer has a heartbeat
        until(lambda: client.metric("hotdesk_cluster_database_up") == 1, "the database is back")
        until(lambda: stalled(client) == [None] * 3, "no heartbeat is left")
        # VICIdial itself would let nobody in now; as far as anybody knows the dialers are as they were
        assert len(client.offered()) == 3
        assert not client.pick("1001", "desk1001").degraded
        for dialer in plan.dialer_plans:
            cluster.restart_updater(dialer.server_ip)
        until(lambda: None not in stalled(client), "every heartbeat is back")
        assert len(client.offered()) == 3
        assert not client.pick("1001", "desk1001").degraded
        assert outage() is None


@pytest.fixture
def short(server_folder: Path) -> Path:
    """Return a folder for a server of one's own, whose path is short enough for a socket's name."""
    return server_folder / "stopped"


def test_a_process_that_cannot_be_put_together_leaves_nothing_behind(tmp_path: Path) -> None:
    before, port = set(threading.enumerate()), free_port()
    log = LogOptions(path=tmp_path / "log.db", partitions=4)
    wanted = Wanted(roles=frozenset(Role), log=log, api=ApiOptions(port=port), databases={}, policies={})
    with EmbeddedLog(log.path, log.partitions), pytest.raises(LogFailure, match="in use by process"):
        Service(wanted)
    with pytest.raises(SettingsError, match=r"api\.tls_ca"):
        Service(wanted._replace(api=ApiOptions(port=port, tls_ca="/not/there.pem")))
    until(lambda: set(threading.enumerate()) <= before, "no thread is left")
    with Service(wanted) as service:
        assert service.url.endswith(f":{port}")


def test_run_tells_every_metric_and_names_nobody(west: Site, start: Start) -> None:
    process = start("run", "--api.port", "0", environment=west.environment)
    with west.living():
        client = process.client
        until(lambda: client.alias("desk1001") and len(client.offered()) == 3, "every dialer is offered")
        pick = client.pick("1001", "desk1001", "SALES")
        text = client.http.get("/metrics").text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    wanted = {each.name: each for each in vars(metrics).values() if isinstance(each, metrics.Metric)}
    assert wanted.keys() - families.keys() == set()
    for name, metric in wanted.items():
        assert families[name].documentation == metric.help
        for sample in families[name].samples:
            assert sample.labels.keys() - {"le"} == set(metric.labels), sample
    told = {value for family in families.values() for sample in family.samples for value in sample.labels.values()}
    assert told & {"1001", "desk1001", "SALES", pick.phone_login} == set()
    assert families["hotdesk_collector_leading"].samples[0].value == 1
    assert families["hotdesk_consumer_lag_records"].samples[0].value < 100
