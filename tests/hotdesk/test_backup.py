"""A copy of the embedded log, taken while it is written to, is a log to begin with."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

from tests.support.commands import Command
from tests.support.processes import CLUSTER, NEWER, Client, Process, Site, Start, until

UPGRADES = Path(__file__).parents[2] / "docs" / "guide" / "upgrades.md"


def documented(log: Path, copy: Path) -> list[str]:
    """Return the command by which the documents have a running log copied, for these files and this Python."""
    (line,) = re.findall(r"^.*VACUUM INTO.*$", UPGRADES.read_text().replace("\\\n", ""), re.MULTILINE)
    words = shlex.split(line)
    assert words[0] == "/opt/hotdesk/current/bin/python"
    places = {"/opt/hotdesk/current/bin/python": sys.executable, "/var/lib/hotdesk/hotdesk.db": str(log)}
    words = [places.get(word, str(copy) if word.startswith("/var/backups/") else word) for word in words]
    assert {sys.executable, str(log), str(copy)} <= set(words)
    return words


def incident(client: Client) -> dict[str, object]:
    """Return the one incident there is, as it was opened; nothing while there is none."""
    found = client.http.get(f"/v1/clusters/{CLUSTER}/incidents").json()
    assert len(found) <= 1
    return {name: found[0]["incident"][name] for name in ("incident", "opened_at_ms")} if found else {}


def decisions(client: Client) -> list[dict[str, object]]:
    found = client.http.get(f"/v1/clusters/{CLUSTER}/decisions").json()
    return [{name: each[name] for name in each.keys() - {"schema_version"}} for each in found]


def paused(client: Client) -> bool:
    return client.metric("hotdesk_cluster_paused", cluster=CLUSTER) == 1


def knows(process: Process, opened: dict[str, object], decided: list[dict[str, object]]) -> None:
    """See that a process decides again, and knows a pause, an incident and decisions of before."""
    client = process.client
    until(lambda: client.metric("hotdesk_cluster_owned", cluster=CLUSTER) == 1, "it decides")
    until(lambda: len(client.offered()) == 2, "it sees the cluster")
    assert incident(client) == opened
    assert paused(client)
    assert [each for each in decided if each not in decisions(client)] == []


def test_a_copy_of_a_running_log_is_the_way_back_from_an_upgrade_with_all_that_was_ordered_and_decided(
    start: Start, command: Command, tmp_path: Path, west: Site
) -> None:
    log, copy = tmp_path / "hotdesk.db", tmp_path / "copy.db"
    environment = {"HOTDESK_API_PORT": "0", **west.environment}
    with west.living() as cluster:
        first = start("run", environment=environment | {"HOTDESK_LOG_PATH": str(log)})
        until(lambda: [each.state for each in first.client.dialers()] == ["up"] * 3, "all are up")
        cluster.kill(west.plan.dialer_plans[0].server_ip)
        until(lambda: incident(first.client), "an incident is opened")
        port = first.client.url.rpartition(":")[2]
        assert command("pause", "--why", "a night of work", "--api.port", port).code == 0
        until(lambda: paused(first.client) and decisions(first.client), "it is paused, and something was decided")
        opened, decided = incident(first.client), decisions(first.client)
        subprocess.run(documented(log, copy), check=True)  # noqa: S603 # the documents' own words
        absent, nothing = tmp_path / "absent.db", tmp_path / "nothing.db"
        assert subprocess.run(documented(absent, nothing), check=False, capture_output=True).returncode != 0  # noqa: S603
        assert not absent.exists()
        assert not nothing.exists()
        assert first.end()[0] == 0

        newer = start("run", environment=environment | {"HOTDESK_LOG_PATH": str(log)}, program=NEWER)
        knows(newer, opened, decided)
        port = newer.client.url.rpartition(":")[2]
        assert command("pause", "--why", "another night", "--api.port", port).code == 0
        until(lambda: "another night" in str(decisions(newer.client)), "something was ordered that only it can read")
        assert newer.end()[0] == 0
        back = start("run", environment=environment | {"HOTDESK_LOG_PATH": str(log)})
        until(lambda: "a newer hotdesk decides here" in back.client.http.get("/readyz").text, "it says why it does not")
        assert back.end()[0] == 0
        knows(start("run", environment=environment | {"HOTDESK_LOG_PATH": str(copy)}), opened, decided)
