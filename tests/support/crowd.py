"""The rows of a large cluster without a database, as a collector would read them."""

import random
from collections.abc import Iterator

from collectors.catalogue import CatalogueRows
from collectors.observer import Reading, RestRows
from collectors.vicidial.rows import Row
from simulator.plan import AgentPlan, ClusterPlan

STATUSES = (b"READY", b"INCALL", b"INCALL", b"INCALL", b"PAUSED", b"CLOSER")
PHONES_PER_ALIAS = 6
ROOMS = 249


class Crowd:
    """A cluster whose agents change their status now and then; the same seed makes the same cluster."""

    def __init__(self, dialers: int, agents: int, *, phones_per_alias: int = PHONES_PER_ALIAS, seed: int = 1) -> None:
        self.plan = ClusterPlan(
            dialers=dialers, agents=agents, phones_per_alias=min(phones_per_alias, dialers), remote_agents=0, seed=seed
        )
        self._draw = random.Random(seed)  # noqa: S311 # it must repeat
        self._beats = 0
        self._agents = [
            self._agent(number, plan, plan.phones[number % len(plan.phones)].server_ip)
            for number, plan in enumerate(self.plan.agent_plans)
        ]

    def reading(self, *, agents: bool = True, catalogue: bool = False) -> Reading:
        """Return the rows of one poll; every heartbeat advances from one reading to the next."""
        self._beats += 1
        beat = f"2026-01-01 00:00:{self._beats % 60:02}".encode()
        return Reading(
            dialers=[
                (dialer.server_ip.encode(), dialer.server_id.encode(), b"", b"Y", b"Y", b"Y", b"", b"MEETME")
                for dialer in self.plan.dialer_plans
            ],
            heartbeats=[(dialer.server_ip.encode(), beat, None, b"0.5") for dialer in self.plan.dialer_plans],
            rest=RestRows(
                agents=self._agents if agents else None,
                conferences=[
                    (dialer.server_ip.encode(), str(ROOMS).encode(), str(ROOMS).encode())
                    for dialer in self.plan.dialer_plans
                ],
                confbridges=(),
                catalogue=self._catalogue() if catalogue else None,
            ),
        )

    def work(self, share: float) -> None:
        """Change the status of this share of the agents."""
        for _ in range(round(share * len(self._agents))):
            number = self._draw.randrange(len(self._agents))
            row = list(self._agents[number])
            row[5] = self._draw.choice(STATUSES)
            self._agents[number] = tuple(row)

    def _agent(self, number: int, plan: AgentPlan, server_ip: str) -> Row:
        return (
            str(number + 1).encode(),
            plan.user.encode(),
            server_ip.encode(),
            f"SIP/{plan.phones[0].extension}".encode(),
            str(8600051 + number % ROOMS).encode(),
            self._draw.choice(STATUSES),
            plan.campaign.campaign_id.encode(),
            b"",
            b"",
            b"N",
            b"0",
        )

    def _catalogue(self) -> CatalogueRows:
        return CatalogueRows(
            phones=list(self._phones()),
            aliases=[(a.alias.encode(), b"", a.logins_list.encode()) for a in self.plan.agent_plans],
            campaigns=[(c.campaign_id.encode(), b"DISABLED", b"50") for c in self.plan.campaigns],
            settings=[(b"100", b"1")],
            weights=[],
            missing_columns=(),
        )

    def _phones(self) -> Iterator[Row]:
        for agent in self.plan.agent_plans:
            for phone in agent.phones:
                yield (
                    phone.login.encode(),
                    phone.server_ip.encode(),
                    phone.extension.encode(),
                    b"Y",
                    b"SIP",
                    b"N",
                    b"",
                )
