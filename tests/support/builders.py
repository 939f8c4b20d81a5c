"""Records and log entries for tests, as short as what matters about them."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from controller.core.news import News, Tombstone
from controller.core.observed import Folded
from controller.core.policy import Policy
from controller.core.state import ClusterState
from controller.runtime.decoding import read
from messages.records import (
    AgentSession,
    AgentStatus,
    Campaign,
    DialerReading,
    Grouping,
    Heartbeat,
    LoginSlot,
    Observation,
    Phone,
    PhoneAlias,
    Poll,
    Record,
    Relogin,
    ReloginStage,
    SystemSettings,
)
from messages.topics import Key, partition_of
from stream.entries import entry_of
from stream.log import Entry, Stored
from tests.support.timing import on_this_machine

CLUSTER = "west"
PARTITIONS = 4
NOW_MS = 1_800_000_000_000
PLAIN = Policy()
ONE, TWO, THREE = "10.0.0.1", "10.0.0.2", "10.0.0.3"
MOVE = Relogin(
    cluster=CLUSTER,
    live_agent_id=1,
    incident="i",
    user="1001",
    from_server_ip=ONE,
    to_server_ip=TWO,
    alias_id="desk1001",
    phone_login="1001b",
    stage=ReloginStage.PLANNED,
    planned_at_ms=NOW_MS,
    by="me",
)
"""The order to move an agent."""


def alive(now_ms: int = NOW_MS) -> Heartbeat:
    """Make a heartbeat that advanced just now."""
    return Heartbeat(progressed_at_ms=now_ms, watched_since_ms=now_ms - 60_000, age_seconds=0.5)


ALIVE = alive()


def dialer(  # noqa: PLR0913 # a dialer has this many sides, and a test names the one it is about
    server_ip: str,
    agents: int = 0,
    *,
    active: bool = True,
    agent_logins: bool = True,
    asterisk: bool = True,
    twin: str = "",
    heartbeat: Heartbeat | None = ALIVE,
    rooms_free: int = 500,
    campaigns: dict[str, int] | None = None,
) -> DialerReading:
    """Make a dialer that takes logins, but for what is said."""
    return DialerReading(
        server_ip=server_ip,
        active=active,
        agent_logins=agent_logins,
        asterisk=asterisk,
        twin_server_ip=twin,
        heartbeat=heartbeat,
        agents={AgentStatus.READY: agents} if agents else {},
        campaigns=campaigns or {},
        rooms=500,
        rooms_free=rooms_free,
    )


def poll(
    *dialers: DialerReading, sequence: int = 1, epoch: int = 1, at_ms: int | None = None, full: int | None = None
) -> Poll:
    """Make the record that closes a poll; one follows the other after half a second."""
    return Poll(
        cluster=CLUSTER,
        epoch=epoch,
        sequence=sequence,
        observed_at_ms=NOW_MS + 500 * (sequence - 1) if at_ms is None else at_ms,
        full_sequence=full,
        collector="c1",
        dialers=dialers,
    )


def session(user: str, server_ip: str = ONE, *, number: int = 1, sequence: int = 1, epoch: int = 1) -> AgentSession:
    """Make an agent's session; `number` is its live_agent_id."""
    return AgentSession(
        cluster=CLUSTER,
        epoch=epoch,
        sequence=sequence,
        live_agent_id=number,
        user=user,
        server_ip=server_ip,
        status=AgentStatus.READY,
    )


def phone(login: str, server_ip: str = ONE, *, active: bool = True, sequence: int = 1, epoch: int = 1) -> Phone:
    """Make a phone."""
    return Phone(cluster=CLUSTER, epoch=epoch, sequence=sequence, login=login, server_ip=server_ip, active=active)


def alias(alias_id: str, *logins: str, sequence: int = 1, epoch: int = 1) -> PhoneAlias:
    """Make an alias."""
    return PhoneAlias(cluster=CLUSTER, epoch=epoch, sequence=sequence, alias_id=alias_id, logins=logins)


def campaign(campaign_id: str, grouping: Grouping, limit: int = 50) -> Campaign:
    """Make a campaign of the first poll."""
    return Campaign(
        cluster=CLUSTER, epoch=1, sequence=1, campaign_id=campaign_id, grouping=grouping, grouping_limit=limit
    )


def settings(limit: int = 100, /, **weights: float) -> SystemSettings:
    """Make the first poll's settings; a weight's name is that of a constant here: ONE, TWO, THREE."""
    return SystemSettings(
        cluster=CLUSTER,
        epoch=1,
        sequence=1,
        grouping_limit=limit,
        weights={{"ONE": ONE, "TWO": TWO, "THREE": THREE}[name]: weight for name, weight in weights.items()},
    )


def slot(user: str, server_ip: str = ONE, *, until_ms: int = NOW_MS + 30_000, by: str = "other") -> LoginSlot:
    """Make a slot on the alias `desk`."""
    return LoginSlot(
        cluster=CLUSTER,
        user=user,
        alias_id="desk",
        phone_login="p1",
        server_ip=server_ip,
        handed_out_at_ms=NOW_MS,
        until_ms=until_ms,
        handed_out_by=by,
    )


def folded(*records: Observation) -> ClusterState:
    """Fold records into a new state."""
    state = ClusterState(CLUSTER)
    for record in records:
        assert state.fold(record) is not Folded.STALE
    return state


def desk_state(*dialers: DialerReading, full: int | None = None) -> ClusterState:
    """Fold a cluster with a phone `pN` on the Nth dialer, and the alias `desk` that names them in order."""
    logins = [f"p{number}" for number in range(1, len(dialers) + 1)]
    return folded(
        *(phone(login, each.server_ip) for login, each in zip(logins, dialers, strict=True)),
        alias("desk", *logins),
        poll(*dialers, full=full),
    )


def stored(entries: Iterable[Entry], offset: int = 0) -> list[Stored]:
    """Return entries as a log gives them back."""
    return [
        Stored(
            topic=entry.topic,
            partition=partition_of(Key.parse(entry.key).cluster, PARTITIONS),
            offset=at,
            key=entry.key,
            value=entry.value,
            headers=entry.headers,
            appended_at_ms=NOW_MS,
        )
        for at, entry in enumerate(entries, start=offset)
    ]


def arrived(*each: Record | Entry, offset: int = 0) -> list[News]:
    """Return records as they arrive from a log."""
    return [read(one) for one in stored((one if isinstance(one, Entry) else entry_of(one) for one in each), offset)]


def fold_all(state: ClusterState, log: Sequence[Stored]) -> list[Folded]:
    """Fold what a log holds of a cluster's observations."""
    results = []
    for news in map(read, log):
        if isinstance(news, Tombstone):
            results.append(state.observed.fold_end(news.key, news.stamp))
        else:
            assert isinstance(news, Observation), news
            results.append(state.fold(news))
    return results


def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Wait for a condition, and tell whether it came true in time."""
    pause = threading.Event()
    deadline = time.monotonic() + on_this_machine(seconds)
    while not condition():
        if time.monotonic() > deadline:
            return False
        pause.wait(0.02)
    return True


def secret_file(path: Path, text: str) -> Path:
    """Write a file that nobody else may read, and give it."""
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def may_go_on() -> None:
    """Have nothing against an action that has begun."""
