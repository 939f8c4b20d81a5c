"""Login hooks: which web servers ask hotdesk where an agent logs in, and when each asked last. Pure.

A hook names its web server in each request. That agents log in past hotdesk shows only afterwards, so the sight of each
hook is a record of its own: a web server without one sends agents to a dead dialer, as VICIdial by itself does.
"""

from messages.records import HookSight

NOTED_EVERY_MS = 60_000
"""A sight is recorded again after so long at the soonest: a shift that logs in is one record and not hundreds."""
DAY_MS = 24 * 3_600_000
LATELY_MS = DAY_MS
"""A hook that asked within this time is at work: agents log in every day."""
FORGOTTEN_AFTER_MS = 30 * DAY_MS
"""A web server that asked nothing for so long is shown no more."""
MOST_HOOKS = 64
"""How many web servers are known, those that asked last."""


def seen(hooks: dict[str, HookSight], sight: HookSight) -> dict[str, HookSight]:
    """Return what is known of the hooks with one sight more."""
    known = hooks.get(sight.web)
    if known is not None and known.seen_at_ms >= sight.seen_at_ms:
        return hooks
    since_ms = max(each.seen_at_ms for each in (sight, *hooks.values())) - FORGOTTEN_AFTER_MS
    lately = [each for each in (hooks | {sight.web: sight}).values() if each.seen_at_ms >= since_ms]
    lately.sort(key=lambda each: (-each.seen_at_ms, each.web))
    return {each.web: each for each in lately[:MOST_HOOKS]}


def is_news(hooks: dict[str, HookSight], web: str, now_ms: int) -> bool:
    """Return True if that a hook asks now is worth a record."""
    known = hooks.get(web)
    return known is None or now_ms - known.seen_at_ms >= NOTED_EVERY_MS


def asked_lately(hooks: dict[str, HookSight], now_ms: int) -> bool:
    """Return True if any hook has asked within a day."""
    return any(now_ms - each.seen_at_ms < LATELY_MS for each in hooks.values())
