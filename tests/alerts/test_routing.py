"""What a real Alertmanager makes of alerts with the shipped routes and inhibitions."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.failover_run import routing_for, told
from tests.support.processes import until
from tests.support.prometheus import Alertmanager, Receiver

ONE, TWO = "10.0.0.11", "10.0.0.12"


class Switchboard:
    """An Alertmanager, and the receiver behind it."""

    def __init__(self, alertmanager: Alertmanager, receiver: Receiver) -> None:
        self._alertmanager = alertmanager
        self.receiver = receiver

    def fire(self, *alerts: tuple[str, str, dict[str, str]]) -> None:
        """Send alerts, as Prometheus does: name, severity, labels."""
        body = [{"labels": {"alertname": name, "severity": severity, **more}} for name, severity, more in alerts]
        self._alertmanager.http.post("/api/v2/alerts", json=body).raise_for_status()

    def paged(self) -> list[tuple[str, str]]:
        """Return what the pager got: name of the alert, and dialer."""
        return [
            (alert["labels"]["alertname"], alert["labels"].get("server_ip", ""))
            for page in told(self.receiver, "firing")
            for alert in page["alerts"]
        ]

    def kept_back(self) -> set[str]:
        """Return the names of the alerts that are inhibited."""
        found = self._alertmanager.http.get("/api/v2/alerts", params={"inhibited": "true"}).json()
        return {each["labels"]["alertname"] for each in found if each["status"]["inhibitedBy"]}


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Switchboard]:
    """Yield an Alertmanager that knows of nothing yet."""
    with (
        Receiver() as receiver,
        Alertmanager(tmp_path / "alertmanager", routing_for(tmp_path, receiver.url)) as alertmanager,
    ):
        yield Switchboard(alertmanager, receiver)


def down(server_ip: str, cluster: str = "west") -> tuple[str, str, dict[str, str]]:
    return "HotdeskDialerDown", "critical", {"cluster": cluster, "server_ip": server_ip}


def test_each_dead_dialer_is_a_page_and_what_is_explained_by_that_is_kept_back(board: Switchboard) -> None:
    board.fire(
        down(ONE),
        down(TWO),
        ("HotdeskDialerHung", "critical", {"cluster": "west", "server_ip": ONE}),
        ("HotdeskDialerFlapping", "warning", {"cluster": "west", "server_ip": ONE}),
    )
    until(lambda: len(told(board.receiver, "firing")) == 2, "both are paged")
    assert sorted(board.paged()) == [("HotdeskDialerDown", ONE), ("HotdeskDialerDown", TWO)]
    assert board.kept_back() == {"HotdeskDialerHung", "HotdeskDialerFlapping"}


def test_a_braked_cluster_pages_once_and_a_dead_dialer_of_another_too(board: Switchboard) -> None:
    board.fire(down(ONE), down(TWO), ("HotdeskClusterBraked", "critical", {"cluster": "west"}), down(ONE, "east"))
    until(lambda: len(board.paged()) == 2, "both are paged")
    assert sorted(board.paged()) == [("HotdeskClusterBraked", ""), ("HotdeskDialerDown", ONE)]
    assert board.kept_back() == {"HotdeskDialerDown"}


def test_without_the_database_only_that_is_said(board: Switchboard) -> None:
    west = {"cluster": "west"}
    follows = ["HotdeskCollectorBlind", "HotdeskNoLogins", "HotdeskAgentsStranded"]
    board.fire(("HotdeskDatabaseUnreachable", "critical", west), *((name, "critical", west) for name in follows))
    until(board.paged, "somebody is paged")
    assert board.paged() == [("HotdeskDatabaseUnreachable", "")]
    assert board.kept_back() == set(follows)


def test_a_process_that_is_down_wakes_nobody_and_the_watchdog_goes_where_it_belongs(board: Switchboard) -> None:
    board.fire(
        ("HotdeskProcessDown", "warning", {"instance": "a"}),
        ("HotdeskNobodyToTakeOver", "warning", {"role": "control"}),
        ("HotdeskWatchdog", "info", {}),
        ("HotdeskTwoDeciders", "critical", {"cluster": "west"}),
    )
    until(lambda: board.paged() and told(board.receiver, "firing", "dead-mans-switch"), "both are told")
    assert board.paged() == [("HotdeskTwoDeciders", "")]
    # the process that is down may be another one
    assert board.kept_back() == set()


def test_a_process_that_cannot_write_hides_what_is_said_of_it_and_of_no_cluster(board: Switchboard) -> None:
    board.fire(
        ("HotdeskPipelineStalled", "critical", {"instance": "a"}),
        ("HotdeskLag", "warning", {"instance": "a"}),
        ("HotdeskStaleRanking", "warning", {"instance": "b", "cluster": "west"}),
        ("HotdeskCollectorBlind", "critical", {"cluster": "west"}),
        ("HotdeskNoLogins", "critical", {"cluster": "east"}),
    )
    until(lambda: len(board.paged()) == 3, "all are paged")
    assert {name for name, _ in board.paged()} == {"HotdeskPipelineStalled", "HotdeskCollectorBlind", "HotdeskNoLogins"}
    assert board.kept_back() == {"HotdeskLag"}


def test_doubts_that_do_not_page_hide_nothing(board: Switchboard) -> None:
    west = {"cluster": "west"}
    board.fire(down(ONE), ("HotdeskMovesWithheld", "warning", west), ("HotdeskMoveFailed", "warning", west))
    until(board.paged, "somebody is paged")
    assert board.paged() == [("HotdeskDialerDown", ONE)]
    assert board.kept_back() == set()
