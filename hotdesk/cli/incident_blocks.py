"""An incident as a block of lines for a terminal of 80 columns, which cuts nothing that somebody has to copy."""

import textwrap
from collections.abc import Iterable, Iterator
from datetime import tzinfo

from controller.api.schemas import IncidentAnswer
from controller.core.explanations import agents_words, is_advice
from hotdesk.cli.times import local_clock
from messages.records import NOT_ARRIVED, Incident, Listed
from messages.shown import printable
from messages.words import sentence

COLUMNS = 80
"""Of the narrowest terminal; a word that is longer has a line of its own."""


def incident_block(
    answer: IncidentAnswer, server_id: str, *, cluster: str = "", zone: tzinfo | None = None
) -> list[str]:
    """Return the lines about an incident, of which the first says dialer, state and since when.

    `server_id`: the dialer's name, empty if it has none; `cluster`: what a command about it has to name, empty for
    nothing; `zone`: of the times, None for that of this machine.
    """
    incident = answer.incident
    dialer = f"{server_id} ({incident.server_ip})" if server_id else incident.server_ip
    since = local_clock(incident.opened_at_ms, zone)
    lines = [_line(f"{dialer}: {incident.kind} since {since}", "", "  ")]
    if incident.closed_at_ms is not None:
        lines.append(_line(f"closed: {local_clock(incident.closed_at_ms, zone)}"))
    lines += map(_line, _words(answer, zone))
    # never wrapped: they are to be copied
    lines.append([f"  incident: {incident.incident}"])
    if incident.closed_at_ms is None and not answer.acknowledged_by:
        lines.append(["  to acknowledge it:"])
        lines.append([f"    hotdesk ack {incident.server_ip}" + (f" --cluster {cluster}" if cluster else "")])
    if incident.listed:
        lines.append([f"  listed, {agents_words(len(incident.listed))}:"])
        lines += [_line(each, "    ", "      ") for each in listed_lines(incident.listed)]
    return [line for some in lines for line in some]


def listed_lines(listed: Iterable[Listed]) -> Iterator[str]:
    """Yield each reason of agents who are listed, with their users, and what is known of their phones."""
    groups: dict[str, list[str]] = {}
    for each in listed:
        arrived = "not arrived" if each.why in NOT_ARRIVED else "not moved"
        facts = (each.phone_login, each.server_ip and f"on {each.server_ip}", each.peer_status.lower())
        phone = " ".join(filter(None, facts))
        groups.setdefault(f"{arrived}, {sentence(each.why)}", []).append(each.user + (f" ({phone})" if phone else ""))
    return (f"{why}: {', '.join(users)}" for why, users in groups.items())


def _words(answer: IncidentAnswer, zone: tzinfo | None) -> Iterator[str]:
    incident = answer.incident
    yield f"why: {incident.why}" + (", a probe confirms it" if incident.confirmed else "")
    if incident.in_maintenance:
        yield "planned: a maintenance window covers it"
    if incident.withheld:
        yield f"no agent is moved now: {incident.withheld}"
    yield f"{agents_words(incident.agents)} still there; {_moves(incident, advice=is_advice(answer.moves))}"
    if answer.acknowledged_by:
        until = answer.silenced_until_ms
        silenced = f", silenced until {local_clock(until, zone)}" if until is not None else ""
        yield f"acknowledged by {answer.acknowledged_by}{silenced}"
    elif incident.closed_at_ms is None:
        yield "not acknowledged"


def _moves(incident: Incident, *, advice: bool) -> str:
    moves = "1 move" if incident.moves == 1 else f"{incident.moves} moves"
    return f"{moves} advised" if advice else f"{moves}, {incident.moved} moved, {incident.arrived} arrived"


def _line(text: str, first: str = "  ", rest: str = "    ") -> list[str]:
    """Return a text in lines that fit; no address and no name is parted."""
    return textwrap.wrap(
        printable(text),
        COLUMNS,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
