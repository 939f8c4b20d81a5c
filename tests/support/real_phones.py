"""A call center whose dialers are real Asterisks and whose agents have real softphones, and hotdesk beside it.

VICIdial's database, screens and scripts are the simulator's; who hears what is asked of Asterisk itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from collectors.probes.prober import ProbeSettings
from controller.api.schemas import IncidentAnswer
from controller.core.policy import Policy
from hotdesk.actuator_settings import ActuatorSettings
from hotdesk.service import Service
from hotdesk.settings import ApiOptions, LogOptions
from hotdesk.wanted import Role, Wanted
from simulator.agent_api import FakeAgentApi
from simulator.agents import Habits
from simulator.asterisk import AMI_SECRET, AMI_USER, Asterisk, AsteriskError, AsteriskTree
from simulator.asterisk_manager import AsteriskManager
from simulator.cluster import SimulatedCluster
from simulator.database import Database
from simulator.plan import ClusterPlan
from simulator.populate import API_PASSWORD, API_USER
from simulator.real_phones import RealPhones
from tests.support.processes import ACT, CLUSTER, Client, Site, grants, site, until

NEVER = (10_000.0, 10_000.0)
OBEDIENT = Habits(arrival=(0, 0.5), settling=NEVER, waiting=NEVER, pausing=NEVER, session=NEVER, relogin=(0.3, 0.8))
"""Agents who get no calls, and are ready or paused as they are told. After a logout a screen is back within 2 s."""
PERMISSIONS = "reporting"
"""Of hotdesk's AMI account."""
_SESSION = "SELECT server_ip, conf_exten, status FROM vicidial_live_agents WHERE user = %s"


def a_plan(dialers: Sequence[str], agents: int) -> ClusterPlan:
    """Return a cluster of dialers at these addresses, which follow each other."""
    return ClusterPlan(
        dialers=len(dialers), agents=agents, remote_agents=0, conf_engine="CONFBRIDGE", first_ip=dialers[0]
    )


def extensions(agents: int) -> list[str]:
    """Return the extensions of the agents' phones, which are those of their desks."""
    return [agent.user for agent in ClusterPlan(dialers=1, agents=agents, remote_agents=0).agent_plans]


@contextmanager
def asterisks(tree: AsteriskTree, folder: Path, hosts: Sequence[str], agents: int) -> Iterator[dict[str, Asterisk]]:
    """Run an Asterisk at each of these addresses, which knows the phones of so many agents."""
    phones = extensions(agents)
    with ExitStack() as stack:
        made = {}
        for host in hosts:
            made[host] = Asterisk(tree, folder / host, host, phones=phones, rooms=True, permissions=PERMISSIONS)
            stack.callback(made[host].kill)  # in good order it takes a second
            made[host].start()
        yield made


