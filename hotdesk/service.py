"""The roles of one process, wired together: collectors, controller, API, and what they share."""

import asyncio
import gc
import os
import platform
import secrets
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from functools import partial
from types import MappingProxyType, TracebackType
from typing import NamedTuple, Self

import structlog
import uvicorn
import uvloop
from litestar.types import ControllerRouterHandler
from prometheus_client import CollectorRegistry, Gauge, disable_created_metrics
from prometheus_client.core import CounterMetricFamily
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector as PrometheusCollector

from collectors.metrics import CollectorInstruments
from collectors.probes.prober import ProbeSettings
from collectors.vicidial.database import DatabaseSettings
from controller.api.app import create_app, reading_routes
from controller.api.orders import Orderer, incident_routes, ordering_routes
from controller.api.owner_client import OwnerClient
from controller.api.picks import Picker, picking_routes
from controller.api.purge import purge_routes
from controller.api.readiness import ReadinessMetrics, readiness_routes
from controller.api.tokens import TokenFileError, Tokens
from controller.core.clusters import Clusters
from controller.core.policy import Policy
from controller.page.routes import StatusPage, page_routes
from controller.runtime.follower import Follower
from controller.runtime.metrics import ClusterGauges, ControllerInstruments
from hotdesk.actuators import ActuatorSettings
from hotdesk.collector_pool import Collectors
from hotdesk.errors import LogFailure, SettingsError
from hotdesk.executor_pool import Executors
from hotdesk.settings import LOOPBACK, ApiOptions, LogOptions
from hotdesk.tls import trust
from hotdesk.version import VERSION
from messages import metrics
from stream.embedded.log import EmbeddedLog
from stream.kafka.log import KafkaLog
from stream.log import Log, LogError
from stream.outbox import Outbox

STOP_SECONDS = 3.0
"""All threads together may take this long to end."""
GONE_MS = 20_000
"""Whoever takes nothing of what is sent for so long is cut off: a status page that nobody looks at any more."""
LEAVE_SECONDS = 1.0
"""The log may take this long to close, and a process is gone 5 s after SIGTERM."""

SWITCH_SECONDS = 0.0005
"""How long a thread may keep the interpreter while another wants it. With Python's own 5 ms, a thread that decodes
records would make picks wait longer than the 3 ms they may take."""

log = structlog.get_logger()


class Role(StrEnum):
    """What a process does."""

    COLLECT = "collect"
    CONTROL = "control"
    SERVE = "serve"


