"""Probes on their way into a poll: who is asked, from when to when, and what the log then says of each dialer."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from collectors.probes.prober import ProbeException, ProbeSettings
from messages.records import ProbeResult
from stream.embedded.log import EmbeddedLog
from tests.support.ami_manager import HOST, SECRET, USER, Manager
from tests.support.builders import PARTITIONS, eventually
from tests.support.running_collector import Following, Running
from tests.support.timing import on_this_machine
from tests.support.vicidial_database import SMALL, Vicidial

FIRST, SECOND, THIRD = (dialer.server_ip for dialer in SMALL.dialer_plans)

StartProbing = Callable[[str], Running]


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
def managers() -> Iterator[tuple[Manager, Manager]]:
    """Yield the managers of the first and the second dialer."""
    with Manager() as one, Manager() as two:
        yield one, two


@pytest.fixture
def start(log: EmbeddedLog, vicidial: Vicidial, managers: tuple[Manager, Manager]) -> Iterator[StartProbing]:
    """Yield a function that starts a collector which probes the first two dialers; the third one's AMI is no probe."""
    places = {
        server_ip: ProbeException(ami_host=HOST, ami_port=manager.port)
        for server_ip, manager in zip((FIRST, SECOND), managers, strict=True)
    }
    probes = ProbeSettings(ami_user=USER, ami_secret=SECRET, dialers={**places, THIRD: ProbeException(ami=False)})
    with ExitStack() as stack:

        def start_one(name: str) -> Running:
            running = Running(log, vicidial.settings, name, 100_000, probes)
            stack.callback(running.stop)
            return running

        yield start_one


def told(following: Following) -> dict[str, dict[str, ProbeResult]]:
    """Return what the latest poll's dialers carry."""
    return {server_ip: dialer.probes for server_ip, dialer in following.state.observed.dialers.items()}


Probers = Callable[[], int]


def all_probers() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "prober"}


@pytest.fixture
def probers() -> Probers:
    """Return a function that counts the probers begun in this test; a service of other tests may have some too."""
    others = all_probers()
    return lambda: len(all_probers() - others)


def test_what_probes_tell_stands_in_the_poll_and_changes_with_it(
    start: StartProbing, following: Following, managers: tuple[Manager, Manager]
) -> None:
    start("c1")
    alive = {"ami": ProbeResult.ALIVE}
    assert eventually(lambda: told(following) == {FIRST: alive, SECOND: alive, THIRD: {}})
    managers[0].freeze()
    assert eventually(lambda: told(following) == {FIRST: {"ami": ProbeResult.MUTE}, SECOND: alive, THIRD: {}})
    managers[0].thaw()
    assert eventually(lambda: told(following) == {FIRST: alive, SECOND: alive, THIRD: {}})


def test_who_is_no_dialer_any_more_is_not_asked(
    start: StartProbing, following: Following, managers: tuple[Manager, Manager], vicidial: Vicidial
) -> None:
    start("c1")
    assert eventually(lambda: bool(told(following).get(FIRST)) and bool(told(following).get(SECOND)))
    vicidial.run("UPDATE servers SET active_asterisk_server = 'N' WHERE server_ip = %s", FIRST)
    assert eventually(lambda: not following.state.observed.dialers[FIRST].asterisk)
    assert told(following)[FIRST] == {}
    assert eventually(lambda: managers[0].connections == 0)
    asked = managers[0].pings
    others = managers[1].pings
    assert eventually(lambda: managers[1].pings > others + 1)
    assert managers[0].pings == asked
    vicidial.run("UPDATE servers SET active_asterisk_server = 'Y' WHERE server_ip = %s", FIRST)
    assert eventually(lambda: told(following)[FIRST] == {"ami": ProbeResult.ALIVE})


def test_who_stands_by_asks_nobody_until_its_term_begins(
    start: StartProbing, following: Following, managers: tuple[Manager, Manager], probers: Probers
) -> None:
    first = start("c1")
    assert eventually(lambda: bool(told(following).get(FIRST)))
    second = start("c2")
    asked = managers[0].pings
    assert eventually(lambda: managers[0].pings > asked + 1)
    assert not second.leads
    assert (managers[0].logins, managers[0].connections, probers()) == (1, 1, 1)

    first.stop()
    assert eventually(lambda: following.state.observed.stamp[0] == 2 and bool(told(following)[FIRST]))
    assert (managers[0].logins, managers[0].connections, probers()) == (2, 1, 1)


def test_the_prober_ends_with_the_epoch(
    start: StartProbing,
    following: Following,
    managers: tuple[Manager, Manager],
    vicidial: Vicidial,
    probers: Probers,
) -> None:
    collector = start("c1")
    assert eventually(lambda: bool(told(following).get(FIRST)))
    # An epoch that breaks off: the database refuses from now on.
    vicidial.run(f"REVOKE SELECT (server_ip, last_update, db_time) ON server_updater FROM `{vicidial.user}`@`%%`")
    assert eventually(lambda: following.state.observed.outage is not None)
    assert eventually(lambda: probers() == 0 and managers[0].connections == 0)
    vicidial.run(f"GRANT SELECT (server_ip, last_update, db_time) ON server_updater TO `{vicidial.user}`@`%%`")
    assert eventually(lambda: following.state.observed.outage is None and bool(told(following)[FIRST]))
    # An epoch that is ended.
    assert collector.stop() < on_this_machine(3)
    assert probers() == 0
    assert eventually(lambda: managers[0].connections == 0)


def test_without_a_probe_there_is_no_prober(
    log: EmbeddedLog, vicidial: Vicidial, following: Following, probers: Probers
) -> None:
    running = Running(log, vicidial.settings, "c1", 100_000)
    try:
        assert eventually(lambda: following.state.observed.poll is not None)
        assert probers() == 0
        assert told(following) == {FIRST: {}, SECOND: {}, THIRD: {}}
    finally:
        running.stop()
