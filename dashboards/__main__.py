"""Write the dashboards beside this file, or with --check only report which of them are not up to date."""

import sys
from pathlib import Path

from dashboards import cluster, failover, fleet, pipeline
from dashboards.board import rendered

HERE = Path(__file__).parent


def files() -> dict[Path, str]:
    """Return the JSON files' paths and their content."""
    made = [each.dashboard() for each in (fleet, cluster, failover, pipeline)]
    return {HERE / f"{each.uid}.json": rendered(each) for each in made}


def outdated() -> list[str]:
    """Return the names of the files that differ from their definitions in Python."""
    return [file.name for file, text in files().items() if not file.is_file() or file.read_text() != text]


def main(arguments: list[str]) -> None:
    """Write the files, or check them.

    Raises:
        SystemExit: a file is not up to date, or the arguments are unknown.
    """
    match arguments:
        case []:
            for file, text in files().items():
                file.write_text(text)
        case ["--check"]:
            if differ := outdated():
                raise SystemExit(f"not up to date: {', '.join(differ)}; 'make dashboards' writes them")
        case _:
            raise SystemExit("usage: python -m dashboards [--check]")


if __name__ == "__main__":
    main(sys.argv[1:])
