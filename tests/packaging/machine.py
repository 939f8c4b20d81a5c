"""A machine of its own, with the real systemd: what a sandbox forbids shows only where it holds."""

import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

from tests.support.processes import until

BOOT = Path(__file__).with_name("boot.sh")
IDLE = """\
[Unit]
Description=nothing but what a test starts
DefaultDependencies=no
"""


class Machine:
    """A systemd that runs no unit but those that a test starts.

    Args:
        folder: where its files are. `units`, `etc` and `opt` are its /etc/systemd/system, /etc/hotdesk, /opt/hotdesk.
    """

    def __init__(self, folder: Path) -> None:
        self.units, self.etc, self.opt = (folder / name for name in ("units", "etc", "opt"))
        for each in (self.units, self.etc, self.opt):
            each.mkdir(parents=True)
        self.etc.chmod(0o755)
        (self.units / "idle.target").write_text(IDLE)
        self._folder = folder
        self._name = f"hotdesk-tests-{uuid4().hex[:8]}"
        self._said = folder / "said"
        self._process: subprocess.Popen[bytes] | None = None
        self._first = 0

    def __enter__(self) -> Self:
        command = ["unshare", "--mount", "sh", str(BOOT), str(self._folder), self._name]
        setpriv = shutil.which("setpriv")
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(  # noqa: S603 (our own script)
                [setpriv, "--pdeathsig", "KILL", *command] if setpriv else command,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
            )
        until(self._booted, f"a systemd of its own is there: {self._said.read_text()}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.kill()  # and all in it, by --kill-child
        self._process.wait()
        # whatever was mounted went with its namespace; the groups are empty once the last process is gone
        until(self._forgotten, "its control group is gone")

    def run(self, *command: str) -> str:
        """Run a command in it, which must succeed; give what it printed."""
        done = self.tried(*command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}\n{self._said.read_text()}"
        return done.stdout

    def tried(self, *command: str, within: int | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command in it, or within one of its services as that sees the files."""
        mount = self._first if within is None else within
        enter = ["nsenter", f"--mount=/proc/{mount}/ns/mnt", f"--pid=/proc/{self._first}/ns/pid", "--wd=/"]
        return subprocess.run(  # noqa: S603 (a test's own)
            [*enter, "--", *command], capture_output=True, text=True, check=False, timeout=60
        )

    def start(self, *services: str) -> None:
        """Start services, and none of the units that this machine has beside them."""
        self.run("systemctl", "daemon-reload")
        started = self.tried("systemctl", "start", "--job-mode=ignore-dependencies", *services)
        assert started.returncode == 0, "\n".join(map(self.status, services))

    def status(self, service: str) -> str:
        """Return how a service stands, with its last lines."""
        return self.tried("systemctl", "status", "--no-pager", "--full", "--lines=20", service).stdout

    def shown(self, service: str, name: str) -> str:
        """Return a property of a service."""
        return self.run("systemctl", "show", "--property", name, "--value", service).strip()

    def pid(self, service: str) -> int:
        """Return its main process's number here, outside."""
        inside = self.shown(service, "MainPID")
        for status in Path("/proc").glob("[0-9]*/status"):
            try:
                numbers = next(line for line in status.read_text().splitlines() if line.startswith("NSpid:")).split()
                if numbers[2:] == [inside] and (status.with_name("ns") / "pid").readlink() == self._namespace:
                    return int(numbers[1])
            except (OSError, StopIteration):
                continue  # it ended meanwhile
        raise AssertionError(f"{service} has no process {inside}")

    @property
    def _namespace(self) -> Path:
        return Path(f"/proc/{self._first}/ns/pid").readlink()

    def _booted(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._said.read_text()
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        if not children:
            return False
        self._first = int(children[0])
        try:
            name = Path(f"/proc/{self._first}/comm").read_text().strip()
        except OSError:
            return False  # of what the script ran before, and it ended meanwhile
        return name == "systemd" and (self.tried("systemctl", "is-active", "idle.target").stdout.strip() == "active")

    def _forgotten(self) -> bool:
        groups = self._folder / "groups"
        remove = f"mount -t cgroup2 cgroup2 {groups} && find {groups}/{self._name} -depth -type d -exec rmdir {{}} +"
        done = subprocess.run(["unshare", "--mount", "sh", "-c", remove], capture_output=True, check=False)  # noqa: S603, S607
        return done.returncode == 0
