"""Commands that show a running hotdesk: the live view, and explanations."""

import sys
from collections.abc import Sequence
from typing import Annotated

import httpx
import msgspec
from cyclopts import Parameter

from controller.api.schemas import IncidentAnswer, RankingAnswer
from controller.core.explanations import (
    Explanation,
    heartbeat_words,
    is_advice,
    listed_words,
    progress_words,
    why_words,
)
from hotdesk.cli.client import AsJson, ClusterName, ask, only_cluster, open_api
from hotdesk.cli.terminal import Console, Group, Live, RenderableType, Table, row, say_json, shown, table
from hotdesk.cli.times import local_clock, with_local_clocks
from hotdesk.errors import ApiFailure
from hotdesk.settings import Options, Settings
from hotdesk.signals import asked_to_end
from messages.records import DialerState, RankedDialer, ReloginStage
from messages.words import sentence

DEFAULTS = Options()
EVERY_SECONDS = 1.0
DECISIONS_SHOWN = 20
NUMBERS, WHOLE = ("rank", "agents", "slots", "rooms"), ("dialer", "state", "heartbeat")
COLOURS = {
    DialerState.UP: "green",
    DialerState.RECOVERING: "cyan",
    DialerState.SUSPECT: "yellow",
    DialerState.DRAINING: "yellow",
    DialerState.CLOSED: "yellow",
    DialerState.DOWN: "bold red",
    DialerState.UNKNOWN: "dim",
}


def top(*, cluster: ClusterName = "", options: Settings = DEFAULTS) -> None:
    """Watch a cluster live: its ranking and its open incidents. Ctrl-C ends it.

    If the output is not a terminal, they are shown once.
    """
    with open_api(options.api) as api:
        name = cluster or only_cluster(api)
        console = Console()
        if not sys.stdout.isatty():
            console.print(_view(api, name))
            return
        with (
            asked_to_end() as end,
            Live(_view(api, name), console=console, screen=True, auto_refresh=False) as live,
        ):
            while not end.wait(EVERY_SECONDS):
                live.update(_seen(api, name), refresh=True)


def explain(
    name: Annotated[str, Parameter(help="An alias, an agent's user, or a dialer's name or address.")],
    *,
    cluster: ClusterName = "",
    as_json: AsJson = False,
    options: Settings = DEFAULTS,
) -> None:
    """Explain an alias, an agent or a dialer: the facts, what follows from them, and the decisions."""
    with open_api(options.api) as api:
        at = cluster or only_cluster(api)
        found = msgspec.json.decode(ask(api, "GET", "clusters", at, "explanations", name), type=list[Explanation])
    if as_json:
        say_json(found)
        return
    console = Console(soft_wrap=True)
    for each in found:
        console.print(shown(f"{each.kind} {each.name}", "bold"))
        for words in each.words:
            console.print(shown(f"  {with_local_clocks(words)}"))
        for decision in each.decisions[:DECISIONS_SHOWN]:
            because = f": {decision.why}" if decision.why else ""
            console.print(shown(f"  {local_clock(decision.at_ms)}  {decision.what}{because}", "dim"))


def _seen(api: httpx.Client, cluster: str) -> RenderableType:
    """Return the view, or why there is none now: it waits for a hotdesk that is away."""
    try:
        return _view(api, cluster)
    except ApiFailure as error:
        return shown(error, "bold red")


def _view(api: httpx.Client, cluster: str) -> RenderableType:
    ranking = msgspec.json.decode(ask(api, "GET", "clusters", cluster, "ranking"), type=RankingAnswer)
    answers = msgspec.json.decode(ask(api, "GET", "clusters", cluster, "incidents"), type=list[IncidentAnswer])
    open_ones = [each for each in answers if each.incident.closed_at_ms is None]
    age = "" if ranking.age_ms is None else f", seen {ranking.age_ms / 1000:.1f} s ago"
    return Group(
        shown(f"{cluster}: {ranking.summary}", "bold red" if ranking.stale else "bold"),
        shown(f"owner {ranking.owner or 'none'}{age}", "dim"),
        dialers_table(ranking.dialers),
        *(_incident(each) for each in open_ones),
    )


def dialers_table(ranked: Sequence[RankedDialer]) -> Table:
    """Return the dialers of a cluster as a table."""
    columns = ("rank", "dialer", "state", "agents", "slots", "rooms", "heartbeat", "why")
    rows = table(*columns, numbers=NUMBERS, whole=WHOLE, spare=("rooms", "heartbeat", "slots"), wide=True)
    for each in ranked:
        row(
            rows,
            each.rank or "-",
            f"{each.server_id} {each.server_ip}".strip(),
            shown(each.state, COLOURS[each.state]),
            each.agents,
            each.slots,
            each.rooms_free,
            heartbeat_words(each),
            why_words(each),
        )
    return rows


def _incident(answer: IncidentAnswer) -> RenderableType:
    incident = answer.incident
    since = local_clock(incident.opened_at_ms)
    progress = progress_words(incident, advice=is_advice(answer.moves))
    acknowledged = f"acknowledged by {answer.acknowledged_by}" if answer.acknowledged_by else "not acknowledged"
    lines = [
        shown(f"{incident.kind} {incident.server_ip} since {since}: {incident.why}", "bold red"),
        shown(f"  {progress}; {acknowledged}"),
    ]
    if incident.withheld:
        lines.append(shown(f"  no agent is moved now: {incident.withheld}", "yellow"))
    unfinished = [each for each in answer.moves if each.stage is not ReloginStage.MOVED]
    lines += [shown(f"  {each.user} to {each.to_server_ip}: {sentence(each.stage)}") for each in unfinished]
    lines += [shown(f"  {listed_words(each)}") for each in incident.listed]
    return Group(*lines)
