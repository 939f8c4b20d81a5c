"""Probe the dialers in a thread of its own; the results can be read at any moment.

AMI is asked once a second. SIP is asked when `pacing` says so, or once a second too where that does no harm. A probe
that waits for a dead dialer waits in this thread, so that neither the collector's poll nor another dialer's probe waits
with it. A result is kept for `FRESH_SECONDS`, or as `pacing` says: a prober that stalled has no results, rather than
old ones that say alive.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType, TracebackType
from typing import Annotated, Literal, NamedTuple, Self

import msgspec
import structlog

from collectors.probes.addresses import family_of
from collectors.probes.ami import AMI_PORT, AmiProbe, AmiTarget
from collectors.probes.pacing import Pacing, wavering
from collectors.probes.registrations import Registrations
from collectors.probes.sip import SIP_PORT, SipTarget, probe_sip
from messages.records import ProbeResult, ServerIp
from stream.warn_once import WarnOnce

KIND_AMI = "ami"
KIND_SIP = "sip"
INTERVAL_SECONDS = 1.0
TIMEOUT_SECONDS = 1.0
FRESH_SECONDS = 3.0
"""An older result is dropped: three more should have come since."""
AT_ONCE = 256
"""Most probes in progress at a time: both kinds of 128 dialers. More dialers, all mute, are each probed less often."""
STOP_SECONDS = 1.0
PACE_SECONDS = 0.25
"""How often it is asked which requests by SIP are due; a new doubt is not kept waiting."""

FAILS = {ProbeResult.MUTE, ProbeResult.REFUSED, ProbeResult.UNREACHABLE}
"""Results by which a sign of life wavers. A denied login says nothing about Asterisk."""

SipPace = Literal["in_doubt", "every_second"]
"""When SIP is asked: in doubt, which stock fail2ban bears; or each second, where nothing bans hotdesk for that."""

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]

log = structlog.get_logger()


class DialerProbes(msgspec.Struct, frozen=True, kw_only=True):
    """The probes of one dialer; None: not by this kind."""

    ami: AmiTarget | None = None
    sip: SipTarget | None = None


class ProbeException(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of one dialer's probes that differ from the cluster's; None: the same."""

    ami: bool | None = None
    ami_host: str | None = None
    """IP address of its AMI: VICIdial's `servers.telnet_host`, unless that is a loopback address."""
    ami_port: Port | None = None
    sip: bool | None = None
    sip_host: str | None = None
    sip_port: Port | None = None

    def __post_init__(self) -> None:
        for host in (self.ami_host, self.sip_host):
            if host is not None:
                family_of(host)


class ProbeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of a cluster's probes. By default there are none."""

    ami_user: str = ""
    """Empty: no AMI probes."""
    ami_secret: str = ""
    ami_port: Port = AMI_PORT
    sip: bool = False
    sip_port: Port = SIP_PORT
    sip_pace: SipPace = "in_doubt"
    dialers: dict[ServerIp, ProbeException] = {}

    def __post_init__(self) -> None:
        if self.ami_user:
            AmiTarget(host="127.0.0.1", user=self.ami_user, secret=self.ami_secret)

    @property
    def any_probe(self) -> bool:
        """True if any dialer may be probed."""
        return bool(self.ami_user) or self.sip or any(own.sip for own in self.dialers.values())

    def __repr__(self) -> str:
        return f"ProbeSettings(ami_user={self.ami_user!r}, sip={self.sip})"

    def probes_of(self, dialers: Iterable[ServerIp]) -> dict[ServerIp, DialerProbes]:
        """Return the probes of these dialers. One without an IP address, in `server_ip` or here, is not probed."""
        return {server_ip: self._of(server_ip, self.dialers.get(server_ip, ProbeException())) for server_ip in dialers}

    def _of(self, server_ip: ServerIp, own: ProbeException) -> DialerProbes:
        ami: AmiTarget | None = None
        sip: SipTarget | None = None
        if self.ami_user and own.ami is not False:
            with contextlib.suppress(ValueError):
                ami = AmiTarget(
                    host=own.ami_host or server_ip,
                    port=own.ami_port or self.ami_port,
                    user=self.ami_user,
                    secret=self.ami_secret,
                )
        if self.sip if own.sip is None else own.sip:
            with contextlib.suppress(ValueError):
                sip = SipTarget(host=own.sip_host or server_ip, port=own.sip_port or self.sip_port)
        return DialerProbes(ami=ami, sip=sip)


class _Key(NamedTuple):
    server_ip: ServerIp
    kind: str
    target: AmiTarget | SipTarget


class _Latest(NamedTuple):
    result: ProbeResult
    at: float
    started: str = ""
    extensions: frozenset[str] | None = None
    """Where there are channels; None: not known."""


