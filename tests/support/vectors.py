"""hotdesk's ranking beside VICIdial's own choices, line by line.

    python -m tests.support.vectors selection-vectors.jsonl

Each line of the file is a random cluster and what VICIdial's login page did in it. With no slots taken and VICIdial's
two minutes as the threshold, hotdesk gives the same answer; but where VICIdial picks a phone that is not active (and
the login then fails), it gives the best phone that works.
"""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from controller.core.picks import rank_alias
from controller.core.policy import Policy
from controller.core.state import ClusterState
from messages.records import (
    AgentStatus,
    Campaign,
    SystemSettings,
    DialerReading,
    Grouping,
    Heartbeat,
    Phone,
    PhoneAlias,
    Poll,
)

TWO_MINUTES = Policy(stalled_after_seconds=120.0)
NOW_MS = 1_000_000_000


class Verdict(StrEnum):
    """How hotdesk's answer compares."""

    AGREE = "agree"
    BETTER = "better"
    DIFFER = "differ"


class Compared(NamedTuple):
    """One line's answers: a phone login, or None where nobody can log in."""

    vicidial: str | None
    hotdesk: str | None
    verdict: Verdict


def compare(vector: dict[str, Any]) -> Compared:
    """Rank a vector's alias and compare."""
    ranking = rank_alias(state_of(vector), TWO_MINUTES, vector["alias"]["alias_id"], vector["campaign"]["campaign_id"])
    best = None if ranking is None else ranking.best
    mine = None if best is None else best.phone_login
    theirs: str | None = vector["vicidial"]["phone_login"]
    if mine == theirs:
        return Compared(theirs, mine, Verdict.AGREE)
    active = {phone["login"] for phone in vector["phones"] if phone["active"] == "Y"}
    theirs_fails = theirs is not None and theirs not in active
    mine_works = mine is None or mine in active
    return Compared(theirs, mine, Verdict.BETTER if theirs_fails and mine_works else Verdict.DIFFER)


def state_of(vector: dict[str, Any]) -> ClusterState:
    """Fold a vector as a collector would have published it."""
    stamp: dict[str, Any] = {"cluster": "vector", "epoch": 1, "sequence": 1}
    state = ClusterState("vector")
    campaign = vector["campaign"]
    state.fold(
        SystemSettings(
            **stamp,
            grouping_limit=vector["system_pllb_grouping_limit"],
            weights=vector["agent_load_balancing_weight"],
        )
    )
    state.fold(
        Campaign(
            **stamp,
            campaign_id=campaign["campaign_id"],
            grouping=Grouping(campaign["pllb_grouping"]),
            grouping_limit=campaign["pllb_grouping_limit"],
        )
    )
    for phone in vector["phones"]:
        state.fold(Phone(**stamp, login=phone["login"], server_ip=phone["server_ip"], active=phone["active"] == "Y"))
    alias = vector["alias"]
    state.fold(PhoneAlias(**stamp, alias_id=alias["alias_id"], logins=tuple(alias["logins_list"])))
    state.fold(
        Poll(
            **stamp,
            observed_at_ms=NOW_MS,
            full_sequence=1,
            collector="vectors",
            dialers=tuple(
                _reading(server, campaign["campaign_id"], vector["agents_in_campaign"]) for server in vector["servers"]
            ),
        )
    )
    return state


def _reading(server: dict[str, Any], campaign_id: str, in_campaign: dict[str, int]) -> DialerReading:
    progressed_at_ms = NOW_MS - 1000 * server["heartbeat_age_s"]
    return DialerReading(
        server_ip=server["server_ip"],
        active=server["active"] == "Y",
        agent_logins=server["active_agent_login_server"] == "Y",
        twin_server_ip=server["active_twin_server_ip"],
        heartbeat=Heartbeat(progressed_at_ms=progressed_at_ms, watched_since_ms=progressed_at_ms),
        agents={AgentStatus.READY: server["agents"]},
        remote_agents=server["remote_agents"],
        campaigns={campaign_id: in_campaign.get(server["server_ip"], 0)},
        rooms=server["free_conferences"],
        rooms_free=server["free_conferences"],
    )


def main(path: Path) -> int:
    """Compare every line of a file; 0 if none differs, 2 where it is no such file."""
    counts = dict.fromkeys(Verdict, 0)
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        print(f"vectors: {path} cannot be read: {error.strerror}; give the file with FILE=…", file=sys.stderr)
        return 2
    for number, line in enumerate(lines, start=1):
        try:
            compared = compare(msgspec.json.decode(line))
        except (msgspec.DecodeError, LookupError, TypeError) as error:
            print(f"vectors: line {number} of {path} is no selection vector: {error!r}", file=sys.stderr)
            return 2
        counts[compared.verdict] += 1
        if compared.verdict is Verdict.DIFFER:
            print(f"line {number}: VICIdial {compared.vicidial}, hotdesk {compared.hotdesk}")
    print(", ".join(f"{verdict} {count}" for verdict, count in counts.items()))
    return 1 if counts[Verdict.DIFFER] else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
