"""hotdesk's processes and VICIdial clusters, for tests that run the real thing."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar
from uuid import uuid4

import httpx
import msgspec
from pymysql.connections import Connection

from collectors.probes.prober import ProbeSettings, SipPace
from collectors.vicidial.settings import DatabaseSettings
from controller.api.schemas import AliasAnswer, IncidentAnswer, PickAnswer, RankingAnswer
from messages.records import RankedDialer
from simulator import schema
from simulator.agents import Habits
from simulator.cluster import SimulatedCluster, vicidial_chooses
from simulator.database import Database
from simulator.desks import Pick
from simulator.plan import ClusterPlan
from simulator.populate import populate
from simulator.ports import free_udp_port
from simulator.sip import SipPorts, is_loopback
from tests.support.timing import on_this_machine

CLUSTER = "west"
COMMAND = str(Path(sys.executable).parent / "hotdesk")
NEWER = (sys.executable, str(Path(__file__).parent / "newer_hotdesk.py"))
"""The same with a newer schema of records."""
GRANTS = Path(__file__).parents[2] / "collectors" / "grants.sql"
ACT = Path(__file__).parents[2] / "controller" / "grants.sql"
FENCE = ACT.with_name("grants-fence.sql")
SCREENS = ACT.with_name("grants-screens.sql")
PASSWORD = "for-this-cluster-only"
AT_THE_DOOR = Habits(arrival=(100_000, 100_000))
"""Agents who do not come in while a test lasts."""

LEAST_PAUSE_SECONDS, MOST_PAUSE_SECONDS = 0.03, 0.25

T = TypeVar("T")


def until(condition: Callable[[], T | Literal[False] | None], what: str, seconds: float = 20.0) -> T:
    """Wait until `condition` gives something true, and give that; fail when it does not in time."""
    pause = threading.Event()
    began = time.monotonic()
    deadline = began + on_this_machine(seconds)
    while not (found := condition()):
        now = time.monotonic()
        assert now < deadline, f"not within {seconds:g} s: {what}"
        # what takes long is asked less often, or several such tests at once keep a machine busy with asking
        pause.wait(min(LEAST_PAUSE_SECONDS + (now - began) / 50, MOST_PAUSE_SECONDS))
    return found


class Client:
    """Asks one process's API."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx.Client(base_url=url, timeout=5.0, trust_env=False)

    def close(self) -> None:
        self.http.close()

    def ranking(self) -> RankingAnswer | None:
        """Return the cluster's ranking, once there is one."""
        answer = self.http.get(f"/v1/clusters/{CLUSTER}/ranking")
        return msgspec.json.decode(answer.content, type=RankingAnswer) if answer.is_success else None

    def alias(self, alias: str) -> AliasAnswer | None:
        """Return an alias's ranking, once the alias is known."""
        answer = self.http.get(f"/v1/clusters/{CLUSTER}/aliases/{alias}/ranking")
        return msgspec.json.decode(answer.content, type=AliasAnswer) if answer.is_success else None

    def incidents(self) -> list[IncidentAnswer]:
        """Return the cluster's incidents: the open ones first."""
        answer = self.http.get(f"/v1/clusters/{CLUSTER}/incidents")
        return msgspec.json.decode(answer.content, type=list[IncidentAnswer])

    def ask(self, user: str, alias: str, campaign: str = "") -> httpx.Response:
        """Ask for a pick."""
        body = {"user": user, "alias": alias, "campaign": campaign}
        return self.http.post(f"/v1/clusters/{CLUSTER}/picks", json=body)

    def pick(self, user: str, alias: str, campaign: str = "") -> PickAnswer:
        """Return a pick, which must succeed."""
        answer = self.ask(user, alias, campaign)
        assert answer.status_code == httpx.codes.CREATED, answer.text
        return msgspec.json.decode(answer.content, type=PickAnswer)

    def offered(self) -> set[str]:
        """Return the dialers that take new logins."""
        return {each.server_ip for each in self.dialers() if each.rank is not None}

    def dialers(self) -> tuple[RankedDialer, ...]:
        """Return where each dialer stands; nothing while there is no ranking."""
        ranking = self.ranking()
        return () if ranking is None else ranking.dialers

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's samples that have these labels."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        begins = (name + "{", name + " ")
        lines = [line for line in self.http.get("/metrics").text.splitlines() if line.startswith(begins)]
        return sum(float(line.rpartition(" ")[2]) for line in lines if all(each in line for each in wanted))


