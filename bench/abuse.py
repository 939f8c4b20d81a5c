"""`anonymous_moves_prevented` and other figures of what a stranger can do, by login forms and by floods.

The others: `anonymous_logins_steered`, `flood_rss_mb`, `flood_pick_p99_ms`, `flood_health_p99_ms`.
A stranger has neither a password of VICIdial's nor a token of hotdesk's, but can load the login page and reach the API.
"""

import multiprocessing
import resource
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import count
from multiprocessing.connection import Connection as PipeConnection
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import NamedTuple

import httpx
import msgspec

from bench.load import Door, Offered, offer
from bench.results import Result, percentile
from bench.servers import Place
from controller.api.schemas import PickBody
from controller.core.policy import Policy
from hotdesk.bounded import CONNECTIONS
from simulator.cluster import SimulatedCluster
from simulator.plan import ClusterPlan
from tests.support.all_roles import at_work, running
from tests.support.floods import FLOODS, connected, sent
from tests.support.processes import ACT, CLUSTER, Client, Process, Site, grants, site, until
from tests.support.web import LOGIN, Web, web_server

DIALERS = 3
MOST_AGENTS, AT_WORK = 20, 24
FORMS_TO_FILL, FORMS_TO_STEER = 3, 30
"""Forms a second: as many as keep the rest of three dialers taken, and as many as steered every login once."""
FORMS_BEFORE = 45
"""Forms before the dialer dies: more than there is room for."""
LOGINS, MOST_STEERED = 30, 2
PICKS_PER_SECOND = 100
HEALTH_CHECKS_PER_SECOND = 20
MOST_RSS_MB, MOST_PICK_MS, MOST_HEALTH_MS = 150, 50, 50
STRANGER = "127.0.0.9"


class _Size(NamedTuple):
    forms_to_steer: int
    """Forms before agents log in."""
    pick_seconds: int
    megabytes: int
    connects: int


FULL = _Size(forms_to_steer=240, pick_seconds=20, megabytes=20, connects=20_000)
SHORT = _Size(forms_to_steer=4, pick_seconds=1, megabytes=1, connects=100)


class _Office(NamedTuple):
    site: Site
    dialers: SimulatedCluster
    hotdesk: Client
    web: Web


def measure(at: Place) -> list[Result]:
    """Send forms while a dialer dies and while agents log in; then flood the API while picks go on."""
    size = SHORT if at.short else FULL
    # a dialer that dies takes its time in the short form of `failover` already
    prevented = [] if at.short else [_prevented(at)]
    return [*prevented, _steered(at, size), *_flooded(at, size)]


# --- forms without a password -------------------------------------------------------------------------------------


def _prevented(at: Place) -> Result:
    """Kill one of three dialers that almost fill up, while forms name phones on all of them."""
    plan = ClusterPlan(dialers=DIALERS, agents=AT_WORK, remote_agents=0)
    policy = Policy(acts=True, max_agents=MOST_AGENTS)
    with ExitStack() as stack:
        made, dialers, hotdesk, web = stack.enter_context(_office(at, "moves", plan, policy))
        dialers.stop()
        cluster = stack.enter_context(at_work(hotdesk, made))
        phones = [phone.login for each in plan.agent_plans for phone in each.phones]
        posted = stack.enter_context(_forms(web, FORMS_TO_FILL, lambda number: phones[number % len(phones)]))
        until(lambda: len(posted) >= FORMS_BEFORE, "the slots stand", 60)
        victim = hotdesk.dialers()[0].server_ip
        stranded = len(cluster.agents_on(victim))
        cluster.kill(victim)
        until(hotdesk.incidents, "the death is seen", 30)
        moved = 0
        deadline = time.monotonic() + 30
        while moved < stranded and time.monotonic() < deadline:
            threading.Event().wait(0.2)
            moved = hotdesk.incidents()[0].incident.moved
    return Result(
        name="anonymous_moves_prevented",
        value=stranded - moved,
        unit=f"of {stranded} moves",
        beside=f"{FORMS_TO_FILL} login forms a second with a wrong password, max_agents {MOST_AGENTS}",
        goal="0",
        holds=moved == stranded > 0,
    )


