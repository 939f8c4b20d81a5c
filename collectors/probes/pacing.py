"""When to ask a dialer by SIP, and how long its answer stands. Pure: the time is an argument.

On PJSIP each request from a host without an account is a line in the dialer's log, and stock fail2ban bans a host for
ten of them in ten minutes; its ban then says "refused" in Asterisk's place. So a dialer gets at most `MOST_REQUESTS` in
that time, and they are kept for the moment at which they count: once in ten minutes while all is calm, and in doubt,
when another sign of life wavers (a heartbeat does not where AMI answers), at once and again a second later if it does
not answer. One that has never answered is asked again ten seconds later, then every five minutes, and when its
heartbeat begins to beat; in doubt as any other, but only twice: it may have answered the collector before this one.

An answer stands while the doubt lasts for which it was asked, and no sign joins or leaves it; otherwise it is soon too
old to say anything. When most dialers waver together each is asked once, which shows no silence, and when some are
back, the doubt about the others begins anew: their network may be back as well, and only their updaters, which take up
to a minute, may not.

If a dialer in doubt does not answer, another one is asked too: if that one is silent as well, the fault may be
hotdesk's own. If it answers, or none may be asked, the calm dialers' last answers stand beside the silence.
"""

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum

from messages.records import ProbeResult, ServerIp

MOST_REQUESTS = 4
"""In `WINDOW_SECONDS`, for each dialer."""
WINDOW_SECONDS = 610.0
"""Ten minutes, and a little more, since a request may wait for its turn. So often a dialer is asked in calm, and in a
doubt that is older than this."""
AGAIN_SECONDS = 1.0
"""How long after a request without an answer the next one follows: one may get lost."""
LATER_SECONDS = 10.0
"""In a doubt that goes on a dialer is asked again after this time, and then whenever the doubt is twice as old. So is
one that has never answered, after the first request in calm: by then one that has been dead all along is in doubt."""
PAIR = 2
"""Requests that prove a silence. A dialer is not asked in doubt unless both are left."""
GRAVE_SECONDS = 1.0
"""A doubt so old may use the last two requests; one that passes sooner leaves them."""
MANY_SECONDS = 5.0
"""The same while more than half of the dialers waver together: most often the database stumbles, and no dialer."""
FRESH_SECONDS = 3.0
"""How long an answer stands without a doubt."""
NEAR_SECONDS = 10.0
"""Another dialer's answer so long before a silence shows that hotdesk reaches its dialers."""
MOST_OTHERS = 3
"""Most other dialers that are asked for one silence."""


class Waver(Enum):
    """The sign of life that wavers."""

    HEARTBEAT = "its heartbeat stands still"
    AMI = "AMI was alive, and no longer is"


