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

from collectors.collector import NO_PROBES, Collector
from collectors.database import DatabaseSettings
from collectors.instruments import CollectorInstruments
from collectors.prober import ProbeSettings
from controller.acting import Outcome, Reply
from controller.api import Picker, create_app, picking_routes, reading_routes
from controller.auditing import Auditor, audit_routes
from controller.committing import Committer
from controller.desk import DEFAULT_POLICY, Desk
from controller.executor import Executor
from controller.follower import Follower
from controller.forgetting import forgetting_routes
from controller.forwarding import OwnerClient
from controller.instruments import ClusterGauges, ControllerInstruments
from controller.ordering import Orderer, incident_routes, ordering_routes
from controller.page.routes import StatusPage, page_routes
from controller.policy import Policy
from controller.tokens import TokenFileError, Tokens
from hotdesk.build import VERSION
from hotdesk.certificates import trust
from hotdesk.failures import LogFailure, SettingsError
from hotdesk.hands import HandSettings, reach
from hotdesk.settings import LOOPBACK, ApiOptions, LogOptions
from messages import metrics
from messages.records import Errand
from stream.embedded import EmbeddedLog
from stream.kafka import KafkaLog
from stream.log import Log, LogError
from stream.outbox import Outbox

ACT_SECONDS_AT_MOST = 15.0
"""An act is at most some statements, each with a time limit of its own."""
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
    hands: Mapping[str, HandSettings] = MappingProxyType({})
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


class _Collecting(NamedTuple):
    """A collector at work."""

    settings: tuple[DatabaseSettings, ProbeSettings]
    stop: threading.Event
    thread: threading.Thread


