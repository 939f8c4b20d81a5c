"""Measure what the death of a Kafka broker costs: of three with Kafka's own defaults, below two hotdesk processes.

Each broker is killed (SIGKILL) or stopped (SIGSTOP) in turn, six times each, and comes back when that is over; one of
the three is the active controller too. At last two die at once, and come back after half a minute.
"""

import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from itertools import cycle, islice
from typing import NamedTuple

from bench.results import Result
from bench.servers import Place
from simulator.broker_cluster import BrokerCluster, BrokerOfThree
from simulator.plan import ClusterPlan
from stream.kafka.settings import KafkaSettings
from tests.support.broker_death import Watch, in_sync, watched
from tests.support.kafka_home import KAFKA_HOME
from tests.support.processes import ACT, grants, site, until

PLAN = ClusterPlan(dialers=4, agents=24, remote_agents=0, first_ip="127.79.1.11")


class _Size(NamedTuple):
    killed: int
    stopped: int
    away_seconds: float
    """How long a broker is away: longer than Kafka takes to give it up, and hotdesk to go on."""
    two_away_seconds: float


FULL, SHORT = _Size(6, 6, 25.0, 30.0), _Size(1, 0, 1.0, 1.0)
BACK_SECONDS = 90.0


def measure(at: Place) -> list[Result]:
    """Kill and stop brokers, and measure how long there was no pick, and no owner."""
    size = SHORT if at.short else FULL
    with ExitStack() as stack:
        brokers = stack.enter_context(BrokerCluster(KAFKA_HOME, at.folder / "kafka"))
        west = stack.enter_context(site(at.database, PLAN))
        west.run(*grants(west, ACT))
        watch, kafka = stack.enter_context(watched(at.folder, brokers, west))
        three = _Three(brokers, watch, kafka)
        killed = _deaths(three, size.killed, size.away_seconds, BrokerOfThree.kill, BrokerOfThree.start)
        stopped = _deaths(three, size.stopped, size.away_seconds, BrokerOfThree.freeze, BrokerOfThree.thaw)
        whole = _two_gone(three, size.two_away_seconds)
    deaths = [*killed, *stopped]
    blind, no_owner = [each[0] for each in deaths], [each[1] for each in deaths]
    told = f"{len(killed)} killed: {_listed(killed, 0)}; {len(stopped)} stopped: {_listed(stopped, 0)}"
    told_no_owner = f"killed: {_listed(killed, 1)}; stopped: {_listed(stopped, 1)}"
    return [
        _result("broker_death_blind_s", max(blind), "s without a pick, the longest", told, 12),
        _result("broker_death_blind_median_s", statistics.median(blind), "s without a pick", told, 8),
        _result("broker_death_no_owner_s", max(no_owner), "s without an owner, the longest", told_no_owner, 12),
        _result(
            "two_brokers_back_s",
            whole,
            "s until picks and an owner stay",
            f"from when both that were away for {size.two_away_seconds:.0f} s answer again",
            20,
        ),
    ]


class _Three(NamedTuple):
    """Three brokers, and what watches hotdesk on them."""

    brokers: BrokerCluster
    watch: Watch
    kafka: KafkaSettings


def _deaths(
    three: _Three,
    deaths: int,
    away_seconds: float,
    end: Callable[[BrokerOfThree], None],
    bring_back: Callable[[BrokerOfThree], None],
) -> list[tuple[float, float]]:
    """Let brokers die one after the other, and return how long there was no pick after each death, and no owner."""
    found = []
    brokers, watch, kafka = three
    for broker in islice(cycle(brokers.brokers), deaths):
        began = time.monotonic()
        end(broker)
        time.sleep(away_seconds)
        until(watch.well, "picks are given without it", BACK_SECONDS)
        found.append((watch.blind_seconds(began), watch.no_owner_seconds(began)))
        bring_back(broker)
        brokers.wait_until_whole()
        until(lambda: in_sync(kafka, len(brokers.brokers)), "every copy is in step", BACK_SECONDS)
        until(watch.well, "picks are given with it", BACK_SECONDS)
    return found


def _two_gone(three: _Three, away_seconds: float) -> float:
    brokers, watch, _ = three
    gone = brokers.brokers[:2]
    for each in gone:
        each.kill()
    time.sleep(away_seconds)
    for each in gone:
        each.launch()
    for each in gone:
        each.wait_until_ready()
    back_at = time.monotonic()
    until(lambda: watch.well(5.0), "all is well again", BACK_SECONDS)
    return max(0.0, time.monotonic() - 5.0 - back_at)


def _listed(found: list[tuple[float, float]], at: int) -> str:
    return ", ".join(f"{each[at]:.1f}" for each in found)


def _result(name: str, value: float, unit: str, beside: str, goal: float) -> Result:
    return Result(name=name, value=value, unit=unit, beside=beside, goal=f"<= {goal:g}", holds=value <= goal)
