"""A call center's floor for tests: three dialers, and agents with an alias that has a phone on each."""

from collections import Counter
from collections.abc import Iterable

import msgspec

from controller.core.actions import AttemptId
from controller.core.judging import judge
from controller.core.plan import Plan, apply_plan
from controller.core.planning import make_plan
from controller.core.policy import Policy
from controller.core.state import ClusterState
from messages.codes import DecisionCode, Reason, ReasonCode
from messages.records import (
    AgentSession,
    AgentStatus,
    Decision,
    DialerHealth,
    DialerState,
    FleetHealth,
    Heartbeat,
    Incident,
    NotMoved,
    Phone,
    PhoneAlias,
    Relogin,
    ReloginStage,
)
from tests.support.builders import CLUSTER, NOW_MS, ONE, THREE, TWO, dialer, folded, poll

DIALERS = (ONE, TWO, THREE)
CALM = Policy(moves_per_second=1000)
BRAKE = Reason(ReasonCode.FLEET_BRAKE, "2 of 3 look bad")


class Floor:
    """Three dialers, and agents with an alias that has a phone on each."""

    def __init__(self, *on_one: AgentSession, policy: Policy = CALM, acts: bool = True) -> None:
        self.policy = policy
        self.acts = acts
        self.doubt: Reason | None = None
        self.submitted: frozenset[AttemptId] = frozenset()
        self.rooms = dict.fromkeys(DIALERS, 500)
        self.state: ClusterState = folded(
            *(phone(user, number) for user in users(on_one) for number in (1, 2, 3)),
            *(alias(user) for user in users(on_one)),
            poll(*map(dialer, DIALERS)),
        )
        self.sessions: dict[str, AgentSession] = {}
        self.poll(*on_one)
        self.judge()

    def poll(self, *sessions: AgentSession, gone: Iterable[str] = (), seconds: float = 0.5) -> None:
        """Let the next poll show these sessions too, and those of `gone` no more."""
        for session in sessions:
            self.sessions[session.user] = session
        for user in gone:
            del self.sessions[user]
        self.state.observed.agents = {user.lower(): each for user, each in self.sessions.items()}
        sequence, at_ms = self.state.observed.stamp[1] + 1, self.state.observed.observed_at_ms + round(seconds * 1000)
        beats = Heartbeat(progressed_at_ms=at_ms, watched_since_ms=NOW_MS, age_seconds=0.5)
        on = Counter(each.server_ip for each in self.sessions.values())
        at = [dialer(ip, on[ip], rooms_free=self.rooms[ip], heartbeat=beats) for ip in DIALERS]
        self.state.fold(poll(*at, sequence=sequence, at_ms=at_ms))

    def judge(self, brake: Reason | None = None, /, **states: DialerState) -> None:
        """Judge dialers ONE, TWO and THREE as said, and the others up."""
        named = {{"ONE": ONE, "TWO": TWO, "THREE": THREE}[name]: state for name, state in states.items()}
        self.state.observed.health = FleetHealth(
            polled_at_ms=self.state.observed.observed_at_ms,
            brake=brake,
            dialers={ip: health(named.get(ip, DialerState.UP)) for ip in DIALERS},
        )

    def remove(self, server_ip: str) -> None:
        """Let VICIdial have a dialer no longer; whether it is judged on is the detector's matter."""
        before = self.state.observed.health
        left = poll(*(each for ip, each in self.state.observed.dialers.items() if ip != server_ip))
        judged = judge(self.state, left, self.policy)
        kept = {ip: before.dialers[ip] for ip in judged.dialers}
        self.state.observed.health = msgspec.structs.replace(before, brake=None, dialers=kept)

    def plan(self) -> Plan:
        """Make a plan and apply it."""
        plan = make_plan(
            self.state, self.policy, "controller-1", acts=self.acts, doubt=self.doubt, submitted=self.submitted
        )
        apply_plan(self.state, plan)
        return plan

    def moves(self) -> list[Relogin]:
        """Make a plan, and return the moves that it began."""
        began = {ReloginStage.HANGING_UP, ReloginStage.PLANNED, ReloginStage.ADVISED}
        return [each for each in self.plan().records if isinstance(each, Relogin) and each.stage in began]

    @property
    def incident(self) -> Incident:
        """Return the only open incident."""
        (incident,) = self.state.decided.incidents.values()
        return incident

    def listed(self) -> dict[str, NotMoved]:
        """Return why each agent is not moved, by user."""
        return {each.user: each.why for each in self.incident.listed}


def health(state: DialerState) -> DialerHealth:
    down = state is DialerState.DOWN
    life = state if down else DialerState.UP
    return DialerHealth(
        state=state,
        since_ms=NOW_MS,
        verdict=life,
        life=life,
        confirmed=down,
        served=True,
        evidence=f"it is {state}",
    )


def users(sessions: Iterable[AgentSession]) -> list[str]:
    return sorted({each.user for each in sessions})


def phone(user: str, number: int) -> Phone:
    """Make an agent's phone on the Nth dialer; the extension is the same everywhere."""
    return Phone(
        cluster=CLUSTER,
        epoch=1,
        sequence=1,
        login=f"{user}{'abc'[number - 1]}",
        server_ip=DIALERS[number - 1],
        extension=user,
        protocol="SIP",
    )


def alias(user: str, alias_id: str = "") -> PhoneAlias:
    logins = tuple(f"{user}{letter}" for letter in "abc")
    return PhoneAlias(cluster=CLUSTER, epoch=1, sequence=1, alias_id=alias_id or f"desk{user}", logins=logins)


def agent(  # noqa: PLR0913 # a session has this many sides, and a test names those it is about
    user: str,
    server_ip: str = ONE,
    status: AgentStatus = AgentStatus.READY,
    *,
    number: int | None = None,
    remote: bool = False,
    call_server_ip: str = "",
    lead_id: int = 0,
    changed_at_ms: int = NOW_MS - 3000,
    external_pause: str = "",
) -> AgentSession:
    return AgentSession(
        cluster=CLUSTER,
        epoch=1,
        sequence=1,
        live_agent_id=int(user) if number is None else number,
        user=user,
        server_ip=server_ip,
        extension=f"R/{user}" if remote else f"SIP/{user}",
        status=status,
        remote=remote,
        call_server_ip=call_server_ip,
        lead_id=lead_id,
        external_pause=external_pause,
        changed_at_ms=changed_at_ms,
    )


def crowd(count: int, server_ip: str = ONE, first: int = 1001) -> list[AgentSession]:
    return [agent(str(first + number), server_ip) for number in range(count)]


def decisions(plan: Plan) -> list[tuple[DecisionCode, str, str]]:
    return [(each.code, each.why, each.subject) for each in plan.records if isinstance(each, Decision)]