class Service:
    """A running process. Entering starts it, leaving ends it within five seconds."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._tokens = _tokens(wanted.api)
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
        self._executors: dict[str, Executor] = {}
        self._collecting: dict[str, _Collecting] = {}
        """By cluster."""
        self._collector_instruments: CollectorInstruments | None = None
        self._instruments: ControllerInstruments | None = None
        self._desk: Desk | None = None
        self._committer: Committer | None = None
        self._auditor: Auditor | None = None
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
        threads = [*self._threads, *(each.thread for each in self._collecting.values())]
        return [thread.name for thread in threads if not thread.is_alive()]

    def change(self, wanted: Wanted) -> None:
        """Take up what clusters there are now, how they are judged and how they are reached.

        Roles, log and API stay as they are, but for the certificate, whose files are read again. To be called by the
        thread that entered; what has not changed goes on undisturbed.

        Raises:
            SettingsError: the certificate cannot be used; nothing was changed.
        """
        if self._certificate is not None:
            self._certificate.read_again()
        before, self._wanted = (
            self._wanted,
            wanted._replace(roles=self._wanted.roles, log=self._wanted.log, api=self._wanted.api),
        )
        for cluster in self._collecting.keys() - self._wanted.databases.keys():
            self._collect_no_more(cluster)
        for cluster in self._wanted.databases:
            self._collect(cluster)
        if self._desk is not None and self._follower is not None:
            self._follower.on_loop_soon(partial(self._desk.judge_by, self._wanted.policies))
            for cluster in before.hands.keys() | self._wanted.hands.keys():
                if _acting(before, cluster) != _acting(self._wanted, cluster):
                    self._act_anew(cluster)
            self._follower.act_for(self._wanted.hands)
        log.info("the settings were read again", clusters=sorted(self._wanted.policies))

    def close(self) -> None:
        """End all that runs. Idempotent."""
        deadline = time.monotonic() + STOP_SECONDS
        self._stop.set()
        for executor in self._executors.values():
            executor.stop()
        for collecting in self._collecting.values():
            collecting.stop.set()
        if self._page is not None:
            self._page.live.close()
        if self._server is not None:
            self._server.should_exit = True
        for thread in [*self._threads, *(each.thread for each in self._collecting.values())]:
            thread.join(max(0.1, deadline - time.monotonic()))
        self._threads.clear()
        self._collecting.clear()
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
            self._collector_instruments = CollectorInstruments(self.registry)
            for cluster in self._wanted.databases:
                self._collect(cluster)
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
        self._instruments = instruments = ControllerInstruments(self.registry)
        self._desk = desk = Desk(self.name, self.url, to.partitions, self._wanted.policies)
        self._gauges = ClusterGauges(desk)
        self._auditor = Auditor(desk)
        self.registry.register(self._auditor)
        self._follower = Follower(
            to,
            desk,
            outbox,
            instruments,
            owns=Role.CONTROL in self._wanted.roles,
            reads_all=Role.SERVE in self._wanted.roles,
            acting=self._wanted.hands,
        )
        self._committer = Committer(desk, self._follower.commit, self._executors, self._follower.decides)
        self._follower.on_turns = self._committer.take
        for cluster in self._wanted.hands:
            self._executors[cluster] = self._executor(cluster)
        allowed = self._wanted.api.limits()
        picker = Picker(desk, outbox.put, owners, instruments, allowed)
        orderer = Orderer(desk, outbox.put, allowed.orders, instruments)
        self._page = page = StatusPage(desk, orderer, self._tokens, VERSION)
        viewers = Gauge(*metrics.PAGE_VIEWERS, registry=self.registry)
        viewers.set_function(lambda: page.live.viewers)
        return [
            *reading_routes(desk, self._tokens),
            *incident_routes(desk, self._tokens),
            *audit_routes(desk, self._tokens),
            *picking_routes(picker, self._tokens),
            *ordering_routes(orderer, self._tokens),
            # a replica may not write what that takes
            *(forgetting_routes(desk, to, outbox.put, self._tokens) if Role.CONTROL in self._wanted.roles else ()),
            page_routes(page),
        ]

    def _act_anew(self, cluster: str) -> None:
        """Let the executor of a cluster end, if there is one, and another begin, if there is to be one."""
        assert self._follower is not None  # noqa: S101 # only who controls acts
        assert self._committer is not None  # noqa: S101
        committer = self._committer
        former = self._executors.pop(cluster, None)
        if former is not None:
            former.stop()
            if not former.join(ACT_SECONDS_AT_MOST):
                # two that act at once would be worse than none
                log.warning(
                    "an act does not end; nothing more is done for this cluster until a restart", cluster=cluster
                )
                return
            for errand in former.left():
                given_back = partial(committer.report, errand, Outcome(Reply.UNSENT, "the settings changed"))
                self._follower.on_loop_soon(given_back)
        if cluster in self._wanted.hands:
            self._executors[cluster] = self._executor(cluster)

    def _executor(self, cluster: str) -> Executor:
        """Give a cluster its executor, at work."""
        follower, desk, instruments, committer = self._follower, self._desk, self._instruments, self._committer
        assert follower is not None  # noqa: S101 # only who controls acts
        assert desk is not None  # noqa: S101
        assert instruments is not None  # noqa: S101
        assert committer is not None  # noqa: S101

        def why_not() -> str:
            view = desk.clusters.get(cluster)
            return follower.why_not(cluster) or ("" if view is None else view.why_withheld)

        def report(errand: Errand, outcome: Outcome) -> None:
            instruments.note_outcome(errand, outcome)
            follower.on_loop_soon(lambda: committer.report(errand, outcome))

        policy = self._wanted.policies[cluster]
        executor = Executor(
            cluster,
            self.name,
            *reach(self._wanted.hands[cluster]),
            dead_call_status=policy.dead_call_status,
            per_second=policy.moves_per_second,
            why_not=why_not,
            report=report,
        )
        executor.start()
        return executor

    def _collect(self, cluster: str) -> None:
        """Collect for a cluster as its settings say; a collector that does already goes on."""
        assert self.log is not None  # noqa: S101 # set when the process begins
        assert self._outbox is not None  # noqa: S101
        assert self._collector_instruments is not None  # noqa: S101
        settings = self._wanted.databases[cluster], self._wanted.probes.get(cluster, NO_PROBES)
        known = self._collecting.get(cluster)
        if known is not None and known.settings == settings:
            return
        if known is not None:
            self._collect_no_more(cluster)
        collector = Collector(
            cluster,
            settings[0],
            self.log,
            self._outbox,
            self._collector_instruments,
            name=self.name,
            probes=settings[1],
        )
        stop = threading.Event()
        thread = threading.Thread(target=collector.run, args=(stop,), name=f"collector-{cluster}", daemon=True)
        thread.start()
        self._collecting[cluster] = _Collecting(settings, stop, thread)

    def _collect_no_more(self, cluster: str) -> None:
        """End a collector; one that waits for a database that does not answer ends a little later."""
        collecting = self._collecting.pop(cluster)
        collecting.stop.set()
        collecting.thread.join(STOP_SECONDS)
        if self._collector_instruments is not None:
            self._collector_instruments.end(cluster)

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


def _acting(wanted: Wanted, cluster: str) -> tuple[HandSettings, str, float] | None:
    """Give what a cluster's executor works with; None: moves are advice."""
    hands, policy = wanted.hands.get(cluster), wanted.policies.get(cluster, DEFAULT_POLICY)
    return None if hands is None else (hands, policy.dead_call_status, policy.moves_per_second)


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


def _tokens(api: ApiOptions) -> Tokens:
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
