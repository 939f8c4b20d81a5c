"""How long a dialer's failure takes, from the fault to an agent's LOGOUT, and how many agents false alarms move.

A collector and two controllers as processes, over Kafka, on a MariaDB with simulated dialers and agents, at default
settings; the AMI manager is a stand-in that answers what a probe asks.
"""

import dataclasses
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import cycle, islice
from typing import NamedTuple
from uuid import uuid4

from bench.results import Result, percentile
from bench.servers import Place
from simulator.broker import Broker
from simulator.database import Database
from simulator.plan import ClusterPlan
from simulator.ports import free_port
from tests.support.ami_manager import SECRET, USER, Manager
from tests.support.cable import Cable
from tests.support.kafka_home import KAFKA_HOME
from tests.support.processes import ACT, CLUSTER, grants, site, until
from tests.support.shift import AT_WORK, Shift, shift

OFTEN = {"moves_of_a_user": "20"}
"""When fifty dialers die within minutes, some agents are on several of them."""
BETWEEN_SECONDS = 2.3
"""Between two deaths; not a multiple of a poll. Each dialer is away for half a minute, and fewer than half must be."""
BUSY = dataclasses.replace(AT_WORK, talking=(5, 20))
"""About half of the agents are in a call; waiting agents are moved first."""
FOUR = ClusterPlan(dialers=4, agents=24, remote_agents=0)
JUDGED_SECONDS = 10.0
"""Longer than hotdesk watches a dialer before it moves its agents."""
BY_HEARTBEAT_ALONE = 100.0
"""Seconds within which a death is known even where SIP's requests are used up, since heartbeats wavered on a busy
machine."""
LOOK_SECONDS = 0.05
NEW_LOGOUTS = "SELECT user_log_id, user FROM vicidial_user_log WHERE event = 'LOGOUT' AND user_log_id > %s"
PERCENTILE = 0.99


class _Size(NamedTuple):
    many: ClusterPlan
    """So many dialers that all may die in turn, each returning when empty, without a reason for the fleet brake."""
    deaths: int
    crowd: ClusterPlan
    takeovers: int
    rounds: int
    """Of the faults that kill no dialer; 0: they are not tried."""


FULL = _Size(
    ClusterPlan(dialers=50, agents=300, remote_agents=0, phones_per_alias=12, first_ip="127.77.10.11"),
    50,
    ClusterPlan(dialers=4, agents=800, remote_agents=0, rooms=400),
    4,
    2,
)
SHORT = _Size(
    ClusterPlan(dialers=6, agents=24, remote_agents=0, first_ip="127.77.11.11"),
    1,
    ClusterPlan(dialers=4, agents=40, remote_agents=0),
    1,
    0,
)


def measure(at: Place) -> list[Result]:
    """Measure deaths, switch-offs, evacuation, takeovers, and false moves."""
    size = SHORT if at.short else FULL
    parts = [_kills, _kills_with_ami, _hangs, _evacuation, _takeovers, _false_moves]
    if at.short:
        # a death by SIP alone and a hang go the same ways as a death with AMI
        parts = [_kills_with_ami, _evacuation, _takeovers]
    return [each for part in parts for each in part(at, size)]


@contextmanager
def _at_work(place: Place, plan: ClusterPlan, **settings: str) -> Iterator[Shift]:
    folder = place.folder / uuid4().hex[:6]
    folder.mkdir()
    with site(place.database, plan, sip_pace="in_doubt") as west:
        west.run(*grants(west, ACT))
        with shift(folder, place.servers.broker, west, mid_shift=True, habits=BUSY, **settings) as at:
            yield at


def _kills(place: Place, size: _Size) -> list[Result]:
    """Switch each of fifty dialers off and on; then kill each, and time its first logout. Only SIP is asked."""
    with _at_work(place, size.many, **OFTEN) as at:
        switched = _switch_offs(at, size.deaths)
        took = _fail_one_after_the_other(at, size.deaths, at.cluster.kill)
    return [
        _first_logouts("kill_to_logout_p99_s_by_sip_alone", took, goal=5),
        Result(
            name="switch_off_p99_s",
            value=percentile(switched, PERCENTILE),
            unit=f"s, p99 of {len(switched)}",
            beside=f"median {percentile(switched, 0.5):.2f} s",
            goal="<= 1.5",
            holds=percentile(switched, PERCENTILE) <= 1.5,
        ),
    ]


