"""Play scenarios: `python -m tests.scenarios [FILE or folder]`.

Prints a row for each, and ends with the line `scenarios N, as expected M`; exit code 1 if one differs, 2 if a file is
no scenario. A scenario that is played alone tells its story.
"""

import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.scenarios.events import TAKES
from tests.scenarios.run import Row, files, play
from tests.scenarios.story import StoryError, read_story

HERE = Path(__file__).parent
COLUMNS = ("logouts", "arrived", "calls ended", "dispositions lost", "most moves", "silence")


def _say(what: str) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def _line(row: Row, width: int) -> str:
    figures = (row.logouts, row.arrived, row.calls_ended, row.dispositions_lost, row.most_moves, f"{row.silence:.0f} s")
    shown = "  ".join(f"{figure!s:>{len(column)}}" for figure, column in zip(figures, COLUMNS, strict=True))
    return f"{row.name:{width}}  {shown}  {'; '.join(row.differences) or 'as expected'}"


def main(place: Path) -> int:
    """Play them, and tell how they went."""
    try:
        stories = [read_story(path, TAKES) for path in files(place)]
    except StoryError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    width = max(len(story.name) for story in stories)
    rows: list[Row] = []
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for row in pool.map(play, stories):
            if not rows:
                if len(stories) == 1:
                    _say("\n".join([*row.timeline, ""]))
                _say(f"{'scenario':{width}}  {'  '.join(COLUMNS)}")
            rows.append(row)
            _say(_line(row, width))
    expected = sum(not row.differences for row in rows)
    _say(f"scenarios {len(rows)}, as expected {expected}")
    return 0 if expected == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 and sys.argv[1] else HERE))
