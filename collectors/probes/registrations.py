"""Ask dialers which phones are registered, if no script writes it to `phones.peer_status`.

Each dialer is asked every 15 s, on the connection of its probe and in the time between two probes; one dialer at a
time, so that reading long lists delays no probe's answer. A list older than three of these intervals is dropped, so
that the phones of a dialer that cannot be asked count neither way.
"""

import time
from collections.abc import Iterable, Mapping

from collectors.probes.ami import AmiProbe
from collectors.probes.phone_lists import Registered
from messages.records import ServerIp

INTERVAL_SECONDS = 15.0
FRESH_SECONDS = 45.0


class Registrations:
    """The latest lists of the dialers that are asked. The prober's thread lists, any thread may read."""

    def __init__(self) -> None:
        self._dialers: frozenset[ServerIp] = frozenset()
        self._asked_at: dict[ServerIp, float] = {}
        self._answers: dict[ServerIp, tuple[float, Mapping[str, bool]]] = {}
        self._busy = False

    def watch(self, dialers: Iterable[ServerIp]) -> None:
        """Ask these dialers from the next probe by AMI on, and no others."""
        self._dialers = frozenset(dialers)

    def latest(self) -> Registered:
        """Return the latest list of each watched dialer."""
        oldest, dialers = time.monotonic() - FRESH_SECONDS, self._dialers
        return {ip: phones for ip, (at, phones) in list(self._answers.items()) if at >= oldest and ip in dialers}

    async def ask(self, server_ip: ServerIp, probe: AmiProbe, left_seconds: float) -> None:
        """List a dialer's phones by its probe, if that is due, within the time that is left until the next one."""
        now = time.monotonic()
        due = now >= self._asked_at.get(server_ip, now - INTERVAL_SECONDS) + INTERVAL_SECONDS
        if due and server_ip in self._dialers and left_seconds > 0 and not self._busy:
            self._busy = True
            try:
                if await probe.list_phones(left_seconds):
                    self._asked_at[server_ip] = now
            finally:
                self._busy = False
        known = self._answers.get(server_ip)
        # a list that took longer than there was time ended with a later probe
        if probe.registered is not None and (known is None or known[1] is not probe.registered):
            self._answers[server_ip] = time.monotonic(), probe.registered