def _kills_with_ami(place: Place, size: _Size) -> list[Result]:
    """Kill each of fifty dialers that answer AMI too: with Asterisk its manager ends."""
    port = free_port()
    with ExitStack() as stack:
        managers = {each.server_ip: stack.enter_context(ExitStack()) for each in size.many.dialer_plans}
        for server_ip, manager in managers.items():
            manager.enter_context(Manager(server_ip, port))
        settings = OFTEN | {"ami_user": USER, "ami_secret": SECRET, "ami_port": str(port)}
        at = stack.enter_context(_at_work(place, size.many, **settings))

        def kill(server_ip: str) -> None:
            # the manager takes a moment to end, which must not put off the death
            at.cluster.kill(server_ip)
            managers[server_ip].close()

        def bring_back(server_ip: str) -> None:
            at.cluster.bring_back(server_ip)
            managers[server_ip].enter_context(Manager(server_ip, port))

        took = _fail_one_after_the_other(at, size.deaths, kill, bring_back)
    return [_first_logouts("kill_to_logout_p99_s_with_ami", took, goal=4)]


def _hangs(place: Place, size: _Size) -> list[Result]:
    """Hang the Asterisk of each of fifty dialers; only SIP is asked."""
    with _at_work(place, size.many, **OFTEN) as at:
        took = _fail_one_after_the_other(at, size.deaths, at.cluster.hang)
    return [_first_logouts("hang_to_logout_p99_s", took, goal=10)]


def _first_logouts(name: str, took: list[float], *, goal: float) -> Result:
    return Result(
        name=name,
        value=percentile(took, PERCENTILE),
        unit=f"s, p99 of {len(took)}",
        beside=f"median {percentile(took, 0.5):.1f} s, 6 agents on each; VICIdial: up to 120 s, and then a person",
        goal=f"<= {goal:g}",
        holds=percentile(took, PERCENTILE) <= goal,
    )


def _switch_offs(at: Shift, times: int) -> list[float]:
    took = []
    for dialer in at.plan.dialer_plans[:times]:
        server_ip = dialer.server_ip
        at.cluster.switch_off(server_ip)
        took.append(_seconds_until(lambda ip=server_ip: ip not in at.owner.client.offered(), "it is not offered"))  # type: ignore[misc]
        at.cluster.switch_on(server_ip)
    until(at.all_is_well, "all are switched on", 40)
    return took


def _fail_one_after_the_other(
    at: Shift, deaths: int, fail: Callable[[str], None], bring_back: Callable[[str], None] | None = None
) -> list[float]:
    """Let that many dialers fail once, several at a time; each comes back when it is empty."""
    bring_back = bring_back or at.cluster.bring_back
    waiting = [each.server_ip for each in at.plan.dialer_plans[:deaths]]
    dead: dict[str, tuple[float, set[str]]] = {}
    took: dict[str, float] = {}
    next_at = time.monotonic()
    deadline = next_at + BETWEEN_SECONDS * len(waiting) + 120
    with at.site.connect() as connection, connection.cursor() as cursor:
        latest = 0
        while waiting or dead:
            assert time.monotonic() < deadline, f"{len(waiting)} to fail, {len(dead)} dead, {len(took)} moved"
            if waiting and time.monotonic() >= next_at:
                victim = next((each for each in waiting if at.cluster.agents_on(each)), waiting[0])
                waiting.remove(victim)
                next_at = time.monotonic() + BETWEEN_SECONDS
                dead[victim] = (time.monotonic(), set(at.cluster.agents_on(victim)))
                fail(victim)
            cursor.execute(NEW_LOGOUTS, (latest,))
            for number, user in cursor.fetchall():
                latest = max(latest, number)
                for victim, (since, stranded) in dead.items():
                    if user in stranded:
                        took.setdefault(victim, time.monotonic() - since)
            for victim in [each for each in dead if each in took and not at.cluster.agents_on(each)]:
                bring_back(victim)
                del dead[victim]
            time.sleep(LOOK_SECONDS)
    return list(took.values())


