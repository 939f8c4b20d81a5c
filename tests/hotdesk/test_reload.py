"""Clusters that come, change and go while hotdesk runs: SIGHUP, and `hotdesk forget`."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.database import Database
from simulator.plan import ClusterPlan
from tests.support.builders import secret_file
from tests.support.commands import Command
from tests.support.logout_notes import note_orders, tellings
from tests.support.processes import ACT, PASSWORD, Process, Site, Start, grants, site, until
from tests.support.shift import AT_WORK

FIVE_DESKS = ClusterPlan(dialers=2, agents=5, remote_agents=0)
AGAIN = "the settings were read again"
REFUSED = "the settings changed and cannot be used; all stays as it was"


@pytest.fixture
def east(database: Database) -> Iterator[Site]:
    """Yield a second cluster."""
    with site(database, FIVE_DESKS) as made:
        yield made


class Settings:
    """A TOML file that a running hotdesk reads again."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "hotdesk.toml"
        self._password = secret_file(folder / "password", PASSWORD)

    def write(self, api: str = "port = 0", **clusters: tuple[Site, str]) -> None:
        """Write the clusters, each with more settings of its own."""
        tables = [
            f"[clusters.{name}]\nhost = '{at.settings.host}'\nport = {at.settings.port}\nuser = '{at.user}'\n"
            f"database = '{at.name}'\npassword_file = '{self._password}'\n"
            f"sip = {str(at.probes.sip).lower()}\nsip_port = {at.probes.sip_port}\n"
            f"sip_pace = '{at.probes.sip_pace}'\n{more}\n"
            for name, (at, more) in clusters.items()
        ]
        self.path.write_text("\n".join([f"[api]\n{api}\n", *tables]))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return a settings file."""
    return Settings(tmp_path)


def read_again(process: Process, expected: str = AGAIN) -> None:
    """Have a process read its settings again, and wait until it says what came of that."""
    before = len(process.lines(expected))
    process.signal(signal.SIGHUP)
    until(lambda: len(process.lines(expected)) > before, expected)


def listed(process: Process) -> list[str]:
    return [each["cluster"] for each in process.client.http.get("/v1/clusters").json()]


def observed(process: Process, cluster: str) -> float:
    return process.client.metric("hotdesk_cluster_observed_timestamp_seconds", cluster=cluster)


def test_clusters_come_change_and_go_without_a_restart(
    start: Start, command: Command, west: Site, east: Site, settings: Settings
) -> None:
    settings.write(west=(west, ""))
    with west.living(), east.living():
        process = start("run", environment={"HOTDESK_CONFIG": str(settings.path)})
        until(lambda: len(process.client.offered()) == len(west.plan.dialer_plans), "west is ranked")
        epoch = process.lines("collecting")

        settings.write(west=(west, "max_agents = 1"), east=(east, ""))
        read_again(process)
        until(lambda: listed(process) == ["east", "west"], "east is listed")
        until(lambda: {each.max_agents for each in process.client.dialers()} == {1}, "west is judged anew")
        assert [line for line in process.lines("collecting") if line["cluster"] == "west"] == epoch, "undisturbed"

        settings.write(west=(west, ""))
        read_again(process)
        until(lambda: process.client.http.get("/v1/clusters/east/ranking").json()["stale"], "nobody collects for it")
        # what its collector had written last was folded by then
        seen = observed(process, "east")
        until(lambda: {each.max_agents for each in process.client.dialers()} == {None}, "west is as it was")
        assert process.client.metric("hotdesk_collector_leading", cluster="east") == 0
        assert 'hotdesk_collector_leading{cluster="east"}' not in process.client.http.get("/metrics").text
        assert observed(process, "east") == seen

        port = process.client.url.rpartition(":")[2]
        refused = command("forget", "west", "--api.port", port)
        assert (refused.code, refused.output) == (5, "")
        assert "a collector still works for west" in refused.errors
        until(lambda: "east is forgotten" in command("forget", "east", "--api.port", port).output, "it is quiet", 25)
        until(lambda: listed(process) == ["west"], "east is forgotten")
        assert 'cluster="east",server_ip' not in process.client.http.get("/metrics").text
        assert process.client.metric("hotdesk_cluster_forgotten", cluster="east") == 1
        process.end()

        process = start("run", environment={"HOTDESK_CONFIG": str(settings.path)})
        until(lambda: process.client.http.get("/readyz").is_success, "the whole log is read")
        until(lambda: len(process.client.offered()) == len(west.plan.dialer_plans), "west is ranked")
        assert listed(process) == ["west"], "a restart does not bring it back"
        assert process.client.metric("hotdesk_cluster_forgotten") == 1


def test_a_recipient_of_notifications_comes_and_goes_without_a_restart(
    start: Start, west: Site, settings: Settings
) -> None:
    def is_known() -> bool:
        return 'hotdesk_notifications_waiting{recipient="ops"}' in process.client.http.get("/metrics").text

    settings.write(west=(west, ""))
    process = start("run", environment={"HOTDESK_CONFIG": str(settings.path)})
    assert not is_known()
    with settings.path.open("a") as file:
        file.write("[notify.ops]\nkind = 'command'\ncommand = ['/bin/true']\n")
    read_again(process)
    assert is_known()
    settings.write(west=(west, ""))
    read_again(process)
    assert not is_known()


def test_settings_that_do_not_fit_change_nothing(start: Start, west: Site, settings: Settings) -> None:
    settings.write(west=(west, ""))
    with west.living():
        process = start("run", environment={"HOTDESK_CONFIG": str(settings.path)})
        until(lambda: len(process.client.offered()) == len(west.plan.dialer_plans), "west is ranked")
        collecting = process.lines("collecting")

        settings.write(west=(west, "max_agent = 3"))
        read_again(process, REFUSED)
        assert "max_agent" in process.lines(REFUSED)[0]["why"]
        settings.path.write_text("[clusters.west")
        read_again(process, REFUSED)

        settings.write(api="port = 1", west=(west, ""))
        read_again(process)
        assert process.lines("[log] and [api] are read only when a process starts: they stay as they were")
        assert process.lines("collecting") == collecting
        assert process.client.ranking() is not None


def test_settings_that_change_in_the_middle_of_an_evacuation_tell_nobody_twice(
    start: Start, west: Site, settings: Settings
) -> None:
    west.run(*grants(west, ACT))
    acts = "mode = 'act'\nrelogin_via = 'sql'\nmoves_per_second = {}"
    settings.write(west=(west, acts.format(1)))
    process = start("run", environment={"HOTDESK_CONFIG": str(settings.path)})

    def pick(user: str, alias: str, campaign: str) -> str | None:
        answer = process.client.ask(user, alias, campaign)
        return answer.json()["phone_login"] if answer.is_success else None

    def told() -> list[str]:
        return [each.user for each in tellings(west)]

    note_orders(west)
    until(lambda: len(process.client.offered()) == len(west.plan.dialer_plans), "west is ranked")
    with west.living(pick, AT_WORK) as cluster:
        until(lambda: cluster.logged_in == west.plan.agents, "everybody is at work", 40)
        dialers = west.plan.dialer_plans
        until(lambda: process.client.metric("hotdesk_probe", state="alive") == len(dialers), "each has answered")
        victim = dialers[0].server_ip
        stranded = set(cluster.agents_on(victim))
        assert len(stranded) > 2, "an evacuation that has a middle"
        cluster.kill(victim)
        until(told, "the first is told", 20)
        for pace in (2, 1):
            settings.write(west=(west, acts.format(pace)))
            read_again(process)
        until(lambda: stranded <= set(told()), "all are told", 30)
        until(lambda: not cluster.agents_on(victim) and cluster.logged_in == west.plan.agents, "everybody is home", 20)
        assert sorted(told()) == sorted(stranded)
        # who only advises tells nobody
        settings.write(west=(west, ""))
        read_again(process)
        cluster.switch_off(dialers[1].server_ip)  # of three dialers two that died would be too many
        until(lambda: process.client.metric("hotdesk_cluster_moves", stage="advised") > 0, "advice", 40)
        assert sorted(told()) == sorted(stranded)
