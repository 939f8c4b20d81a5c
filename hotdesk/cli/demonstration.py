"""`hotdesk demo`: hotdesk at work on a simulated cluster, with a private database, and a dialer that dies.

Everything is real but the cluster: MariaDB with VICIdial's tables, collectors, log, controller, API. It runs in a
temporary folder and in this process and its children, and leaves nothing behind.
"""

import dataclasses
import os
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple, Self

import httpx
import msgspec

from collectors.probes.prober import ProbeSettings
from collectors.vicidial.settings import DatabaseSettings
from controller.api.picks import HOOK
from controller.api.schemas import IncidentAnswer, PickAnswer, RankingAnswer
from controller.core.explanations import because
from controller.core.policy import Policy
from hotdesk import logs
from hotdesk.actuator_settings import ActuatorSettings
from hotdesk.cli.terminal import Console, Group, Live, RenderableType, Table, joined, row, shown, table
from hotdesk.errors import HotdeskError
from hotdesk.service import Service
from hotdesk.settings import ApiOptions, LogOptions
from hotdesk.signals import Asked
from hotdesk.wanted import Role, Wanted
from messages.records import Ineligible, RankedDialer
from simulator import schema
from simulator.agents import Habits
from simulator.broker import Broker, BrokerError
from simulator.cluster import SimulatedCluster
from simulator.database import Database, DatabaseError
from simulator.plan import ClusterPlan
from simulator.populate import populate
from simulator.ports import free_udp_port
from stream.kafka.topics import create_topics

CLUSTER = "demo"
DATABASE = "asterisk"
FEW_AGENTS = 300
"""Up to that many come in at the beginning, one after the other; more are there already, as in mid-shift."""
LOGINS_PER_SECOND = 4.0
"""Of these. Each sits for a while, leaves, and logs in again."""
WRITES_PER_SECOND = 400.0
"""Most heartbeats of screens. VICIdial's write one a second each, more than a laptop has to spare for it here."""
ROOMS, PHONES = 249, 20
"""Rooms of a dialer, and the most phones of an alias."""
PARTITIONS = 4
FRAME_SECONDS = 0.25
PLAIN_SECONDS = 2.0
"""How often to print a line if there is no terminal."""

KILL_AT_SECONDS, BACK_AT_SECONDS = 10.0, 34.0
"""When the dialer dies and when it is back; both are sooner in a shorter demonstration."""
DEAD_SECONDS, BACK_SECONDS = 5.0, 24.0
"""How long it is dead at least, and how long before the end it is back: it must beat a while without a
gap to be trusted again, and on a busy machine the first beats have gaps."""
EVENTS_SHOWN = 10
LINES_BESIDE = EVENTS_SHOWN + 8
"""Lines of a terminal that the dialers leave free."""
FEWEST_ROWS = 6
BEST_PRINTED = 3
"""Dialers in a line where there is no terminal."""
WORDS_WIDTH = 16
"""Columns for the reasons against a dialer: so the table fits a terminal of 80."""

HABITS = Habits(arrival=(0, 6), session=(20, 90), away=(2, 6), talking=(5, 20))
"""Agents in a hurry: a minute shows as much as a shift."""


FIRST_POLL_SECONDS = 30.0
"""Time for the first poll to come in."""


class DemoError(HotdeskError):
    """The demonstration could not be set up."""


class Size(NamedTuple):
    """The size of the simulated cluster, and its seed."""

    dialers: int
    agents: int
    seed: int

    def plan(self) -> ClusterPlan:
        """Return the cluster.

        Raises:
            DemoError: so many agents have no rooms.
        """
        # when one of them is dead, the others have rooms for its agents
        most = ROOMS * (self.dialers - 1)
        if self.agents > most:
            raise DemoError(f"{self.dialers} dialers have rooms for {most} agents when one is dead: add dialers")
        return ClusterPlan(
            dialers=self.dialers,
            agents=self.agents,
            rooms=ROOMS,
            phones_per_alias=min(self.dialers, PHONES),
            seed=self.seed,
        )

    @property
    def begins_mid_shift(self) -> bool:
        """True if everybody is at work already."""
        return self.agents > FEW_AGENTS

    @property
    def habits(self) -> Habits:
        """Return how agents behave: in a hurry, but never more than a few logins a second."""
        if not self.begins_mid_shift:
            return HABITS
        mean = self.agents / LOGINS_PER_SECOND
        return dataclasses.replace(HABITS, session=(mean / 2, mean * 1.5))


