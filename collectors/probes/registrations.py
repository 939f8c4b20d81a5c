"""Ask dialers which phones are registered, if no script writes it to `phones.peer_status`.

Each dialer is asked every 15 s, in a thread of its own; an answer older than three of these intervals is dropped, so
that the phones of a dialer that cannot be asked count neither way.
"""

import asyncio
import threading
import time
from collections.abc import Mapping
from types import MappingProxyType, TracebackType
from typing import Self

from collectors.probes.ami import AmiTarget, registered_peers
from messages.records import ServerIp

INTERVAL_SECONDS = 15.0
TIMEOUT_SECONDS = 5.0
FRESH_SECONDS = 45.0
STOP_SECONDS = 1.0

Registered = Mapping[ServerIp, Mapping[str, bool]]
"""By dialer and extension; an absent phone is not known."""

NONE_KNOWN: Registered = MappingProxyType({})


class Registrations:
    """Asks dialers until it is stopped. A context manager; starts once."""

    def __init__(self, *, interval_seconds: float = INTERVAL_SECONDS) -> None:
        self._interval = interval_seconds
        self._targets: Mapping[ServerIp, AmiTarget] = {}
        self._answers: dict[ServerIp, tuple[float, Mapping[str, bool]]] = {}
        self._changed = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="registrations", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping = True
        self._changed.set()
        self._thread.join(STOP_SECONDS)

    def watch(self, targets: Mapping[ServerIp, AmiTarget]) -> None:
        """Ask these dialers from now on, and no others."""
        if targets != self._targets:
            self._targets = dict(targets)
            self._changed.set()

    def latest(self) -> Registered:
        """Return the latest answer of each watched dialer."""
        oldest, targets = time.monotonic() - FRESH_SECONDS, self._targets
        return {ip: peers for ip, (at, peers) in list(self._answers.items()) if at >= oldest and ip in targets}

    def _run(self) -> None:
        while not self._stopping:
            self._changed.clear()
            asyncio.run(self._ask(dict(self._targets)))
            self._changed.wait(self._interval)

    async def _ask(self, targets: Mapping[ServerIp, AmiTarget]) -> None:
        answers = await asyncio.gather(*(registered_peers(each, TIMEOUT_SECONDS) for each in targets.values()))
        now = time.monotonic()
        self._answers |= {ip: (now, peers) for ip, peers in zip(targets, answers, strict=True) if peers is not None}