@dataclass(slots=True)
class _Dialer:
    """The requests to one dialer, and their results."""

    sent: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_REQUESTS))
    waits: bool = False
    """A request is under way."""
    result: ProbeResult | None = None
    asked_at: float = float("-inf")
    """When the request was sent that has this result, or none yet."""
    heard_at: float = float("-inf")
    failures: int = 0
    """Results in a row that are not alive."""
    answered: bool = False
    """It has been alive at least once: before that its silence is not looked into again and again."""
    calm_since: float = float("-inf")
    """When its last doubt ended."""
    wavers: frozenset[Waver] = frozenset()
    doubted_at: float = float("inf")
    """When the latest of these signs began to waver."""
    silent_at: float = float("-inf")
    """When it first failed to answer in this doubt."""
    among_many: bool = False
    """More than half of the dialers have wavered together with it, and still do."""

    def doubt_anew(self, now: float) -> None:
        """Let what it answered before say nothing about it."""
        self.doubted_at, self.silent_at, self.failures = now, float("-inf"), 0

    def left(self, now: float) -> int:
        """Return how many requests it may get now."""
        return MOST_REQUESTS - sum(now - at < WINDOW_SECONDS for at in self.sent)

    def in_doubt(self, now: float) -> bool:
        """Return True while a sign wavers, but for one that has wavered too long."""
        return bool(self.wavers) and now - self.doubted_at < WINDOW_SECONDS

    def speaks(self, now: float) -> bool:
        """Return True if it is calm, and its result is not a failure of a doubt that is over."""
        return not self.in_doubt(now) and (self.result is ProbeResult.ALIVE or self.asked_at >= self.calm_since)

    @property
    def _asked_once_in_calm(self) -> bool:
        return sum(at >= self.calm_since for at in self.sent) == 1

    @property
    def asked_in_doubt(self) -> bool:
        return self.asked_at >= self.doubted_at

    def is_due(self, now: float, *, many: bool) -> bool:
        """Return True if it is to be asked now; `many`: more than half of the dialers are in doubt."""
        if self.waits:
            return False
        since = now - self.asked_at
        doubted = self.in_doubt(now)
        back = not doubted and self.asked_at < self.calm_since
        unknown = not self.answered and (not doubted or (self.asked_in_doubt and self.failures >= PAIR))
        if unknown or (back and self.failures):
            # the one answer of a dialer that has never answered may have been lost
            soon = back or (since >= LATER_SECONDS and not doubted and self._asked_once_in_calm)
            return (soon and self.left(now) > 0) or (since >= WINDOW_SECONDS / 2 and self.left(now) >= PAIR)
        if self.failures == 1 and (self.asked_in_doubt or not doubted):
            # among many one request is enough, since two must be left for when some are back
            return since >= AGAIN_SECONDS and self.left(now) > 0 and not (many and doubted)
        if not doubted:
            return since >= WINDOW_SECONDS and self.left(now) >= PAIR
        if self.asked_in_doubt:
            return not many and since >= max(LATER_SECONDS, self.asked_at - self.doubted_at) and self.left(now) >= PAIR
        grave = now - self.doubted_at >= (MANY_SECONDS if many else GRAVE_SECONDS)
        return self.left(now) >= PAIR and (grave or not (many or self.left(now) == PAIR))


def wavering(
    still: Collection[ServerIp], *, ami_alive: Collection[ServerIp], ami_fails: Collection[ServerIp]
) -> dict[ServerIp, frozenset[Waver]]:
    """Return which signs waver, by dialer.

    A heartbeat that stands still beside an AMI that answers is no reason to ask by SIP as well: the requests are kept
    for the moment at which AMI fails too. An updater ends with its own connection to AMI, so those two signs are not
    independent, and SIP alone can tell that Asterisk lives.
    """
    signs = ((Waver.HEARTBEAT, {*still} - {*ami_alive}), (Waver.AMI, {*ami_fails}))
    doubted = {ip for _, found in signs for ip in found}
    return {ip: frozenset(waver for waver, found in signs if ip in found) for ip in doubted}


