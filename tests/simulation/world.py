"""VICIdial as the simulation has it: tables, dialers and screens on a virtual clock. Nothing in here is hotdesk's."""

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from string import ascii_lowercase

from collectors.catalogue import CatalogueRows
from collectors.observer import Reading, RestRows, Unread
from collectors.phones_in_rooms import Room
from collectors.vicidial.rows import Row
from controller.core.plan import AGENTS_TABLE
from messages.codes import Unreadable
from messages.records import Grouping, ProbeResult
from tests.simulation.calm import Calm

ROOMS = 40
LETTERS = ascii_lowercase
LOGOUT = "LOGOUT"
VICIDIAL_ALIVE_SECONDS = 120.0
CALLED_SECONDS = 1.5
"""From a login to the moment when the phone has answered and is in its room."""
STEP_SECONDS = 11.0
"""From one write of a hung Asterisk's updater to the next: its own time limits of 10 s and 1 s."""
KEEPALIVE_SECONDS = 60.0
"""Cron starts an updater that has ended once a minute, on the minute."""
DISBELIEVES_SECONDS = 9.5
"""So long AST_update.pl leaves its rows when most channels are gone; AST_update_AMI2.pl believes it at once."""
ASLEEP_SECONDS = 60.0
"""From one poll of a hidden tab to the next."""


class Clock:
    """Virtual time, and what is to happen when. Events of one moment happen in the order in which they were planned."""

    def __init__(self, wall_from: float = 0.0) -> None:
        self.now = 1000.0
        self.calm: Calm | None = None
        """Nothing goes wrong for hours; None: something may."""
        self.commits_in_progress = False
        """Some process may wait for a commit: it must go on between two events."""
        self._wall_from = wall_from - self.now if wall_from else 0.0
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._planned = 0

    @property
    def wall(self) -> float:
        """The time of day, in seconds of the epoch."""
        return self.now + self._wall_from

    def at(self, when: float, what: Callable[[], object]) -> None:
        """Plan something."""
        self._planned += 1
        heapq.heappush(self._events, (max(when, self.now), self._planned, what))

    def after(self, seconds: float, what: Callable[[], object]) -> None:
        """Plan something in so many seconds."""
        self.at(self.now + seconds, what)

    def at_next_minute(self, what: Callable[[], object]) -> None:
        """Plan something for the next full minute, as cron does."""
        self.after(KEEPALIVE_SECONDS - self.wall % KEEPALIVE_SECONDS, what)

    def step(self) -> None:
        """Let the next thing happen."""
        self.now, _, what = heapq.heappop(self._events)
        what()


