"""One record of every kind, with every field that matters set."""

from typing import Any

from messages.codes import DecisionCode, ReasonCode
from messages.records import (
    Acknowledge,
    AgentPause,
    AgentPauseStage,
    AgentSession,
    AgentStatus,
    AnyRecord,
    Campaign,
    DeadLetter,
    Decision,
    DialerHealth,
    DialerReading,
    DialerState,
    Drain,
    EpochClaim,
    Fence,
    FenceStage,
    FleetHealth,
    Grouping,
    Heartbeat,
    HookSight,
    Incident,
    Ineligible,
    Listed,
    LoginSlot,
    Move,
    NotMoved,
    Outage,
    Pause,
    Phone,
    PhoneAlias,
    Poll,
    ProbeHistory,
    ProbeResult,
    RankedDialer,
    RankingSnapshot,
    Relogin,
    ReloginStage,
    Resynchronise,
    SystemSettings,
    Unbrake,
    Unfence,
)
from messages.topics import Topic
from messages.words import reason

POLL = Poll(
    cluster="west",
    epoch=3,
    sequence=7,
    observed_at_ms=1_700_000_000_500,
    full_sequence=1,
    collector="collector-1",
    dialers=(
        DialerReading(
            server_ip="10.0.0.11",
            server_id="dialer-11",
            description="Köln ☎",
            twin_server_ip="10.0.0.12",
            heartbeat=Heartbeat(
                progressed_at_ms=1_700_000_000_000,
                watched_since_ms=1_699_999_999_000,
                age_seconds=0.5,
                clock_skew_seconds=-1.25,
            ),
            agents={AgentStatus.INCALL: 12, AgentStatus.OTHER: 1},
            remote_agents=2,
            campaigns={"SALES": 13},
            rooms=300,
            rooms_free=287,
            probes={"ami": ProbeResult.ALIVE, "sip": ProbeResult.MUTE},
        ),
        DialerReading(server_ip="10.0.0.12", active=False, agent_logins=False, asterisk=False),
    ),
    odd_rows={"no such server": 1},
)
STAMPED: dict[str, Any] = {"cluster": "west", "epoch": 3, "sequence": 7}
ORDERED: dict[str, Any] = {"cluster": "west", "ordered_at_ms": 1_700_000_000_000, "by": "anna", "why": "test"}
RECORDS: list[tuple[Topic, AnyRecord]] = [
    (Topic.OBSERVATIONS, POLL),
    (
        Topic.OBSERVATIONS,
        Outage(**STAMPED, unreachable_since_ms=1, collector="c", why="Can't connect to MySQL server"),
    ),
    (Topic.OBSERVATIONS, EpochClaim(**STAMPED, collector="collector-1")),
    (
        Topic.OBSERVATIONS,
        AgentSession(
            **STAMPED,
            live_agent_id=42,
            user="6666",
            server_ip="10.0.0.11",
            extension="SIP/cc101",
            conf_exten="8600051",
            status=AgentStatus.QUEUE,
            campaign_id="SALES",
            call_server_ip="10.0.0.12",
            external_pause="PAUSE!1700000000",
            on_hook=True,
            remote=True,
        ),
    ),
    (
        Topic.OBSERVATIONS,
        Phone(**STAMPED, login="cc101", server_ip="10.0.0.11", active=False, protocol="SIP", webphone=True),
    ),
    (Topic.OBSERVATIONS, PhoneAlias(**STAMPED, alias_id="anna", name="Anna", logins=("cc101", "cc201"))),
    (Topic.OBSERVATIONS, Campaign(**STAMPED, campaign_id="SALES", grouping=Grouping.CASCADING, grouping_limit=7)),
    (
        Topic.OBSERVATIONS,
        SystemSettings(**STAMPED, weights={"10.0.0.11": 1.5}, missing_columns=("phones.peer_status",)),
    ),
    (Topic.ORDERS, Resynchronise(**ORDERED)),
    (Topic.ORDERS, Pause(**ORDERED)),
    (Topic.ORDERS, Drain(**ORDERED, server_ip="10.0.0.11")),
    (Topic.ORDERS, Acknowledge(**ORDERED, incident="i-1", silence_until_ms=5)),
    (Topic.ORDERS, Move(**ORDERED, user="6666", live_agent_id=42)),
    (Topic.ORDERS, Unbrake(**ORDERED, bad_since_ms=5)),
    (Topic.ORDERS, Unfence(**ORDERED, server_ip="10.0.0.11", planned_at_ms=5)),
    (
        Topic.LOGINS,
        LoginSlot(
            cluster="west",
            user="6666",
            alias_id="anna",
            phone_login="cc101",
            server_ip="10.0.0.11",
            handed_out_at_ms=1,
            handed_out_by="controller-1",
            until_ms=30_001,
            replaces=42,
        ),
    ),
    (Topic.LOGINS, HookSight(cluster="west", web="web1", seen_at_ms=1)),
    (
        Topic.RANKINGS,
        RankingSnapshot(
            cluster="west",
            epoch=3,
            sequence=7,
            observed_at_ms=1,
            owner="controller-1",
            owner_url="",
            dialers=(
                RankedDialer(server_ip="10.0.0.11", rank=1, agents=13, slots=1, load=14.0, rooms_free=286),
                RankedDialer(
                    server_ip="10.0.0.12",
                    rank=None,
                    ineligible_because=(Ineligible.SWITCHED_OFF, Ineligible.CLOSED),
                    agents=0,
                    slots=0,
                    load=0.0,
                    rooms_free=0,
                    heartbeat_stalled_seconds=2.5,
                ),
            ),
            imbalance=1.0,
            health=FleetHealth(
                epoch=3,
                polled_at_ms=1,
                bad_since_ms=1,
                brake=reason(ReasonCode.FLEET_BRAKE, bad=2, service=3),
                dialers={
                    "10.0.0.12": DialerHealth(
                        state=DialerState.DRAINING,
                        since_ms=1,
                        evidence="active=N",
                        life=DialerState.UP,
                        deaths=1,
                        probes={"ami": ProbeHistory(told=ProbeResult.MUTE, since_ms=1, credible=True)},
                    )
                },
            ),
        ),
    ),
    (
        Topic.INCIDENTS,
        Incident(
            cluster="west",
            incident="i-1",
            server_ip="10.0.0.11",
            kind=DialerState.DOWN,
            opened_at_ms=1,
            why="heartbeat stalled",
            listed=(Listed(user="6666", live_agent_id=42, why=NotMoved.NOWHERE),),
            by="controller-1",
        ),
    ),
    (
        Topic.RELOGINS,
        Relogin(
            cluster="west",
            live_agent_id=42,
            user="6666",
            incident="i-1",
            from_server_ip="10.0.0.11",
            to_server_ip="10.0.0.12",
            phone_login="cc201",
            planned_at_ms=1,
            stage=ReloginStage.MOVED,
            changed_at_ms=2,
        ),
    ),
    (
        Topic.RELOGINS,
        AgentPause(
            cluster="west",
            live_agent_id=42,
            user="6666",
            incident="i-1",
            server_ip="10.0.0.11",
            stage=AgentPauseStage.PAUSED,
            seen=True,
            mark="PAUSE!1700000000",
        ),
    ),
    (
        Topic.RELOGINS,
        Fence(cluster="west", server_ip="10.0.0.11", incident="i-1", planned_at_ms=1, stage=FenceStage.TAKEN),
    ),
    (
        Topic.AUDIT,
        Decision(
            code=DecisionCode.MOVE_PLANNED, cluster="west", at_ms=1, actor="controller-1", what="moved", why="down"
        ),
    ),
    (
        Topic.DEAD_LETTERS,
        DeadLetter(
            cluster="", topic=Topic.OBSERVATIONS, partition=3, offset=9, key="", why="not JSON", value_base64=""
        ),
    ),
]
