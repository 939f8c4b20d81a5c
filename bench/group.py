"""`share_decided_elsewhere_s`: three controllers share many clusters; one is killed, and the others take its share."""

import os
import re
import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import NamedTuple

import httpx

from bench.fleet import DIALERS, Decisions, Fleet, Silence
from bench.results import Result, percentile
from bench.servers import Place, Running, running
from stream.kafka.log import KafkaLog

OWNED = re.compile(rb'^hotdesk_cluster_owned\{cluster="([^"]+)"\} 1\.0$', re.MULTILINE)
LAG = re.compile(rb"^hotdesk_consumer_lag_records(?:\{.*\})? (\S+)$", re.MULTILINE)


class _Size(NamedTuple):
    clusters: int
    controllers: int
    partitions: int
    deaths: int
    """Of dialers, in each group of clusters that is measured."""


FULL, SHORT = _Size(1500, 3, 24, 60), _Size(4, 2, 4, 1)
SHARED_SECONDS, MOST_SECONDS = 240.0, 60.0
LAG_RECORDS = 4
"""Offsets per cluster that may be in flight: two records a poll, and the decisions on them."""
ELSEWHERE_SECONDS, SLACK_SECONDS = 10.0, 2.0
DYING_SECONDS = 1.0
"""Within this time the silenced dialers have their last heartbeat."""


def measure(at: Place) -> list[Result]:
    """Let dialers die while all controllers run, then again as the one with the most clusters is killed."""
    size = SHORT if at.short else FULL
    with ExitStack() as stack:
        settings = stack.enter_context(at.kafka(size.partitions))
        fleet = stack.enter_context(Fleet(stack.enter_context(KafkaLog(settings))))
        decisions = stack.enter_context(Decisions(settings))
        group = [stack.enter_context(running("control", settings)) for _ in range(size.controllers)]
        fleet.grow(size.clusters)
        shares = _shared(group, size)
        first = fleet.silence(size.deaths, seed=1)
        quiet = _seconds(decisions, first)
        fleet.speak()
        decisions.wait_until_over(MOST_SECONDS)
        killed = max(group, key=lambda each: len(shares[each.port]))
        share = shares.pop(killed.port)
        lost = fleet.silence(size.deaths, seed=2, within=share, spared=first)
        beside = fleet.silence(size.deaths, seed=3, within=frozenset().union(*shares.values()), spared=first)
        time.sleep(DYING_SECONDS)
        killed.process.kill()
        killed_at = time.time()
        meanwhile = _seconds(decisions, beside)
        elsewhere = _seconds(decisions, lost, since=killed_at)
        if fleet.failure is not None:
            raise fleet.failure
    p99, before = percentile(meanwhile, 0.99), percentile(quiet, 0.99)
    sizes = ", ".join(str(len(each)) for each in (share, *shares.values()))
    return [
        Result(
            name="share_decided_elsewhere_s",
            value=max(elsewhere),
            unit=f"s from the kill to the decision, the longest of {len(elsewhere)}",
            beside=(
                f"median {statistics.median(elsewhere):.1f} s; {size.clusters} clusters of {DIALERS} dialers,"
                f" {size.controllers} controllers with {sizes} of them, {os.cpu_count()} cores for all and the broker"
            ),
            goal=f"<= {ELSEWHERE_SECONDS:.0f}",
            holds=max(elsewhere) <= ELSEWHERE_SECONDS,
        ),
        Result(
            name="others_go_on_p99_s",
            value=p99,
            unit=f"s from the last heartbeat to the decision, p99 of {len(meanwhile)}",
            beside=f"in the clusters of the controllers that live, meanwhile; with all of them {before:.1f} s",
            goal=f"<= {before + SLACK_SECONDS:.1f}",
            holds=p99 <= before + SLACK_SECONDS,
        ),
    ]


def _shared(group: Sequence[Running], size: _Size) -> dict[int, frozenset[str]]:
    """Wait until every cluster has one owner that has read it, and return the clusters of each, by its port."""
    deadline = time.monotonic() + SHARED_SECONDS
    while True:
        scrapes = {each.port: _scrape(each.port) for each in group}
        shares = {port: frozenset(each.decode() for each in OWNED.findall(text)) for port, text in scrapes.items()}
        lag = sum(float(each) for text in scrapes.values() for each in LAG.findall(text))
        owned = frozenset().union(*shares.values())
        if sum(map(len, shares.values())) == len(owned) == size.clusters and lag <= LAG_RECORDS * size.clusters:
            return shares
        if time.monotonic() > deadline:
            counts = ", ".join(str(len(each)) for each in shares.values())
            raise TimeoutError(
                f"{size.clusters} clusters are not shared in {SHARED_SECONDS:.0f} s: {counts}; lag {lag}"
            )
        time.sleep(1.0)


def _scrape(port: int) -> bytes:
    return httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False, timeout=60.0).content


def _seconds(decisions: Decisions, silenced: list[Silence], since: float | None = None) -> list[float]:
    """Wait for all decisions, and return the seconds from each last heartbeat, or from `since` by the wall clock."""
    decisions.wait_for(silenced, MOST_SECONDS)
    took = [decisions.seconds(each) for each in silenced]
    missing = took.count(None)
    assert not missing, f"{missing} of {len(took)} dialers were not decided on within {MOST_SECONDS:.0f} s"
    ends = [each.last_at + seconds for each, seconds in zip(silenced, took, strict=True) if seconds is not None]
    return [end - (each.last_at if since is None else since) for each, end in zip(silenced, ends, strict=True)]
