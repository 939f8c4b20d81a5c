"""`hotdesk readiness`: what a VICIdial lacks for hot-desking."""

from collections.abc import Sequence

import msgspec

from controller.core.finding_groups import grouped
from controller.core.readiness import ReadinessFinding, Severity, worst
from hotdesk.cli.client import AsCsv, AsJson, ClusterName, ask, only_cluster, open_api
from hotdesk.cli.terminal import Console, Table, row, say_csv, say_json, table
from hotdesk.settings import Options, Settings

DEFAULTS = Options()


def readiness(
    *, cluster: ClusterName = "", as_json: AsJson = False, as_csv: AsCsv = False, options: Settings = DEFAULTS
) -> int:
    """Show what a VICIdial lacks for hot-desking, and how to mend it.

    Equal findings are one row; --json and --csv have each. The exit code is 1 if some agent cannot log in or be moved,
    or only by luck: for cron.
    """
    with open_api(options.api) as api:
        cluster = cluster or only_cluster(api)
        found = msgspec.json.decode(ask(api, "GET", "clusters", cluster, "readiness"), type=list[ReadinessFinding])
    if as_json:
        say_json(found)
    elif as_csv:
        say_csv(
            ("severity", "kind", "where", "what", "remedy"),
            ((each.severity, each.kind, each.where, each.what, each.remedy) for each in found),
        )
    else:
        Console().print(findings_table(found, cluster))
    return 1 if worst(found) in {Severity.ERROR, Severity.WARNING} else 0


def findings_table(found: Sequence[ReadinessFinding], cluster: str) -> Table:
    """Return the findings as a table, equal ones as one row."""
    title = f"readiness of {cluster}: {len(found)} finding{'' if len(found) == 1 else 's'}"
    rows = table("severity", "where", "what", "how to mend it", whole=("severity", "where"), title=title)
    for each in grouped(found):
        row(rows, each.severity, each.where, each.what, each.remedy)
    return rows
