"""Commands for orders to a running hotdesk, and for its incidents."""

import getpass
import sys
from typing import Annotated, Literal, NamedTuple

import msgspec
from cyclopts import Parameter

from controller.api.schemas import (
    AcknowledgeBody,
    IncidentAnswer,
    OrderAnswer,
    OrderBody,
    RankingAnswer,
    StandingOrder,
)
from controller.core.fences import STANDING
from controller.core.previews import Preview
from hotdesk.cli.client import AsCsv, AsJson, ClusterName, ask, only_cluster, open_api
from hotdesk.cli.incident_blocks import incident_block
from hotdesk.cli.terminal import Console, agrees, say, say_csv, say_json, shown
from hotdesk.cli.times import iso, local_clock
from hotdesk.errors import HotdeskError, SettingsError
from hotdesk.settings import Options, Settings

DEFAULTS = Options()

FORGET_SECONDS = 120.0
"""The owner reads all records of the cluster first."""

Why = Annotated[str, Parameter(help="Reason, for the audit.")]
Yes = Annotated[bool, Parameter(name="--yes", negative="", help="Do not ask: for scripts.")]
Dialer = Annotated[str, Parameter(help="Name (server_id) or address of the dialer.")]
Revocable = Literal["pause", "drain", "move", "acknowledge", "unbrake", "unfence"]

CSV_COLUMNS = (
    *("incident", "dialer", "kind", "opened", "closed", "why", "withheld", "acknowledged_by"),
    *("agents", "moves", "sent", "moved", "arrived", "listed"),
)

_ROOMS = {"drain": "dialers", "unfence": "dialers", "move": "agents", "acknowledge": "incidents"}
"""By kind of order: the part of the API's path before its subject."""
_ENDS = {"drain": "undrain", "pause": "resume"}
"""Kinds of order with a command of their own that takes them back."""


def pause(*, why: Why = "", cluster: ClusterName = "", yes: Yes = False, options: Settings = DEFAULTS) -> None:
    """Suspend automatic moves: keep detecting and reporting, but move no one.

    Orders need a token of scope admin in HOTDESK_TOKEN if the API wants tokens.
    """
    _order(options, cluster, Order("pause", ("pause",), why, yes))


def resume(*, why: Why = "", cluster: ClusterName = "", yes: Yes = False, options: Settings = DEFAULTS) -> None:
    """Resume automatic moves after a pause."""
    _order(options, cluster, Order("resume", ("pause",), why, yes, method="DELETE"))


def drain(
    dialer: Dialer, *, why: Why = "", cluster: ClusterName = "", yes: Yes = False, options: Settings = DEFAULTS
) -> None:
    """Empty a dialer: send no new logins there, and move its agents away after their calls."""
    _order(options, cluster, Order("drain", ("dialers", dialer, "drain"), why, yes, subject=dialer))


def undrain(dialer: Dialer, *, why: Why = "", cluster: ClusterName = "", options: Settings = DEFAULTS) -> None:
    """End a drain: the dialer takes new logins again."""
    _order(options, cluster, Order("", ("dialers", dialer, "drain"), why, method="DELETE"))


def move(
    user: Annotated[str, Parameter(help="The agent's user.")],
    *,
    why: Why = "",
    cluster: ClusterName = "",
    yes: Yes = False,
    options: Settings = DEFAULTS,
) -> None:
    """Move one agent to the least-loaded of the other dialers."""
    _order(options, cluster, Order("move", ("agents", user, "move"), why, yes, subject=user))


def ack(
    incident: Annotated[str, Parameter(help="The incident, or the name or address of its dialer.")],
    *,
    silence_minutes: Annotated[int, Parameter(help="Silence its alarms for this many minutes.")] = 0,
    why: Why = "",
    cluster: ClusterName = "",
    options: Settings = DEFAULTS,
) -> None:
    """Acknowledge an incident: a person is working on it."""
    path = ("incidents", incident, "acknowledge")
    _order(options, cluster, Order("", path, why, silence_minutes=silence_minutes))


def unbrake(*, why: Why = "", cluster: ClusterName = "", yes: Yes = False, options: Settings = DEFAULTS) -> None:
    """Release the present fleet brake: move agents although so many dialers look bad at once."""
    _order(options, cluster, Order("unbrake", ("unbrake",), why, yes))


def unfence(
    dialer: Dialer = "",
    *,
    every: Annotated[bool, Parameter(name="--all", help="All dialers of the cluster that are fenced.")] = False,
    why: Why = "",
    cluster: ClusterName = "",
    options: Settings = DEFAULTS,
) -> None:
    """Open a fenced dialer to logins again, whether it is back or not."""
    if every == bool(dialer):
        raise SettingsError("name one dialer, or use --all")
    fenced = [dialer]
    if every:
        with open_api(options.api) as api:
            cluster = cluster or only_cluster(api)
            ranking = msgspec.json.decode(ask(api, "GET", "clusters", cluster, "ranking"), type=RankingAnswer)
        fenced = [each.server_ip for each in ranking.fences if each.stage in STANDING]
    for each in fenced:
        _order(options, cluster, Order("", ("dialers", each, "unfence"), why))
    if not fenced:
        say("no dialer is fenced")


def resynchronise(*, cluster: ClusterName = "", options: Settings = DEFAULTS) -> None:
    """Ask a cluster's collector to publish everything again, as it does by itself every few minutes."""
    with open_api(options.api) as api:
        name = cluster or only_cluster(api)
        _print_ordered(ask(api, "POST", "clusters", name, "resynchronise", by=getpass.getuser()))


