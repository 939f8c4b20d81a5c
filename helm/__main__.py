"""Write the chart's copies and its table of values, or with --check only report which of them are not up to date."""

import sys
from pathlib import Path

from helm.values import CHART, readme

ROOT = CHART.parents[1]
COPIED = ("alerts/hotdesk.rules.yml", "dashboards/*.json")
"""The files that the chart contains copies of, relative to the repository's root."""


def files() -> dict[Path, str]:
    """Return the generated files' paths and their content."""
    originals = [path for pattern in COPIED for path in sorted(ROOT.glob(pattern))]
    copies = {CHART / "files" / path.relative_to(ROOT): path.read_text() for path in originals}
    return {CHART / "README.md": readme(), **copies}


def outdated() -> list[str]:
    """Return the names of the files that differ, and of copies whose originals are gone."""
    wanted = files()
    differ = [file for file, text in wanted.items() if not file.is_file() or file.read_text() != text]
    return [str(file.relative_to(ROOT)) for file in (*differ, *_left(wanted))]


def _left(wanted: dict[Path, str]) -> list[Path]:
    return [path for pattern in COPIED for path in (CHART / "files").glob(pattern) if path not in wanted]


def main(arguments: list[str]) -> None:
    """Write the files, or check them.

    Raises:
        SystemExit: a file is not up to date, or the arguments are unknown.
    """
    match arguments:
        case []:
            wanted = files()
            for path in _left(wanted):
                path.unlink()
            for file, text in wanted.items():
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
        case ["--check"]:
            if differ := outdated():
                raise SystemExit(f"not up to date: {', '.join(differ)}; '.venv/bin/python -m helm' writes them")
        case _:
            raise SystemExit("usage: python -m helm [--check]")


if __name__ == "__main__":
    main(sys.argv[1:])
