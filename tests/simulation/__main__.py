"""Simulate seeds: `python -m tests.simulation SEEDS [FIRST]`.

Ends with the line `seeds N, faults F, hours H, broken B`; exit code 1 if something is broken. A seed that runs alone
tells its story.
"""

import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.run import Report, simulate

SHOWN = 3


def _say(what: str) -> None:
    sys.stdout.write(f"{what}\n")


def main(seeds: int, first: int) -> int:
    """Simulate, and tell how it went."""
    began = time.monotonic()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        reports: list[Report] = []
        for report in pool.map(simulate, range(first, first + seeds), chunksize=4):
            reports.append(report)
            if report.broken and sum(bool(each.broken) for each in reports) <= SHOWN and seeds > 1:
                _say(f"seed {report.seed}: {report.broken}; see it by 'make simulate SEEDS=1 SEED={report.seed}'")
    broken = [each for each in reports if each.broken]
    if seeds == 1:
        _say(reports[0].story())
    _say(f"{sum(each.moves for each in reports)} screens told to log out, {time.monotonic() - began:.0f} s")
    faults, hours = sum(each.faults for each in reports), sum(each.seconds for each in reports) / 3600
    _say(f"seeds {len(reports)}, faults {faults}, hours {hours:.0f}, broken {len(broken)}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1))