class _Event(NamedTuple):
    """An event of the demonstration."""

    at_seconds: float
    text: str


def run_demo(end: Asked, size: Size, *, seconds: float | None, kafka: bool) -> None:
    """Run the demonstration until `end` is requested or `seconds` are over.

    Raises:
        DemoError: MariaDB or Kafka cannot be started.
    """
    logs.configure(quiet=True)
    console = Console()
    plan = size.plan()
    with ExitStack() as stack:
        try:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hotdesk-demo-")))
            console.print(shown("starting a private MariaDB" + (" and a Kafka broker" if kafka else "") + " …"))
            database = stack.enter_context(Database(folder / "mariadb"))
            log = _log_options(stack, folder, kafka=kafka)
        except (DatabaseError, BrokerError) as error:
            raise DemoError(str(error)) from error
        with database.connect() as administrator:
            schema.create(administrator, DATABASE)
            administrator.select_db(DATABASE)
            populate(administrator, plan, now=time.time())
        sip_port = free_udp_port()
        service = stack.enter_context(Service(_wanted(database, log, sip_port)))
        picks = stack.enter_context(_Picks(service.url))
        cluster = SimulatedCluster(
            lambda: database.connect(database=DATABASE),
            plan,
            picks,
            habits=size.habits,
            refresh_seconds=max(1.0, size.agents / WRITES_PER_SECOND),
            sip_port=sip_port,
        )
        if size.begins_mid_shift:
            cluster.begin_mid_shift()
        stack.enter_context(cluster)
        # before the first poll its page is none
        until_at = time.monotonic() + FIRST_POLL_SECONDS
        while not picks.has_page() and time.monotonic() < until_at and not end.wait(0.05):
            pass
        console.print(joined(("status page: ", ""), (f"{service.url}/clusters/{CLUSTER}", "bold")))
        console.print(shown(f"the API answers at {service.url}, for example"))
        console.print(shown(f"  {service.url}/v1/clusters/{CLUSTER}/ranking"))
        console.print(shown(f"  {service.url}/openapi/openapi.json"))
        _show(console, end, cluster, _Script(plan, seconds), picks)
    console.print(shown("stopped; nothing is left running"))


def _log_options(stack: ExitStack, folder: Path, *, kafka: bool) -> LogOptions:
    if not kafka:
        return LogOptions(path=folder / "log.db", partitions=PARTITIONS)
    broker = stack.enter_context(Broker(_kafka_home(), folder / "kafka"))
    options = LogOptions(bootstrap=(broker.bootstrap,), partitions=PARTITIONS, replication=1)
    create_topics(options.kafka(), options.replication)
    return options


def _kafka_home() -> Path:
    home = os.environ.get("HOTDESK_KAFKA_HOME")
    if home is None:
        raise DemoError("set HOTDESK_KAFKA_HOME to a folder with Kafka's jars; 'make demo-kafka' fetches them")
    return Path(home)


def _wanted(database: Database, log: LogOptions, sip_port: int) -> Wanted:
    settings = DatabaseSettings(
        host=database.host, port=database.port, user="root", password=database.password, database=DATABASE
    )
    return Wanted(
        roles=frozenset(Role),
        log=log,
        api=ApiOptions(port=0),
        databases={CLUSTER: settings},
        policies={CLUSTER: Policy(acts=True)},
        probes={CLUSTER: ProbeSettings(sip=True, sip_port=sip_port)},
        actuators={CLUSTER: ActuatorSettings(database=settings)},
    )