class Wanted(NamedTuple):
    """What to run."""

    roles: frozenset[Role]
    log: LogOptions
    api: ApiOptions
    databases: Mapping[str, DatabaseSettings]
    """By cluster."""
    policies: Mapping[str, Policy]
    """By cluster; a cluster without one is judged by the defaults."""
    probes: Mapping[str, ProbeSettings] = MappingProxyType({})
    """By cluster; the dialers of a cluster without one are not probed."""
    hands: Mapping[str, ActuatorSettings] = MappingProxyType({})
    """By cluster: how agents' screens are told; for one without, moves are advice."""


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
    """A running process. Entering starts it, leaving ends it within five seconds."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._tokens = tokens_of(wanted.api)
        self._certificate = wanted.api.certificate()
        # in a container every process is number 1, and one that begins anew is another one than before
        self.name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"
        self._listener = _listen(wanted.api)
        self.url = wanted.api.reached_at(self._listener.getsockname()[1], this_machine=socket.gethostname())
        """Where the API answers."""
        self.registry = _registry()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self.log: Log | None = None
        """The log, while it runs."""
        self._outbox: Outbox | None = None
        self._server: uvicorn.Server | None = None
        self._follower: Follower | None = None
        self._collectors: Collectors | None = None
        self._executors: Executors | None = None
        self._clusters: Desk | None = None
        self._auditor: ReadinessMetrics | None = None
        self._page: StatusPage | None = None
        self._gauges: ClusterGauges | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def ended(self) -> list[str]:
        """Name the parts that ended though nobody asked them to: the process is of no use without them."""
        if self._stop.is_set():
            return []
        collecting = [] if self._collectors is None else self._collectors.threads
        return [thread.name for thread in (*self._threads, *collecting) if not thread.is_alive()]

    def change(self, wanted: Wanted) -> None:
        """Take up what clusters there are now, how they are judged and how they are reached.

        Roles, log and API stay as they are, but for the certificate, whose files are read again. To be called by the
        thread that entered; what has not changed goes on undisturbed.
        """
        self._renew_certificate()
        if self._collectors is not None:
            self._collectors.fit(wanted.databases, wanted.probes)
        if self._clusters is not None and self._follower is not None:
            self._follower.on_loop_soon(partial(self._clusters.judge_by, wanted.policies))
        if self._executors is not None:
            self._executors.fit(wanted.hands, wanted.policies)
        log.info("the settings were read again", clusters=sorted(wanted.policies))

    def _renew_certificate(self) -> None:
        """Show the certificate as it is now; one that cannot be used must not hold up anything else."""
        if self._certificate is None:
            return
        try:
            self._certificate.read_again()
        except SettingsError as error:
            log.warning("the certificate changed and cannot be used; the former one is shown on", why=str(error))

    def close(self) -> None:
        """End all that runs. Idempotent."""
        deadline = time.monotonic() + STOP_SECONDS
        self._stop.set()
        if self._executors is not None:
            self._executors.stop()
        if self._collectors is not None:
            self._collectors.stop()
        if self._page is not None:
            self._page.live.close()
        if self._server is not None:
            self._server.should_exit = True
        for thread in self._threads:
            thread.join(max(0.1, deadline - time.monotonic()))
        self._threads.clear()
        if self._collectors is not None:
            self._collectors.join(deadline)
        if self._outbox is not None:
            lost = self._outbox.close(max(0.1, deadline - time.monotonic()) / 2)
            self._outbox = None
            if lost:
                log.warning("the log took no records to the end", given_up=lost)
        if self.log is not None:
            # One that is just trying to reach a Kafka that is away would close only after that.
            closing = threading.Thread(target=self.log.close, name="closing", daemon=True)
            closing.start()
            closing.join(LEAVE_SECONDS)
            self.log = None
        self._listener.close()

    def _start(self) -> None:
        sys.setswitchinterval(SWITCH_SECONDS)
        self.log = open_log(self._wanted.log)
        self._outbox = Outbox(self.log)
        self.registry.register(_RefusedTokens(self._tokens))
        role = Gauge(*metrics.ROLE, registry=self.registry)
        for each in self._wanted.roles:
            role.labels(each, "kafka" if self._wanted.log.bootstrap else "file").set(1)
        outbox_records = Gauge(*metrics.OUTBOX_RECORDS, registry=self.registry)
        outbox_records.set_function(lambda: 0 if self._outbox is None else len(self._outbox))
        routes: list[ControllerRouterHandler] = []
        owners = OwnerClient(trust(self._wanted.api.tls_ca))
        if self._wanted.roles & {Role.CONTROL, Role.SERVE}:
            routes = self._controller(self.log, self._outbox, owners)
        if Role.COLLECT in self._wanted.roles:
            self._collectors = Collectors(self.name, self.log, self._outbox, CollectorInstruments(self.registry))
            self._collectors.fit(self._wanted.databases, self._wanted.probes)
        app = create_app(
            version=VERSION,
            tokens=self._tokens,
            registry=self.registry,
            doubts=self._doubts,
            more_metrics=None if self._gauges is None else self._gauges.text,
            routes=routes,
            on_startup=[] if self._auditor is None else [self._auditor.start],
            on_shutdown=[owners.close] if self._auditor is None else [self._auditor.stop, owners.close],
        )
        certificate = self._certificate
        config = uvicorn.Config(
            app,
            http="httptools",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
            server_header=False,
            ssl_context_factory=None if certificate is None else lambda *_: certificate.context,
        )
        self._server = uvicorn.Server(config)
        self._run_thread("api", self._serve, self._server)
        while not self._server.started:
            if not self._threads[-1].is_alive():
                raise SettingsError("the API could not be started; see the log above")
            self._stop.wait(0.01)
        # What was imported lives as long as the process: without this every full collection would walk through all of
        # it, for 50 to 200 ms, while picks wait.
        gc.collect()
        gc.freeze()
        if not self._wanted.log.bootstrap and self._wanted.roles != frozenset(Role):
            log.warning("a role by itself meets no other on a log of its own: set log.bootstrap, or use 'hotdesk run'")
        log.info("ready to answer", url=self.url, roles=sorted(self._wanted.roles), version=VERSION)

    def _controller(self, to: Log, outbox: Outbox, owners: OwnerClient) -> list[ControllerRouterHandler]:
        instruments = ControllerInstruments(self.registry)
        self._clusters = clusters = Clusters(self.name, self.url, to.partitions, self._wanted.policies)
        self._gauges = ClusterGauges(clusters)
        self._auditor = ReadinessMetrics(clusters)
        self.registry.register(self._auditor)
        self._follower = follower = Follower(
            to,
            clusters,
            outbox,
            instruments,
            owns=Role.CONTROL in self._wanted.roles,
            reads_all=Role.SERVE in self._wanted.roles,
        )
        self._executors = Executors(self.name, clusters, follower, instruments)
        self._executors.fit(self._wanted.hands, self._wanted.policies)
        allowed = self._wanted.api.limits()
        picker = Picker(clusters, outbox.put, owners, instruments, allowed)
        orderer = Orderer(clusters, outbox.put, allowed.orders, instruments)
        self._page = page = StatusPage(clusters, orderer, self._tokens, VERSION)
        viewers = Gauge(*metrics.PAGE_VIEWERS, registry=self.registry)
        viewers.set_function(lambda: page.live.viewers)
        return [
            *reading_routes(clusters, self._tokens),
            *incident_routes(clusters, self._tokens),
            *readiness_routes(clusters, self._tokens),
            *picking_routes(picker, self._tokens),
            *ordering_routes(orderer, self._tokens),
            *purge_routes(
                to,
                orderer,
                self._tokens,
                lambda: follower.listening_since,
                may=Role.CONTROL in self._wanted.roles,
            ),
            page_routes(page),
        ]

    def _serve(self, server: uvicorn.Server) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._answer(server))

    async def _answer(self, server: uvicorn.Server) -> None:
        follower = self._follower
        if follower is not None:
            follower.start(asyncio.get_running_loop())
        try:
            await server.serve(sockets=[self._listener])
        finally:
            if follower is not None:
                follower.stop()
                # Its threads wait for this loop to fold their last batch.
                with ThreadPoolExecutor(1) as waiter:
                    await asyncio.get_running_loop().run_in_executor(waiter, follower.join, STOP_SECONDS / 2)

    def _run_thread(self, name: str, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, name=name, daemon=True)  # type: ignore[arg-type]
        thread.start()
        self._threads.append(thread)

    def _doubts(self) -> tuple[str, ...]:
        """Tell what keeps this process from being of use."""
        doubts = []
        if self._follower is not None and self._follower.outdated:
            doubts.append("a newer hotdesk decides here: upgrade this one and start it again")
        elif self._follower is not None and not self._follower.caught_up:
            doubts.append("still reading the log")
        if self._outbox is not None and self._outbox.failing_since is not None:
            doubts.append(f"the log takes no records: {self._outbox.failing_since}")
        return tuple(doubts)


class _RefusedTokens(PrometheusCollector):
    """Counts what the guards of the API turned away."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Give the counts."""
        for spec, count in (
            (metrics.TOKENS_REFUSED, self._tokens.refused),
            (metrics.SCOPE_REFUSED, self._tokens.too_low),
        ):
            yield CounterMetricFamily(spec.name, spec.help, value=count)


def tokens_of(api: ApiOptions) -> Tokens:
    """Give the tokens of an API.

    Raises:
        SettingsError: there are none and others could ask, or they cannot be read.
    """
    if api.token_file is None and api.host not in LOOPBACK:
        raise SettingsError(
            f"api.host is {api.host}, so others can reach the API: set api.token_file, or bind to 127.0.0.1"
        )
    try:
        return Tokens.load(api.token_file)
    except TokenFileError as error:
        raise SettingsError(str(error)) from error


def _listen(api: ApiOptions) -> socket.socket:
    family = socket.AF_INET6 if ":" in api.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # what it accepts inherits this
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GONE_MS)
    try:
        listener.bind((api.host, api.port))
    except OSError as error:
        listener.close()
        raise SettingsError(f"the API cannot answer at {api.host}:{api.port}: {error.strerror}") from error
    return listener


def _registry() -> CollectorRegistry:
    disable_created_metrics()  # type: ignore[no-untyped-call] # each would double its counter's series, and nothing here needs them
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    Gauge(*metrics.BUILD_INFO, registry=registry).labels(VERSION, platform.python_version()).set(1)
    return registry
