"""A call center at work, and hotdesk's processes beside it: one collector and two controllers on a real Kafka."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import httpx

from simulator.agents import Habits
from simulator.broker import Broker
from simulator.cluster import SimulatedCluster
from simulator.plan import ClusterPlan
from stream.kafka.settings import KafkaSettings
from tests.support.processes import CLUSTER, COMMAND, Process, Site, until
from tests.support.topics import create_topics_patiently

AT_WORK = Habits(arrival=(0, 2), session=(10_000, 10_000), relogin=(0.3, 0.8))
"""Everybody comes in at once and stays; a screen that was told to log out is back within a second."""
PARTITIONS = 4


@dataclass
class Shift:
    """A cluster whose agents work, and what watches it."""

    site: Site
    collector: Process
    controllers: list[Process]
    start: Callable[..., Process]
    """By role; `program` is another hotdesk than this one."""
    log: KafkaSettings
    cluster: SimulatedCluster = field(init=False)
    own_choices: dict[str, list[float]] = field(default_factory=dict)
    """When each user's login was left to VICIdial, since no controller answered: seconds since 1970."""

    @property
    def plan(self) -> ClusterPlan:
        return self.site.plan

    def ask(self, user: str, alias: str, campaign: str) -> str | None:
        """Pick as the login hook does: any controller that answers."""
        for each in self.controllers:
            with suppress(httpx.HTTPError):
                answer = each.client.ask(user, alias, campaign)
                if answer.is_success:
                    phone: str = answer.json()["phone_login"]
                    return phone
        self.own_choices.setdefault(user, []).append(time.time())
        return None

    @property
    def owner(self) -> Process:
        """Return the controller that decides."""
        found: list[Process] = until(lambda: [each for each in self.controllers if decides(each)], "one decides", 30)
        return found[0]

    def new_owner(self, instead_of: Process) -> float:
        """Wait until another controller decides, and give how many seconds that took."""
        began = time.monotonic()
        self.controllers = [each for each in self.controllers if each is not instead_of]
        assert self.owner is not instead_of
        return time.monotonic() - began

    def logouts(self) -> dict[str, int]:
        """Count each user's logouts."""
        with self.site.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT user, COUNT(*) FROM vicidial_user_log WHERE event = 'LOGOUT' GROUP BY user")
            return {user: int(count) for user, count in cursor.fetchall()}

    def logins_on(self, server_ip: str) -> dict[str, int]:
        """Count each user's logins on a dialer."""
        with self.site.connect() as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT user, COUNT(*) FROM vicidial_user_log WHERE event = 'LOGIN' AND server_ip = %s GROUP BY user",
                (server_ip,),
            )
            return {user: int(count) for user, count in cursor.fetchall()}

    def all_is_well(self, without: str = "") -> bool:
        """Return True if all dialers but one are up, nobody is held back, and everybody is at work on one of those."""
        ranking = self.owner.client.ranking()
        if ranking is None or ranking.stale or ranking.brake:
            return False
        fit = all(each.state == "up" for each in ranking.dialers if each.server_ip != without)
        at_work = self.cluster.logged_in == self.plan.agents and not self.cluster.agents_on(without)
        return fit and at_work and len(ranking.dialers) == self.plan.dialers


def decides(process: Process) -> bool:
    try:
        return process.client.metric("hotdesk_cluster_owned", cluster=CLUSTER) == 1
    except httpx.HTTPError:
        return False  # it is dead or stands still


@contextmanager
def shift(
    folder: Path, broker: Broker, at: Site, *, mid_shift: bool = False, habits: Habits = AT_WORK, **settings: str
) -> Iterator[Shift]:
    """Run hotdesk for a cluster whose agents are all at work.

    Args:
        folder: for what the processes say.
        broker: where their log is.
        at: the cluster.
        mid_shift: whether all agents are there from the start, as with thousands of them; else they log in one by one.
        habits: how long the agents take for what.
        settings: of the cluster, beside `mode = "act"`.
    """
    kafka = KafkaSettings(bootstrap_servers=(broker.bootstrap,), prefix=f"f{uuid4().hex[:8]}.", partitions=PARTITIONS)
    create_topics_patiently(kafka, replication=1)
    acts = {"mode": "act", "relogin_via": "sql", **settings}
    environment = {
        "HOTDESK_API_PORT": "0",
        "HOTDESK_LOG_BOOTSTRAP": broker.bootstrap,
        "HOTDESK_LOG_PREFIX": kafka.prefix,
        "HOTDESK_LOG_PARTITIONS": str(PARTITIONS),
        **at.environment,
        **{f"HOTDESK_CLUSTERS__{CLUSTER.upper()}__{name.upper()}": value for name, value in acts.items()},
    }
    with ExitStack() as stack, at.living() as dialers:

        def start(role: str, program: tuple[str, ...] = (COMMAND,)) -> Process:
            process = Process(folder, (role,), environment, program)
            stack.callback(process.close)
            return process

        made = Shift(at, start("collect"), [start("control"), start("control")], start, kafka)
        until(
            lambda: all(each.client.http.get("/readyz").is_success for each in made.controllers), "they are ready", 40
        )
        until(
            lambda: made.owner.client.metric("hotdesk_dialer_state", state="up") == at.plan.dialers, "they are up", 40
        )
        made.cluster = SimulatedCluster(at.connect, at.plan, made.ask, habits=habits, sip_port=at.sip_port)
        if mid_shift:
            made.cluster.begin_mid_shift()
        dialers.stop()  # last of all: a gap in all heartbeats would be looked into
        stack.enter_context(made.cluster)
        until(made.all_is_well, "everybody is at work", 40)
        yield made
