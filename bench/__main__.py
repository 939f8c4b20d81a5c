"""Run the benchmarks: a table on the terminal, and bench/results.json.

    python -m bench [--short] [NAME …]

A NAME selects the benchmarks whose names contain it. Exit code 1: a goal does not hold.

The short forms take seconds, measure nothing and have no goals; exit code 1: one broke. `make test` runs them, so that
no benchmark rots unseen.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from bench import (
    abuse,
    arrival,
    broker_death,
    clusters,
    failover,
    folding,
    group,
    harm,
    herd,
    hook,
    latency,
    page,
    paging,
    patience,
    picks,
)
from bench.results import Result
from bench.servers import Place
from hotdesk import logs
from tests.support.servers import Servers

SHORT = "--short"
TESTED_APART = "broker_death"
"""Its parts have a test of their own: three brokers take half a minute to start and to agree."""

RESULTS = Path(__file__).with_name("results.json")
BENCHMARKS = {
    "herd_spread": herd.measure,
    "fold": folding.measure,
    "pick": picks.measure,
    "change_to_ranking": latency.measure,
    "harm": harm.measure,
    "failover": failover.measure,
    "arrival": arrival.measure,
    "patience": patience.measure,
    "hook": hook.measure,
    "abuse": abuse.measure,
    "broker_death": broker_death.measure,
    "clusters": clusters.measure,
    "group": group.measure,
    "page_cost": page.measure,
    "page_to_webhook": paging.measure,
}


def main(wanted: list[str]) -> int:
    """Run the chosen benchmarks, print and write the results, and return the exit code: 0 if all goals hold."""
    logs.configure(quiet=True)
    console = Console()
    short, wanted = SHORT in wanted, [each for each in wanted if each != SHORT]
    chosen = {name: run for name, run in BENCHMARKS.items() if not wanted or any(word in name for word in wanted)}
    if short and not wanted:
        del chosen[TESTED_APART]
    if not chosen:
        console.print(f"no benchmark is called {' or '.join(wanted)}; there are {', '.join(BENCHMARKS)}")
        return 2
    results: list[Result] = []
    broke: list[str] = []
    lent = Servers() if short else None
    with lent or nullcontext():
        for name, run in chosen.items():
            began = time.monotonic()
            console.print(f"measuring {name} …", style="dim")
            try:
                results += _measured(run, lent)
            except Exception:  # noqa: BLE001 # an hour of the others' figures must not be lost with it
                console.print_exception()
                broke.append(name)
                results.append(
                    Result(name=name, value=float("nan"), unit="", beside="it broke", goal="ends", holds=False)
                )
            console.print(f"  {time.monotonic() - began:.0f} s", style="dim")
    if short:
        console.print(f"short forms {len(chosen)}, broken {len(broke)}{': ' if broke else ''}{', '.join(broke)}")
        return 1 if broke else 0
    RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=2))
    console.print(_table(results))
    broken = [result.name for result in results if not result.holds]
    console.print(f"goals that do not hold: {', '.join(broken)}" if broken else "all goals hold")
    return 1 if broken else 0


def _measured(run: Callable[[Place], list[Result]], lent: Servers | None) -> list[Result]:
    """Measure on servers of its own; the short forms share theirs."""
    with (
        nullcontext(lent) if lent else Servers() as servers,
        tempfile.TemporaryDirectory(prefix="hotdesk-bench-") as folder,
    ):
        results = run(Place(servers, Path(folder), short=lent is not None))
    assert results, "it measured nothing"
    return results


def _table(results: list[Result]) -> Table:
    table = Table(title=f"hotdesk on {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", title_justify="left")
    for column in ("name", "value", "unit", "beside", "goal", "holds"):
        table.add_column(column, justify="right" if column == "value" else "left")
    for result in results:
        holds = "" if not result.goal else "yes" if result.holds else "NO"
        style = "" if result.holds else "red"
        table.add_row(result.name, f"{result.value:.3g}", result.unit, result.beside, result.goal, holds, style=style)
    return table


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
