"""A process that controls and serves, and is fed by hand what a collector would write."""

import threading
import time
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from types import MappingProxyType

import httpx

from controller.core.policy import Policy
from hotdesk.notify.senders import Told
from hotdesk.service import Service
from hotdesk.settings import ApiOptions, LogOptions
from hotdesk.wanted import Role, Wanted
from messages.records import DialerReading, Record
from stream.entries import entry_of
from tests.support.builders import NOW_MS, ONE, THREE, TWO, alias, alive, dialer, phone, poll
from tests.support.processes import CLUSTER, Client, until

STEP_SECONDS = 0.5
"""From one poll to the next."""
PICKS = f"/v1/clusters/{CLUSTER}/picks"
TOKENS = {"read": "r" * 20, "pick": "p" * 20, "admin": "a" * 20}


class FedService:
    """A running process, and the collector whose records it follows."""

    def __init__(self, service: Service) -> None:
        self.log = service.log
        self.client = Client(service.url)
        self.http = self.client.http
        self._sequence = count(1)
        self._shown_at = float("-inf")
        until(lambda: self.http.get("/readyz").is_success, "the process is ready")

    def show(self, *dialers: DialerReading, records: Callable[[int], list[Record]] = lambda _: []) -> None:
        """Publish a poll as a collector would, and wait until this process has it, and decides."""
        # polls that come faster than they are made look like a backlog, by which nothing is decided
        threading.Event().wait(max(0.0, self._shown_at + STEP_SECONDS - time.monotonic()))
        self._shown_at = time.monotonic()
        sequence = next(self._sequence)
        at_ms = NOW_MS + round(STEP_SECONDS * 1000) * sequence
        closing = poll(*dialers, sequence=sequence, at_ms=at_ms)
        self.log.append([entry_of(record) for record in (*records(sequence), closing)])

        def shows() -> bool:
            found = self.client.ranking()
            return found is not None and found.sequence == sequence and found.owner == found.answered_by

        until(shows, "the poll shows")

    def open(self, *agents: int) -> None:
        """Show three dialers with so many agents, and the alias `desk` with a phone on each."""
        dialers = [dialer(ip, n, heartbeat=alive()) for ip, n in zip((ONE, TWO, THREE), agents, strict=True)]

        def catalogue(sequence: int) -> list[Record]:
            phones = [phone(f"p{n}", ip, sequence=sequence) for n, ip in enumerate((ONE, TWO, THREE), start=1)]
            return [
                *phones,
                phone("off", ONE, active=False, sequence=sequence),
                alias("desk", "p1", "p2", "p3", sequence=sequence),
                alias("other", "p1", sequence=sequence),
                alias("dead", "off", "nowhere", sequence=sequence),
            ]

        self.show(*dialers, records=catalogue)


def service_of(
    folder: Path,
    api: ApiOptions,
    policies: dict[str, Policy] | None = None,
    told: Mapping[str, Told] = MappingProxyType({}),
) -> Service:
    """Make a process that controls and serves, with a log of its own."""
    log = LogOptions(path=folder / "log.db", partitions=4)
    roles = frozenset({Role.CONTROL, Role.SERVE})
    return Service(Wanted(roles=roles, log=log, api=api, databases={}, policies=policies or {}, told=told))


def bearer(scope: str) -> dict[str, str]:
    """Return the header that a token of this scope goes into."""
    return {"authorization": f"Bearer {TOKENS[scope]}"}


def problem(answer: httpx.Response, status: int) -> dict[str, object]:
    """Return a refusal's problem document, which must be one as RFC 9457 says."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, object] = answer.json()
    assert found["status"] == status
    assert found["title"]
    assert found["detail"]
    return found
