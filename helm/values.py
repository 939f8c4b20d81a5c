"""The chart's README: a table of every value, from the comments in values.yaml and the descriptions in its schema.

The comment above a value is its meaning; a comment `# == Title` begins a section. Values below `clusters` cannot stand
in values.yaml, since their names are the user's, so their meaning is in values.schema.json.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parent / "hotdesk"
KEY = re.compile(r"(?P<indent> *)(?P<key>[A-Za-z_][A-Za-z0-9_]*):(?: (?P<rest>.*))?")
SECTION = "# == "
WHOLE = {"resources", "labels"}
"""Tables that count as one value."""

HEAD = """\
# hotdesk's Helm chart

<!-- Written by `python -m helm` from values.yaml and values.schema.json: change those. -->

[docs/guide/helm.md](../../docs/guide/helm.md) says how to install and upgrade it, which Secrets it needs and what it
does not do. Helm refuses a value that is not listed here, and values that contradict each other; the error says what to
write instead.
"""

CLUSTERS = """\
## A cluster

Below `clusters.NAME`. NAME is yours: lower-case letters, digits and `-`, at most 63, with a letter or digit at both
ends. It is the key of everything hotdesk stores about the cluster, so keep it. The settings are those of
[docs/reference/settings.md](../../docs/reference/settings.md), which describes each in full; those for files and
passwords are made from `secrets`.
"""


@dataclass(frozen=True)
class Value:
    """One value of the chart: its path, its default and its meaning."""

    path: str
    default: object
    meaning: str


def readme() -> str:
    """Return the README's text."""
    parts = [HEAD]
    parts += [f"## {title}\n\n{_table(values)}" for title, values in sections().items()]
    return "\n".join([*parts, f"{CLUSTERS}\n{_table(cluster_values())}"])


def sections() -> dict[str, list[Value]]:
    """Return the values of values.yaml by section, in the order of the file."""
    text = (CHART / "values.yaml").read_text()
    defaults = yaml.safe_load(text)
    found: dict[str, list[Value]] = {}
    title = ""
    comment: list[str] = []
    path: list[tuple[int, str]] = []
    done: str | None = None
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith(SECTION):
            title, comment = stripped.removeprefix(SECTION), []
            found[title] = []
        elif stripped.startswith("#"):
            comment.append(stripped.removeprefix("#").strip())
        elif not stripped:
            comment = []
        elif match := KEY.match(line):
            depth = len(match["indent"])
            path = [*((at, key) for at, key in path if at < depth), (depth, match["key"])]
            name = ".".join(key for _, key in path)
            if done is not None and name.startswith(f"{done}."):
                continue  # Part of a default that is shown whole.
            done = None
            default = _at(defaults, name)
            if not isinstance(default, dict) or not default or match["key"] in WHOLE:
                found[title].append(Value(name, default, " ".join(comment)))
                done = name
            comment = []
    return found


def cluster_values() -> list[Value]:
    """Return the values of a cluster, as the schema describes them."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    return list(_described(schema["definitions"]["cluster"], ""))


def _described(schema: dict[str, Any], path: str) -> Iterator[Value]:
    for key, each in schema["properties"].items():
        name = f"{path}.{key}" if path else key
        meaning = each.get("description", "")
        if meaning.startswith("Refused"):
            continue
        if set(each.get("properties", ())) == {"existingSecret", "key"}:
            yield Value(f"{name}.existingSecret", "", f"A Secret. {meaning}")
            yield Value(f"{name}.key", each["properties"]["key"]["default"], "Its key.")
        elif "properties" in each:
            yield from _described(each, name)
        else:
            yield Value(name, each.get("default"), meaning)


def _at(values: dict[str, Any], path: str) -> object:
    found: Any = values
    for key in path.split("."):
        found = found[key]
    return found


def _table(values: list[Value]) -> str:
    rows = [f"| `{each.path}` | {_shown(each.default)} | {each.meaning} |" for each in values]
    return "\n".join(["| value | default | meaning |", "|---|---|---|", *rows, ""])


def _shown(default: object) -> str:
    if default is None or default == "":
        return ""
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"
