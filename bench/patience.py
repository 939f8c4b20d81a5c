"""How many agents are logged out, and how many calls ended, by faults that last for minutes and kill no dialer.

Each fault has a cluster, a collector and two controllers of its own, at default settings over one Kafka and one
MariaDB, with half of the agents in calls. They run side by side, since most of the time they wait.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import NamedTuple

from bench.failover import BUSY
from bench.results import Result
from bench.servers import Place
from messages.codes import DecisionCode
from simulator.plan import ClusterPlan
from simulator.ports import free_port
from tests.support.ami_manager import SECRET, USER, Manager
from tests.support.processes import ACT, CLUSTER, grants, site, until
from tests.support.shift import Shift, shift

UPDATERS = ClusterPlan(dialers=4, agents=24, remote_agents=2, first_ip="127.78.1.11")
REFUSED = ClusterPlan(dialers=4, agents=24, remote_agents=2, first_ip="127.78.2.11")
SPLIT = ClusterPlan(dialers=10, agents=60, remote_agents=5, phones_per_alias=10, first_ip="127.78.3.11")


class _Seconds(NamedTuple):
    """How long each fault lasts, in seconds."""

    updater: float
    """VICIdial's keepalive takes that long to start an updater again that has ended, at worst a minute."""
    refused: float
    refused_first: float
    """In a refusal: when the updater stands still as well."""
    stalled: float
    """And for how long."""
    split: float
    """Most dialers are cut off that long."""
    apart: float
    """After this time the next one's updater is back."""
    later: float
    """The fault's agents are watched that long after it."""


FULL, SHORT = _Seconds(45, 120, 40, 20, 900, 20, 60), _Seconds(2, 3, 1, 1, 4, 0.5, 0.5)
MANY = 6
"""Of the ten dialers: more than half, so that the fleet brake holds."""


class Seen(NamedTuple):
    """The logouts of one fault, and the calls that it ended."""

    logouts: int
    calls_ended: int


def measure(at: Place) -> list[Result]:
    """Count logouts and calls ended, over all faults."""
    faults = [_ami_is_refused] if at.short else [_updaters_restart, _ami_is_refused, _most_are_cut_off]
    with ThreadPoolExecutor(len(faults)) as pool:
        seen = list(pool.map(lambda fault: fault(at, SHORT if at.short else FULL), faults))
    tried = (
        "3 updaters restarting for 45 s, AMI refused for 2 min,"
        " 6 of 10 dialers cut off for 15 min, whose updaters start one by one"
    )
    return [
        Result(
            name=f"false_{name}_in_long_faults",
            value=value,
            unit=unit,
            beside=f"{tried}; 108 agents",
            goal="0",
            holds=value == 0,
        )
        for name, unit, value in (
            ("moves", "agents logged out", sum(each.logouts for each in seen)),
            ("hang_ups", "calls ended", sum(each.calls_ended for each in seen)),
        )
    ]


def _suffered(
    place: Place, lasts: _Seconds, plan: ClusterPlan, happens: Callable[[Shift], None], **settings: str
) -> Seen:
    """Return what the people of a cluster at work suffer from what happens."""
    folder = place.folder / plan.first_ip
    folder.mkdir()
    with site(place.database, plan, sip_pace="in_doubt") as west:
        west.run(*grants(west, ACT))
        with shift(folder, place.servers.broker, west, mid_shift=True, habits=BUSY, **settings) as at:
            happens(at)
            until(at.all_is_well, "all is well", 120)
            time.sleep(lasts.later)
            decisions = at.owner.client.http.get(f"/v1/clusters/{CLUSTER}/decisions").json()
            ended = sum(each["code"] == DecisionCode.HANG_UP_SENT for each in decisions)
            return Seen(sum(at.logouts().values()), ended)


def _updaters_restart(place: Place, lasts: _Seconds) -> Seen:
    """Stop the heartbeats of three dialers, one after the other, while their Asterisks work and answer SIP."""

    def happens(at: Shift) -> None:
        for dialer in at.plan.dialer_plans[:3]:
            at.cluster.stall(dialer.server_ip)
            time.sleep(lasts.updater)
            at.cluster.restart_updater(dialer.server_ip)
            at.cluster.unstall(dialer.server_ip)
            until(at.all_is_well, "all is well", 60)

    return _suffered(place, lasts, UPDATERS, happens)


def _ami_is_refused(place: Place, lasts: _Seconds) -> Seen:
    """Refuse one dialer's AMI, the only probe, as a firewall does, and restart its updater meanwhile."""
    port = free_port()
    with ExitStack() as stack:
        first, *others = (each.server_ip for each in REFUSED.dialer_plans)
        for server_ip in others:
            stack.enter_context(Manager(server_ip, port))

        def happens(at: Shift) -> None:
            answering.close()
            time.sleep(lasts.refused_first)
            at.cluster.stall(first)
            time.sleep(lasts.stalled)
            at.cluster.restart_updater(first)
            at.cluster.unstall(first)
            time.sleep(lasts.refused - lasts.refused_first - lasts.stalled)
            stack.enter_context(Manager(first, port))

        with ExitStack() as answering:
            answering.enter_context(Manager(first, port))
            settings = {"sip": "false", "ami_user": USER, "ami_secret": SECRET, "ami_port": str(port)}
            return _suffered(place, lasts, REFUSED, happens, **settings)


def _most_are_cut_off(place: Place, lasts: _Seconds) -> Seen:
    """Cut six of ten dialers off for fifteen minutes, as a switch does that dies.

    When the network is back, they answer at once; their updaters start one after the other.
    """

    def happens(at: Shift) -> None:
        cut = [each.server_ip for each in at.plan.dialer_plans[:MANY]]
        for server_ip in cut:
            at.cluster.cut_off(server_ip)
        time.sleep(lasts.split)
        for server_ip in cut:
            at.cluster.reconnect(server_ip)
        for server_ip in cut:
            at.cluster.restart_updater(server_ip)
            at.cluster.unstall(server_ip)
            time.sleep(lasts.apart)

    return _suffered(place, lasts, SPLIT, happens)
