"""The chart as a whole: it lints, packs, and everything it renders is what Kubernetes takes."""

import base64
import gzip
import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any, cast

import jsonschema
import kubernetes_validate
import pytest
import yaml

from helm.__main__ import files, outdated
from helm.values import cluster_values, sections
from hotdesk.version import VERSION
from tests.helm.charting import CHART, MATRIX, NAMESPACE, ROOT, lint, merged, notes, rendered, run, template, values_of
from tests.helm.crds import KINDS

OLDEST = "1.30.0"
NEWEST = "1.37.0"
RELEASE_BYTES = 1024 * 1024
"""How large a Secret may be, and Helm keeps each release in one."""

each_values = pytest.mark.parametrize("name", [path.stem for path in MATRIX])


@pytest.mark.parametrize("values", [(), *((path,) for path in MATRIX)], ids=lambda each: each[0].stem if each else "no")
def test_it_lints_strictly(values: tuple[Path, ...]) -> None:
    assert "1 chart(s) linted, 0 chart(s) failed" in lint(*values)


@each_values
def test_everything_rendered_is_what_kubernetes_and_the_operator_take(name: str) -> None:
    assert rendered(name).objects
    for each in rendered(name).objects:
        if each["kind"] in KINDS:
            jsonschema.validate(each, KINDS[each["kind"]], cls=jsonschema.Draft202012Validator)
            continue
        for version in (OLDEST, NEWEST):
            kubernetes_validate.validate(each, version, strict=True)


@each_values
def test_every_object_has_a_name_of_its_own_a_namespace_and_labels(name: str) -> None:
    objects = rendered(name).objects
    names = Counter((each["kind"], each["metadata"]["name"]) for each in objects)
    assert max(names.values()) == 1, names
    common = values_of(name).get("commonLabels", {})
    for each in objects:
        assert each["metadata"]["namespace"] == NAMESPACE
        labels = each["metadata"]["labels"]
        assert labels["app.kubernetes.io/part-of"] == "hotdesk"
        assert common.items() <= labels.items()
        assert all(len(value) <= 63 for value in labels.values())


def test_it_says_which_kubernetes_it_needs_and_which_hotdesk_it_brings() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["kubeVersion"] == f">={OLDEST}-0"
    release = re.match(r"\d+\.\d+\.\d+", VERSION)
    assert release
    assert chart["appVersion"] == release[0]
    images = {each.container["image"] for each in rendered("minimal").workloads("collect", "control", "serve")}
    assert images == {f"registry.example/hotdesk:{release[0]}"}


def test_copies_and_the_table_of_values_are_up_to_date() -> None:
    assert outdated() == [], "'.venv/bin/python -m helm' writes them"


def test_what_is_packed_is_whole_and_renders_the_same(tmp_path: Path) -> None:
    run("package", str(CHART), "--destination", str(tmp_path))
    (package,) = tmp_path.glob("*.tgz")
    with tarfile.open(package) as packed:
        inside = {member.name.removeprefix("hotdesk/"): member for member in packed.getmembers()}
        for file, text in files().items():
            member = inside[str(file.relative_to(CHART))]
            assert member.isfile()
            reader = packed.extractfile(member)
            assert reader
            assert reader.read().decode() == text
    assert template(values_of("everything"), package).objects == rendered("everything").objects


def test_a_release_with_everything_fits_into_the_secret_that_helm_keeps_it_in() -> None:
    # as Helm stores it: chart, values and manifests as JSON, packed, in base64
    chart = {
        str(path.relative_to(CHART)): base64.b64encode(path.read_bytes()).decode()
        for path in CHART.rglob("*")
        if path.is_file()
    }
    manifest = yaml.safe_dump_all(rendered("everything").objects)
    stored = gzip.compress(json.dumps({"chart": chart, "manifest": manifest}).encode())
    assert len(base64.b64encode(stored)) < RELEASE_BYTES / 2


