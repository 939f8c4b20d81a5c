"""A copy of the embedded log, taken while it is written to, is a log to begin with."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

from messages.records import Incident
from tests.hotdesk.conftest import Command, Start
from tests.hotdesk.running import CLUSTER, Client, Site, until

UPGRADES = Path(__file__).parents[2] / "docs" / "upgrades.md"


def documented(log: Path, copy: Path) -> list[str]:
    """Give the command by which the documents have a running log copied, for these files and this Python."""
    (line,) = re.findall(r"^.*VACUUM INTO.*$", UPGRADES.read_text(), re.MULTILINE)
    words = shlex.split(line)
    assert words[0] == "/opt/hotdesk/current/bin/python"
    places = {"/opt/hotdesk/current/bin/python": sys.executable, "/var/lib/hotdesk/hotdesk.db": str(log)}
    words = [places.get(word, str(copy) if word.startswith("/var/backups/") else word) for word in words]
    assert {sys.executable, str(log), str(copy)} <= set(words)
    return words


def incident(client: Client) -> dict[str, object]:
    """Give the one incident there is, as it was opened; nothing while there is none."""
    found = client.http.get(f"/v1/clusters/{CLUSTER}/incidents").json()
    assert len(found) <= 1
    return {name: found[0]["incident"][name] for name in ("incident", "opened_at_ms", "why")} if found else {}


def decisions(client: Client) -> list[dict[str, object]]:
    return list(client.http.get(f"/v1/clusters/{CLUSTER}/decisions").json())


def paused(client: Client) -> bool:
    return client.metric("hotdesk_cluster_paused", cluster=CLUSTER) == 1


def test_another_process_begins_on_a_copy_and_knows_what_was_ordered_and_decided(
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
        assert first.end()[0] == 0
        second = start("run", environment=environment | {"HOTDESK_LOG_PATH": str(copy)})
        until(lambda: incident(second.client) and len(second.client.offered()) == 2, "the copy was read, and it goes on")
        assert incident(second.client) == opened
        assert paused(second.client)
        assert [each for each in decided if each not in decisions(second.client)] == []
