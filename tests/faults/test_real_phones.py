"""Agents with real softphones on real Asterisks, of which one dies, hangs or restarts: who hears, and where.

Three call centers of two dialers each, with a fault each, so that what takes its time in one passes beside the others.
Whether a phone is in its room is asked of Asterisk itself, and hotdesk's words are compared with that.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from messages.records import NotMoved
from simulator.asterisk import AsteriskTree, free_hosts
from simulator.asterisk_manager import AsteriskManager
from simulator.database import Database
from simulator.softphones import Softphone
from tests.support.processes import until
from tests.support.real_phones import PhoneFloor, asterisks, extensions, phone_floor

ROOT = Path(__file__).parents[2]
ANNA, BORIS, CLEO = EVERYBODY = extensions(3)
ANOTHER_ROOM = "8600199"
AWAY_SECONDS = 8.0
"""Cron starts an updater again on the full minute; it is seldom back sooner than this."""
MISSING_SECONDS = 40.0
"""Longer than a phone is waited for."""


@dataclass
class Center:
    """A call center whose agents all began on its first dialer. Cleo's phone has one line."""

    floor: PhoneFloor
    first: str
    second: str
    phones: dict[str, Softphone]

    def silent_seconds(self, server_ip: str) -> float:
        """Return how long a dialer's heartbeat has stood still, as hotdesk sees it."""
        (dialer,) = (each for each in self.floor.hotdesk.dialers() if each.server_ip == server_ip)
        return dialer.heartbeat_stalled_seconds or 0.0


@contextmanager
def center(database: Database, folder: Path, *, ami: bool = True) -> Iterator[Center]:
    tree = AsteriskTree(Path(os.environ.get("HOTDESK_ASTERISK_TREE") or ROOT / ".parts" / "asterisk"))
    first, second = hosts = free_hosts(2)
    with ExitStack() as stack:
        dialers = stack.enter_context(asterisks(tree, folder, hosts, len(EVERYBODY)))
        lines = {ANNA: 4, BORIS: 4, CLEO: 1}
        phones = {
            user: stack.enter_context(Softphone(folder / user, user, list(dialers.values()), most_calls=most))
            for user, most in lines.items()
        }
        floor = stack.enter_context(phone_floor(folder, database, dialers, len(EVERYBODY), all_on=first, ami=ami))
        until(lambda: floor.all_hear_on(first, EVERYBODY), "everybody hears")
        yield Center(floor, first, second, phones)


@pytest.fixture(scope="module")
def killed(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Center]:
    """Yield one whose first dialer was killed; Boris' phone had no power, and Cleo's has refused her login's call."""
    with center(database, tmp_path_factory.mktemp("killed")) as at:
        there = AsteriskManager(at.floor.dialers[at.second])
        there.call(f"SIP/{CLEO}", ANOTHER_ROOM)
        at.phones[BORIS].kill()
        at.floor.kill(at.first)
        until(lambda: at.phones[CLEO].refusals, "Cleo's phone refuses")
        assert at.floor.hears_on(CLEO) is None
        there.empty_room(ANOTHER_ROOM)
        yield at


@pytest.fixture(scope="module")
def restarted(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Center]:
    """Yield one whose first Asterisk has crashed, and was started again at once; Cleo's phone has not noticed."""
    with center(database, tmp_path_factory.mktemp("restarted")) as at:
        at.floor.restart(at.first)
        yield at


@pytest.fixture(scope="module")
def restarted_unseen(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Center]:
    """Yield one whose first Asterisk has crashed and started again, and then its updater; nobody is asked by AMI."""
    with center(database, tmp_path_factory.mktemp("unseen"), ami=False) as at:
        at.floor.restart(at.first)
        until(lambda: at.silent_seconds(at.first) >= AWAY_SECONDS, "its updater is missed")
        at.floor.cluster.unstall(at.first)
        yield at


