"""Whose collector leads a cluster: this installation's own, or that of another one, before this one has started."""

import time
from collections.abc import Iterator
from contextlib import closing

import httpx
import msgspec

from controller.api.schemas import RankingAnswer
from hotdesk.cli.client import ask, open_api
from hotdesk.errors import ApiFailure, LogFailure, SettingsError
from hotdesk.findings import Finding, Verdict
from hotdesk.service import open_log
from hotdesk.settings import ApiOptions, LogOptions
from messages.topics import Key, Topic, partition_of
from stream.log import LogError

LISTEN_SECONDS = 5.0
"""How long the log is listened to at most. A leader writes to it twice a second."""


def check_leader(subject: str, cluster: str, host: str | None, log: LogOptions, api: ApiOptions) -> Iterator[Finding]:
    """Report a leader of which neither the API nor the log of these settings knows. In doubt it is one's own.

    `host` is as `VicidialDatabase.leader_host` gives it.
    """
    if host is None or _is_own(cluster, log, api):
        return
    yield Finding(
        verdict=Verdict.NOTE,
        subject=subject,
        what=f"another hotdesk leads this cluster{f', from {host}' if host else ''}: no collector writes to this log",
        remedy="stop it before this one acts: two would both stand still; for a second view of the cluster, give this"
        " one the other's log",
    )


def _is_own(cluster: str, log: LogOptions, api: ApiOptions) -> bool:
    answers = False
    try:
        with open_api(api) as client:
            if not msgspec.json.decode(ask(client, "GET", "clusters", cluster, "ranking"), type=RankingAnswer).stale:
                return True
    except SettingsError:
        pass  # said elsewhere
    except ApiFailure as error:
        answers = not isinstance(error.__cause__, httpx.ConnectError)
    if log.bootstrap:
        return _is_heard(cluster, log)
    # a hotdesk that works with this log says so by itself
    return answers or (log.path.exists() and not _is_free(log))


def _is_heard(cluster: str, log: LogOptions) -> bool:
    """Return True if a collector writes to the log, or if that is not to be found out."""
    deadline = time.monotonic() + LISTEN_SECONDS
    try:
        with closing(open_log(log)) as opened:
            partition = partition_of(cluster, opened.partitions)
            with closing(opened.tail([Topic.OBSERVATIONS], [partition], from_start=False)) as tail:
                while time.monotonic() < deadline:
                    if any(Key.parse(each.key).cluster == cluster for each in tail.poll(0.2)):
                        return True
    except (LogError, LogFailure):
        return True  # what is wrong with the log is said elsewhere
    return False


def _is_free(log: LogOptions) -> bool:
    """Return True if no hotdesk works with the file of the log."""
    try:
        open_log(log).close()
    except LogFailure:
        return False
    return True
