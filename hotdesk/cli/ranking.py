"""`hotdesk rank`: the phones of an alias, in the order of the next picks."""

from typing import Annotated

import msgspec
from cyclopts import Parameter

from controller.api.schemas import AliasAnswer
from controller.core.explanations import because
from hotdesk.cli.client import AsJson, ClusterName, ask, only_cluster, open_api
from hotdesk.cli.terminal import Console, Table, row, say, say_json, table
from hotdesk.settings import Options, Settings

DEFAULTS = Options()


def rank(
    alias: Annotated[str, Parameter(help="A phone alias, or a phone's login.")],
    *,
    cluster: ClusterName = "",
    campaign: Annotated[str, Parameter(help="Campaign to log in to, since it may group its agents.")] = "",
    as_json: AsJson = False,
    options: Settings = DEFAULTS,
) -> None:
    """Show the phones of an alias, the next pick first, with every reason against each.

    If the API wants a token, set it in HOTDESK_TOKEN.
    """
    with open_api(options.api) as api:
        cluster = cluster or only_cluster(api)
        answer = ask(api, "GET", "clusters", cluster, "aliases", alias, "ranking", campaign=campaign)
        ranking = msgspec.json.decode(answer, type=AliasAnswer)
    if as_json:
        say_json(ranking)
        return
    Console().print(ranking_table(ranking, cluster))
    if ranking.stale:
        say(f"Nothing is known now: {ranking.why_stale}. The facts are as of the last poll, and VICIdial chooses.")


def ranking_table(ranking: AliasAnswer, cluster: str) -> Table:
    """Return the phones of an alias as a table."""
    title = f"{ranking.alias} in {cluster}" + (" (stale)" if ranking.stale else "")
    columns = ("rank", "phone login", "dialer", "agents", "slots", "load", "why not")
    numbers, whole = ("rank", "agents", "slots", "load"), ("phone login", "dialer")
    rows = table(*columns, numbers=numbers, whole=whole, spare=("slots", "agents", "load"), title=title)
    for phone in ranking.phones:
        row(
            rows,
            phone.rank or "-",
            phone.phone_login,
            phone.server_ip or "-",
            phone.agents,
            phone.slots,
            f"{phone.load:g}",
            because(phone.ineligible_because),
        )
    return rows
