"""The committed dashboards, as Grafana would read them: every query, with real values in place of the variables."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parents[2] / "dashboards"
FILES = sorted(HERE.glob("hotdesk-*.json"))
NAMES = [file.stem for file in FILES]

Json = dict[str, Any]


class Asked(NamedTuple):
    """One query of a dashboard, and where it stands."""

    dashboard: str
    where: str
    expression: str
    instant: bool
    step: str
    """Empty: Grafana's own."""

    def __str__(self) -> str:
        return f"{self.dashboard}: {self.where}"


def load(name: str) -> Json:
    """Return a dashboard."""
    read: Json = json.loads((HERE / f"{name}.json").read_text())
    return read


def panels(dashboard: Json) -> list[Json]:
    """Return the panels that show something: rows do not."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def variables(dashboard: Json) -> dict[str, Json]:
    """Return the variables by name."""
    return {each["name"]: each for each in dashboard["templating"]["list"]}


def asked() -> Iterator[Asked]:
    """Yield every query: of panels, variables and annotations."""
    for name in NAMES:
        dashboard = load(name)
        for panel in panels(dashboard):
            for target in panel["targets"]:
                where = f"{panel['title']} {target['refId']}"
                yield Asked(name, where, target["expr"], bool(target.get("instant")), target.get("interval", ""))
        for variable in variables(dashboard).values():
            if variable["type"] == "query":
                yield Asked(name, f"variable {variable['name']}", variable["query"], instant=True, step="")
        for annotation in dashboard["annotations"]["list"]:
            yield Asked(name, f"annotation {annotation['name']}", annotation["expr"], instant=False, step="")


def label_values(query: str) -> tuple[str, str]:
    """Return the selector and the label that a variable asks for."""
    found = re.fullmatch(r"label_values\((?P<selector>.+), (?P<label>\w+)\)", query)
    assert found, query
    return found["selector"], found["label"]


def filled(expression: str, values: Mapping[str, str]) -> str:
    """Put values in place of variables, as Grafana does; one without a value is a mistake."""
    return re.sub(r"\$\{?(\w+)\}?", lambda found: values[found[1]], expression)


def metric_names(expression: str) -> set[str]:
    """Return the metrics that an expression selects: names before braces, which here every selector has."""
    return set(re.findall(r"([a-zA-Z_:][\w:]*)\s*\{", re.sub(r'"[^"]*"', '""', expression)))