class _Picks:
    """Asks the API at each login, as the login hook does: within 150 ms, or VICIdial chooses."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = httpx.Client(base_url=url, timeout=0.15, trust_env=False)
        self.answered = 0
        self.unanswered = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def __call__(self, user: str, alias: str, campaign: str) -> str | None:
        body = msgspec.json.encode({"user": user, "alias": alias, "campaign": campaign})
        try:
            answer = self._client.post(f"/v1/clusters/{CLUSTER}/picks", content=body, headers={HOOK: "demo"})
        except httpx.HTTPError:
            self.unanswered += 1
            return None
        if not answer.is_success:
            self.unanswered += 1
            return None
        self.answered += 1
        return msgspec.json.decode(answer.content, type=PickAnswer).phone_login

    def has_page(self) -> bool:
        """Return True if the cluster has a status page."""
        try:
            return self._client.get(f"/clusters/{CLUSTER}", timeout=2.0).is_success
        except httpx.HTTPError:
            return False

    def ranking(self) -> RankingAnswer | None:
        """Return the ranking; None: there is none now."""
        content = self._read("ranking")
        return None if content is None else msgspec.json.decode(content, type=RankingAnswer)

    def incidents(self) -> list[IncidentAnswer]:
        """Return the incidents."""
        content = self._read("incidents")
        return [] if content is None else msgspec.json.decode(content, type=list[IncidentAnswer])

    def _read(self, what: str) -> bytes | None:
        try:
            answer = self._client.get(f"/v1/clusters/{CLUSTER}/{what}", timeout=2.0)
        except httpx.HTTPError:
            return None
        return answer.content if answer.is_success else None


class _Reported(NamedTuple):
    """The latest report about an incident."""

    kind: str
    withheld: str
    moves: int
    moved: int
    closed: bool


class _Script:
    """The events of the simulated cluster, and their times."""

    def __init__(self, plan: ClusterPlan, seconds: float | None) -> None:
        self._victim = plan.dialer_plans[2]
        kill_at, back_at = KILL_AT_SECONDS, BACK_AT_SECONDS
        if seconds is not None:
            kill_at = min(kill_at, seconds / 5)
            back_at = min(back_at, max(seconds - BACK_SECONDS, kill_at + DEAD_SECONDS))
        self.ends_at = seconds
        self._due = deque([(kill_at, SimulatedCluster.kill), (back_at, SimulatedCluster.bring_back)])

    def play(self, cluster: SimulatedCluster, at_seconds: float) -> Iterator[_Event]:
        """Play the events that are due, and yield them."""
        while self._due and self._due[0][0] <= at_seconds:
            _, what = self._due.popleft()
            what(cluster, self._victim.server_ip)
            verb = "dies" if what is SimulatedCluster.kill else "is brought back"
            yield _Event(at_seconds, f"{self._victim.server_id} {verb}")


def _show(console: Console, end: Asked, cluster: SimulatedCluster, script: _Script, picks: _Picks) -> None:
    """Play the script, and show the events and hotdesk's reactions."""
    began = time.monotonic()
    before: dict[str, RankedDialer] = {}
    reported: dict[str, _Reported] = {}
    with _screen(console, cluster, picks) as screen:
        while not end.wait(FRAME_SECONDS):
            at_seconds = time.monotonic() - began
            if script.ends_at is not None and at_seconds >= script.ends_at:
                return
            events = list(script.play(cluster, at_seconds))
            ranking = picks.ranking()
            if ranking is not None:
                now = {each.server_ip: each for each in ranking.dialers}
                events += [_Event(at_seconds, text) for text in _changes(before, now)]
                before = now
            names = {each.server_ip: each.server_id for each in before.values()}
            events += [_Event(at_seconds, text) for text in _about_incidents(reported, picks.incidents(), names)]
            screen.show(at_seconds, ranking, events)


def _changes(before: dict[str, RankedDialer], now: dict[str, RankedDialer]) -> Iterator[str]:
    """Yield a line for each dialer that began or ceased to take new logins."""
    for server_ip, ranked in now.items():
        old = before.get(server_ip)
        if old is None or bool(_against(old)) == bool(_against(ranked)):
            continue
        if reasons := _against(ranked):
            yield f"hotdesk: no new logins on {ranked.server_id}: {because(reasons)}"
        else:
            yield f"hotdesk: new logins on {ranked.server_id} again"


def _against(ranked: RankedDialer) -> list[Ineligible]:
    """Return the reasons against new logins, except for a warm-up, which comes and goes."""
    return [why for why in ranked.ineligible_because if why is not Ineligible.WARMING_UP]


