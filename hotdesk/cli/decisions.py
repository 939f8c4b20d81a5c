"""`hotdesk decisions`: what was decided, ordered and done in days gone by, from the log itself."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter

from controller.core.replay import Window
from controller.runtime.decoding import read
from hotdesk import settings
from hotdesk.cli.client import AsCsv, AsJson
from hotdesk.cli.log_reader import records_of, the_only
from hotdesk.cli.terminal import say, say_csv, say_json
from hotdesk.cli.times import iso, local_clock, moment
from hotdesk.errors import SettingsError
from hotdesk.settings import ClusterTables, LogOptions, Options, Settings
from messages.records import Decision
from messages.topics import Topic

DEFAULTS = Options()
COLUMNS = ("at", "cluster", "code", "what", "subject", "why", "by")


def decisions(  # noqa: PLR0913 # one for each flag
    *,
    since: Annotated[
        str, Parameter(help="Beginning: 2026-11-20, 2026-11-20T14:30 (local time, or with an offset), or 7d.")
    ] = "1d",
    until: Annotated[str, Parameter(help="End, written the same way; default: now.")] = "",
    subject: Annotated[str, Parameter(help="Only about this dialer, agent or incident.")] = "",
    code: Annotated[str, Parameter(help="Only of this code, such as incident_opened.")] = "",
    cluster: Annotated[str, Parameter(help="Name of the cluster; not needed if there is only one.")] = "",
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    options: Settings = DEFAULTS,
    clusters: ClusterTables,
) -> None:
    """Show decisions, orders and actions of the last 90 days, the oldest first, with who and why.

    It reads the log itself and needs no running hotdesk; run it where the settings are. Times are those of
    this machine, with their offset; in JSON and CSV they are UTC.
    """
    now = datetime.now(UTC)
    window = Window(_ms(moment("--since", since, now)), _ms(moment("--until", until, now) if until else now))
    if window.from_ms >= window.to_ms:
        raise SettingsError(f"--since {since!r} is not before the end of the window")
    known = settings.clusters(clusters, options, os.environ)
    name = cluster or the_only(list(known))
    found = [
        each
        for each in _decisions(options.log, name)
        if window.covers(each.at_ms)
        if subject.lower() in {"", each.subject.lower()} and code in {"", each.code}
    ]
    if as_json:
        say_json(found)
    elif as_csv:
        say_csv(COLUMNS, map(_row, found))
    else:
        for each in found:
            because = f": {each.why}" if each.why else ""
            about = f"{each.subject}  " if each.subject else ""
            say(f"{local_clock(each.at_ms)}  {about}{each.what}{because} ({each.actor})")
        say(f"{name}: {len(found)} decision{'' if len(found) == 1 else 's'} since {local_clock(window.from_ms)}")


def _decisions(log: LogOptions, cluster: str) -> Iterator[Decision]:
    for stored in records_of(log, cluster, (Topic.AUDIT,)):
        news = read(stored)
        if isinstance(news, Decision):
            yield news


def _row(each: Decision) -> tuple[str, ...]:
    return iso(each.at_ms), each.cluster, each.code, each.what, each.subject, each.why, each.actor


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
