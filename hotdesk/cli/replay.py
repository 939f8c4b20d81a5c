"""`hotdesk replay`: fold a past window of the log again, with the present settings and with others."""

import os
import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, NamedTuple

import msgspec
from cyclopts import Parameter

from controller.core.policy import Policy
from controller.core.replay import Difference, Happening, Replay, Window, difference
from controller.runtime.decoding import read
from hotdesk import settings
from hotdesk.cli.client import AsJson
from hotdesk.cli.log_reader import records_of, the_only
from hotdesk.cli.terminal import Console, say_json, shown
from hotdesk.cli.times import local_clock, moment
from hotdesk.errors import SettingsError
from hotdesk.misfits import dotted, misfit
from hotdesk.settings import ClusterSettings, ClusterTables, LogOptions, Options, Settings
from messages.records import Decision, RankingSnapshot
from messages.topics import HISTORY_MS, Topic

DEFAULTS = Options()
DEFAULT_MINUTES = 10.0
MOST_MINUTES = 90 * 24 * 60.0
"""How long decisions are kept."""
TOPICS = (Topic.OBSERVATIONS, Topic.ORDERS, Topic.LOGINS, Topic.RELOGINS, Topic.RANKINGS, Topic.AUDIT)


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a replay."""

    cluster: str
    polls: int
    """Number of polls folded, those before the window included."""
    reaches_back_to_ms: int | None
    """The first poll that the log still has; None: it has none."""
    known: tuple[Happening, ...]
    """The changes of dialers' states, with the present settings."""
    decided: tuple[Decision, ...]
    """The decisions, orders and actions of that time."""
    more: tuple[Happening, ...]
    """Changes and decisions that only other settings would have brought."""
    less: tuple[Happening, ...]
    """Changes and decisions that other settings would not have brought."""


def replay(  # noqa: PLR0913 # one for each flag
    *,
    cluster: Annotated[str, Parameter(help="Name of the cluster; not needed if there is only one.")] = "",
    minutes: Annotated[float, Parameter(help="Length of the window.")] = DEFAULT_MINUTES,
    until: Annotated[
        str,
        Parameter(
            help="End of the window, such as 2026-11-25T14:30 (local time, or with an offset) or 2h; default: now."
        ),
    ] = "",
    set_: Annotated[
        tuple[str, ...],
        Parameter(name="--set", help="Another value of a cluster's setting, such as stalled_after_seconds=4."),
    ] = (),
    as_json: AsJson = False,
    options: Settings = DEFAULTS,
    clusters: ClusterTables,
) -> None:
    """Replay a past window: what was known and decided, and what other settings would have decided.

    It reads the log itself, needs no running hotdesk and changes nothing. The log keeps every step for an hour.
    """
    known = settings.clusters(clusters, options, os.environ)
    name = cluster or the_only(list(known))
    if name not in known:
        raise SettingsError(f"no [clusters.{name}] in the settings; there are: {', '.join(known) or 'none'}")
    policy = known[name].policy()
    report = _replayed(options.log, name, _window(minutes, until), policy, _others(known[name], set_, policy))
    if as_json:
        say_json(report)
    else:
        _print(report)


def _replayed(log: LogOptions, cluster: str, window: Window, policy: Policy, other: Policy | None) -> Report:
    again, otherwise = Replay(cluster, policy), None if other is None else Replay(cluster, other)
    these, those = list[Happening](), list[Happening]()
    decided, first_ms = list[Decision](), None
    for stored in records_of(log, cluster, TOPICS):
        news = read(stored)
        match news:
            case Decision():
                if window.covers(news.at_ms):
                    decided.append(news)
                continue
            case RankingSnapshot():
                again.remember(news)
                if otherwise is not None:
                    otherwise.remember(news)
                continue
        these += (each for each in again.fold(news) if window.covers(each.at_ms))
        if otherwise is not None:
            those += (each for each in otherwise.fold(news) if window.covers(each.at_ms))
        first_ms = first_ms or again.observed_at_ms or None
    apart = Difference((), ()) if otherwise is None else difference(these, those)
    return Report(
        cluster=cluster,
        polls=again.polls,
        reaches_back_to_ms=first_ms,
        known=tuple(each for each in these if each.judged),
        decided=tuple(decided),
        more=apart.only_second,
        less=apart.only_first,
    )


# --- arguments ----------------------------------------------------------------------------------------------------


class _Given(NamedTuple):
    key: str
    value: Any


def _window(minutes: float, until: str) -> Window:
    if not 0 < minutes <= MOST_MINUTES:
        raise SettingsError(f"--minutes is {minutes:g}: a window lasts from a moment to {MOST_MINUTES:g} minutes")
    now = datetime.now(UTC)
    end = moment("--until", until, now) if until else now
    try:
        begin = end - timedelta(minutes=minutes)
        return Window(round(begin.timestamp() * 1000), round(end.timestamp() * 1000))
    except (ValueError, OverflowError) as error:
        raise SettingsError(f"--until {until!r} is not a time: write one such as 2026-11-25T14:30") from error


def _others(now: ClusterSettings, given: Sequence[str], policy: Policy) -> Policy | None:
    """Return the policy with other settings; None: there are no others."""
    if not given:
        return None
    table = msgspec.to_builtins(now) | dict(_parsed(each) for each in given)
    try:
        other = msgspec.convert(table, ClusterSettings, strict=False).policy()
    except msgspec.ValidationError as error:
        wrong = misfit(error, table, ClusterSettings)
        raise SettingsError(f"--set {dotted(wrong.path)} {wrong.what}") from error
    if other == policy:
        raise SettingsError(f"--set {' '.join(given)} changes no rule for this cluster's decisions")
    return other


def _parsed(given: str) -> _Given:
    key, equals, value = given.partition("=")
    if not equals:
        raise SettingsError(f"--set {given!r}: write KEY=VALUE, such as stalled_after_seconds=4")
    try:
        return _Given(key.strip(), tomllib.loads(f"value = {value}")["value"])
    except tomllib.TOMLDecodeError:
        return _Given(key.strip(), value.strip())


# --- output -------------------------------------------------------------------------------------------------------


def _print(report: Report) -> None:
    console = Console(soft_wrap=True, highlight=False)
    lines = [
        *((each.at_ms, "known", _words(each), "") for each in report.known),
        *((each.at_ms, "then", _words(each), "bold") for each in report.decided),
        *((each.at_ms, "with --set", _words(each), "green") for each in report.more),
        *((each.at_ms, "not with --set", _words(each), "red") for each in report.less),
    ]
    for at_ms, source, words, style in sorted(lines, key=lambda each: each[0]):
        console.print(shown(f"{local_clock(at_ms)}  {source:14}  {words}", style))
    since = report.reaches_back_to_ms
    reach = "the log has no polls of it" if since is None else f"the log reaches back to {local_clock(since)}"
    console.print(shown(f"{report.cluster}: {report.polls} polls folded; {reach}", "dim"))
    if since is not None and not lines:
        hour = HISTORY_MS // 60_000
        console.print(shown(f"nothing happened in the window; every step is kept for {hour} minutes", "dim"))


def _words(of: Happening | Decision) -> str:
    because = f": {of.why}" if of.why else ""
    return f"{of.subject} {of.what}{because}" if isinstance(of, Happening) else f"{of.what}{because} ({of.subject})"