@dataclass
class PhoneFloor:
    """The call center, and hotdesk's API."""

    site: Site
    dialers: Mapping[str, Asterisk]
    api: FakeAgentApi
    hotdesk: Client
    cluster: SimulatedCluster = field(init=False)

    def pick(self, user: str, alias: str, campaign: str) -> str | None:
        """Pick as the login hook does."""
        answer = self.hotdesk.ask(user, alias, campaign)
        return answer.json()["phone_login"] if answer.is_success else None

    def begin_to_wait(self) -> None:
        """Let all agents begin to wait for calls."""
        users = [agent.user for agent in self.site.plan.agent_plans]
        self.site.run("UPDATE vicidial_live_agents SET external_pause = 'RESUME'")
        until(lambda: all(self.waits(user) for user in users), "everybody waits for calls")
        self.site.run("UPDATE vicidial_live_agents SET external_pause = ''")

    def waits(self, user: str) -> bool:
        """Return True if an agent waits for calls."""
        return self.status(user) in {"READY", "CLOSER"}

    def status(self, user: str) -> str:
        """Return an agent's status in VICIdial."""
        session = self._session(user)
        return "" if session is None else session[2]

    def hears_on(self, user: str) -> str | None:
        """Return the dialer of an agent's session, if their phone is in its conference room; None: it is not."""
        session = self._session(user)
        if session is None:
            return None
        server_ip, room, _ = session
        try:
            channels = AsteriskManager(self.dialers[server_ip]).in_room(room)
        except AsteriskError:
            return None
        return server_ip if any(each.startswith(f"SIP/{user}-") for each in channels) else None

    def all_hear_on(self, server_ip: str, users: Sequence[str]) -> bool:
        """Return True if the phones of all these agents are in their rooms on a dialer."""
        return all(self.hears_on(user) == server_ip for user in users)

    def crash(self, server_ip: str) -> None:
        """Let a dialer's Asterisk crash; its updater ends with it, and is not started again here."""
        self.cluster.stall(server_ip)
        self.dialers[server_ip].kill()

    def restart(self, server_ip: str) -> None:
        """Let a dialer's Asterisk crash and start again."""
        self.crash(server_ip)
        self.dialers[server_ip].start()

    def kill(self, server_ip: str) -> None:
        """Kill a dialer: its Asterisk and its scripts."""
        self.dialers[server_ip].kill()
        self.cluster.kill(server_ip)

    def freeze(self, server_ip: str) -> None:
        """Let a dialer's Asterisk hang, and all of its scripts but the updater with it."""
        self.cluster.hang(server_ip)
        self.dialers[server_ip].freeze()

    def logouts(self) -> dict[str, int]:
        """Count each user's logouts."""
        with self.site.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT user, COUNT(*) FROM vicidial_user_log WHERE event = 'LOGOUT' GROUP BY user")
            return {user: int(count) for user, count in cursor.fetchall()}

    def incident_of(self, server_ip: str) -> IncidentAnswer | None:
        """Return the latest incident of a dialer."""
        found = [each for each in self.hotdesk.incidents() if each.incident.server_ip == server_ip]
        return max(found, key=lambda each: each.incident.opened_at_ms, default=None)

    def arrived(self, server_ip: str) -> int:
        """Return how many agents have arrived, by hotdesk's word, of the latest incident of a dialer."""
        answer = self.incident_of(server_ip)
        return 0 if answer is None else answer.incident.arrived

    def called(self) -> list[str]:
        """Return the users whose phones hotdesk had called again."""
        return [each.agent_user for each in self.api.asked if each.function == "call_agent"]

    def _session(self, user: str) -> tuple[str, str, str] | None:
        with self.site.connect() as connection, connection.cursor() as cursor:
            cursor.execute(_SESSION, (user,))
            row: tuple[str, str, str] | None = cursor.fetchone()
            return row


@contextmanager
def phone_floor(  # noqa: PLR0913 # the parts of a call center, each once
    folder: Path,
    database: Database,
    dialers: Mapping[str, Asterisk],
    agents: int,
    *,
    all_on: str = "",
    habits: Habits = OBEDIENT,
    ami: bool = True,
) -> Iterator[PhoneFloor]:
    """Run hotdesk, and log all agents in.

    Args:
        folder: for its log, and what it says.
        database: VICIdial's is made in it.
        dialers: running, with all agents' phones registered.
        agents: how many.
        all_on: the dialer on which they all begin; empty: any.
        habits: how long the agents take for what.
        ami: hotdesk may ask the dialers by AMI; else by SIP alone.
    """
    plan = a_plan(list(dialers), agents)
    with site(database, plan) as made, ExitStack() as stack:
        west = replace(made, sip_port=None)  # Asterisk itself answers SIP
        west.run(*grants(west, ACT))
        phones = RealPhones(dialers)
        api = stack.enter_context(FakeAgentApi(west.connect, user=API_USER, password=API_PASSWORD, phones=phones))
        wanted = Wanted(
            roles=frozenset(Role),
            log=LogOptions(path=folder / "log.db", partitions=4),
            api=ApiOptions(port=0),
            databases={CLUSTER: west.settings},
            policies={CLUSTER: Policy(acts=True, calls_phones=True)},
            probes={CLUSTER: ProbeSettings(ami_user=AMI_USER if ami else "", ami_secret=AMI_SECRET, sip=True)},
            actuators={
                CLUSTER: ActuatorSettings(
                    database=west.settings, api_urls=(api.url,), api_user=API_USER, api_password=API_PASSWORD
                )
            },
        )
        closed = [server_ip for server_ip in dialers if all_on and server_ip != all_on]
        with west.living() as scripts:
            for server_ip in closed:
                scripts.close_logins(server_ip)
            client = Client(stack.enter_context(Service(wanted)).url)
            stack.callback(client.close)
            floor = PhoneFloor(west, dialers, api, client)
            until(lambda: client.offered() == set(dialers) - set(closed), "hotdesk has seen them up", 40)
            scripts.stop()  # the cluster begins at once
            floor.cluster = SimulatedCluster(west.connect, plan, floor.pick, habits=habits, phones=phones)
            stack.enter_context(floor.cluster)
        until(lambda: floor.cluster.logged_in == agents, "everybody is in")
        for server_ip in closed:
            floor.cluster.open_logins(server_ip)
        until(lambda: client.offered() == set(dialers), "all dialers are offered")
        floor.begin_to_wait()
        yield floor
