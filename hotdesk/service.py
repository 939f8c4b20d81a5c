"""One process, put together from the parts of its roles; it begins, takes up new settings, and ends."""

import asyncio
import gc
import os
import platform
import secrets
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import structlog
import uvloop
from prometheus_client import CollectorRegistry, Gauge, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.core import Metric as PrometheusMetric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector as PrometheusCollector

from controller.api.app import create_app
from controller.api.owner_client import OwnerClient
from controller.api.tokens import Scope, Tokens
from controller.core.clusters import Clusters
from controller.runtime.follower import Follower
from controller.runtime.metrics import ControllerInstruments
from controller.runtime.owner import Owner
from hotdesk.api_server import ApiServer, listen, tokens_of
from hotdesk.bounded import Connections
from hotdesk.cluster_server import ClusterServer
from hotdesk.collector_pool import CollectorPool
from hotdesk.errors import LogFailure
from hotdesk.executor_pool import ExecutorPool
from hotdesk.notify.part import Notifying
from hotdesk.part import Part, Shared
from hotdesk.settings import LogOptions
from hotdesk.tls import trust
from hotdesk.version import VERSION
from hotdesk.wanted import Role, Wanted
from messages import metrics
from messages.topics import Topic
from stream.embedded.log import EmbeddedLog
from stream.kafka.log import KafkaLog
from stream.log import Log, LogError
from stream.outbox import Outbox

STOP_SECONDS = 3.0
"""All threads together may take this long to end."""
LEAVE_SECONDS = 1.0
"""The log may take this long to close, and a process is gone 5 s after SIGTERM."""
SWITCH_SECONDS = 0.0005
"""How long a thread may keep the interpreter while another wants it. With Python's own 5 ms, a thread that decodes
records would make picks wait longer than the 3 ms they may take."""

log = structlog.get_logger()


def open_log(options: LogOptions) -> Log:
    """Open the log the options name.

    Raises:
        LogFailure: another process owns the file, or it cannot be opened.
    """
    try:
        return (
            KafkaLog(options.kafka()) if options.bootstrap else EmbeddedLog(options.path, partitions=options.partitions)
        )
    except LogError as error:
        raise LogFailure(str(error)) from error


class Service:
    """A process. Entering starts it, leaving ends it within five seconds."""

    def __init__(self, wanted: Wanted) -> None:
        """Put it together.

        Raises:
            SettingsError: the settings of the API cannot be used.
            LogFailure: the log cannot be opened.
        """
        self._wanted = wanted
        self._ending = False
        with ExitStack() as opened:
            tokens, certificate, proxies = tokens_of(wanted.api), wanted.api.certificate(), wanted.api.proxies()
            self._tokens = tokens
            listener = opened.enter_context(listen(wanted.api))
            self.url = wanted.api.reached_at(listener.getsockname()[1], this_machine=socket.gethostname())
            """Where the API answers."""
            tokens.own_url = self.url
            connections = Connections()
            self.registry = _registry(wanted, tokens, connections)
            loop = uvloop.new_event_loop()
            opened.callback(_close_loop, loop)
            self.log = open_log(wanted.log)
            opened.callback(_close_log, self.log)
            outbox = Outbox(self.log)
            opened.callback(outbox.close, 0.0)
            shared = Shared(_name(), self.url, self.log, outbox, tokens, self.registry, loop)
            answering, parts = _parts_of(wanted, shared)
            app = create_app(
                version=VERSION,
                tokens=tokens,
                registry=self.registry,
                doubts=self._doubts,
                more_metrics=next((each.metrics_text for each in answering), None),
                routes=[route for each in answering for route in each.routes],
                on_startup=[begin for each in answering for begin in each.on_startup],
                on_shutdown=[end for each in answering for end in each.on_shutdown],
            )
            api = ApiServer(
                app, listener, certificate, loop, [each.following for each in answering], connections, proxies
            )
            self._parts: Sequence[Part] = (*parts, api)
            """In the order in which they begin; settings are applied, and ends waited for, the other way round."""
            self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        sys.setswitchinterval(SWITCH_SECONDS)
        try:
            for part in self._parts:
                part.start()
        except BaseException:
            self.close()
            raise
        # What was imported lives as long as the process: without this every full collection would walk through all of
        # it, for 50 to 200 ms, while picks wait.
        gc.collect()
        gc.freeze()
        if not self._wanted.log.bootstrap and self._wanted.roles != frozenset(Role):
            log.warning("a role by itself meets no other on a log of its own: set log.bootstrap, or use 'hotdesk run'")
        more = {known.scope for _, known in self._tokens.items() if known.scope > Scope.READ}
        if more and self._wanted.roles == frozenset({Role.COLLECT}):
            log.warning(
                "a collector only guards its metrics by tokens, and its token file has some that may do more: give it"
                " one with a line 'read sha256:DIGEST'; see docs/guide/install.md, several machines",
                scopes=[each.name.lower() for each in sorted(more)],
            )
        log.info("ready to answer", url=self.url, roles=sorted(self._wanted.roles), version=VERSION)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def ended(self) -> list[str]:
        """Name the parts that ended though nobody asked them to: the process is of no use without them."""
        return [] if self._ending else [name for part in reversed(self._parts) for name in part.ended()]

    def change(self, wanted: Wanted) -> None:
        """Apply the clusters of new settings, how they are judged and how they are reached.

        Roles, log and API stay as they are, but for the certificate, whose files are read again. To be called by the
        thread that entered; what has not changed goes on undisturbed.
        """
        for part in reversed(self._parts):
            part.apply(wanted)
        log.info("the settings were read again", clusters=sorted(wanted.policies))

    def close(self) -> None:
        """End all that runs. Idempotent."""
        deadline = time.monotonic() + STOP_SECONDS
        self._ending = True
        for part in self._parts:
            part.stop()
        for part in reversed(self._parts):
            part.join(deadline)
        self._parts = ()
        self._opened.close()

    def _doubts(self) -> tuple[str, ...]:
        """Return what keeps this process from being of use."""
        return tuple(doubt for part in reversed(self._parts) for doubt in part.doubts())