def _evacuation(place: Place, size: _Size) -> list[Result]:
    """Kill a dialer with two hundred agents; their screens log in again by themselves, within a second."""
    with _at_work(place, size.crowd) as at:
        victim = at.plan.dialer_plans[0].server_ip
        stranded = len(at.cluster.agents_on(victim))
        at.cluster.kill(victim)
        until(
            lambda: at.owner.client.metric("hotdesk_dialer_state", server_ip=victim, state="down") == 1,
            "it is down",
            BY_HEARTBEAT_ALONE,
        )
        took = _seconds_until(
            lambda: not at.cluster.agents_on(victim) and at.cluster.logged_in == at.plan.agents, "all have moved", 90
        )
        counts = [len(at.cluster.agents_on(each.server_ip)) for each in at.plan.dialer_plans[1:]]
    spread = max(counts) - min(counts)
    return [
        Result(
            name="evacuation_s",
            value=took,
            unit="s, from the decision until all are on other dialers",
            beside=f"{stranded} agents at 10 a second; screens log in again within 0.8 s",
            goal="<= 25",
            holds=took <= 25,
        ),
        Result(
            name="evacuation_spread",
            value=spread,
            unit="agents, most less fewest",
            beside=", ".join(map(str, counts)),
            goal="<= 1",
            holds=spread <= 1,
        ),
    ]


def _takeovers(place: Place, size: _Size) -> list[Result]:
    took = []
    for end in islice(cycle((signal.SIGKILL, signal.SIGSTOP)), size.takeovers):
        with _at_work(place, FOUR) as at:
            owner = at.owner
            owner.signal(end)
            took.append(at.new_owner(owner))
    return [
        Result(
            name="takeover_s",
            value=max(took),
            unit=f"s, the longest of {len(took)}",
            beside="owners killed and stopped, in turn",
            goal="<= 10",
            holds=max(took) <= 10,
        )
    ]


def _false_moves(place: Place, size: _Size) -> list[Result]:
    """Count logouts during faults that are hotdesk's own, or its network's."""
    moved = faults = 0
    for number in range(size.rounds):
        folder = place.folder / f"round{number}"
        folder.mkdir()
        with (
            Database(folder / "mariadb") as database,
            Broker(KAFKA_HOME, folder / "kafka") as broker,
            Cable(database.port) as cable,
            site(database, FOUR, sip_pace="in_doubt") as west,
        ):
            west.run(*grants(west, ACT))
            with shift(folder, broker, west, mid_shift=True, port=str(cable.port)) as at:
                for fault in _observer_faults(at, database, broker, cable):
                    fault()
                    until(at.all_is_well, "all is well", 60)
                    time.sleep(JUDGED_SECONDS)
                    faults += 1
                moved += sum(at.logouts().values())
    return [
        Result(
            name="false_moves",
            value=moved,
            unit="agents logged out",
            beside=f"{faults} faults, 24 agents at work: a restart of the database, a collector frozen, a collector"
            " killed, its network cut, writes that stall, the broker killed, a clock set back 300 s",
            goal="0",
            holds=moved == 0,
        )
    ]


def _observer_faults(at: Shift, database: Database, broker: Broker, cable: Cable) -> list[Callable[[], None]]:
    def restart_database() -> None:
        database.restart()
        for dialer in at.plan.dialer_plans:
            at.cluster.restart_updater(dialer.server_ip)

    def freeze_collector() -> None:
        at.collector.signal(signal.SIGSTOP)
        time.sleep(JUDGED_SECONDS)
        at.collector.signal(signal.SIGCONT)

    def kill_collector() -> None:
        at.collector.signal(signal.SIGKILL)
        at.collector = at.start("collect")
        until(lambda: at.collector.client.metric("hotdesk_collector_leading", cluster=CLUSTER) == 1, "it leads", 30)

    def cut_network() -> None:
        cable.cut()
        time.sleep(JUDGED_SECONDS)
        cable.mend()

    def stall_writes() -> None:
        with at.site.connect() as stall, stall.cursor() as cursor:
            cursor.execute("LOCK TABLES server_updater READ")
            time.sleep(JUDGED_SECONDS)

    def kill_broker() -> None:
        broker.kill()
        time.sleep(JUDGED_SECONDS)
        broker.start()

    def skew_a_clock() -> None:
        at.cluster.skew(at.plan.dialer_plans[0].server_ip, -300)

    return [
        restart_database,
        freeze_collector,
        kill_collector,
        cut_network,
        stall_writes,
        kill_broker,
        skew_a_clock,
    ]


def _seconds_until(condition: Callable[[], bool], what: str, seconds: float = 20.0) -> float:
    began = time.monotonic()
    until(condition, what, seconds)
    return time.monotonic() - began
