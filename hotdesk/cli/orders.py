"""Commands for orders to a running hotdesk, and for its incidents."""

import getpass
from typing import Annotated

import msgspec
from cyclopts import Parameter

from controller.api.schemas import AcknowledgeBody, IncidentAnswer, OrderBody, RankingAnswer
from controller.core.explanations import listed_words
from controller.core.fences import STANDING
from hotdesk.cli.client import AsJson, ClusterName, ask, only_cluster, open_api
from hotdesk.cli.terminal import Console, row, say, say_json, table
from hotdesk.errors import SettingsError
from hotdesk.settings import Options

DEFAULTS = Options()

FORGET_SECONDS = 120.0
"""The owner reads all records of the cluster first."""

Why = Annotated[str, Parameter(help="Reason, for the audit.")]


def pause(*, why: Why = "", cluster: ClusterName = "", options: Options = DEFAULTS) -> None:
    """Suspend automatic moves: keep detecting and reporting, but move no one.

    Orders need a token of scope admin in HOTDESK_TOKEN if the API wants tokens.
    """
    name = _order(options, cluster, "POST", "pause", why=why)
    say(f"ordered: cluster {name} is suspended until 'hotdesk resume'")


def resume(*, cluster: ClusterName = "", options: Options = DEFAULTS) -> None:
    """Resume automatic moves after a pause."""
    name = _order(options, cluster, "DELETE", "pause")
    say(f"ordered: cluster {name} is no longer suspended")


def drain(server_ip: str, *, why: Why = "", cluster: ClusterName = "", options: Options = DEFAULTS) -> None:
    """Empty a dialer: send no new logins there, and move its agents away after their calls."""
    _order(options, cluster, "POST", "dialers", server_ip, "drain", why=why)
    say(f"ordered: {server_ip} drains until 'hotdesk undrain {server_ip}'")


def undrain(server_ip: str, *, cluster: ClusterName = "", options: Options = DEFAULTS) -> None:
    """End a drain: the dialer takes new logins again."""
    _order(options, cluster, "DELETE", "dialers", server_ip, "drain")
    say(f"ordered: {server_ip} no longer drains")


def move(user: str, *, why: Why = "", cluster: ClusterName = "", options: Options = DEFAULTS) -> None:
    """Move one agent to the least-loaded of the other dialers."""
    _order(options, cluster, "POST", "agents", user, "move", why=why)
    say(f"ordered: {user} is moved")


def ack(
    incident: str,
    *,
    silence_minutes: Annotated[int, Parameter(help="Silence its alarms for this many minutes.")] = 0,
    why: Why = "",
    cluster: ClusterName = "",
    options: Options = DEFAULTS,
) -> None:
    """Acknowledge an incident: a person is working on it."""
    body = AcknowledgeBody(by=getpass.getuser(), why=why, silence_minutes=silence_minutes)
    with open_api(options.api) as api:
        name = cluster or only_cluster(api)
        ask(api, "POST", "clusters", name, "incidents", incident, "acknowledge", body=body)
    say(f"ordered: {incident} is acknowledged")


def unbrake(*, why: Why = "", cluster: ClusterName = "", options: Options = DEFAULTS) -> None:
    """Release the present fleet brake: move agents although so many dialers look bad at once."""
    name = _order(options, cluster, "POST", "unbrake", why=why)
    say(f"ordered: the fleet brake of cluster {name} is released")


def unfence(
    server_ip: str = "",
    *,
    every: Annotated[bool, Parameter(name="--all", help="All dialers of the cluster that are fenced.")] = False,
    why: Why = "",
    cluster: ClusterName = "",
    options: Options = DEFAULTS,
) -> None:
    """Open a fenced dialer to logins again, whether it is back or not."""
    if every == bool(server_ip):
        raise SettingsError("name one dialer, or use --all")
    with open_api(options.api) as api:
        name = cluster or only_cluster(api)
        ranking = msgspec.json.decode(ask(api, "GET", "clusters", name, "ranking"), type=RankingAnswer)
        fenced = [each.server_ip for each in ranking.fences if each.stage in STANDING] if every else [server_ip]
        for each in fenced:
            body = OrderBody(by=getpass.getuser(), why=why)
            ask(api, "POST", "clusters", name, "dialers", each, "unfence", body=body)
            say(f"ordered: {each} is opened again")
    if not fenced:
        say("no dialer is fenced")


def resynchronise(*, cluster: ClusterName = "", options: Options = DEFAULTS) -> None:
    """Ask a cluster's collector to publish everything again, as it does by itself every few minutes."""
    with open_api(options.api) as api:
        name = cluster or only_cluster(api)
        ask(api, "POST", "clusters", name, "resynchronise", by=getpass.getuser())
    say(f"ordered: cluster {name} is published again")


def incidents(*, cluster: ClusterName = "", as_json: AsJson = False, options: Options = DEFAULTS) -> None:
    """Show open and recently closed incidents, with their moves and the agents who are listed."""
    with open_api(options.api) as api:
        name = cluster or only_cluster(api)
        found = msgspec.json.decode(ask(api, "GET", "clusters", name, "incidents"), type=list[IncidentAnswer])
    if as_json:
        say_json(found)
        return
    numbers = ("agents", "moves", "moved", "arrived")
    columns = ("incident", "state", "why", "acknowledged by", *numbers, "listed")
    rows = table(*columns, numbers=numbers, title=f"incidents of {name}")
    for each in found:
        incident = each.incident
        over = "closed" if incident.closed_at_ms is not None else incident.kind.value
        row(
            rows,
            incident.incident,
            over + (f"; {incident.withheld}" if incident.withheld else ""),
            incident.why,
            each.acknowledged_by or "-",
            incident.agents,
            incident.moves,
            incident.moved,
            incident.arrived,
            "; ".join(map(listed_words, incident.listed)) or "-",
        )
    Console().print(rows)


def forget(cluster: str, *, why: Why = "", options: Options = DEFAULTS) -> None:
    """Forget a cluster that no longer exists, after its removal from the settings of all collectors.

    Decisions about it stay in the log for a quarter of a year.
    """
    with open_api(options.api, seconds=FORGET_SECONDS) as api:
        ask(api, "DELETE", "clusters", cluster, by=getpass.getuser(), why=why)
    say(f"ordered: {cluster} is forgotten")


COMMANDS = (pause, resume, drain, undrain, move, ack, unbrake, unfence, resynchronise)
"""The commands that intervene."""


def _order(options: Options, cluster: str, method: str, *path: str, why: str = "") -> str:
    """Send an order in the name of this user, and return the cluster's name."""
    by = getpass.getuser()
    with open_api(options.api) as api:
        name = cluster or only_cluster(api)
        if method == "POST":
            ask(api, method, "clusters", name, *path, body=OrderBody(by=by, why=why))
        else:
            ask(api, method, "clusters", name, *path, by=by)
    return name
