"""Runs a container of the chart as a process, as near to a Kubernetes node as this machine is.

The command line, the environment and the files are those of the rendered object, unchanged. So that the paths may be
what they are in a pod, the process lives in a mount namespace of its own, where folders of this machine have the pod's
laid over them; it sees a root that is read only, and runs as the pod's user and group, without any capability. What is
not as in a pod: it has this machine's network and processes, and this machine's Python in place of an image.
"""

import os
import shlex
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from tests.helm.charting import ROOT, Object, Rendered, Workload
from tests.support.builders import secret_file
from tests.support.processes import COMMAND, until
from tests.support.timing import on_this_machine

POD_IP = "127.0.0.1"
HOSTS = "/etc/hosts"
PATH = f"{Path(COMMAND).parent}:/usr/bin:/bin"
"""Where the image has its programs: here the environment's."""
ASIDE = "/mnt"
"""A folder of this machine that no pod needs."""

Secrets = Mapping[str, Mapping[str, str]]
"""What is in each Secret, by its name and key."""


class Node:
    """A node of a cluster with these Secrets.

    Args:
        folder: where the pods' files go.
        secrets: whatever Secrets there are.
        names: other names of this machine, as the cluster's DNS would know them.
    """

    def __init__(self, folder: Path, secrets: Secrets, names: Sequence[str] = ()) -> None:
        self._folder = folder
        self._secrets = secrets
        self._names = names
        self._running: list[Container] = []

    def start(
        self, of: Rendered, workload: Workload, container: str | None = None, *, args: Sequence[str] = ()
    ) -> "Container":
        """Start a container of a pod: its only one, unless said; with other arguments, as by `kubectl exec`."""
        description = workload.container if container is None else workload.named(container)
        if args:
            description = description | {"args": args}
        folder = self._folder / f"{workload.name}-{uuid4().hex[:6]}"
        laid = folder / "laid"
        security = workload.spec["securityContext"]
        owner = (security["runAsUser"], security["fsGroup"])
        hosts = laid / HOSTS.lstrip("/")
        hosts.parent.mkdir(parents=True)
        hosts.write_text("".join(f"127.0.0.1 {name}\n" for name in ("localhost", *self._names)))
        writable = {}
        volumes = {each["name"]: each for each in workload.spec.get("volumes", ())}
        for mount in description.get("volumeMounts", ()):
            volume = volumes[mount["name"]]
            if "projected" in volume:
                files = workload.sources(description["name"])
                self._project(of, files, volume["projected"], laid / mount["mountPath"].lstrip("/"), owner[1])
            else:
                writable[mount["mountPath"]] = self._volume(volume["name"], *owner)
                (laid / mount["mountPath"].lstrip("/")).mkdir(parents=True)
        for needed in (Path(sys.executable).resolve(), ROOT):
            _open_the_way(needed, laid)
        started = Container(folder, description, _inside(laid, writable, security, description))
        self._running.append(started)
        return started

    def close(self) -> None:
        """End all that runs."""
        for each in self._running:
            each.close()

    def _project(
        self,
        of: Rendered,
        files: Iterable[tuple[str, str, str, str]],
        projected: Mapping[str, Any],
        to: Path,
        group: int,
    ) -> None:
        for kind, name, key, path in files:
            file = to / path
            file.parent.mkdir(parents=True, exist_ok=True)
            secret_file(
                file, of.get("ConfigMap", name)["data"][key] if kind == "configMap" else self._secrets[name][key]
            )
            os.chown(file, 0, group)
            file.chmod(projected["defaultMode"])

    def _volume(self, name: str, user: int, group: int) -> Path:
        folder = self._folder / "volumes" / name
        if not folder.exists():
            folder.mkdir(parents=True)
            os.chown(folder, user, group)
        return folder