def _steered(at: Place, size: _Size) -> Result:
    """Log agents in while forms name two of three dialers, from the agents' own address."""
    plan = ClusterPlan(dialers=DIALERS, agents=2 * LOGINS, remote_agents=0)
    placed = {phone.login: phone.server_ip for each in plan.agent_plans for phone in each.phones}
    left_out = plan.agent_plans[0].phones[-1].server_ip
    phones = [login for login, server_ip in placed.items() if server_ip != left_out]
    with ExitStack() as stack:
        _, _, _, web = stack.enter_context(_office(at, "logins", plan, Policy(acts=True)))
        posted = stack.enter_context(_forms(web, FORMS_TO_STEER, lambda number: phones[number % len(phones)]))
        until(lambda: len(posted) >= size.forms_to_steer, "the slots stand", 60)
        with ThreadPoolExecutor(4) as pool:
            shown = list(pool.map(lambda each: web.log_in(each.user, each.alias), plan.agent_plans[:LOGINS]))
    landed = Counter(placed.get(each.phone_login, "") for each in shown)
    steered = sum(max(0, number - LOGINS // DIALERS) for number in landed.values())
    return Result(
        name="anonymous_logins_steered",
        value=steered,
        unit=f"of {LOGINS} logins",
        beside=f"{FORMS_TO_STEER} login forms a second with a wrong password, from the agents' own address; "
        f"landed {sorted(landed.values())}",
        goal=f"<= {MOST_STEERED}",
        holds=steered <= MOST_STEERED,
    )


@contextmanager
def _office(at: Place, name: str, plan: ClusterPlan, policy: Policy) -> Iterator[_Office]:
    """Run a living cluster, hotdesk with its shipped limits, and PHP with the shipped hook."""
    folder = at.folder / name
    folder.mkdir()
    with site(at.database, plan) as made:
        made.run(*grants(made, ACT))
        with (
            made.living() as dialers,
            running(folder, made, acts=True, policy=policy) as hotdesk,
            web_server(folder, made) as web,
        ):
            web.set_up(hotdesk.url)
            yield _Office(made, dialers, hotdesk, web)


@contextmanager
def _forms(web: Web, per_second: float, typed: Callable[[int], str]) -> Iterator[deque[int]]:
    """Send login forms with made-up names and a wrong password, at a rate; yield the numbers of those sent."""
    posted: deque[int] = deque()
    stop, numbers = threading.Event(), count()

    def send() -> None:
        with httpx.Client(base_url=web.url, timeout=10, trust_env=False) as http:
            while not stop.wait(4 / per_second):
                number = next(numbers)
                form = LOGIN | {"VD_login": f"name{number}", "VD_pass": "wrong", "phone_login": typed(number)}
                http.post("/vicidial.php", data=form)
                posted.append(number)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for each in threads:
        each.start()
    try:
        yield posted
    finally:
        stop.set()
        for each in threads:
            each.join()


# --- floods without a token ---------------------------------------------------------------------------------------


def _flooded(at: Place, size: _Size) -> list[Result]:
    """Offer picks while another process sends all that a client could send for ever, and connects without end."""
    plan = ClusterPlan(dialers=DIALERS, agents=300, remote_agents=0)
    with site(at.database, plan) as made, made.living():
        process = Process(at.folder, ("run", "--api.port", "0"), made.environment)
        try:
            client = process.client
            until(lambda: client.alias(plan.agent_plans[-1].alias), "the last alias is known", 60)
            until(lambda: len(client.offered()) == DIALERS, "every dialer takes logins", 60)
            offered, health_ms = _offered_meanwhile(client, plan, size)
            refused = client.metric("hotdesk_connections_refused_total")
            peak = _peak_mb(process.pid)
        finally:
            process.close()
    p99, picked = percentile(offered.latencies_ms, 0.99), offered.statuses.get(201, 0)
    beside = f"{size.megabytes} MB on one connection in {len(FLOODS)} ways, {size.connects} connects"
    return [
        Result(
            name="flood_rss_mb",
            value=peak,
            unit="MB at most",
            beside=f"{beside}; {refused:.0f} hung up on",
            goal=f"<= {MOST_RSS_MB}",
            holds=peak <= MOST_RSS_MB,
        ),
        Result(
            name="flood_pick_p99_ms",
            value=p99,
            unit="ms",
            beside=f"{picked} of {len(offered.latencies_ms)} picked, {PICKS_PER_SECOND}/s; the login hook waits 150 ms",
            goal=f"<= {MOST_PICK_MS}, all picked",
            holds=p99 <= MOST_PICK_MS and picked == len(offered.latencies_ms),
        ),
        Result(
            name="flood_health_p99_ms",
            value=percentile(health_ms, 0.99),
            unit="ms",
            beside=f"{len(health_ms)} health checks while the flood is sent; "
            f"median {percentile(health_ms, 0.5):.1f} ms, longest {max(health_ms):.1f} ms",
            goal=f"<= {MOST_HEALTH_MS}",
            holds=percentile(health_ms, 0.99) <= MOST_HEALTH_MS,
        ),
    ]


def _offered_meanwhile(client: Client, plan: ClusterPlan, size: _Size) -> tuple[Offered, list[float]]:
    """Offer picks from the flood's beginning on, and return the milliseconds of health checks until its end, too."""
    address = httpx.URL(client.url)
    context = multiprocessing.get_context("spawn")
    begun, ended = context.Event(), context.Event()
    answers, answered = context.Pipe(duplex=False)
    flood = context.Process(target=_flood, args=(address.host, address.port, size, begun, ended))
    checks = context.Process(target=_health_checks, args=(client.url, begun, ended, answered))
    checks.start()
    flood.start()
    begun.wait()
    agents = [plan.agent_plans[number % plan.agents] for number in range(PICKS_PER_SECOND * size.pick_seconds)]
    bodies = [msgspec.json.encode(PickBody(user=each.user, alias=each.alias)) for each in agents]
    offered = offer(Door(address.port or 0), f"/v1/clusters/{CLUSTER}/picks", bodies, PICKS_PER_SECOND)
    flood.join()
    ended.set()
    assert flood.exitcode == 0, "the flood broke off"
    health_ms: list[float] = answers.recv()
    checks.join()
    return offered, health_ms


def _health_checks(url: str, begun: Event, ended: Event, answered: PipeConnection) -> None:
    """Ask for the health from the flood's beginning to its end, at a rate; send how long each answer took."""
    took: list[float] = []
    with httpx.Client(base_url=url, timeout=10, trust_env=False) as http:
        http.get("/healthz")
        begun.wait()
        while not (took and ended.wait(1 / HEALTH_CHECKS_PER_SECOND)):
            began = time.perf_counter()
            http.get("/healthz").raise_for_status()
            took.append((time.perf_counter() - began) * 1000)
    answered.send(took)


def _flood(host: str, port: int, size: _Size, begun: Event, ended: Event) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    begun.set()
    for begin, rest in FLOODS.values():
        with connected(host, port, STRANGER) as connection:
            connection.sendall(begin)
            sent(connection, rest(), size.megabytes * 1_000_000)
    held: deque[socket.socket] = deque()
    for _ in range(size.connects):
        held.append(connected(host, port, STRANGER))
        if len(held) > CONNECTIONS:
            held.popleft().close()
    ended.set()
    for each in held:
        each.close()


def _peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024