def _about_incidents(
    reported: dict[str, _Reported], found: list[IncidentAnswer], names: Mapping[str, str]
) -> Iterator[str]:
    """Yield a line for each change of an incident, and record it as reported; `names`: the dialers', by address."""
    for incident in (each.incident for each in reversed(found)):
        old = reported.get(incident.incident, _Reported("", "", 0, 0, closed=False))
        now = _Reported(
            incident.kind,
            str(incident.withheld or ""),
            incident.moves,
            incident.moved,
            closed=incident.closed_at_ms is not None,
        )
        reported[incident.incident] = now
        name = names.get(incident.server_ip, incident.server_ip)
        if now.kind != old.kind:
            yield f"hotdesk: {name} is {now.kind}: {incident.why}"
        if now.withheld and now.withheld != old.withheld:
            yield f"hotdesk: no agent is moved: {now.withheld}"
        if now.moves > old.moves:
            more = " more" if old.moves else ""
            yield f"hotdesk: {now.moves - old.moves}{more} agents are moved off {name}"
        if now.moved > old.moved and (now.moved == now.moves or now.moved // 10 > old.moved // 10):
            yield f"hotdesk: {now.moved} of {now.moves} agents of {name} are logged in on other dialers"
        if now.closed and not old.closed:
            yield f"hotdesk: the incident of {name} is closed"


class _Screen:
    """A live view on a terminal; elsewhere a line now and then."""

    def __init__(self, console: Console, live: Live | None, cluster: SimulatedCluster, picks: _Picks) -> None:
        self._console = console
        self._live = live
        self._cluster = cluster
        self._picks = picks
        self._events: deque[_Event] = deque(maxlen=EVENTS_SHOWN)
        self._printed_at = -PLAIN_SECONDS

    def show(self, at_seconds: float, ranking: RankingAnswer | None, events: list[_Event]) -> None:
        """Show the present ranking and the new events."""
        self._events.extend(events)
        if self._live is not None:
            self._live.update(self._picture(at_seconds, ranking))
            return
        for event in events:
            self._console.print(shown(f"{event.at_seconds:5.1f} s  {event.text}"), soft_wrap=True)
        if ranking is not None and at_seconds - self._printed_at >= PLAIN_SECONDS:
            self._printed_at = at_seconds
            ranked = [dialer for dialer in ranking.dialers if dialer.rank]
            # by load, which counts slots as well as agents
            order = ", ".join(f"{dialer.server_id} {dialer.load:g}" for dialer in ranked[:BEST_PRINTED])
            worst = f"; most: {ranked[-1].server_id} {ranked[-1].load:g}" if len(ranked) > BEST_PRINTED else ""
            self._console.print(shown(f"{at_seconds:5.1f} s  least loaded: {order}{worst}"), soft_wrap=True)

    def _picture(self, at_seconds: float, ranking: RankingAnswer | None) -> RenderableType:
        lines = [shown(f"{event.at_seconds:5.1f} s  {event.text}") for event in self._events]
        here = shown(f"{at_seconds:5.1f} s  API: {self._picks.url}   Ctrl-C ends", "dim")
        if ranking is None:
            return Group(shown("waiting for the first poll …"), here)
        room = max(FEWEST_ROWS, self._console.height - LINES_BESIDE)
        dialers = _most_telling(ranking.dialers, room)
        rows = _ranking_table(dialers)
        imbalance = "-" if ranking.imbalance is None else f"{ranking.imbalance:.2f}"
        rows.caption = shown(
            f"{len(dialers)} of {len(ranking.dialers)} dialers; {self._cluster.logged_in} agents logged in;"
            f" {self._picks.answered} picks, {self._picks.unanswered} left to VICIdial; imbalance {imbalance};"
            f" observed {ranking.age_ms} ms ago"
        )
        return Group(rows, *lines, here)


@contextmanager
def _screen(console: Console, cluster: SimulatedCluster, picks: _Picks) -> Iterator[_Screen]:
    if not console.is_terminal:
        yield _Screen(console, None, cluster, picks)
        return
    with Live(console=console, refresh_per_second=1 / FRAME_SECONDS) as live:
        yield _Screen(console, live, cluster, picks)


def _most_telling(dialers: Sequence[RankedDialer], room: int) -> list[RankedDialer]:
    """Return the dialers for so many rows: those that take no logins, then those with the best ranks."""
    against = [each for each in dialers if each.rank is None][:room]
    return [each for each in dialers if each.rank is not None][: room - len(against)] + against


def _ranking_table(dialers: Sequence[RankedDialer]) -> Table:
    columns = ("next", "dialer", "state", "agents", "slots", "heartbeat", "why not")
    numbers, whole = ("next", "agents", "slots", "heartbeat"), ("dialer", "state")
    rows = table(*columns, numbers=numbers, whole=whole, spare=("slots",), title="Which dialer now?")
    rows.title_justify = rows.caption_justify = "left"
    rows.columns[-1].min_width = WORDS_WIDTH
    for dialer in dialers:
        stalled = dialer.heartbeat_stalled_seconds
        row(
            rows,
            dialer.rank or "-",
            dialer.server_id,
            dialer.state.value,
            dialer.agents,
            dialer.slots,
            "-" if stalled is None else f"{stalled:.1f} s",
            because(dialer.ineligible_because),
            style="red" if dialer.ineligible_because else "green" if dialer.rank == 1 else "",
        )
    return rows
