"""A cluster that lives in the log only: polls as a collector would write them, at ten times the pace."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Self
from unittest.mock import patch

import httpx
import msgspec

from controller.core import freshness
from controller.core.policy import Policy
from hotdesk.notify.senders import Told
from hotdesk.service import Service
from hotdesk.settings import ApiOptions
from messages.records import AgentSession, AgentStatus, DialerReading, Heartbeat, ProbeResult, Record
from messages.topics import Topic, partition_of
from stream.entries import entry_of
from stream.kafka.log import KafkaLog
from stream.kafka.settings import KafkaSettings
from stream.log import Entry
from tests.support.builders import NOW_MS, ONE, THREE, TWO, alias, dialer, phone, poll, secret_file
from tests.support.fed_service import TOKENS, service_of
from tests.support.processes import CLUSTER, Client, until

TICK_MS = 500
PACE_SECONDS = 0.05
BEAT_MS = 1000


class Scene:
    """Dialers and agents, as the log shows them."""

    def __init__(self, service: Service, server_ips: Iterable[str]) -> None:
        self._log = service.log
        self.url = service.url
        self.client = Client(service.url)
        self.http: httpx.Client = self.client.http
        self.http.headers["authorization"] = f"Bearer {TOKENS['admin']}"
        self.server_ips = tuple(server_ips)
        self.silent: set[str] = set()
        """Dialers that are dead: their heartbeat stands still, and SIP finds nobody there."""
        self.descriptions: dict[str, str] = {}
        self.names: dict[str, str] = {}
        """Dialers that have a name (server_id) beside their address."""
        self.silent_screens: set[str] = set()
        """Users whose screen VICIdial no longer knows; they must be seated after this is said."""
        self.agents: dict[str, str] = {}
        """Users, and the dialer each is on."""
        self.aliases: dict[str, str] = {}
        """Aliases of nobody's, each with the one login that it has."""
        self.quiet = False
        """No polls come."""
        self._shown: dict[str, str] = {}
        self._beats: dict[str, int] = {}
        self._sequence = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scene")

    def __enter__(self) -> Self:
        until(lambda: self.http.get("/readyz").is_success, "the process is ready")
        self._thread.start()
        until(self._calm, "all are up, nobody is held back, and this process decides")
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.client.close()

    def _calm(self) -> bool:
        ranking = self.client.ranking()
        if ranking is None or ranking.brake or ranking.owner != ranking.answered_by:
            return False
        return [each.state for each in ranking.dialers] == ["up"] * len(self.server_ips)

    def seat(self, server_ip: str, *users: str) -> None:
        """Have agents log in, each by an alias `desk-USER` with a phone on every dialer."""
        self.agents |= dict.fromkeys(users, server_ip)
        until(lambda: self.client.metric("hotdesk_dialer_agents") == len(self.agents), "they are seen")

    def copy_to(self, settings: KafkaSettings) -> None:
        """Write what the log holds into topics of Kafka's, and show no more polls."""
        self.quiet = True
        partition = partition_of(CLUSTER, self._log.partitions)
        with KafkaLog(settings) as kafka:
            for topic in Topic:
                some = self._log.read(topic, partition, 0, limit=100_000)
                kafka.append([Entry(topic, each.key, each.value, each.headers) for each in some])

    @property
    def page(self) -> str:
        """Return the address of the cluster's page."""
        return f"{self.url}/clusters/{CLUSTER}"

    def _run(self) -> None:
        while not self._stop.wait(PACE_SECONDS):
            if not self.quiet:
                self._sequence += 1
                self._log.append([entry_of(each) for each in self._records()])

    def _records(self) -> list[Record]:
        now_ms = NOW_MS + self._sequence * TICK_MS
        agents = dict(self.agents)
        out: list[Record] = []
        for user, server_ip in agents.items():
            if self._shown.get(user) != server_ip:
                out += self._clusters(user, server_ip)
        self._shown = agents
        out += [alias(name, login, sequence=self._sequence) for name, login in self.aliases.items()]
        readings = [
            self._reading(each, now_ms, [user for user, on in agents.items() if on == each]) for each in self.server_ips
        ]
        return [*out, poll(*readings, sequence=self._sequence, at_ms=now_ms, full=1)]

    def _clusters(self, user: str, server_ip: str) -> list[Record]:
        number = sorted(self.agents).index(user) + 1
        logins = [f"{user}{chr(ord('a') + at)}" for at in range(len(self.server_ips))]
        at = self._sequence
        return [
            *(phone(login, ip, sequence=at) for login, ip in zip(logins, self.server_ips, strict=True)),
            alias(f"desk-{user}", *logins, sequence=at),
            AgentSession(
                cluster=CLUSTER,
                epoch=1,
                sequence=at,
                live_agent_id=number,
                user=user,
                server_ip=server_ip,
                status=AgentStatus.READY,
                typed=f"desk-{user}",
                screen_silent_since_ms=NOW_MS if user in self.silent_screens else None,
            ),
        ]

    def _reading(self, server_ip: str, now_ms: int, users: list[str]) -> DialerReading:
        if server_ip not in self.silent:
            self._beats[server_ip] = now_ms
        beat = Heartbeat(progressed_at_ms=self._beats.get(server_ip, now_ms), watched_since_ms=NOW_MS, age_seconds=0.5)
        reading = dialer(server_ip, len(users), heartbeat=beat)
        sip = ProbeResult.UNREACHABLE if server_ip in self.silent else ProbeResult.ALIVE
        return msgspec.structs.replace(
            reading,
            server_id=self.names.get(server_ip, ""),
            description=self.descriptions.get(server_ip, ""),
            probes={"sip": sip},
            silent_screens=len(self.silent_screens.intersection(users)),
            lost_screens=len(self.silent_screens.intersection(users)),
        )


@contextmanager
def playing(
    folder: Path,
    policy: Policy | None = None,
    *,
    tokens: bool = False,
    grafana: str = "",
    told: Mapping[str, Told] = MappingProxyType({}),
) -> Iterator[Scene]:
    """Run a process that controls and serves, and a cluster of three dialers in its log."""
    api = ApiOptions(port=0, grafana_url=grafana)
    if tokens:
        secret_file(folder / "tokens", "".join(f"{scope} {token}\n" for scope, token in TOKENS.items()))
        api = ApiOptions(port=0, token_file=folder / "tokens", grafana_url=grafana)
    policies = {"west": policy or Policy()}
    # at ten times the pace polls look like a backlog, by which nothing is decided
    with (
        patch.object(freshness, "QUICKER_SECONDS", float("inf")),
        service_of(folder, api, policies, told) as service,
        Scene(service, (ONE, TWO, THREE)) as scene,
    ):
        yield scene