class Process:
    """One `hotdesk` process; what it says lies in a file of `folder`."""

    def __init__(
        self,
        folder: Path,
        arguments: tuple[str, ...],
        environment: Mapping[str, str],
        program: tuple[str, ...] = (COMMAND,),
    ) -> None:
        mark = uuid4().hex[:6]
        self.said = folder / f"{arguments[0]}-{mark}.stderr"
        self.printed = folder / f"{arguments[0]}-{mark}.stdout"
        # The kernel ends it with the test run, even when that one is killed.
        setpriv = shutil.which("setpriv")
        command = [setpriv, "--pdeathsig", "KILL", *program] if setpriv else program
        with self.said.open("wb") as errors, self.printed.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 (our own command)
                [*command, *arguments],
                env=clean_environment(environment),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
            )
        self._client: Client | None = None
        self._making_client = threading.Lock()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def client(self) -> Client:
        """Return its API, when it answers."""
        with self._making_client:
            if self._client is None:
                (ready,) = until(lambda: self.lines("ready to answer"), "the process is ready", 40.0)
                self._client = Client(ready["url"])
            return self._client

    def lines(self, event: str = "") -> list[dict[str, Any]]:
        """Return what it logged: all, or the lines of one event."""
        text = self.said.read_text()
        logged = [json.loads(line) for line in text.splitlines() if line.startswith("{") and line.endswith("}")]
        return [line for line in logged if event in {"", line["event"]}]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal. One that is stopped stands still when this returns: on a busy machine that takes a while."""
        self._process.send_signal(number)
        if number is signal.SIGSTOP:
            until(self._stands_still, "it stands still")

    def _stands_still(self) -> bool:
        threads = Path(f"/proc/{self.pid}/task").glob("*/stat")
        try:
            return all(each.read_text().rpartition(")")[2].split()[0] == "T" for each in threads)
        except OSError:
            return False  # a thread has ended meanwhile

    def wait(self, seconds: float) -> int:
        """Wait for its end, and give its exit code."""
        return self._process.wait(seconds)

    def end(self) -> tuple[int, float]:
        """Ask it to end (SIGTERM); give exit code and how many seconds it took."""
        began = time.monotonic()
        self.signal(signal.SIGTERM)
        return self._process.wait(20), time.monotonic() - began

    def close(self) -> None:
        """End it, however it stands."""
        if self._client is not None:
            self._client.close()
        self._process.kill()
        self._process.wait()


Start = Callable[..., Process]
"""Starts a `hotdesk` process: `start("serve", "--api.port", "0", environment={...})`."""


def clean_environment(more: Mapping[str, str]) -> dict[str, str]:
    """Return this environment without what would set hotdesk, and with `more`."""
    return {name: value for name, value in os.environ.items() if not name.startswith("HOTDESK_")} | dict(more)


@dataclass(frozen=True)
class Site:
    """A VICIdial cluster in a database of its own, and the account that may read it as grants.sql says."""

    database: Database
    name: str
    user: str
    plan: ClusterPlan
    sip_port: int | None
    """At which its living dialers answer SIP; None: they have no loopback addresses, and are never asked."""
    sip_pace: SipPace = "every_second"
    """In doubt, a busy machine that stumbles twice has used up the requests that a death needs to be proven by SIP."""

    @property
    def probes(self) -> ProbeSettings:
        """Return the probes by SIP alone, which need no account."""
        if self.sip_port is None:
            return ProbeSettings()
        return ProbeSettings(sip=True, sip_port=self.sip_port, sip_pace=self.sip_pace)

    @property
    def settings(self) -> DatabaseSettings:
        """Return what a collector needs."""
        return DatabaseSettings(
            host=self.database.host,
            port=self.database.port,
            user=self.user,
            password=PASSWORD,
            database=self.name,
        )

    @property
    def environment(self) -> dict[str, str]:
        """Return what a `hotdesk` process needs."""
        prefix = f"HOTDESK_CLUSTERS__{CLUSTER.upper()}__"
        settings = self.settings
        return {
            f"{prefix}HOST": settings.host,
            f"{prefix}PORT": str(settings.port),
            f"{prefix}USER": settings.user,
            f"{prefix}PASSWORD": settings.password,
            f"{prefix}DATABASE": settings.database,
            f"{prefix}SIP": str(self.probes.sip).lower(),
            f"{prefix}SIP_PORT": str(self.probes.sip_port),
            f"{prefix}SIP_PACE": self.probes.sip_pace,
        }

    def connect(self) -> Connection:
        """Connect as the administrator."""
        return self.database.connect(database=self.name)

    def run(self, *statements: str) -> None:
        """Run statements as the administrator."""
        with self.connect() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    @contextmanager
    def answering(self) -> Iterator[SipPorts]:
        """Let its dialers answer SIP, and do nothing else."""
        assert self.sip_port is not None
        ports = SipPorts([each.server_ip for each in self.plan.dialer_plans], self.sip_port)
        ports.start()
        try:
            yield ports
        finally:
            ports.stop()

    @contextmanager
    def living(self, pick: Pick = vicidial_chooses, habits: Habits = AT_THE_DOOR) -> Iterator[SimulatedCluster]:
        """Let its dialers beat and its agents come in; by themselves they do not."""
        with SimulatedCluster(self.connect, self.plan, pick, habits=habits, sip_port=self.sip_port) as cluster:
            yield cluster


@contextmanager
def site(database: Database, plan: ClusterPlan, sip_pace: SipPace = "every_second") -> Iterator[Site]:
    """Make a cluster in a database and an account of its own, and drop both at the end."""
    mark = uuid4().hex[:10]
    sip_port = free_udp_port() if all(is_loopback(each.server_ip) for each in plan.dialer_plans) else None
    made = Site(database, f"asterisk_{mark}", f"hotdesk_{mark}", plan, sip_port, sip_pace)
    with database.connect() as administrator:
        schema.create(administrator, made.name)
        populate(administrator, plan, now=time.time())
        with administrator.cursor() as cursor:
            for statement in grants(made):
                cursor.execute(statement)
    yield made
    if database.running:
        with database.connect() as administrator, administrator.cursor() as cursor:
            cursor.execute(f"DROP DATABASE `{made.name}`")
            cursor.execute(f"DROP USER '{made.user}'@'%'")


def grants(of: Site, file: Path = GRANTS) -> list[str]:
    """Return the statements of a grants.sql, for this database and account."""
    text = "\n".join(line for line in file.read_text().splitlines() if not line.startswith("--"))
    text = text.replace("choose-a-password", PASSWORD).replace("'hotdesk'@'%'", f"'{of.user}'@'%'")
    text = text.replace("asterisk.", f"{of.name}.")
    return [statement for statement in text.split(";") if statement.strip()]
