"""The servers and processes that benchmarks start."""

import os
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import httpx

from simulator.database import Database
from simulator.ports import free_port
from stream.kafka.settings import KafkaSettings
from tests.support.servers import Servers
from tests.support.topics import create_topics_patiently

PARTITIONS = 4
DEADLINE_SECONDS = 60.0


class Place(NamedTuple):
    """The servers and the folder of a benchmark."""

    servers: Servers
    folder: Path
    """Its own."""
    short: bool = False
    """The short form: a few seconds, which show that it still works and measure nothing."""

    @property
    def database(self) -> Database:
        return self.servers.database

    @contextmanager
    def kafka(self, partitions: int = PARTITIONS) -> Iterator[KafkaSettings]:
        """Yield a broker's settings, with topics of its own."""
        prefix = f"{self.folder.name}{next(_NUMBERS)}."
        settings = KafkaSettings(
            bootstrap_servers=(self.servers.broker.bootstrap,), prefix=prefix, partitions=partitions
        )
        create_topics_patiently(settings, 1)
        yield settings


_NUMBERS = count(1)


UNLIMITED = {
    "picks_per_second": 1_000_000.0,
    "picks_at_once": 1_000_000,
    "visitor_picks_per_second": 1_000_000.0,
    "visitor_picks_at_once": 1_000_000,
    "cluster_picks_per_second": 1_000_000.0,
    "cluster_picks_at_once": 1_000_000,
}
"""Settings of `[api]` without limits: the benchmarks measure how many requests it answers."""


class Guard(NamedTuple):
    """The guards of an API: limits, tokens, TLS."""

    limits: Mapping[str, float] = UNLIMITED
    environment: Mapping[str, str] = MappingProxyType({})
    """Its token file and certificate."""
    tls: ssl.SSLContext | None = None
    """The context of a client that believes it; None: there is no certificate."""


OPEN = Guard()


class Running(NamedTuple):
    """A process of hotdesk, and its API's port."""

    port: int
    process: subprocess.Popen[bytes]


@contextmanager
def hotdesk(
    role: str,
    settings: KafkaSettings,
    *,
    core: int | None = None,
    environment: Mapping[str, str] | None = None,
    guard: Guard = OPEN,
) -> Iterator[int]:
    """Run a role as a process of its own, on one core if given, and yield its API's port."""
    with running(role, settings, core=core, environment=environment, guard=guard) as started:
        yield started.port


@contextmanager
def running(
    role: str,
    settings: KafkaSettings,
    *,
    core: int | None = None,
    environment: Mapping[str, str] | None = None,
    guard: Guard = OPEN,
) -> Iterator[Running]:
    """Do as `hotdesk` does, and yield the process, too."""
    port = free_port()
    command = [
        str(Path(sys.executable).with_name("hotdesk")),
        role,
        *(f"--log.bootstrap={address}" for address in settings.bootstrap_servers),
        f"--log.prefix={settings.prefix}",
        f"--log.partitions={settings.partitions}",
        f"--api.port={port}",
        *(f"--api.{name.replace('_', '-')}={value}" for name, value in guard.limits.items()),
    ]
    process = subprocess.Popen(
        command, env=os.environ | dict(environment or {}) | dict(guard.environment), stderr=subprocess.DEVNULL
    )
    try:
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
        wait_until(lambda: _ready(port, guard.tls), f"hotdesk {role} to be ready")
        yield Running(port, process)
    finally:
        process.terminate()
        process.wait()


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Keep this process and all that it starts on one core, since another core is being measured."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """Wait for a condition.

    Raises:
        TimeoutError: it does not hold in time.
    """
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {DEADLINE_SECONDS:.0f} s in vain for {what}")
        time.sleep(0.05)


def _ready(port: int, tls: ssl.SSLContext | None) -> bool:
    url = f"{'https' if tls else 'http'}://127.0.0.1:{port}/readyz"
    try:
        return httpx.get(url, timeout=2.0, trust_env=False, verify=tls or False).is_success
    except httpx.HTTPError:
        return False