def orders(*, cluster: ClusterName = "", as_json: AsJson = False, options: Settings = DEFAULTS) -> None:
    """Show the orders that stand, with the command that takes each back."""
    with open_api(options.api) as api:
        name = cluster or only_cluster(api)
        found = msgspec.json.decode(ask(api, "GET", "clusters", name, "orders"), type=list[StandingOrder])
    if as_json:
        say_json(found)
        return
    if not found:
        say(f"no order stands in {name}")
    for each in found:
        because = f": {each.why}" if each.why else ""
        took_back = " ".join(["hotdesk", *(_ENDS.get(each.kind, f"revoke {each.kind}").split()), each.subject]).strip()
        say(f"{local_clock(each.ordered_at_ms)}  {each.by}{because}")
        say(f"  {each.words}")
        say(f"  taken back by: {took_back}")


def revoke(  # noqa: PLR0913 # its options, each once
    kind: Annotated[Revocable, Parameter(help="The kind of the order, as 'hotdesk orders' shows it.")],
    subject: Annotated[str, Parameter(help="Its dialer, agent or incident.")] = "",
    *,
    why: Why = "",
    cluster: ClusterName = "",
    yes: Yes = False,
    options: Settings = DEFAULTS,
) -> None:
    """Revoke any order that stands."""
    room = _ROOMS.get(kind)
    if bool(room) != bool(subject):
        raise SettingsError(f"an order to {kind} is about {room[:-1] if room else 'the whole cluster: name nothing'}")
    path = (room, subject, kind) if room else (kind,)
    # the end of a pause may move agents at once, as after 'hotdesk resume'
    _order(options, cluster, Order("resume" if kind == "pause" else "", path, why, yes, method="DELETE"))


def incidents(
    *, cluster: ClusterName = "", as_json: AsJson = False, as_csv: AsCsv = False, options: Settings = DEFAULTS
) -> None:
    """Show open and recently closed incidents, with their moves and the agents who are listed.

    Times are those of this machine, with their offset; in JSON and CSV they are UTC.
    """
    with open_api(options.api) as api:
        name = cluster or only_cluster(api)
        found = msgspec.json.decode(ask(api, "GET", "clusters", name, "incidents"), type=list[IncidentAnswer])
        if as_json:
            say_json(found)
            return
        if as_csv:
            say_csv(CSV_COLUMNS, map(_csv_row, found))
            return
        ranking = msgspec.json.decode(ask(api, "GET", "clusters", name, "ranking"), type=RankingAnswer)
    names = {each.server_ip: each.server_id for each in ranking.dialers}
    if not found:
        say(f"{name} has no open incident, and none that closed lately")
        return
    say(f"incidents of {name}")
    console = Console(soft_wrap=True)
    for each in found:
        head, *rest = incident_block(each, names.get(each.incident.server_ip, ""), cluster=cluster)
        say("")
        console.print(shown(head, "bold red" if each.incident.closed_at_ms is None else "bold"))
        for line in rest:
            say(line)


def _csv_row(answer: IncidentAnswer) -> tuple[object, ...]:
    each = answer.incident
    over = "" if each.closed_at_ms is None else iso(each.closed_at_ms)
    counts = (each.agents, each.moves, each.sent, each.moved, each.arrived, len(each.listed))
    withheld = "" if each.withheld is None else each.withheld
    named = (each.incident, each.server_ip, each.kind, iso(each.opened_at_ms), over, each.why, withheld)
    return (*named, answer.acknowledged_by, *counts)


def forget(
    cluster: Annotated[str, Parameter(help="Name of the cluster.")], *, why: Why = "", options: Settings = DEFAULTS
) -> None:
    """Forget a cluster that no longer exists, after its removal from the settings of all collectors.

    Decisions about it stay in the log for a quarter of a year.
    """
    with open_api(options.api, seconds=FORGET_SECONDS) as api:
        ask(api, "DELETE", "clusters", cluster, by=getpass.getuser(), why=why)
    say(f"ordered: {cluster} is forgotten")


class Order(NamedTuple):
    """An order by command."""

    preview: str
    """The API's name for it in a preview; empty: it concerns no agent who is logged in."""
    path: tuple[str, ...]
    why: str
    sure: bool = False
    subject: str = ""
    method: str = "POST"
    silence_minutes: int = 0


def _order(options: Options, cluster: str, order: Order) -> None:
    """Send an order in the name of this user, once they have seen what it would do, and print what comes of it."""
    by = getpass.getuser()
    with open_api(options.api) as api:
        name = cluster or only_cluster(api)
        if order.preview and not order.sure:
            asked = ask(api, "GET", "clusters", name, "previews", order.preview, subject=order.subject)
            _ask_once(order, msgspec.json.decode(asked, type=Preview))
        if order.method == "DELETE":
            answer = ask(api, order.method, "clusters", name, *order.path, by=by, why=order.why)
        else:
            body = OrderBody(by=by, why=order.why)
            if order.path[-1] == "acknowledge":
                body = AcknowledgeBody(by=by, why=order.why, silence_minutes=order.silence_minutes)
            answer = ask(api, order.method, "clusters", name, *order.path, body=body)
        _print_ordered(answer)


def _ask_once(order: Order, preview: Preview) -> None:
    """Ask whether an order is meant that concerns agents.

    Raises:
        HotdeskError: it is not, or there is no terminal to ask at.
    """
    if not preview.agents:
        return
    words = preview.words
    if not sys.stdin.isatty():
        raise SettingsError(f"not ordered: {words} In a script say --yes")
    say(words)
    if not agrees(f"{order.preview} {order.subject}".strip()):
        raise HotdeskError("not ordered")


def _print_ordered(answer: bytes) -> None:
    say(f"ordered: {msgspec.json.decode(answer, type=OrderAnswer).ordered}")
