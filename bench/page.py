"""`page_cost`: the cost of a hundred open status pages for the controller and for VICIdial's database."""

import selectors
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import httpx
from prometheus_client.parser import text_string_to_metric_families

from bench.results import Result
from bench.servers import Place, hotdesk, wait_until
from simulator.agents import Habits
from simulator.cluster import SimulatedCluster
from simulator.plan import ClusterPlan
from tests.support.processes import CLUSTER, site


class _Size(NamedTuple):
    viewers: int
    rounds: int
    seconds: float


FULL, SHORT = _Size(100, 4, 8.0), _Size(3, 1, 1.0)
MOST_SHARE = 5.0
PLAN = ClusterPlan(dialers=10, agents=300)
BUSY = Habits(arrival=(0, 5), session=(20, 60), relogin=(1, 5))
"""Agents come and go all the time, so that the page changes every second."""


class _Spent(NamedTuple):
    cpu_seconds: float
    """The controller's."""
    statements: float
    """The collector's, which alone reads the database."""
    seconds: float
    received: float
    """Bytes per second for each viewer."""


def measure(at: Place) -> list[Result]:
    """Measure in turns: without viewers, and with a hundred."""
    size = SHORT if at.short else FULL
    with site(at.database, PLAN) as west, at.kafka() as settings:
        cluster = SimulatedCluster(west.connect, PLAN, habits=BUSY, sip_port=west.sip_port)
        cluster.begin_mid_shift()
        with (
            cluster,
            hotdesk("collect", settings, environment=west.environment) as collector,
            hotdesk("control", settings) as controller,
        ):
            wait_until(
                lambda: _metric(controller, "hotdesk_dialer_eligible") == PLAN.dialers, "the ranking to be there"
            )
            alone: list[_Spent] = []
            watched: list[_Spent] = []
            for _ in range(size.rounds):
                alone.append(_spend(collector, controller, 0, size.seconds))
                watched.append(_spend(collector, controller, size.viewers, size.seconds))
    share = [
        100 * sum(each.cpu_seconds for each in some) / sum(each.seconds for each in some) for some in (alone, watched)
    ]
    statements = [
        sum(each.statements for each in some) / sum(each.seconds for each in some) for some in (alone, watched)
    ]
    received = sum(each.received for each in watched) / size.rounds
    return [
        Result(
            name="page_cost",
            value=share[1] - share[0],
            unit="% of a core",
            beside=f"{size.viewers} viewers: {share[1]:.1f} %, none: {share[0]:.1f} %; {received / 1000:.1f} kB/s each",
            goal=f"< {MOST_SHARE:g}",
            holds=share[1] - share[0] < MOST_SHARE and received > 0,
        ),
        Result(
            name="page_database_cost",
            value=statements[1] / statements[0],
            unit="times the statements",
            beside=f"{statements[1]:.2f} a second with viewers, {statements[0]:.2f} without; the controller asks none",
            goal="<= 1.05",
            holds=statements[1] <= 1.05 * statements[0],
        ),
    ]


def _spend(collector: int, controller: int, viewers: int, lasts: float) -> _Spent:
    with _watching(controller, viewers) as got:
        wait_until(lambda: _metric(controller, "hotdesk_page_viewers") == viewers, "the viewers to be there")
        asked, cpu, began, bytes_before = _asked(collector), _cpu(controller), time.monotonic(), sum(got)
        time.sleep(lasts)
        seconds = time.monotonic() - began
        spent, statements, received = _cpu(controller) - cpu, _asked(collector) - asked, sum(got) - bytes_before
    wait_until(lambda: _metric(controller, "hotdesk_page_viewers") == 0, "the viewers to be gone")
    return _Spent(spent, statements, seconds, received / seconds / max(1, viewers))


def _cpu(port: int) -> float:
    return _metric(port, "process_cpu_seconds_total")


def _asked(port: int) -> float:
    return _metric(port, "hotdesk_poll_statements_total")


@contextmanager
def _watching(port: int, viewers: int) -> Iterator[list[int]]:
    """Open the page for each viewer and read its updates; yield the list of bytes that each has received."""
    request = f"GET /clusters/{CLUSTER}/live HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n\r\n".encode()
    got, done = [0] * viewers, threading.Event()
    with ExitStack() as stack, selectors.DefaultSelector() as ready:
        for number in range(viewers):
            viewer = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            viewer.sendall(request)
            ready.register(viewer, selectors.EVENT_READ, number)

        def read() -> None:
            while not done.is_set():
                for key, _ in ready.select(0.2):
                    got[key.data] += len(key.fileobj.recv(1 << 20))  # type: ignore[union-attr]

        reader = threading.Thread(target=read)
        reader.start()
        try:
            yield got
        finally:
            done.set()
            reader.join()


def _metric(port: int, name: str) -> float:
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False, timeout=10.0).text
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return sum(sample.value for sample in samples if sample.name == name)
