"""The plan of a simulated VICIdial cluster, before any of it exists.

A plan is a description without a connection: the same plan with the same seed names the same dialers, agents, phones
and aliases, so a run can be repeated, and two systems can be measured on the same cluster.
"""

import ipaddress
import random
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

LOGINS_LIST_LENGTH = 255
"""`phones_alias.logins_list` is VARCHAR(255)."""
FIRST_ROOM = 8600051
FIRST_DESK = 1001
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class CampaignPlan:
    """A campaign; the agents of an inbound one wait as CLOSER, others as READY."""

    campaign_id: str
    inbound: bool = False
    pllb_grouping: Literal["DISABLED", "ONE_SERVER_ONLY", "CASCADING"] = "DISABLED"
    pllb_grouping_limit: int = 50


@dataclass(frozen=True, slots=True)
class DialerPlan:
    """One dialer; the logins of the phones on it end with its letters."""

    server_ip: str
    server_id: str
    letters: str


@dataclass(frozen=True, slots=True)
class PhonePlan:
    """One phone: the desk's extension on one dialer."""

    login: str
    extension: str
    server_ip: str


@dataclass(frozen=True, slots=True)
class AgentPlan:
    """One agent with a desk of their own: its alias, and one phone on each dialer the alias covers."""

    user: str
    alias: str
    campaign: CampaignPlan
    phones: tuple[PhonePlan, ...]

    @property
    def logins_list(self) -> str:
        """The alias's phones in order."""
        return ",".join(phone.login for phone in self.phones)


@dataclass(frozen=True, slots=True)
class RemoteAgentPlan:
    """A remote agent: a row without a browser, kept by a script of its dialer."""

    user: str
    extension: str
    server_ip: str
    campaign: CampaignPlan


@dataclass(frozen=True)
class ClusterPlan:
    """The composition of a cluster.

    Attributes:
        dialers: Number of dialers.
        agents: Number of agents, each with a user and an alias.
        phones_per_alias: Number of dialers on which each alias has a phone, chosen by the seed; None: all, or as
            many as `logins_list` has room for.
        campaigns: The campaigns, to which agents are assigned in turn.
        remote_agents: Number of remote agents, assigned to the dialers in turn.
        rooms: Conference rooms of each dialer.
        conf_engine: The kind of rooms on the dialers.
        weights: The container AGENT_LOAD_BALANCING_WEIGHT by `server_ip`; empty: no container.
        first_ip: The first dialer's address; the others follow it. A dialer at a loopback address answers SIP.
        seed: The same seed makes the same plan.
    """

    dialers: int = 6
    agents: int = 180
    phones_per_alias: int | None = None
    campaigns: tuple[CampaignPlan, ...] = (CampaignPlan("SALES"), CampaignPlan("SUPPORT", inbound=True))
    remote_agents: int = 3
    rooms: int = 249
    conf_engine: Literal["MEETME", "CONFBRIDGE"] = "MEETME"
    weights: dict[str, float] = field(default_factory=dict)
    first_ip: str = "127.20.0.11"
    seed: int = 1

    def __post_init__(self) -> None:
        if self.phones_per_alias is not None and not 1 <= self.phones_per_alias <= self._most_phones:
            raise ValueError(
                f"An alias can have 1 to {self._most_phones} phones here ({self.dialers} dialers, and"
                f" logins_list has {LOGINS_LIST_LENGTH} characters), not {self.phones_per_alias}"
            )

    @cached_property
    def dialer_plans(self) -> tuple[DialerPlan, ...]:
        """The dialers, in the order of their addresses."""
        first = ipaddress.IPv4Address(self.first_ip)
        return tuple(
            DialerPlan(server_ip=str(first + number), server_id=f"DIALER{number + 1}", letters=letters)
            for number, letters in zip(range(self.dialers), self._dialer_letters(), strict=True)
        )

    @cached_property
    def agent_plans(self) -> tuple[AgentPlan, ...]:
        """The agents, in the order of their users."""
        draw = random.Random(f"{self.seed}/aliases")
        count = self.phones_per_alias or self._most_phones
        return tuple(
            AgentPlan(
                user=str(desk),
                alias=f"desk{desk}",
                campaign=self.campaigns[number % len(self.campaigns)],
                phones=tuple(
                    PhonePlan(f"{desk}{dialer.letters}", str(desk), dialer.server_ip)
                    for dialer in draw.sample(self.dialer_plans, k=count)
                ),
            )
            for number, desk in enumerate(range(FIRST_DESK, FIRST_DESK + self.agents))
        )

    @cached_property
    def remote_agent_plans(self) -> tuple[RemoteAgentPlan, ...]:
        """The remote agents."""
        return tuple(
            RemoteAgentPlan(
                user=f"r{number + 1}",
                extension=f"R/{9001 + number}",
                server_ip=self.dialer_plans[number % self.dialers].server_ip,
                campaign=self.campaigns[number % len(self.campaigns)],
            )
            for number in range(self.remote_agents)
        )

    @cached_property
    def room_numbers(self) -> range:
        """`conf_exten` of each dialer's rooms."""
        return range(FIRST_ROOM, FIRST_ROOM + self.rooms)

    @property
    def _most_phones(self) -> int:
        """The number of phones that fit in the list of the desk with the longest number."""
        longest = len(str(FIRST_DESK + self.agents - 1)) + len(self._dialer_letters()[-1])
        return min(self.dialers, (LOGINS_LIST_LENGTH + 1) // (longest + 1))

    def _dialer_letters(self) -> list[str]:
        if self.dialers <= len(_LETTERS):
            return list(_LETTERS[: self.dialers])
        return [first + second for first in _LETTERS for second in _LETTERS][: self.dialers]