class Prober:
    """Probes a cluster's dialers until it is stopped. A context manager; starts once.

    Args:
        probes: the first dialers, as in `watch`.
        interval_seconds: from the start of a probe to the start of the next of the same dialer and kind. A longer one
            is followed at once, never overtaken.
        timeout_seconds: time limit of a probe.
        at_once: most probes in progress at a time.
        pacing: when SIP is asked; None: as often as AMI.
    """

    def __init__(
        self,
        probes: Mapping[ServerIp, DialerProbes],
        *,
        interval_seconds: float = INTERVAL_SECONDS,
        timeout_seconds: float = TIMEOUT_SECONDS,
        at_once: int = AT_ONCE,
        pacing: Pacing | None = None,
    ) -> None:
        self._interval = interval_seconds
        self._timeout = timeout_seconds
        self._at_once = at_once
        self._lock = threading.Lock()
        self._pacing = pacing
        self._paced: dict[ServerIp, _Key] = {}
        """The probes whose requests are paced, by dialer."""
        self._still: frozenset[ServerIp] = frozenset()
        """The dialers whose heartbeat stands still."""
        self._once_alive: set[_Key] = set()
        """The AMI probes that have been alive: only those can waver."""
        self._results: dict[_Key, _Latest] = {}
        if pacing is not None:
            pacing.doubt(time.monotonic(), {})  # what it doubted under a former prober is doubted anew
        self._watched = self._pace(_keys(probes))
        self._listed: frozenset[ServerIp] = frozenset()
        """The dialers whose channels are listed too."""
        self.registrations = Registrations()
        """Which phones are registered, of the dialers that are asked for it."""
        self._warn_once = WarnOnce()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()
        self._asked_now = asyncio.Event()
        """Requests may be due."""
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="prober", daemon=True)

    def start(self) -> None:
        """Begin to probe; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End within a second, with every connection closed. Idempotent."""
        self._stopping = True
        self._wake()
        if self._thread.ident is not None:
            self._thread.join(STOP_SECONDS)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def watch(self, probes: Mapping[ServerIp, DialerProbes]) -> None:
        """Probe these dialers from now on, and no others; unchanged probes go on undisturbed."""
        with self._lock:
            keys = self._pace(_keys(probes))
            if keys == self._watched:
                return
            self._watched = keys
            self._results = {key: latest for key, latest in self._results.items() if key in keys}
            self._once_alive &= keys
        self._wake()

    def doubt(self, still: Collection[ServerIp]) -> None:
        """Record the dialers whose heartbeat stands still now; where SIP is paced it is asked about them."""
        with self._lock:
            self._still = frozenset(still)
            new = self._note_doubts()
        if new:
            self._wake()

    def _pace(self, keys: frozenset[_Key]) -> frozenset[_Key]:
        """Hand the probes by SIP over to the pacing, if there is one; return the others."""
        if self._pacing is None:
            return keys
        paced = {key.server_ip: key for key in keys if key.kind == KIND_SIP}
        if paced != self._paced:
            moved = [ip for ip, key in paced.items() if ip in self._paced and self._paced[ip] != key]
            self._paced = paced
            self._pacing.watch(paced, moved=moved)
        return keys - frozenset(paced.values())

    def _note_doubts(self) -> bool:
        """Pass on to the pacing which signs waver; return True if a doubt is new."""
        if self._pacing is None:
            return False
        found = {key.server_ip: self._results[key].result for key in self._once_alive}
        wavers = wavering(
            self._still,
            ami_alive={ip for ip, result in found.items() if result is ProbeResult.ALIVE},
            ami_fails={ip for ip, result in found.items() if result in FAILS},
        )
        return self._pacing.doubt(time.monotonic(), wavers)

    def latest(self) -> Mapping[ServerIp, Mapping[str, ProbeResult]]:
        """Return the latest result of each dialer's probes, by `server_ip` and kind; a probe without one is absent.

        The answer never changes, and any thread may read it.
        """
        now = time.monotonic()
        oldest = now - FRESH_SECONDS
        read: dict[ServerIp, dict[str, ProbeResult]] = {}
        with self._lock:
            if self._pacing is not None:
                read = {ip: {KIND_SIP: result} for ip, result in self._pacing.results(now).items() if ip in self._paced}
            for key, latest in self._results.items():
                if latest.at >= oldest:
                    read.setdefault(key.server_ip, {})[key.kind] = latest.result
        return MappingProxyType({server_ip: MappingProxyType(probes) for server_ip, probes in read.items()})

    def started(self) -> Mapping[ServerIp, str]:
        """Return when each dialer's Asterisk started, as AMI has just said; a dialer is absent if it is not known."""
        oldest = time.monotonic() - FRESH_SECONDS
        with self._lock:
            fresh = {key.server_ip: each for key, each in self._results.items() if each.at >= oldest}
        return MappingProxyType({server_ip: each.started for server_ip, each in fresh.items() if each.started})

    def list_channels(self, dialers: Iterable[ServerIp]) -> None:
        """List the channels of these dialers from the next probe by AMI on, and of no others."""
        self._listed = frozenset(dialers)

    def extensions(self) -> Mapping[ServerIp, frozenset[str]]:
        """Return the extensions at which there are channels, of the dialers that list them."""
        oldest = time.monotonic() - FRESH_SECONDS
        with self._lock:
            fresh = {key.server_ip: each.extensions for key, each in self._results.items() if each.at >= oldest}
        return {server_ip: found for server_ip, found in fresh.items() if found is not None}

    def _wake(self) -> None:
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(self._wake_tasks)

    def _wake_tasks(self) -> None:
        self._changed.set()
        self._asked_now.set()

    def _run(self) -> None:
        asyncio.run(self._watch_over())

    async def _watch_over(self) -> None:
        """Run one task for each watched probe, while it is watched."""
        self._loop = asyncio.get_running_loop()
        at_once = asyncio.Semaphore(self._at_once)
        tasks: dict[_Key, asyncio.Task[None]] = {}
        if self._pacing is not None:
            paced = asyncio.create_task(self._ask_on(self._pacing, at_once), name="paced")
            paced.add_done_callback(_log_failure)
        # A change before the loop was known set no event: so check first, then wait.
        while not self._stopping:
            self._changed.clear()
            with self._lock:
                watched = self._watched
            for key in tasks.keys() - watched:
                tasks.pop(key).cancel()
            for key in watched - tasks.keys():
                tasks[key] = asyncio.create_task(self._probe_on(key, at_once), name=f"{key.kind} {key.server_ip}")
                tasks[key].add_done_callback(_log_failure)
            if not self._stopping:
                await self._changed.wait()

    async def _probe_on(self, key: _Key, at_once: asyncio.Semaphore) -> None:
        probe = _prober_of(key.target)
        loop = asyncio.get_running_loop()
        try:
            while True:
                begin = loop.time()
                async with at_once:
                    await self._probe_once(key, probe)
                if isinstance(probe, AmiProbe):
                    await self.registrations.ask(key.server_ip, probe, begin + self._interval - loop.time())
                await asyncio.sleep(max(0, begin + self._interval - loop.time()))
        finally:
            probe.close()

    async def _ask_on(self, pacing: Pacing, at_once: asyncio.Semaphore) -> None:
        """Send each request when it is due."""
        under_way: set[asyncio.Task[None]] = set()
        while True:
            self._asked_now.clear()
            with self._lock:
                due = [self._paced[ip] for ip in pacing.ask(time.monotonic())]
            for key in due:
                task = asyncio.create_task(self._ask(key, pacing, at_once), name=f"{key.kind} {key.server_ip}")
                under_way.add(task)
                task.add_done_callback(under_way.discard)
                task.add_done_callback(_log_failure)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PACE_SECONDS):
                    await self._asked_now.wait()

    async def _ask(self, key: _Key, pacing: Pacing, at_once: asyncio.Semaphore) -> None:
        """Send one request, and record its result. The pacing sends the next one, if one gets lost."""
        target = key.target
        result: ProbeResult | None = None
        try:
            async with at_once:
                if isinstance(target, SipTarget):
                    result = await probe_sip(target, self._timeout, resend=False)
        except OSError as error:
            self._warn_of(key, error)
        finally:
            with self._lock:
                if self._paced.get(key.server_ip) == key:
                    pacing.heard(time.monotonic(), key.server_ip, result)
            self._asked_now.set()

    async def _probe_once(self, key: _Key, probe: "AmiProbe | _SipProbe") -> None:
        probe.lists = key.server_ip in self._listed
        try:
            result = await probe.probe(self._timeout)
        except OSError as error:
            self._warn_of(key, error)
            return
        why = f"{key.target.host}:{key.target.port} refuses the login: {probe.refusal or 'it does not say why'}"
        if result is ProbeResult.DENIED and self._warn_once.is_new(why):
            log.warning("a probe is denied", dialer=key.server_ip, why=why)
        with self._lock:
            if key not in self._watched:
                return
            self._results[key] = _Latest(result, time.monotonic(), probe.started, probe.extensions)
            if result is ProbeResult.ALIVE and key.kind == KIND_AMI:
                self._once_alive.add(key)
            if self._note_doubts():
                self._asked_now.set()

    def _warn_of(self, key: _Key, error: OSError) -> None:
        """Log an error of this host: it is no result about the dialer, whose last result grows old."""
        if self._warn_once.is_new(f"{key.kind} {error}"):
            log.warning("cannot probe", kind=key.kind, why=str(error))


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("a probe failed by a bug", probe=task.get_name(), exc_info=error)


def _keys(probes: Mapping[ServerIp, DialerProbes]) -> frozenset[_Key]:
    return frozenset(
        _Key(server_ip, kind, target)
        for server_ip, each in probes.items()
        for kind, target in ((KIND_AMI, each.ami), (KIND_SIP, each.sip))
        if target is not None
    )


class _SipProbe:
    """Probes one dialer's SIP port. It says nothing of starts and channels, and keeps no connection."""

    started = ""
    extensions: frozenset[str] | None = None
    refusal = ""

    def __init__(self, target: SipTarget) -> None:
        self._target = target
        self.lists = False

    async def probe(self, timeout_seconds: float) -> ProbeResult:
        """Return the result of one probe within the time limit."""
        return await probe_sip(self._target, timeout_seconds)

    def close(self) -> None:
        """Do nothing."""


def _prober_of(target: AmiTarget | SipTarget) -> AmiProbe | _SipProbe:
    """Return what probes a target."""
    return AmiProbe(target) if isinstance(target, AmiTarget) else _SipProbe(target)
