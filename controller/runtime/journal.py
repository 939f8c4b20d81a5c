"""The journal of the owner: a line for each decision, order and action, at a level that one can filter by.

Every process reads every decision from the log. Only the owner of the cluster writes them to its journal, and only as
they come in: so each is one line, in one journal.
"""

import logging

import structlog

from messages.codes import DecisionCode
from messages.records import Decision

WARNINGS = frozenset(
    {
        DecisionCode.INCIDENT_OPENED,
        DecisionCode.INCIDENT_CHANGED,
        DecisionCode.MOVES_WITHHELD,
        DecisionCode.NOT_MOVED,
        DecisionCode.MOVE_FORCED,
        DecisionCode.MOVE_GIVEN_UP,
        DecisionCode.NOT_ARRIVED,
        DecisionCode.NOT_RESUMED,
        DecisionCode.PAUSE_GIVEN_UP,
        DecisionCode.PAUSE_NOT_TAKEN_BACK,
        DecisionCode.FENCE_NOT_TAKEN,
        DecisionCode.FENCE_UNCLEAR,
        DecisionCode.NOT_UNFENCED,
        DecisionCode.SESSION_NOT_ENDED,
    }
)
"""Decisions that somebody may have to look at; all others are information."""

log = structlog.get_logger()


def write(decision: Decision) -> None:
    """Write a decision as one line."""
    level = logging.WARNING if decision.code in WARNINGS else logging.INFO
    log.log(
        level,
        decision.what,
        cluster=decision.cluster,
        subject=decision.subject,
        why=decision.why,
        code=str(decision.code),
        by=decision.actor,
        at_ms=decision.at_ms,
    )


def write_ownership(gained: list[str], lost: list[str]) -> None:
    """Write which clusters this process decides for from now on, and for which no longer."""
    for cluster in gained:
        log.info("this process is the owner of a cluster now", cluster=cluster)
    for cluster in lost:
        log.info("this process is no longer the owner of a cluster", cluster=cluster)
