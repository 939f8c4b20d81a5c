"""VICIdial as the simulation has it: tables, dialers and screens on a virtual clock. Nothing in here is hotdesk's."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from collectors.observer import CatalogueRows, Reading
from collectors.vicidial.rows import Row
from messages.records import ProbeResult

ROOMS = 40
LETTERS = "abcdef"
LOGOUT = "LOGOUT"
VICIDIAL_ALIVE_SECONDS = 120.0
HUNG_STEP_SECONDS = 11.0
"""The updater of a hung Asterisk writes once in this time."""


class Clock:
    """Virtual time, and what is to happen when. Events of one moment happen in the order in which they were planned."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._planned = 0

    def at(self, when: float, what: Callable[[], object]) -> None:
        """Plan something."""
        self._planned += 1
        heapq.heappush(self._events, (max(when, self.now), self._planned, what))

    def after(self, seconds: float, what: Callable[[], object]) -> None:
        """Plan something in so many seconds."""
        self.at(self.now + seconds, what)

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

    @property
    def carries_calls(self) -> bool:
        """Tell whether its Asterisk works."""
        return not (self.dead or self.hung)

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
    lead_id: int = 0
    born: float = 0.0
    told_at: float | None = None
    """When its screen was told to log out; None: it was not."""


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
    _ids: int = 0

    def login_of(self, user: str, server_ip: str) -> str:
        """Name the phone of a user on a dialer."""
        return f"{user}{LETTERS[list(self.dialers).index(server_ip)]}"

    def server_of(self, phone_login: str) -> str:
        """Tell on which dialer a phone is."""
        return list(self.dialers)[LETTERS.index(phone_login[-1])]

    def row_of(self, user: str) -> Live | None:
        """Give a user's row."""
        return next((each for each in self.rows.values() if each.user == user), None)

    def on(self, server_ip: str) -> list[Live]:
        """Give the rows on a dialer."""
        return [each for each in self.rows.values() if each.server_ip == server_ip]

    # --- screens ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Let everybody log in, and every screen poll once a second."""
        for number, agent in enumerate(self.agents.values()):
            agent.back_at = self.clock.now
            self.clock.after(1.0 + number / len(self.agents), self._polling(agent))

    def _polling(self, agent: Agent) -> Callable[[], None]:
        def poll() -> None:
            if self.database_up and not agent.hangs:
                self._poll(agent)
            self.clock.after(1.0, poll)

        return poll

    def _poll(self, agent: Agent) -> None:
        now = self.clock.now
        if agent.row_id is None:
            if now >= agent.back_at:
                self.log_in(agent)
            return
        row = self.rows.get(agent.row_id)
        if row is None:
            self._out(agent, "their session was gone")
            return
        self._call_goes_on(agent, row)
        if not self.dialers[row.server_ip].carries_calls and agent.call_until is None and self.draw.random() < 0.03:
            others = [each.server_ip for each in self.dialers.values() if each.carries_calls and each.logins]
            if others:
                self.note(f"agent {agent.user} helps themselves")
                self.log_in(agent, self.draw.choice(others))
            return
        if row.external_pause == LOGOUT and agent.call_until is None and agent.wraps_until is None:
            del self.rows[row.live_agent_id]
            self._out(agent, "their screen logged out")
        elif row.external_pause not in {"", LOGOUT, agent.obeyed}:
            agent.obeyed = row.external_pause
            if agent.call_until is None:
                row.status = "PAUSED" if row.external_pause.startswith("PAUSE") else "READY"

    def _call_goes_on(self, agent: Agent, row: Live) -> None:
        now, draw = self.clock.now, self.draw
        works = self.dialers[row.server_ip].carries_calls
        if agent.wraps_until is not None:
            if row.external_status or now >= agent.wraps_until:
                agent.wraps_until, row.external_status, row.lead_id = None, "", 0
                row.status = "READY"
        elif agent.call_until is not None:
            # a call that died with its dialer goes on on the screen, until the agent notices
            noticed = not works and draw.random() < 0.03
            if row.external_hangup or noticed or (works and now >= agent.call_until):
                agent.call_until, agent.wraps_until, row.external_hangup = None, now + draw.uniform(5, 30), ""
                row.status = "PAUSED"
        elif row.status == "READY" and works and row.external_pause != LOGOUT and draw.random() < 0.08:
            agent.call_until, row.status, row.lead_id = now + draw.uniform(2, 15), "INCALL", 7
        elif row.status == "PAUSED" and not row.external_pause and draw.random() < 0.2:
            row.status = "READY"
        elif row.status == "READY" and draw.random() < 0.02:
            row.status = "PAUSED"

    def _out(self, agent: Agent, why: str) -> None:
        agent.row_id, agent.call_until, agent.wraps_until, agent.obeyed = None, None, None, ""
        agent.back_at = self.clock.now + self.draw.uniform(2.2, 4.0)
        self.note(f"agent {agent.user}: {why}")

    def log_in(self, agent: Agent, server_ip: str | None = None) -> None:
        """Log an agent in: where hotdesk says, else where VICIdial would; or on a dialer named by hand."""
        if server_ip is None:
            chosen = self.choose(agent.user, agent.alias)
            server_ip = self.server_of(chosen) if chosen is not None else self._vicidials_choice()
        if server_ip is None or not self.dialers[server_ip].logins or len(self.on(server_ip)) >= ROOMS:
            agent.back_at = self.clock.now + 2.0
            return
        for old in [each for each in self.rows.values() if each.user == agent.user]:
            del self.rows[old.live_agent_id]
        self._ids += 1
        self.rows[self._ids] = Live(
            self._ids, agent.user, server_ip, f"SIP/{agent.user}", "PAUSED", born=self.clock.now
        )
        agent.row_id, agent.call_until, agent.wraps_until, agent.obeyed = self._ids, None, None, ""
        self.note(f"agent {agent.user} logged in on {server_ip} as session {self._ids}")

    def _vicidials_choice(self) -> str | None:
        now = self.clock.now
        fit = [
            each
            for each in self.dialers.values()
            if each.active and each.logins and each.has_row and now - self._beat(each) < VICIDIAL_ALIVE_SECONDS
        ]
        return min(fit, key=lambda each: len(self.on(each.server_ip))).server_ip if fit else None

    # --- what a collector reads ----------------------------------------------------------------------------------

    def _beat(self, dialer: Dialer) -> float:
        """Return a heartbeat's value: whole seconds, as the table has them. That of a hung dialer steps."""
        if dialer.hung_at is not None and dialer.beats_until is None:
            steps = (self.clock.now - dialer.hung_at) // HUNG_STEP_SECONDS
            return float(int(dialer.hung_at + steps * HUNG_STEP_SECONDS))
        until = dialer.beats_until if dialer.beats_until is not None else self.clock.now
        if self.beats_frozen_at is not None:
            until = min(until, self.beats_frozen_at)
        return float(int(until))

    def reading(self, *, agents: bool, catalogue: bool, probes: bool) -> Reading:
        """Read the tables, and the dialers' own ports."""
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
            agents=[self._agent_row(each) for each in self.rows.values()] if agents else None,
            conferences=[(ip.encode(), str(ROOMS).encode(), str(ROOMS - taken[ip]).encode()) for ip in self.dialers],
            catalogue=self._catalogue() if catalogue else None,
            probes={ip: {"ami": self._probe(each)} for ip, each in self.dialers.items()} if probes else {},
        )

    def _age(self, dialer: Dialer) -> float:
        return self.clock.now - self._beat(dialer)

    def _probe(self, dialer: Dialer) -> ProbeResult:
        if self.blind or dialer.cut_off or dialer.dead:
            return ProbeResult.UNREACHABLE
        return ProbeResult.MUTE if dialer.hung else ProbeResult.ALIVE

    def _agent_row(self, row: Live) -> Row:
        return (
            str(row.live_agent_id).encode(),
            row.user.encode(),
            row.server_ip.encode(),
            row.extension.encode(),
            b"8600051",
            row.status.encode(),
            b"CAMP",
            row.server_ip.encode() if row.status == "INCALL" else b"",
            row.external_pause.encode(),
            b"N",
            str(row.lead_id).encode(),
        )

    def _catalogue(self) -> CatalogueRows:
        phones: list[Row] = []
        aliases: list[Row] = []
        for agent in self.agents.values():
            logins = [self.login_of(agent.user, ip) for ip in self.dialers]
            aliases.append((agent.alias.encode(), b"", ",".join(logins).encode()))
            phones += [
                (login.encode(), ip.encode(), agent.user.encode(), b"Y", b"SIP", b"N", b"")
                for login, ip in zip(logins, self.dialers, strict=True)
            ]
        return CatalogueRows(
            phones=phones,
            aliases=aliases,
            campaigns=[(b"CAMP", b"DISABLED", b"50")],
            settings=[(b"100", b"1")],
            weights=[],
            missing_columns=(),
        )

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
        dialer.dead, dialer.beats_until = True, self.clock.now

    def bring_back(self, server_ip: str) -> None:
        """Boot a dialer: sessions on it are deleted."""
        dialer = self.dialers[server_ip]
        dialer.dead, dialer.hung_at = False, None
        dialer.beats_until, dialer.has_row = None, True
        for row in self.on(server_ip):
            del self.rows[row.live_agent_id]
