"""`pick_p99_ms`, `pick_times_cheaper`: how long a pick takes under load, compared with VICIdial's own at a login."""

import hashlib
import multiprocessing
import os
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from typing import NamedTuple

import httpx
import msgspec

from bench.load import Door, Offered, offer
from bench.results import Result, percentile
from bench.servers import Guard, Place, hotdesk, on_core, wait_until
from collectors.leading import entry
from collectors.observer import Observer
from controller.api.schemas import PickBody
from simulator import vicidial_login
from simulator.cluster import SimulatedCluster
from simulator.plan import ClusterPlan
from stream.kafka.log import KafkaLog
from stream.kafka.settings import KafkaSettings
from tests.support.certificates import Issuer
from tests.support.crowd import Crowd
from tests.support.processes import site

CLUSTER = "bench"
TOKEN, READ_TOKEN = "pick-token-of-the-benchmark", "read-token-of-the-benchmark"
CREATED = 201


class _Size(NamedTuple):
    dialers: int
    agents: int
    phones: int
    per_second: int
    seconds: int
    vicidial_logins: int

    @property
    def plan(self) -> ClusterPlan:
        return ClusterPlan(dialers=self.dialers, agents=self.agents, phones_per_alias=self.phones, remote_agents=0)


FULL, SHORT = _Size(40, 8000, 6, 500, 20, 30), _Size(4, 40, 4, 50, 1, 2)
POLL_SECONDS = 0.5
LEAST_URGENT = 19
CHANGING = 0.015
"""Share of the agents whose status changes between two polls: each about every half a minute."""


def measure(at: Place) -> list[Result]:
    """Send picks as the login hook does, then let VICIdial's statements choose for the same aliases."""
    size = SHORT if at.short else FULL
    bodies, issuer = _bodies(size.plan, size), Issuer(at.folder)
    tokens = at.folder / "tokens"
    tokens.write_text(f"pick {TOKEN}\nread {READ_TOKEN}\n")
    tokens.chmod(0o600)
    by_token = {"HOTDESK_API_TOKEN_FILE": str(tokens)}
    plain = _offered(at, size, bodies, Guard({}, by_token))
    over_tls = _offered(at, size, bodies, Guard({}, by_token | issuer.issue(), issuer.believing()))
    vicidial_ms = _vicidial_ms(at, size.plan, size)
    median = statistics.median(plain.latencies_ms)
    cheaper = vicidial_ms / median
    return [
        _latency("pick_p99_ms", plain, size),
        _latency("pick_tls_p99_ms", over_tls, size),
        Result(
            name="pick_times_cheaper",
            value=cheaper,
            unit="times",
            beside=f"VICIdial's statements: {vicidial_ms:.1f} ms; {size.dialers} dialers, {size.agents} agents",
            goal=">= 50",
            holds=cheaper >= 50,
        ),
    ]


def _latency(name: str, offered: Offered, size: _Size) -> Result:
    picked, of = offered.statuses.get(CREATED, 0), size.per_second * size.seconds
    assert picked > 0.99 * of, f"these are no picks: {offered.statuses}"
    p99, median = percentile(offered.latencies_ms, 0.99), statistics.median(offered.latencies_ms)
    return Result(
        name=name,
        value=p99,
        unit="ms",
        beside=(
            f"median {median:.2f} ms; {picked} of {of} picked, {size.per_second}/s offered to one core,"
            " with a token, within the limits of a new installation"
        ),
        goal="<= 3, all picked",
        holds=p99 <= 3 and picked == of,
    )


def _offered(at: Place, size: _Size, bodies: Sequence[bytes], guard: Guard) -> Offered:
    """Start a controller on one core, and send it the picks once it knows all aliases."""
    with (
        on_core(1),
        at.kafka() as settings,
        _feed(settings, size),
        hotdesk("control", settings, core=0, guard=guard) as port,
    ):
        door, path = Door(port, TOKEN, guard.tls), f"/v1/clusters/{CLUSTER}/picks"
        _wait_for_aliases(door, size.plan)
        offer(door, path, bodies[: size.per_second * 2], size.per_second)
        return offer(door, path, bodies, size.per_second)


@contextmanager
def _feed(settings: KafkaSettings, size: _Size) -> Iterator[None]:
    """Publish a collector's records from a process of its own, which gives way to the one that measures beside it."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    feeder = context.Process(target=_publish, args=(settings, size, stop))
    feeder.start()
    try:
        yield
    finally:
        stop.set()
        feeder.join()


def _publish(settings: KafkaSettings, size: _Size, stop: Event) -> None:
    os.nice(LEAST_URGENT)
    crowd = Crowd(size.dialers, size.agents, phones_per_alias=size.phones)
    observer, began, polls = Observer(CLUSTER, "bench", 1), time.monotonic(), 0
    with KafkaLog(settings) as log:
        while not stop.wait(POLL_SECONDS):
            crowd.work(CHANGING)
            now_ms = round((time.monotonic() - began) * 1000)
            log.append([entry(each) for each in observer.observe(now_ms, crowd.reading(catalogue=polls == 1))])
            polls += 1


def _wait_for_aliases(door: Door, plan: ClusterPlan) -> None:
    last = max(plan.agent_plans, key=lambda agent: agent.alias)
    url = (
        f"{'https' if door.tls else 'http'}://127.0.0.1:{door.port}/v1/clusters/{CLUSTER}/aliases/{last.alias}/ranking"
    )
    headers = {"Authorization": f"Bearer {READ_TOKEN}"}
    with httpx.Client(trust_env=False, verify=door.tls or False, headers=headers) as client:
        wait_until(lambda: client.get(url).is_success, "all aliases")


def _bodies(plan: ClusterPlan, size: _Size) -> list[bytes]:
    draw = random.Random(1)
    agents = [draw.choice(plan.agent_plans) for _ in range(size.per_second * size.seconds)]
    return [
        msgspec.json.encode(
            PickBody(
                user=agent.user,
                alias=agent.alias,
                campaign=agent.campaign.campaign_id,
                visitor=hashlib.sha256(agent.user.encode()).hexdigest()[:16],
            )
        )
        for agent in agents
    ]


def _vicidial_ms(at: Place, plan: ClusterPlan, size: _Size) -> float:
    """Return the median time of VICIdial's own selection on MariaDB with the same rows, one login at a time."""
    draw, took = random.Random(1), []
    with site(at.database, plan) as west, west.connect() as connection:
        SimulatedCluster(west.connect, plan).begin_mid_shift()
        for _ in range(size.vicidial_logins):
            agent = draw.choice(plan.agent_plans)
            began = time.perf_counter()
            vicidial_login.choose(connection, agent.alias, agent.campaign.campaign_id, now=time.time())
            took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)
