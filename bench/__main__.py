"""Run the benchmarks: a table on the terminal, and bench/results.json.

    python -m bench [NAME …]

A NAME selects the benchmarks whose names contain it. Exit code 1: a goal does not hold.
"""

import os
import sys
import time
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
from hotdesk import logs

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
    "page_cost": page.measure,
    "page_to_webhook": paging.measure,
}


def main(wanted: list[str]) -> int:
    """Run the chosen benchmarks, print and write the results, and return the exit code: 0 if all goals hold."""
    logs.configure(quiet=True)
    console = Console()
    chosen = {name: run for name, run in BENCHMARKS.items() if not wanted or any(word in name for word in wanted)}
    if not chosen:
        console.print(f"no benchmark is called {' or '.join(wanted)}; there are {', '.join(BENCHMARKS)}")
        return 2
    results: list[Result] = []
    for name, run in chosen.items():
        began = time.monotonic()
        console.print(f"measuring {name} …", style="dim")
        try:
            results += run()
        except Exception:  # noqa: BLE001 # an hour of the others' figures must not be lost with it
            console.print_exception()
            results.append(Result(name=name, value=float("nan"), unit="", beside="it broke", goal="ends", holds=False))
        console.print(f"  {time.monotonic() - began:.0f} s", style="dim")
    RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=2))
    console.print(_table(results))
    broken = [result.name for result in results if not result.holds]
    console.print(f"goals that do not hold: {', '.join(broken)}" if broken else "all goals hold")
    return 1 if broken else 0


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
