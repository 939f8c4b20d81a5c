"""The commands by which people order something of a running hotdesk, and read about incidents."""

import getpass
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from controller.api.schemas import AcknowledgeBody, IncidentAnswer, OrderBody, RankingAnswer
from controller.core.fences import STANDING
from hotdesk.cli.client import AsJson, ClusterName, ask, only_cluster, open_api, print_json
from hotdesk.errors import SettingsError
from hotdesk.settings import Options
from messages.words import sentence

DEFAULTS = Options()

FORGET_SECONDS = 120.0
"""The owner reads all that the log has of the cluster."""

Why = Annotated[str, Parameter(help="Why, for those who read about it later.")]


def pause(*, why: Why = "", cluster: ClusterName = "", options: Options = DEFAULTS) -> None:
    """Have a cluster only observed: detect and say, and move nobody.

    Orders need a token of scope admin in HOTDESK_TOKEN where the API wants tokens.
    """
    name = _order(options, cluster, "POST", "pause", why=why)
    print(f"ordered: cluster {name} is only observed until 'hotdesk resume'")


def resume(*, cluster: ClusterName = "", options: Options = DEFAULTS) -> None:
    """Go on after a pause."""
    name = _order(options, cluster, "DELETE", "pause")
    print(f"ordered: cluster {name} is no longer paused")


def drain(server_ip: str, *, why: Why = "", cluster: ClusterName = "", options: Options = DEFAULTS) -> None:
    """Take a dialer out: no new logins, and its agents leave when their calls have ended."""
    _order(options, cluster, "POST", "dialers", server_ip, "drain", why=why)
    print(f"ordered: {server_ip} drains until 'hotdesk undrain {server_ip}'")


def undrain(server_ip: str, *, cluster: ClusterName = "", options: Options = DEFAULTS) -> None:
    """Take an order to drain back."""
    _order(options, cluster, "DELETE", "dialers", server_ip, "drain")
    print(f"ordered: {server_ip} no longer drains")


def move(user: str, *, why: Why = "", cluster: ClusterName = "", options: Options = DEFAULTS) -> None:
    """Move one agent to the least-loaded of the other dialers."""
    _order(options, cluster, "POST", "agents", user, "move", why=why)
    print(f"ordered: {user} is moved")


def ack(
    incident: str,
    *,
    silence_minutes: Annotated[int, Parameter(help="Raise no alarm for so long.")] = 0,
    why: Why = "",
    cluster: ClusterName = "",
    options: Options = DEFAULTS,
) -> None:
    """Say that somebody is on an incident."""
    body = AcknowledgeBody(by=getpass.getuser(), why=why, silence_minutes=silence_minutes)
    with open_api(options.api) as api:
        name = cluster or only_cluster(api)
        ask(api, "POST", "clusters", name, "incidents", incident, "acknowledge", body=body)
    print(f"ordered: {incident} is acknowledged")


def unbrake(*, why: Why = "", cluster: ClusterName = "", options: Options = DEFAULTS) -> None:
    """Release the fleet brake that holds now: agents are moved although so many dialers look bad at once."""
    name = _order(options, cluster, "POST", "unbrake", why=why)
    print(f"ordered: the brake of cluster {name} is released")


def unfence(
    server_ip: str = "",
    *,
    every: Annotated[bool, Parameter(name="--all", help="All dialers of the cluster that are fenced.")] = False,
    why: Why = "",
    cluster: ClusterName = "",
    options: Options = DEFAULTS,
) -> None:
    """Open a dialer again that hotdesk has closed to logins, whether it is back or not."""
    if every == bool(server_ip):
        raise SettingsError("name one dialer, or say --all")
    with open_api(options.api) as api:
        name = cluster or only_cluster(api)
        ranking = msgspec.json.decode(ask(api, "GET", "clusters", name, "ranking"), type=RankingAnswer)
        fenced = [each.server_ip for each in ranking.fences if each.stage in STANDING] if every else [server_ip]
        for each in fenced:
            body = OrderBody(by=getpass.getuser(), why=why)
            ask(api, "POST", "clusters", name, "dialers", each, "unfence", body=body)
            print(f"ordered: {each} is opened again")
    if not fenced:
        print("no dialer is fenced")


def resynchronise(*, cluster: ClusterName = "", options: Options = DEFAULTS) -> None:
    """Have a cluster's collector publish everything it knows again. It does so by itself every few minutes."""
    with open_api(options.api) as api:
        name = cluster or only_cluster(api)
        ask(api, "POST", "clusters", name, "resynchronise", by=getpass.getuser())
    print(f"ordered: cluster {name} is published again")


def incidents(*, cluster: ClusterName = "", as_json: AsJson = False, options: Options = DEFAULTS) -> None:
    """Show the open incidents and those that closed last: what was decided, what was withheld, and why."""
    with open_api(options.api) as api:
        name = cluster or only_cluster(api)
        found = msgspec.json.decode(ask(api, "GET", "clusters", name, "incidents"), type=list[IncidentAnswer])
    if as_json:
        print_json(found)
        return
    table = Table(title=f"incidents of {name}")
    for column in ("incident", "state", "why", "on it", "agents", "moves", "moved", "not moved"):
        table.add_column(column, justify="right" if column in {"agents", "moves", "moved"} else "left")
    for each in found:
        incident = each.incident
        over = "closed" if incident.closed_at_ms is not None else incident.kind.value
        table.add_row(
            incident.incident,
            over + (f"; {incident.withheld}" if incident.withheld else ""),
            incident.why,
            each.acknowledged_by or "-",
            str(incident.agents),
            str(incident.moves),
            str(incident.moved),
            "; ".join(f"{listed.user}: {sentence(listed.why)}" for listed in incident.listed) or "-",
        )
    Console().print(table)


def forget(cluster: str, *, why: Why = "", options: Options = DEFAULTS) -> None:
    """Forget a cluster that is no more, once it stands in the settings of no collector: nobody lists it any longer.

    What was decided about it stays in the log for its quarter of a year.
    """
    with open_api(options.api, seconds=FORGET_SECONDS) as api:
        ask(api, "DELETE", "clusters", cluster, by=getpass.getuser(), why=why)
    print(f"ordered: {cluster} is forgotten")


COMMANDS = (pause, resume, drain, undrain, move, ack, unbrake, unfence, resynchronise, forget, incidents)


def _order(options: Options, cluster: str, method: str, *path: str, why: str = "") -> str:
    """Send an order, in the name of whoever runs this, and give the cluster's name."""
    by = getpass.getuser()
    with open_api(options.api) as api:
        name = cluster or only_cluster(api)
        if method == "POST":
            ask(api, method, "clusters", name, *path, body=OrderBody(by=by, why=why))
        else:
            ask(api, method, "clusters", name, *path, by=by)
    return name