@dataclass
class Dialer:
    """A dialer, and its rows."""

    server_ip: str
    born: float
    dead: bool = False
    dead_for_good: bool = False
    """Not everything heals: this one does not come back."""
    hung_at: float | None = None
    """Since when its Asterisk hangs; None: it does not."""
    cut_off: bool = False
    """The collector cannot reach its ports."""
    reached_since: float = 0.0
    """Since when it can be reached again."""
    active: bool = True
    logins: bool = True
    beats_until: float | None = None
    """When its heartbeat stopped; None: it goes on."""
    silent_until: float = 0.0
    """When its heartbeat last went on after a pause."""
    has_row: bool = True
    troubled: float | None = None
    """Since when there is a reason to move its agents; None: there is none."""
    well_since: float = 0.0
    wanted_empty: bool = False
    """By somebody's order."""
    fenced: bool = False
    """hotdesk closed it."""
    unfit_since: float | None = None
    """Since when it is switched off or closed; None: it is neither."""
    dead_since: float | None = None
    vanished: bool = False
    """Its network is gone: it is there, and nothing reaches it."""
    answers: dict[str, ProbeResult] = field(default_factory=dict)
    """By kind of probe: what answers in its place, such as a firewall."""
    steps_from: float | None = None
    """Since when its heartbeat is written every 11 s only; None: it beats."""
    started_at: float = 0.0
    """When its Asterisk started."""
    clock_ahead: float = 0.0
    """How wrong its own clock is, by which it writes its heartbeat."""
    link_cut: bool = False
    """Its way to the database is cut."""
    announced: int = 0
    """How many calls its listener has written down."""
    channels: frozenset[str] = frozenset()
    """The rooms in which there is somebody, as its updater wrote them last."""
    disbelieves_since: float | None = None
    """Since when its updater does not believe that so many channels are gone; None: it does."""

    def write_channels(self, there: frozenset[str], now: float, *, older_updater: bool) -> None:
        """Have its updater write the rooms in which there is somebody. An older one does not believe every loss."""
        before, share = len(self.channels), len(there) / (len(self.channels) or 1)
        if older_updater and ((before > 3 and share < 0.2) or (before > 9 and share < 0.4)):
            self.disbelieves_since = now if self.disbelieves_since is None else self.disbelieves_since
            if now - self.disbelieves_since < DISBELIEVES_SECONDS:
                return
        self.channels, self.disbelieves_since = there, None

    @property
    def carries_calls(self) -> bool:
        """Return True if its Asterisk works, and can be heard."""
        return not (self.dead or self.hung or self.vanished)

    @property
    def updates(self) -> bool:
        """Return True if its updater goes on: with it the table of its channels stands still."""
        return self.carries_calls and self.beats_until is None and self.steps_from is None and self.has_row

    @property
    def hung(self) -> bool:
        """True while its Asterisk hangs."""
        return self.hung_at is not None


@dataclass
class Live:
    """A row of `vicidial_live_agents`."""

    live_agent_id: int
    user: str
    server_ip: str
    extension: str
    status: str
    external_pause: str = ""
    external_hangup: str = ""
    external_status: str = ""
    born: float = 0.0
    told_at: float | None = None
    """When its screen was told to log out; None: it was not."""
    lead_id: int = 0
    """The call that it is in, or whose disposition the agent has yet to choose."""
    changed_at: float = 0.0
    """When its status last changed."""
    phone_at: float | None = None
    """When its phone came into the room, or will; None: it is not there."""


def room_of(row: Live) -> str:
    """Return the conference room of a session."""
    return str(8_600_000 + row.live_agent_id)


@dataclass
class Agent:
    """An agent, and what their screen knows."""

    user: str
    alias: str
    row_id: int | None = None
    """The session on the screen; None: logged out."""
    back_at: float = 0.0
    call_until: float | None = None
    wraps_until: float | None = None
    obeyed: str = ""
    hangs: bool = False
    """The browser has frozen: it writes nothing and obeys nothing."""
    hidden: bool = False
    """The browser shows another tab, and lets this one poll once a minute."""
    web: int = 0
    """The web server that its screen asks."""
    phone_dead: bool = False
    """The phone is off: it is in no room."""
    one_line: bool = False
    """Their phone has one line: when Asterisk dies it believes in its call from before, and refuses the next one."""
    refuses: bool = False
    """Their phone refuses the next call."""
    screen_dead: bool = False
    """VICIdial no longer knows the screen, which can be told nothing."""
    in_second_tab: bool = False
    """Another session of the same user, whose tab is closed once it is logged out."""


@dataclass(frozen=True)
class Habits:
    """What people do by themselves: how likely at each poll of their screen, and how many seconds it takes them."""

    is_called: float = 0.08
    goes_on: float = 0.2
    takes_break: float = 0.02
    notices: float = 0.08
    """They hear that their call has died with its dialer, and hang up."""
    leaves_the_dead: float = 0.03
    """They log in elsewhere by hand, since they hear nothing."""
    call_seconds: tuple[float, float] = (2.0, 15.0)
    wrap_up_seconds: tuple[float, float] = (5.0, 30.0)
    back_seconds: tuple[float, float] = (2.2, 4.0)
    """From a logout to the next login."""