def _parts_of(wanted: Wanted, shared: Shared) -> tuple[list[ClusterServer], list[Part]]:
    """Make the parts of the roles that are wanted: those that answer for clusters, and all in the order they begin."""
    trusted = trust(wanted.api.tls_ca)
    parts: list[Part] = [_Appending(shared.outbox, shared.registry)]
    answering: list[ClusterServer] = []
    if wanted.roles & {Role.CONTROL, Role.SERVE}:
        instruments = ControllerInstruments(shared.registry)
        clusters = Clusters(shared.name, shared.url, shared.log.partitions, wanted.policies)
        owner = Owner(shared.log)
        executors = ExecutorPool(wanted, shared, clusters, owner, instruments)
        follower = Follower(
            shared.log,
            clusters,
            shared.outbox,
            instruments,
            owner,
            loop=shared.loop,
            on_plans=executors.take,
            owns=Role.CONTROL in wanted.roles,
            reads_all=Role.SERVE in wanted.roles,
        )
        if Role.CONTROL in wanted.roles:
            parts += [executors, Notifying(wanted, shared, clusters, instruments)]
        owners = OwnerClient(trusted, shared.tokens)
        answering.append(ClusterServer(wanted, shared, clusters, follower, instruments, owners=owners))
    parts += answering
    if Role.COLLECT in wanted.roles:
        parts.append(CollectorPool(wanted, shared))
    return answering, parts


class _Appending(Part):
    """The records that wait for the log: this part ends last, since all others put something there."""

    def __init__(self, outbox: Outbox, registry: CollectorRegistry) -> None:
        self._outbox = outbox
        registry.register(_Queues(outbox))

    def join(self, deadline: float) -> None:
        """Append what is left."""
        if lost := self._outbox.close(max(0.1, deadline - time.monotonic()) / 2):
            log.warning("the log took no records to the end", given_up=lost)

    def doubts(self) -> Sequence[str]:
        """Return why nothing can be appended."""
        failing = self._outbox.failing_since
        return () if failing is None else (f"the log takes no records: {failing}",)


class _Queues(PrometheusCollector):
    """Counts the records that wait for the log, and those that were dropped."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def collect(self) -> Iterator[PrometheusMetric]:
        """Yield them by topic."""
        families: tuple[
            tuple[type[GaugeMetricFamily | CounterMetricFamily], metrics.Metric, Mapping[Topic, int]], ...
        ] = (
            (GaugeMetricFamily, metrics.OUTBOX_RECORDS, self._outbox.lengths()),
            (GaugeMetricFamily, metrics.OUTBOX_FAILING, self._outbox.failing_clusters()),
            (CounterMetricFamily, metrics.OUTBOX_DROPPED, self._outbox.dropped()),
        )
        for kind, spec, found in families:
            family = kind(spec.name, spec.help, labels=spec.labels)
            for topic in Topic:
                family.add_metric([topic], found.get(topic, 0))
            yield family


class _Refused(PrometheusCollector):
    """Counts what the guards of the API turned away."""

    def __init__(self, tokens: Tokens, connections: Connections) -> None:
        self._tokens = tokens
        self._connections = connections

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Yield the counts."""
        for spec, count in (
            (metrics.TOKENS_REFUSED, self._tokens.refused),
            (metrics.SCOPE_REFUSED, self._tokens.too_low),
            (metrics.CONNECTIONS_REFUSED, self._connections.refused),
        ):
            yield CounterMetricFamily(spec.name, spec.help, value=count)


def _name() -> str:
    # in a container every process is number 1, and one that begins anew is another one than before
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"


def _registry(wanted: Wanted, tokens: Tokens, connections: Connections) -> CollectorRegistry:
    disable_created_metrics()  # type: ignore[no-untyped-call] # each would double its counter's series, and nothing here needs them
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    Gauge(*metrics.BUILD_INFO, registry=registry).labels(VERSION, platform.python_version()).set(1)
    registry.register(_Refused(tokens, connections))
    role = Gauge(*metrics.ROLE, registry=registry)
    for each in wanted.roles:
        role.labels(each, "kafka" if wanted.log.bootstrap else "file").set(1)
    return registry


def _close_loop(loop: asyncio.AbstractEventLoop) -> None:
    # the API's thread closes it, if that began, and ends in time
    if not loop.is_running():
        loop.close()


def _close_log(opened: Log) -> None:
    # one that is just trying to reach a Kafka that is away would close only after that
    closing = threading.Thread(target=opened.close, name="closing", daemon=True)
    closing.start()
    closing.join(LEAVE_SECONDS)
