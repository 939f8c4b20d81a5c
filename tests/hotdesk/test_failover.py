"""Agents of a failed dialer come home: collectors, log, controller, executor and simulated screens, end to end."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.core.policy import Policy
from hotdesk.actuator_settings import ActuatorSettings
from simulator.agent_api import FakeAgentApi
from simulator.database import Database
from simulator.plan import ClusterPlan
from tests.support.all_roles import at_work, running
from tests.support.processes import ACT, CLUSTER, FENCE, Site, grants, site, until
from tests.support.timing import on_this_machine

THIRTY = ClusterPlan(dialers=3, agents=30, remote_agents=1)


API_USER, API_PASSWORD = "hotdesk", "for-the-agent-api"


@pytest.fixture
def bare(database: Database) -> Iterator[Site]:
    """Yield a cluster whose account may only read."""
    with site(database, THIRTY) as made:
        yield made


@pytest.fixture
def thirty(database: Database) -> Iterator[Site]:
    """Yield a cluster whose account may tell screens to log out, too."""
    with site(database, THIRTY) as made:
        made.run(*grants(made, ACT))
        yield made


def logouts(at: Site) -> dict[str, int]:
    """Count each user's logouts."""
    with at.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT user, COUNT(*) FROM vicidial_user_log WHERE event = 'LOGOUT' GROUP BY user")
        return {user: int(count) for user, count in cursor.fetchall()}


def test_agents_of_a_killed_dialer_come_home_once_and_spread(thirty: Site, tmp_path: Path) -> None:
    with thirty.living() as dialers, running(tmp_path, thirty, acts=True) as client:
        dialers.stop()
        with at_work(client, thirty) as cluster:
            victim = client.dialers()[0].server_ip
            stranded = set(cluster.agents_on(victim))
            cluster.kill(victim)
            killed = time.monotonic()
            until(lambda: not cluster.agents_on(victim) and cluster.logged_in == 30, "everybody is home", 40)
            took = time.monotonic() - killed
            until(lambda: client.incidents()[0].incident.moved == len(stranded), "every move is seen to have succeeded")
            (incident,) = client.incidents()
            survivors = [each.agents for each in client.dialers() if each.server_ip != victim]
            assert max(survivors) - min(survivors) <= 1
            assert {user: count for user, count in logouts(thirty).items() if user in stranded} == dict.fromkeys(
                stranded, 1
            )
            assert set(logouts(thirty)) == stranded
            assert client.metric("hotdesk_incident_moves", server_ip=victim, stage="moved") == len(stranded)
            assert client.metric("hotdesk_actions_total", action="relogin", reply="done") == len(stranded)
            assert client.metric("hotdesk_dialer_deaths", server_ip=victim) == 1
            assert client.metric("hotdesk_incident_expected", server_ip=victim) == 0
            opened = client.metric("hotdesk_incident_opened_timestamp_seconds", server_ip=victim)
            assert 0 < time.time() - opened < took + 30
            assert {each.user for each in incident.moves} == stranded
            assert took < on_this_machine(25)


def test_in_advise_mode_nothing_is_changed_and_all_is_said(thirty: Site, tmp_path: Path) -> None:
    with thirty.living() as dialers, running(tmp_path, thirty, acts=False) as client:
        dialers.stop()
        with at_work(client, thirty) as cluster:
            victim = client.dialers()[0].server_ip
            stranded = set(cluster.agents_on(victim))
            cluster.kill(victim)
            until(
                lambda: [each for each in client.incidents() if len(each.moves) == len(stranded)], "it is advised", 40
            )
            assert {each.stage.value for each in client.incidents()[0].moves} == {"advised"}
            assert set(cluster.agents_on(victim)) == stranded
            assert logouts(thirty) == {}


def test_a_paused_cluster_is_only_observed(thirty: Site, tmp_path: Path) -> None:
    with thirty.living() as dialers, running(tmp_path, thirty, acts=True) as client:
        dialers.stop()
        with at_work(client, thirty) as cluster:
            assert client.http.post(f"/v1/clusters/{CLUSTER}/pause", json={"by": "anna"}).is_success
            until(lambda: (found := client.ranking()) and found.paused_by == "anna", "the pause shows")
            victim = client.dialers()[0].server_ip
            cluster.kill(victim)
            (found,) = until(client.incidents, "the incident is open", 40)
            assert (str(found.incident.withheld), found.moves) == ("suspended by anna", ())
            assert logouts(thirty) == {}
            assert client.http.delete(f"/v1/clusters/{CLUSTER}/pause").is_success
            until(lambda: not cluster.agents_on(victim) and cluster.logged_in == 30, "everybody is home", 40)


def test_an_account_that_may_not_act_pauses_the_cluster_and_goes_on_when_that_is_mended(
    bare: Site, tmp_path: Path
) -> None:
    with bare.living() as dialers, running(tmp_path, bare, acts=True) as client:
        dialers.stop()
        with at_work(client, bare) as cluster:
            victim = client.dialers()[0].server_ip
            cluster.kill(victim)
            until(lambda: (found := client.ranking()) and found.paused_by == "hotdesk", "hotdesk paused it", 40)
            (found,) = until(lambda: [each for each in client.incidents() if each.incident.withheld], "it is said")
            assert "UPDATE command denied" in str(found.incident.withheld)
            assert "'hotdesk resume'" in str(found.incident.withheld)
            assert bare.settings.password not in str(found.incident.withheld)
            assert logouts(bare) == {}
            bare.run(*grants(bare, ACT))
            assert client.http.delete(f"/v1/clusters/{CLUSTER}/pause").is_success
            until(lambda: not cluster.agents_on(victim) and cluster.logged_in == 30, "everybody is home", 40)
            assert set(logouts(bare).values()) == {1}


def test_by_the_agent_api_who_waits_is_paused_before_they_move_and_the_fence_is_given_back(
    bare: Site, tmp_path: Path
) -> None:
    bare.run(*grants(bare, ACT), *grants(bare, FENCE))
    slowly = Policy(acts=True, fence=True, moves_per_second=1)
    with FakeAgentApi(bare.connect, user=API_USER, password=API_PASSWORD) as web, bare.living() as dialers:
        actuators = ActuatorSettings(
            database=bare.settings, api_urls=(web.url,), api_user=API_USER, api_password=API_PASSWORD
        )
        with running(tmp_path, bare, acts=True, policy=slowly, actuators=actuators) as client:
            dialers.stop()
            with at_work(client, bare) as cluster:
                victim = client.dialers()[0].server_ip
                stranded = set(cluster.agents_on(victim))
                cluster.kill(victim)
                until(lambda: closed_to_logins(bare) == {victim}, "the dead dialer is fenced", 20)
                until(lambda: not cluster.agents_on(victim) and cluster.logged_in == 30, "everybody is home", 60)
                assert logouts(bare) == dict.fromkeys(stranded, 1)
                paused = {
                    each.agent_user for each in web.asked if (each.function, each.value) == ("external_pause", "PAUSE")
                }
                assert paused
                assert paused <= stranded
                told = [each.agent_user for each in web.asked if each.function == "logout"]
                assert sorted(told) == sorted(stranded)
                cluster.bring_back(victim)
                until(lambda: closed_to_logins(bare) == set(), "the fence is given back", 20)


def closed_to_logins(at: Site) -> set[str]:
    with at.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT server_ip FROM servers WHERE active_agent_login_server = 'N'")
        return {server_ip for (server_ip,) in cursor.fetchall()}