Choose = Callable[[str, str], str | None]
"""Asks hotdesk which phone a user's alias stands for now; None: no answer, so VICIdial chooses."""


@dataclass
class World:
    """The cluster."""

    clock: Clock
    draw: Random
    dialers: dict[str, Dialer]
    agents: dict[str, Agent]
    rows: dict[int, Live] = field(default_factory=dict)
    remotes: dict[str, Live] = field(default_factory=dict)
    """By user: rows of remote agents, who have no screen, so that nothing can be told to them."""
    database_up: bool = True
    beats_frozen_at: float | None = None
    """Since when no heartbeat can be written, for whatever reason; None: they can."""
    thawed_at: float = 0.0
    """When heartbeats could last not be written: what was due by then was written all at once."""
    blind: bool = False
    """No probe reaches any dialer."""
    slow: bool = False
    """VICIdial takes a second for what else takes no time."""
    paused_late: set[str] = field(default_factory=set)
    """Who was paused after whoever asked for it had given it up: they must resume by themselves."""
    restarted: bool = False
    """The database has restarted, and the heartbeats' rows were gone."""
    note: Callable[[str], None] = lambda _: None
    choose: Choose = lambda _, __: None
    habits: Habits = Habits()
    back_after: Callable[[Agent, Live | None], float] | None = None
    """In how many seconds an agent who was logged out is back; None: as habits have it."""
    kinds: tuple[str, ...] = ("ami",)
    """The probes that are asked."""
    sip_is_paced: bool = False
    """SIP is asked a few times only, and mostly in doubt; else at each poll."""
    tells_start: bool = False
    """AMI says when Asterisk started."""
    hung_webs: set[int] = field(default_factory=set)
    """Web servers that hang, and with them the screens that ask them."""
    locked: bool = False
    """The tables can be read, and whoever writes waits."""
    agents_refused_at: float | None = None
    """Since when hotdesk may not read the agents' sessions; None: it may."""
    seen_as_of: "World | None" = None
    """What collectors and executors see instead, which stands still; None: this."""
    rooms: int = ROOMS
    """Of each dialer."""
    keeps_logins: bool = False
    """Its own table of logins can be read: what was typed at each."""
    weights: str = ""
    """VICIdial's own container of weights."""
    older_updaters: bool = False
    """The dialers' updaters are AST_update.pl, which does not believe it when most channels are gone."""
    grouping: Grouping = Grouping.DISABLED
    """How the one campaign gathers its agents."""
    grouping_limit: int = 50
    """CASCADING gathers so many agents on a dialer, then begins the next one."""
    calls_every: float | None = None
    """How often a call rings that no agent hears; None: never."""
    lost: list[str] = field(default_factory=list)
    """Users whose disposition was lost, since hotdesk logged them out before they had chosen it."""
    unregistered: set[str] = field(default_factory=set)
    """Phones that are registered nowhere."""
    _ids: int = 0
    _leads: int = 0

    def login_of(self, user: str, server_ip: str) -> str:
        """Name the phone of a user on a dialer."""
        return f"{user}{LETTERS[list(self.dialers).index(server_ip)]}"

    def server_of(self, phone_login: str) -> str:
        """Return the dialer of a phone."""
        return list(self.dialers)[LETTERS.index(phone_login[-1])]

    def row_of(self, user: str) -> Live | None:
        """Return a user's row."""
        return next((each for each in self.rows.values() if each.user == user), None)

    def rows_of(self, user: str) -> list[Live]:
        """Return all rows of a user, whether there is a screen or not."""
        return [each for each in (*self.rows.values(), *self.remotes.values()) if each.user == user]

    def add_remote(self, user: str, server_ip: str) -> None:
        """Add a remote agent to a dialer."""
        self._ids += 1
        self.remotes[user] = Live(self._ids, user, server_ip, f"R/{user}", "READY", born=self.clock.now)

    def on(self, server_ip: str) -> list[Live]:
        """Return the rows on a dialer."""
        return [each for each in self.rows.values() if each.server_ip == server_ip]

    # --- screens ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Let everybody log in, and every screen poll once a second."""
        for number, agent in enumerate(self.agents.values()):
            agent.back_at = self.clock.now
            self.clock.after(1.0 + number / len(self.agents), self._polling(agent))
        if self.calls_every is not None:
            self.clock.after(self.calls_every, self._calls_ring)

    def _calls_ring(self) -> None:
        for dialer in self.dialers.values():
            self._announce(dialer)
        if self.calls_every is not None:
            self.clock.after(self.calls_every, self._calls_ring)

    def _announce(self, dialer: Dialer) -> None:
        """Have a dialer's listener write down that a call rings, if it can."""
        if dialer.carries_calls and not dialer.link_cut and self.database_up and self.beats_frozen_at is None:
            dialer.announced += 1

    def _polling(self, agent: Agent) -> Callable[[], None]:
        def poll() -> None:
            asleep = agent.hangs or agent.screen_dead or agent.web in self.hung_webs
            if self.database_up and not self.locked and not asleep:
                self._poll(agent)
            awake = self.clock.calm.screens if self.clock.calm else 1.0
            self.clock.after(ASLEEP_SECONDS if agent.hidden else awake, poll)

        return poll

    def _poll(self, agent: Agent) -> None:
        now = self.clock.now
        if agent.row_id is None:
            if now >= agent.back_at and not agent.in_second_tab:
                self.log_in(agent)
            return
        row = self.rows.get(agent.row_id)
        if row is None:
            self._out(agent, "their session was gone")
            return
        self._call_goes_on(agent, row)
        if (
            not self.dialers[row.server_ip].carries_calls
            and agent.call_until is None
            and self._does(self.habits.leaves_the_dead)
        ):
            others = [each.server_ip for each in self.dialers.values() if each.carries_calls and each.logins]
            if others:
                self.note(f"agent {agent.user} helps themselves")
                self.log_in(agent, self.draw.choice(others))
            return
        if row.external_pause == LOGOUT and agent.call_until is None:
            self._loses_disposition(agent, row)
            del self.rows[row.live_agent_id]
            self._out(agent, "their screen logged out", row)
        elif row.external_pause not in {"", LOGOUT, agent.obeyed}:
            agent.obeyed = row.external_pause
            if agent.call_until is None and agent.wraps_until is None:
                self.becomes(row, "PAUSED" if row.external_pause.startswith("PAUSE") else "READY")

    def _loses_disposition(self, agent: Agent, row: Live) -> None:
        """Count a disposition that nobody can choose any more; VICIdial's page does not wait for it."""
        if agent.wraps_until is not None and not row.external_status:
            self.lost.append(agent.user)
            self.note(f"the disposition of {agent.user} is lost")

    def becomes(self, row: Live, status: str) -> None:
        """Change a session's status."""
        if row.status != status:
            row.status, row.changed_at = status, self.clock.now

    def _does(self, likely: float) -> bool:
        return likely > 0 and self.draw.random() < likely

    def _call_goes_on(self, agent: Agent, row: Live) -> None:
        now, habits = self.clock.now, self.habits
        works = self.dialers[row.server_ip].carries_calls
        if agent.wraps_until is not None:
            if row.external_status or now >= agent.wraps_until:
                self.dispose(agent, row)
        elif agent.call_until is not None:
            # a call that died with its dialer goes on on the screen, until the agent notices
            noticed = not works and self._does(habits.notices)
            if row.external_hangup or noticed or (works and now >= agent.call_until):
                self.end_call(agent, row)
        elif row.status == "READY" and works and row.external_pause != LOGOUT and self._does(habits.is_called):
            self.begin_call(agent, row, self.draw.uniform(*habits.call_seconds))
        elif row.status == "PAUSED" and not row.external_pause and self._does(habits.goes_on):
            self.becomes(row, "READY")
        elif row.status == "READY" and self._does(habits.takes_break):
            self.becomes(row, "PAUSED")

    def begin_call(self, agent: Agent, row: Live, seconds: float) -> None:
        """Connect an agent with somebody."""
        self._leads += 1
        self._announce(self.dialers[row.server_ip])
        agent.call_until, row.lead_id = self.clock.now + seconds, self._leads
        self.becomes(row, "INCALL")

    def end_call(self, agent: Agent, row: Live) -> None:
        """End a call: the agent is to choose a disposition, unless one was set for them."""
        agent.call_until, row.external_hangup = None, ""
        agent.wraps_until = self.clock.now + self.draw.uniform(*self.habits.wrap_up_seconds)
        self.becomes(row, "PAUSED")

    def dispose(self, agent: Agent, row: Live) -> None:
        """Have a disposition chosen, after which the agent waits for the next call."""
        agent.wraps_until, row.external_status, row.lead_id = None, "", 0
        self.becomes(row, "PAUSED" if agent.obeyed.startswith("PAUSE") else "READY")

    def _out(self, agent: Agent, why: str, row: Live | None = None) -> None:
        agent.row_id, agent.call_until, agent.wraps_until, agent.obeyed = None, None, None, ""
        after = self.draw.uniform(*self.habits.back_seconds) if self.back_after is None else self.back_after(agent, row)
        agent.back_at = self.clock.now + after
        self.note(f"agent {agent.user}: {why}")

    def log_in(self, agent: Agent, server_ip: str | None = None) -> None:
        """Log an agent in: where hotdesk says, else where VICIdial would; or on a dialer named by hand."""
        if server_ip is None:
            chosen = self.choose(agent.user, agent.alias)
            server_ip = self.server_of(chosen) if chosen is not None else self._vicidials_choice()
        if server_ip is None or not self.dialers[server_ip].logins or len(self.on(server_ip)) >= self.rooms:
            agent.back_at = self.clock.now + 2.0
            return
        for old in [each for each in self.rows.values() if each.user == agent.user]:
            del self.rows[old.live_agent_id]
        agent.screen_dead = False
        self._begin_session(agent, server_ip)

    def begin_second_session(self, agent: Agent, server_ip: str) -> Agent:
        """Begin another session of an agent, in a tab that they close once it is logged out, and return that tab.

        A login deletes the user's other rows; two at the same moment may leave both.
        """
        tab = Agent(agent.user, agent.alias, web=agent.web, in_second_tab=True)
        self.becomes(self._begin_session(tab, server_ip), "READY")
        self.clock.after(1.0, self._polling(tab))
        return tab

    def _begin_session(self, agent: Agent, server_ip: str) -> Live:
        self._ids += 1
        now = self.clock.now
        row = Live(self._ids, agent.user, server_ip, f"SIP/{agent.user}", "PAUSED", born=now, changed_at=now)
        self.rows[self._ids] = row
        self.call_phone(row)
        agent.row_id, agent.call_until, agent.wraps_until, agent.obeyed = self._ids, None, None, ""
        self.note(f"agent {agent.user} logged in on {server_ip} as session {self._ids}")
        return row

    def call_phone(self, row: Live) -> None:
        """Call the phone of a session into its room, where it comes if it can."""
        agent = self.agents[row.user]
        dead = not self.dialers[row.server_ip].carries_calls or agent.phone_dead
        if not dead and agent.refuses:
            agent.refuses = False
        elif not dead and self.login_of(row.user, row.server_ip) not in self.unregistered:
            row.phone_at = self.clock.now + CALLED_SECONDS

    def _vicidials_choice(self) -> str | None:
        now = self.clock.now
        fit = [
            each
            for each in self.dialers.values()
            if each.active and each.logins and each.has_row and now - self._beat(each) < VICIDIAL_ALIVE_SECONDS
        ]
        if self.grouping is not Grouping.DISABLED:
            gathers = self.grouping_limit if self.grouping is Grouping.CASCADING else self.rooms
            begun = next((each for each in fit if 0 < len(self.on(each.server_ip)) < gathers), None)
            if begun is not None:
                return begun.server_ip
        return min(fit, key=lambda each: len(self.on(each.server_ip))).server_ip if fit else None

    # --- what a collector reads ----------------------------------------------------------------------------------

    def _beat(self, dialer: Dialer) -> float:
        """Return a heartbeat's value: whole seconds, as the table has them. That of a hung dialer steps."""
        until = dialer.beats_until if dialer.beats_until is not None else self.clock.now
        if self.beats_frozen_at is not None:
            until = min(until, self.beats_frozen_at)
        steps_from = dialer.steps_from if dialer.hung_at is None else dialer.hung_at
        if steps_from is not None:
            until -= max(0.0, until - steps_from) % STEP_SECONDS
        return float(int(until + dialer.clock_ahead))

    def hears(self, agent: Agent) -> bool:
        """Return True if an agent's phone is in the room of the session on their screen, on a dialer that works."""
        row = None if agent.row_id is None else self.rows.get(agent.row_id)
        return row is not None and self.phone_is_there(row)

    def phone_is_there(self, row: Live) -> bool:
        """Return True if the phone of a session is in its room, on a dialer that works."""
        if row.phone_at is None or self.agents[row.user].phone_dead:
            return False
        return self.dialers[row.server_ip].carries_calls and self.clock.now >= row.phone_at

    def _channels(self, rooms: tuple[Room, ...]) -> list[Row]:
        """Return in which of these rooms there is somebody, by the tables that the updaters write."""
        for dialer in self.dialers.values():
            if not dialer.has_row:
                dialer.channels = frozenset()  # the tables are in memory, and the database has restarted
            elif dialer.updates and self.beats_frozen_at is None:
                there = [each for each in self.on(dialer.server_ip) if self.phone_is_there(each)]
                rooms_now = frozenset(room_of(each) for each in there)
                dialer.write_channels(rooms_now, self.clock.now, older_updater=self.older_updaters)
        found = [each for each in rooms if each.conf_exten in self.dialers[each.server_ip].channels]
        return [(each.server_ip.encode(), each.conf_exten.encode()) for each in found]

    def reading(  # noqa: PLR0913 # what is read, each once
        self,
        *,
        agents: bool,
        catalogue: bool,
        probes: bool,
        work: tuple[str, ...],
        rooms: tuple[Room, ...],
        listed: frozenset[str] = frozenset(),
    ) -> Reading:
        """Read the tables, and the dialers' own ports."""
        channels = self._channels(rooms) if agents else None
        if self.seen_as_of is not None:
            of = self.seen_as_of.reading(agents=agents, catalogue=catalogue, probes=False, work=work, rooms=rooms)
            return of._replace(
                probes=self._probes() if probes else {},
                started=self._started() if probes else {},
                extensions=self._extensions(listed) if probes else {},
            )
        taken = {ip: len(self.on(ip)) for ip in self.dialers}
        return Reading(
            dialers=[
                (
                    each.server_ip.encode(),
                    each.server_ip.encode(),
                    b"",
                    b"Y" if each.active else b"N",
                    b"Y" if each.logins else b"N",
                    b"Y",
                    b"",
                    b"MEETME",
                )
                for each in self.dialers.values()
            ],
            heartbeats=[
                (each.server_ip.encode(), str(self._beat(each)).encode(), None, str(self._age(each)).encode())
                for each in self.dialers.values()
                if each.has_row
            ],
            rest=RestRows(
                agents=[self._agent_row(each) for each in (*self.rows.values(), *self.remotes.values())]
                if agents and self.agents_refused_at is None
                else None,
                conferences=[
                    (ip.encode(), str(self.rooms).encode(), str(self.rooms - taken[ip]).encode()) for ip in self.dialers
                ]
                if agents
                else None,
                confbridges=() if agents else None,
                lost_screens=self._lost_screens() if agents else None,
                logins=self._logins() if agents and self.keeps_logins else (),
                catalogue=self._catalogue() if catalogue else None,
                work=[(ip.encode(), str(self.dialers[ip].announced).encode()) for ip in work],
                channels=channels if rooms else None,
            ),
            unread={}
            if self.agents_refused_at is None
            else {AGENTS_TABLE: Unread(self.clock.now - self.agents_refused_at, Unreadable.REFUSED)},
            probes=self._probes() if probes else {},
            started=self._started() if probes else {},
            extensions=self._extensions(listed) if probes else {},
        )

    def stand_still(self) -> "World":
        """Return the tables as they are now."""
        clock = Clock()
        clock.now = self.clock.now
        dialers = {ip: replace(each) for ip, each in self.dialers.items()}
        rows = {number: replace(each) for number, each in self.rows.items()}
        return replace(self, clock=clock, dialers=dialers, rows=rows)

    def _age(self, dialer: Dialer) -> float:
        return self.clock.now - self._beat(dialer)

    def by_sip(self, server_ip: str) -> ProbeResult:
        """Return what comes of one request by SIP."""
        dialer = self.dialers[server_ip]
        return ProbeResult.MUTE if dialer.vanished else self._probe(dialer, "sip")

    def _probes(self) -> Mapping[str, Mapping[str, ProbeResult]]:
        kinds = [kind for kind in self.kinds if kind != "sip" or not self.sip_is_paced]
        return {ip: {kind: self._probe(each, kind) for kind in kinds} for ip, each in self.dialers.items()}

    def _started(self) -> Mapping[str, str]:
        """Return when each Asterisk started, as AMI says where it answers."""
        alive = [each for each in self.dialers.values() if self._probe(each, "ami") is ProbeResult.ALIVE]
        return {each.server_ip: str(each.started_at) for each in alive} if self.tells_start else {}

    def _extensions(self, dialers: frozenset[str]) -> Mapping[str, frozenset[str]]:
        """Return the rooms in which there is somebody, as AMI lists them where it answers."""
        alive = [ip for ip in dialers if self.tells_start and self._probe(self.dialers[ip], "ami") is ProbeResult.ALIVE]
        return {ip: frozenset(room_of(each) for each in self.on(ip) if self.phone_is_there(each)) for ip in alive}

    def _probe(self, dialer: Dialer, kind: str) -> ProbeResult:
        if self.blind or dialer.cut_off or dialer.vanished:
            return ProbeResult.UNREACHABLE
        if dialer.dead or dialer.hung:
            return dialer.answers.get("dead", ProbeResult.UNREACHABLE) if dialer.dead else ProbeResult.MUTE
        return dialer.answers.get(kind, ProbeResult.ALIVE)

    def _agent_row(self, row: Live) -> Row:
        return (
            str(row.live_agent_id).encode(),
            row.user.encode(),
            row.server_ip.encode(),
            row.extension.encode(),
            room_of(row).encode(),
            row.status.encode(),
            b"CAMP",
            row.server_ip.encode() if row.status == "INCALL" else b"",
            row.external_pause.encode(),
            b"N",
            str(row.lead_id).encode(),
        )

    def _lost_screens(self) -> list[Row]:
        """Return the logins whose screen VICIdial does not know; it keeps a login after the agent has left."""
        agents = {each.user: each for each in self.agents.values()}
        dead = [each for each in self.rows.values() if agents[each.user].screen_dead]
        return [(each.user.encode(), each.server_ip.encode()) for each in dead]

    def restore_screen(self, row: Live) -> None:
        """Have VICIdial know the screen of a session again."""
        agent = self.agents[row.user]
        if agent.screen_dead and agent.row_id == row.live_agent_id:
            agent.screen_dead = False
            self.note(f"agent {row.user}: their screen works again")

    def _logins(self) -> list[Row]:
        return [
            (str(each.live_agent_id).encode(), each.user.encode(), each.server_ip.encode(), alias.encode())
            for each in self.rows.values()
            for alias in (self.agents[each.user].alias,)
        ]

    def _catalogue(self) -> CatalogueRows:
        phones: list[Row] = []
        aliases: list[Row] = []
        for agent in self.agents.values():
            logins = [self.login_of(agent.user, ip) for ip in self.dialers]
            aliases.append((agent.alias.encode(), b"", ",".join(logins).encode()))
            phones += [
                (login.encode(), ip.encode(), agent.user.encode(), b"Y", b"SIP", b"N", self._peer_status(login))
                for login, ip in zip(logins, self.dialers, strict=True)
            ]
        return CatalogueRows(
            phones=phones,
            aliases=aliases,
            campaigns=[(b"CAMP", self.grouping.encode(), str(self.grouping_limit).encode())],
            settings=[(b"100", b"1")],
            weights=[(self.weights.encode(),)] if self.weights else [],
            missing_columns=(),
        )

    def _peer_status(self, login: str) -> bytes:
        if not self.unregistered:
            return b""  # an older VICIdial, which has no such column
        return b"UNREGISTERED" if login in self.unregistered else b"REGISTERED"

    # --- what can happen -----------------------------------------------------------------------------------------

    def look(self) -> None:
        """Note what is true of each dialer now, and since when."""
        now = self.clock.now
        for dialer in self.dialers.values():
            reason = not dialer.carries_calls or not dialer.active or dialer.wanted_empty
            if not reason and dialer.troubled is not None:
                dialer.well_since = now
            dialer.troubled = (now if dialer.troubled is None else dialer.troubled) if reason else None
            unfit = not dialer.active or not dialer.logins
            dialer.unfit_since = (now if dialer.unfit_since is None else dialer.unfit_since) if unfit else None
            dead = not dialer.carries_calls
            dialer.dead_since = (now if dialer.dead_since is None else dialer.dead_since) if dead else None

    def kill(self, server_ip: str) -> None:
        """Power a dialer off: its rows stay."""
        dialer = self.dialers[server_ip]
        dialer.dead = True
        self._leave_phones_behind(server_ip)
        if dialer.beats_until is None:  # its updater may have ended before
            dialer.beats_until = self.clock.now

    def bring_back(self, server_ip: str, *, with_sessions: bool = False) -> None:
        """Boot a dialer, which deletes the sessions on it; or let it go on with them, as one that was only stopped."""
        dialer = self.dialers[server_ip]
        was_dead = dialer.dead
        dialer.dead = dialer.vanished = dialer.link_cut = False
        dialer.hung_at = dialer.beats_until = dialer.steps_from = None
        dialer.has_row = True
        if was_dead or not with_sessions:
            dialer.started_at = self.clock.now
        for row in self.on(server_ip):
            if not with_sessions:
                del self.rows[row.live_agent_id]
            elif was_dead:
                row.phone_at = None

    def lose_channels(self, server_ip: str) -> None:
        """Let Asterisk forget its calls and its phones in rooms; nothing calls them back by itself."""
        self.dialers[server_ip].started_at = self.clock.now
        self._leave_phones_behind(server_ip)
        for row in self.on(server_ip):
            row.phone_at = None

    def _leave_phones_behind(self, server_ip: str) -> None:
        """Let phones with one line believe in their calls, which have ended without a word."""
        for row in self.on(server_ip):
            agent = self.agents[row.user]
            agent.refuses = agent.refuses or (agent.one_line and row.phone_at is not None)
