"""How many agents are logged out, and how many calls ended, by faults that last for minutes and kill no dialer.

Each fault has a cluster, a collector and two controllers of its own, at default settings over one Kafka and one
MariaDB, with half of the agents in calls. They run side by side, since most of the time they wait.
"""

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from bench.failover import BUSY, Servers
from bench.results import Result
from messages.codes import DecisionCode
from simulator.broker import Broker
from simulator.database import Database
from simulator.plan import ClusterPlan
from simulator.ports import free_port
from tests.support.ami_manager import SECRET, USER, Manager
from tests.support.kafka_home import KAFKA_HOME
from tests.support.processes import ACT, CLUSTER, grants, site, until
from tests.support.shift import Shift, shift

UPDATERS = ClusterPlan(dialers=4, agents=24, remote_agents=2, first_ip="127.78.1.11")
REFUSED = ClusterPlan(dialers=4, agents=24, remote_agents=2, first_ip="127.78.2.11")
SPLIT = ClusterPlan(dialers=10, agents=60, remote_agents=5, phones_per_alias=10, first_ip="127.78.3.11")

UPDATER_SECONDS = 45.0
"""How long VICIdial's keepalive takes to start an updater again that has ended, at worst a minute."""
REFUSED_SECONDS = 120.0
REFUSED_FIRST_SECONDS, STALLED_SECONDS = 40.0, 20.0
"""In a refusal: when the updater stands still as well, and for how long."""
SPLIT_SECONDS, APART_SECONDS = 900.0, 20.0
"""How long most dialers are cut off, and after which time the next one's updater is back."""
MANY = 6
"""Of the ten dialers: more than half, so that the fleet brake holds."""
LATER_SECONDS = 60.0
"""How long each fault's agents are watched after it."""


class Seen(NamedTuple):
    """The logouts of one fault, and the calls that it ended."""

    logouts: int
    calls_ended: int


def measure() -> list[Result]:
    """Count logouts and calls ended, over all faults."""
    faults = (_updaters_restart, _ami_is_refused, _most_are_cut_off)
    with tempfile.TemporaryDirectory(prefix="hotdesk-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        database = stack.enter_context(Database(folder / "mariadb"))
        broker = stack.enter_context(Broker(KAFKA_HOME, folder / "kafka"))
        servers = Servers(folder, database, broker)
        pool = stack.enter_context(ThreadPoolExecutor(len(faults)))
        seen = list(pool.map(lambda fault: fault(servers), faults))
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


def _suffered(servers: Servers, plan: ClusterPlan, happens: Callable[[Shift], None], **settings: str) -> Seen:
    """Return what the people of a cluster at work suffer from what happens."""
    folder = servers.folder / plan.first_ip
    folder.mkdir()
    with site(servers.database, plan, sip_pace="in_doubt") as west:
        west.run(*grants(west, ACT))
        with shift(folder, servers.broker, west, mid_shift=True, habits=BUSY, **settings) as at:
            happens(at)
            until(at.all_is_well, "all is well", 120)
            time.sleep(LATER_SECONDS)
            decisions = at.owner.client.http.get(f"/v1/clusters/{CLUSTER}/decisions").json()
            ended = sum(each["code"] == DecisionCode.HANG_UP_SENT for each in decisions)
            return Seen(sum(at.logouts().values()), ended)


def _updaters_restart(servers: Servers) -> Seen:
    """Stop the heartbeats of three dialers, one after the other, while their Asterisks work and answer SIP."""

    def happens(at: Shift) -> None:
        for dialer in at.plan.dialer_plans[:3]:
            at.cluster.stall(dialer.server_ip)
            time.sleep(UPDATER_SECONDS)
            at.cluster.restart_updater(dialer.server_ip)
            at.cluster.unstall(dialer.server_ip)
            until(at.all_is_well, "all is well", 60)

    return _suffered(servers, UPDATERS, happens)


def _ami_is_refused(servers: Servers) -> Seen:
    """Refuse one dialer's AMI, the only probe, as a firewall does, and restart its updater meanwhile."""
    port = free_port()
    with ExitStack() as stack:
        first, *others = (each.server_ip for each in REFUSED.dialer_plans)
        for server_ip in others:
            stack.enter_context(Manager(server_ip, port))

        def happens(at: Shift) -> None:
            answering.close()
            time.sleep(REFUSED_FIRST_SECONDS)
            at.cluster.stall(first)
            time.sleep(STALLED_SECONDS)
            at.cluster.restart_updater(first)
            at.cluster.unstall(first)
            time.sleep(REFUSED_SECONDS - REFUSED_FIRST_SECONDS - STALLED_SECONDS)
            stack.enter_context(Manager(first, port))

        with ExitStack() as answering:
            answering.enter_context(Manager(first, port))
            settings = {"sip": "false", "ami_user": USER, "ami_secret": SECRET, "ami_port": str(port)}
            return _suffered(servers, REFUSED, happens, **settings)


def _most_are_cut_off(servers: Servers) -> Seen:
    """Cut six of ten dialers off for fifteen minutes, as a switch does that dies.

    When the network is back, they answer at once; their updaters start one after the other.
    """

    def happens(at: Shift) -> None:
        cut = [each.server_ip for each in at.plan.dialer_plans[:MANY]]
        for server_ip in cut:
            at.cluster.cut_off(server_ip)
        time.sleep(SPLIT_SECONDS)
        for server_ip in cut:
            at.cluster.reconnect(server_ip)
        for server_ip in cut:
            at.cluster.restart_updater(server_ip)
            at.cluster.unstall(server_ip)
            time.sleep(APART_SECONDS)

    return _suffered(servers, SPLIT, happens)