@pytest.fixture(scope="module")
def hung(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Center]:
    """Yield one whose first Asterisk hangs."""
    with center(database, tmp_path_factory.mktemp("hung")) as at:
        at.floor.freeze(at.first)
        yield at


def test_when_a_dialer_is_killed_a_phone_that_works_is_in_its_room_elsewhere(killed: Center) -> None:
    floor = killed.floor
    until(lambda: floor.hears_on(ANNA) == killed.second, "she hears")
    until(lambda: floor.arrived(killed.first) >= 1, "hotdesk has seen it")
    until(lambda: floor.waits(ANNA), "she waits for calls again")
    assert ANNA not in floor.called()


def test_after_a_restart_of_asterisk_agents_are_called_where_they_are_and_nobody_is_logged_out(
    restarted: Center,
) -> None:
    floor = restarted.floor
    until(lambda: floor.all_hear_on(restarted.first, (ANNA, BORIS)), "they hear again")
    assert sorted(floor.called()) == EVERYBODY
    until(lambda: floor.arrived(restarted.first) == 2, "hotdesk has seen it")
    until(lambda: floor.waits(ANNA) and floor.waits(BORIS), "they wait for calls again")
    assert {*floor.logouts()} <= {CLEO}


def test_without_ami_a_restart_of_asterisk_is_known_by_the_phones_that_are_gone(restarted_unseen: Center) -> None:
    floor, first = restarted_unseen.floor, restarted_unseen.first
    until(lambda: floor.all_hear_on(first, (ANNA, BORIS)), "they hear again", MISSING_SECONDS)
    until(lambda: floor.hears_on(CLEO), "she hears", MISSING_SECONDS)
    until(lambda: floor.waits(ANNA) and floor.waits(BORIS), "they wait for calls again")
    incident = floor.incident_of(first)
    assert incident is not None
    assert incident.incident.why.startswith("its Asterisk started again")
    assert {*floor.logouts()} <= {CLEO}


def test_agents_of_an_asterisk_that_hangs_hear_elsewhere(hung: Center) -> None:
    floor = hung.floor
    until(lambda: floor.all_hear_on(hung.second, EVERYBODY), "they hear")
    until(lambda: floor.arrived(hung.first) == len(EVERYBODY), "hotdesk has seen it")
    assert floor.logouts() == dict.fromkeys(EVERYBODY, 1)
    assert floor.called() == []


def test_a_phone_that_still_believes_in_a_call_from_before_the_restart_is_moved_and_hears(restarted: Center) -> None:
    floor = restarted.floor
    until(lambda: floor.hears_on(CLEO) == restarted.second, "she hears", MISSING_SECONDS)
    assert restarted.phones[CLEO].refusals == 1
    until(lambda: floor.arrived(restarted.first) == 3, "hotdesk has seen it")
    assert floor.logouts() == {CLEO: 1}


def test_a_phone_that_refused_the_call_is_called_again_and_arrives(killed: Center) -> None:
    floor = killed.floor
    until(lambda: floor.hears_on(CLEO) == killed.second, "she hears", MISSING_SECONDS)
    assert floor.called().count(CLEO) == 1
    until(lambda: floor.arrived(killed.first) == 2, "hotdesk has seen it")
    until(lambda: floor.waits(CLEO), "she waits for calls again")


def test_a_phone_without_power_is_called_once_more_and_listed_with_its_registration(killed: Center) -> None:
    floor = killed.floor

    def listed() -> list[tuple[str, NotMoved, str, str, str]]:
        answer = floor.incident_of(killed.first)
        found = () if answer is None else answer.incident.listed
        return [(each.user, each.why, each.phone_login, each.server_ip, each.peer_status) for each in found]

    boris = (BORIS, NotMoved.NOT_ARRIVED, f"{BORIS}b", killed.second, "REGISTERED")
    until(lambda: listed() == [boris], "he is listed", MISSING_SECONDS)
    assert floor.called().count(BORIS) == 1
    assert floor.hears_on(BORIS) is None
    assert floor.status(BORIS) == "PAUSED"