def test_the_notes_say_what_to_do_next() -> None:
    of = rendered("one-collector")
    text = notes("one-collector")
    for each in of.workloads("collect"):
        assert f"exec deploy/{each.name} -- hotdesk check" in text
    assert (
        f"port-forward service/desk-hotdesk 8470:{of.get('Service', 'desk-hotdesk')['spec']['ports'][0]['port']}"
        in text
    )
    assert "changes nothing in VICIdial: a-cluster" in text
    assert "No NetworkPolicy" not in text
    alone = notes("forgetful")
    assert "deploy/desk-hotdesk-run -- hotdesk check" in alone
    assert "No NetworkPolicy limits the connections of these pods" in alone
    assert "lost with the pod" in alone


# --- the schema of the values


def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
    return schema


def _parts(schema: object, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, dict):
        yield path, schema
        for key, each in schema.items():
            yield from _parts(each, f"{path}/{key}")
    elif isinstance(schema, list):
        for number, each in enumerate(schema):
            yield from _parts(each, f"{path}/{number}")


def test_the_schema_takes_no_value_that_it_does_not_name() -> None:
    jsonschema.Draft7Validator.check_schema(_schema())
    tables = [(path, part) for path, part in _parts(_schema()) if part.get("type") == "object"]
    assert len(tables) > 30
    for path, part in tables:
        if path == "/properties/global":  # Helm puts it there for every subchart, with whatever the parent has
            continue
        more = part.get("additionalProperties")
        assert more is False or isinstance(more, dict), f"{path} takes anything"
        assert ("properties" in part) is (more is False), path


def test_every_value_has_a_meaning_and_a_place_in_the_schema() -> None:
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    jsonschema.validate(defaults, _schema(), cls=jsonschema.Draft7Validator)
    values = [each for section in sections().values() for each in section]
    assert [each.path for each in values if not each.meaning] == []
    assert [each.path for each in cluster_values() if not each.meaning] == []
    assert {path.partition(".")[0] for path in (each.path for each in values)} == set(defaults)


def test_every_value_that_the_schema_names_has_a_default_to_be_read() -> None:
    schema = _schema()
    refused = "Refused"

    def resolved(part: dict[str, Any]) -> dict[str, Any]:
        name = part.get("$ref", "").rpartition("/")[2]
        return cast("dict[str, Any]", schema["definitions"][name]) if name else part

    def missing(part: dict[str, Any], defaults: object, path: str) -> Iterator[str]:
        for key, each in resolved(part).get("properties", {}).items():
            if each.get("description", "").startswith(refused) or (path, key) == ("", "global"):
                continue
            if not isinstance(defaults, dict) or key not in defaults:
                yield f"{path}.{key}"
            elif key not in {"resources", "affinity"}:
                yield from missing(each, defaults[key], f"{path}.{key}")

    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    assert list(missing(schema, defaults, "")) == []


# --- what the document says

DOCUMENT = (ROOT / "docs" / "guide" / "helm.md").read_text()
BLOCKS = [yaml.safe_load(dedent(block)) for block in re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL)]


@pytest.mark.parametrize("block", BLOCKS[1:], ids="-".join)
def test_the_values_in_the_document_are_taken(block: dict[str, Any]) -> None:
    first = BLOCKS[0]
    assert template(first).objects
    alone = {"log": None} if block.get("layout") == "single" else {}
    assert template(merged(first, alone, block)).objects


def test_the_document_has_every_secret_and_every_group_of_values() -> None:
    paths = [each.path for section in sections().values() for each in section]
    paths += [f"clusters.NAME.{each.path}" for each in cluster_values()]
    secrets = {path.removesuffix(".existingSecret") for path in paths if path.endswith(".existingSecret")}
    rows = [line for line in DOCUMENT.splitlines() if line.startswith("| `")]
    told = " ".join(rows).replace("`, `.", "` `log.secrets.")
    assert [secret for secret in sorted(secrets) if f"`{secret}`" not in told] == []
    groups = {path.partition(".")[0] for path in paths}
    assert [group for group in sorted(groups) if f"`{group}`" not in " ".join(rows)] == []