class Container:
    """A process that was started as a container would be."""

    def __init__(self, folder: Path, description: Object, command: Sequence[str]) -> None:
        self._description = description
        self.said = folder / "said"
        values = {"POD_IP": POD_IP}
        environment = {"PATH": PATH}
        for each in description.get("env", ()):
            name = each["name"]
            if "valueFrom" in each:
                assert each["valueFrom"] == {"fieldRef": {"fieldPath": "status.podIP"}}
                environment[name] = POD_IP
            else:
                environment[name] = _expanded(each["value"], values)
        with self.said.open("wb") as said:
            self.process = subprocess.Popen(  # noqa: S603 (the chart's command)
                command, env=environment, cwd="/", stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT
            )
        self.http = httpx.Client(timeout=5.0, trust_env=False)

    def probe(self, name: str) -> bool:
        """Ask a probe once, as a kubelet does: a success is a status from 200 to 399."""
        get = self._description[name]["httpGet"]
        try:
            return 200 <= self.http.get(self.url(get["path"])).status_code < 400
        except httpx.TransportError:
            assert self.process.poll() is None, self.said.read_text()
            return False

    def url(self, path: str) -> str:
        """Return the address of a path of its API."""
        (port,) = (each["containerPort"] for each in self._description["ports"])
        return f"http://{POD_IP}:{port}{path}"

    def requested(self, what: str) -> str:
        """Return what it asks of its node: cpu or memory."""
        return str(self._description["resources"]["requests"][what])

    def begins(self, seconds: float = 40.0) -> None:
        """Wait until it has started and is ready, which its kubelet must not have given up by then."""
        began = time.monotonic()
        until(lambda: self.probe("startupProbe"), f"it starts: {self.said.read_text()}", seconds)
        startup = self._description["startupProbe"]
        assert time.monotonic() - began < on_this_machine(startup["periodSeconds"] * startup["failureThreshold"])
        until(lambda: self.probe("readinessProbe"), "it is ready", seconds)
        assert self.probe("livenessProbe")

    def wait(self, seconds: float = 60.0) -> tuple[int, str]:
        """Wait for its end; give exit code and what it said."""
        return self.process.wait(seconds), self.said.read_text()

    def status(self) -> dict[str, str]:
        """Return what the kernel knows of the process."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}

    def close(self) -> None:
        """End it, however it stands."""
        self.http.close()
        self.process.kill()
        self.process.wait()


def _expanded(value: str, values: Mapping[str, str]) -> str:
    for name, known in values.items():
        value = value.replace(f"$({name})", known)
    return value


def _open_the_way(to: Path, laid: Path) -> None:
    """Lay folders that all may enter over those on the way to `to` that only their owner may."""
    for folder in (*reversed(to.parents), to):
        if folder.is_dir() and not folder.stat().st_mode & stat.S_IXOTH:
            (laid / str(folder).lstrip("/")).mkdir(parents=True, exist_ok=True)


def _inside(laid: Path, writable: Mapping[str, Path], security: Mapping[str, Any], description: Object) -> list[str]:
    """Return the command that makes the namespace and then becomes the container's process."""
    for folder in laid.rglob("*"):
        if folder.is_dir():
            folder.chmod(0o755)
    # What is laid over this machine's folders must not itself lie in one of them.
    steps = [f"mount -t tmpfs tmpfs {ASIDE}", f"cp -a {laid} {ASIDE}/laid"]
    for number, where in enumerate(writable.values()):
        steps += [f"mkdir {ASIDE}/{number}", f"mount --bind {where} {ASIDE}/{number}"]
    steps += [
        f"mount -t overlay overlay -o lowerdir={ASIDE}/laid/{each.name}:/{each.name} /{each.name}"
        for each in laid.iterdir()
    ]
    steps += [f"mount --bind {ASIDE}/{number} {path}" for number, path in enumerate(writable)]
    steps += [f"mount -o remount,ro {ASIDE}", "mount -o remount,bind,ro /"]
    become = [
        *("setpriv", "--reuid", str(security["runAsUser"]), "--regid", str(security["runAsGroup"])),
        *("--groups", str(security["fsGroup"]), "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"),
        *("--pdeathsig", "KILL"),
    ]
    command = [*description["command"], *description["args"]]
    found = shutil.which(command[0], path=PATH)
    assert found, f"the image has no {command[0]}"
    steps.append(shlex.join(["exec", *become, found, *command[1:]]))
    return ["unshare", "--mount", "--propagation", "private", "sh", "-euc", "\n".join(steps)]