class Pacing:
    """Which dialers of a cluster are asked when. It outlives a prober, so that a new one goes on with its counts."""

    def __init__(self) -> None:
        """Begin without a dialer."""
        self._dialers: dict[ServerIp, _Dialer] = {}
        self._sent_before: dict[ServerIp, deque[float]] = {}
        """The requests to dialers that are watched no longer: they count all the same, should one be watched again."""

    def watch(self, dialers: Collection[ServerIp], *, moved: Collection[ServerIp] = ()) -> None:
        """Ask these dialers from now on, and no others; those that `moved` have a new address, and begin anew."""
        self._sent_before |= {ip: known.sent for ip, known in self._dialers.items() if ip not in dialers}
        known = {ip: each for ip, each in self._dialers.items() if ip not in moved}
        self._dialers = {ip: known.get(ip) or self._begin(ip, anew=ip in moved) for ip in dialers}

    def _begin(self, server_ip: ServerIp, *, anew: bool) -> _Dialer:
        sent = self._sent_before.pop(server_ip, None)
        return _Dialer() if sent is None or anew else _Dialer(sent=sent)

    def doubt(self, now: float, wavers: Mapping[ServerIp, frozenset[Waver]]) -> bool:
        """Record which signs waver now; return True if a doubt is new."""
        new = False
        for ip, dialer in self._dialers.items():
            signs = wavers.get(ip, frozenset())
            if signs and signs != dialer.wavers:
                # one more sign wavers, or one of them is back: what it answered before says nothing about it now
                dialer.doubt_anew(now)
                new = True
            elif not signs:
                if dialer.wavers:
                    dialer.calm_since = now
                dialer.doubted_at, dialer.silent_at = float("inf"), float("-inf")
            dialer.wavers = signs
        many = self._many(now)
        for dialer in self._dialers.values():
            if dialer.among_many and dialer.wavers and not many:
                dialer.doubt_anew(now)
                new = True
            dialer.among_many = many and bool(dialer.wavers)
        return new

    def ask(self, now: float) -> list[ServerIp]:
        """Return the dialers to be sent one request now, and count it."""
        many = self._many(now)
        due = [ip for ip, dialer in self._dialers.items() if dialer.is_due(now, many=many)]
        if not due and (other := self._other(now)) is not None:
            due = [other]
        for ip in due:
            dialer = self._dialers[ip]
            dialer.sent.append(now)
            dialer.asked_at, dialer.waits = now, True
        return due

    def heard(self, now: float, server_ip: ServerIp, result: ProbeResult | None) -> None:
        """Record a request's result; None: it ended without one, by a fault of this host."""
        dialer = self._dialers.get(server_ip)
        if dialer is None or not dialer.waits:
            return
        dialer.waits = False
        if result is None:
            return
        dialer.result, dialer.heard_at = result, now
        if result is ProbeResult.ALIVE:
            dialer.failures, dialer.answered = 0, True
            return
        dialer.failures += 1
        if dialer.in_doubt(now) and dialer.silent_at < dialer.doubted_at <= dialer.asked_at:
            dialer.silent_at = now

    def results(self, now: float) -> dict[ServerIp, ProbeResult]:
        """Return the results that stand."""
        near = self._silent_at(now) - NEAR_SECONDS
        others = {each.result for each in self._dialers.values() if each.speaks(now) and each.heard_at >= near}
        # while one is silent the others' last answers show that hotdesk reaches its dialers, unless one fails to now
        reached = near < float("inf") and (not others or ProbeResult.ALIVE in others)
        return {
            ip: dialer.result
            for ip, dialer in self._dialers.items()
            if dialer.result is not None and self._stands(dialer, now, near, reached=reached)
        }

    def _stands(self, dialer: _Dialer, now: float, near: float, *, reached: bool) -> bool:
        since = now - dialer.heard_at
        if dialer.in_doubt(now):
            if dialer.among_many and dialer.result is ProbeResult.MUTE and dialer.failures < PAIR:
                return False  # one datagram may have been lost
            return dialer.heard_at >= dialer.doubted_at and since < WINDOW_SECONDS
        if since < FRESH_SECONDS or dialer.heard_at >= near:
            return dialer.speaks(now)
        return reached and dialer.result is ProbeResult.ALIVE and since < WINDOW_SECONDS

    def _many(self, now: float) -> bool:
        """Return True if more than half of the dialers are in doubt, of those that have ever answered.

        Rows of machines that are long gone stand still for ever, and must not keep a true death from being proven.
        """
        known = [dialer for dialer in self._dialers.values() if dialer.answered]
        return sum(dialer.in_doubt(now) for dialer in known) > max(1, len(known) / 2)

    def _silent_at(self, now: float) -> float:
        """Return when a dialer in doubt last began to be silent; infinite: none is silent."""
        silent = [each.silent_at for each in self._dialers.values() if each.in_doubt(now) and each.failures]
        return max((at for at in silent if now - at < WINDOW_SECONDS), default=float("inf"))

    def _other(self, now: float) -> ServerIp | None:
        """Return a calm dialer to be asked because another one is silent; None: none, or none is needed."""
        near = self._silent_at(now) - NEAR_SECONDS
        if near == float("inf"):
            return None
        calm = {ip: each for ip, each in self._dialers.items() if not each.in_doubt(now)}
        asked = [each for each in calm.values() if each.asked_at >= near]
        if len(asked) >= MOST_OTHERS or any(each.waits or each.result is ProbeResult.ALIVE for each in asked):
            return None
        may = [(each.left(now), ip) for ip, each in calm.items() if each.asked_at < near and each.left(now) >= PAIR]
        return max(may)[1] if may else None
