"""hotdesk's ranking beside VICIdial's own choices, line by line.

    python -m tests.support.vectors selection-vectors.jsonl

Each line of `selection-vectors.jsonl` is a random cluster and what VICIdial's login page did in it; each line of
`selection-vectors-by-rule.jsonl` has rows as people write them, and what VICIdial's rule makes of them. With no slots
taken and VICIdial's two minutes as the threshold, hotdesk gives the same answer; but where VICIdial picks a phone
that is not active (and the login then fails), it gives the best phone that works.
"""

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from collectors.vicidial import rows
from controller.core.picks import rank_alias
from controller.core.policy import Policy
from controller.core.state import ClusterState
from messages.names import compared
from messages.records import (
    AgentStatus,
    Campaign,
    DialerReading,
    Grouping,
    Heartbeat,
    Phone,
    PhoneAlias,
    Poll,
    SystemSettings,
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
    typed = vector.get("typed", vector["alias"]["alias_id"])
    ranking = rank_alias(state_of(vector), TWO_MINUTES, typed, vector["campaign"]["campaign_id"])
    best = None if ranking is None else ranking.best
    mine = None if best is None else best.phone_login
    theirs: str | None = vector["vicidial"]["phone_login"]
    if compared(mine or "") == compared(theirs or ""):
        return Compared(theirs, mine, Verdict.AGREE)
    active = {phone["login"] for phone in vector["phones"] if phone["active"] == "Y"}
    theirs_fails = theirs is not None and theirs not in active
    mine_works = mine is None or mine in active
    return Compared(theirs, mine, Verdict.BETTER if theirs_fails and mine_works else Verdict.DIFFER)


def state_of(vector: dict[str, Any]) -> ClusterState:
    """Fold a vector as a collector would have published it: its rows are read as VICIdial's are."""
    stamp: dict[str, Any] = {"cluster": "vector", "epoch": 1, "sequence": 1}
    state, odd = ClusterState("vector"), rows.OddRows()
    settings = rows.settings([_row(vector["system_pllb_grouping_limit"], 1)], _weights(vector), (), odd)
    state.fold(SystemSettings(**stamp, grouping_limit=settings.grouping_limit, weights=dict(settings.weights)))
    campaign = vector["campaign"]
    state.fold(
        Campaign(
            **stamp,
            campaign_id=campaign["campaign_id"],
            grouping=Grouping(campaign["pllb_grouping"]),
            grouping_limit=campaign["pllb_grouping_limit"],
        )
    )
    dialers = {each["server_ip"]: rows.dialers([_server(each)], odd) for each in vector["servers"]}
    known = {server_ip: dialer for of_one in dialers.values() for server_ip, dialer in of_one.items()}
    phones = rows.phones(map(_phone, vector["phones"]), known, odd)
    alias = vector["alias"]
    aliases = rows.aliases([_row(alias["alias_id"], "", ",".join(alias["logins_list"]))], phones, odd)
    for phone in phones.values():
        state.fold(Phone(**stamp, **phone._asdict()))
    for row in aliases.values():
        state.fold(PhoneAlias(**stamp, **row._asdict()))
    state.fold(
        Poll(
            **stamp,
            observed_at_ms=NOW_MS,
            full_sequence=1,
            collector="vectors",
            dialers=tuple(
                _reading(dialer, server, campaign["campaign_id"], vector["agents_in_campaign"])
                for server in vector["servers"]
                for dialer in dialers[server["server_ip"]].values()
            ),
        )
    )
    return state


def _row(*values: object) -> rows.Row:
    return tuple(str(value).encode() for value in values)


def _weights(vector: dict[str, Any]) -> list[rows.Row]:
    """Return the row of the weight container, which a vector has line by line or as its text; none: there is none."""
    written: dict[str, int] | str = vector["agent_load_balancing_weight"]
    if isinstance(written, dict):
        written = "\n".join(f"{server_ip},{weight}" for server_ip, weight in written.items())
    return [_row(written)] if written else []


def _server(server: dict[str, Any]) -> rows.Row:
    flags = server["active"], server["active_agent_login_server"], "Y"
    return _row(server["server_ip"], "", "", *flags, server["active_twin_server_ip"], "MEETME")


def _phone(phone: dict[str, Any]) -> rows.Row:
    return _row(phone["login"], phone["server_ip"], phone["login"], phone["active"], "SIP", "N", "")


def _reading(
    dialer: rows.DialerRow, server: dict[str, Any], campaign_id: str, in_campaign: dict[str, int]
) -> DialerReading:
    progressed_at_ms = NOW_MS - 1000 * server["heartbeat_age_s"]
    return DialerReading(
        server_ip=dialer.server_ip,
        active=dialer.active,
        agent_logins=dialer.agent_logins,
        twin_server_ip=dialer.twin_server_ip,
        heartbeat=Heartbeat(progressed_at_ms=progressed_at_ms, watched_since_ms=progressed_at_ms),
        agents={AgentStatus.READY: server["agents"]},
        remote_agents=server["remote_agents"],
        campaigns={campaign_id: in_campaign.get(server["server_ip"], 0)},
        rooms=server["free_conferences"],
        rooms_free=server["free_conferences"],
    )


def main(files: Sequence[Path]) -> int:
    """Compare every line of the files; 0 if none differs, 2 where one is no such file."""
    differing = 0
    for file in files:
        try:
            counts = _compare_lines(file)
        except OSError as error:
            print(f"vectors: {file} cannot be read: {error.strerror}; give the file with FILE=…", file=sys.stderr)
            return 2
        except ValueError as error:
            print(f"vectors: {error}", file=sys.stderr)
            return 2
        print(f"{file.name}: {', '.join(f'{verdict} {count}' for verdict, count in counts.items())}")
        differing += counts[Verdict.DIFFER]
    return 1 if differing else 0


def _compare_lines(file: Path) -> dict[Verdict, int]:
    """Compare a file line by line, and return how many lines have which verdict; print those that differ.

    Raises:
        OSError: the file cannot be read.
        ValueError: a line is no selection vector.
    """
    counts = dict.fromkeys(Verdict, 0)
    for number, line in enumerate(file.read_bytes().splitlines(), start=1):
        try:
            outcome = compare(msgspec.json.decode(line))
        except (msgspec.DecodeError, LookupError, TypeError) as error:
            raise ValueError(f"line {number} of {file} is no selection vector: {error!r}") from error
        counts[outcome.verdict] += 1
        if outcome.verdict is Verdict.DIFFER:
            print(f"{file.name}, line {number}: VICIdial {outcome.vicidial}, hotdesk {outcome.hotdesk}")
    return counts


if __name__ == "__main__":
    sys.exit(main([Path(each) for each in sys.argv[1:]]))
