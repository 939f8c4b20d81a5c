"""Read sessions and control agents' screens by VICIdial's database.

An agent's screen reads its own row once a second. `external_pause='LOGOUT'` there makes it log out as the agent would.
A screen in a call waits until that call is over and disposed; it can be sent a hang-up, and the status to set. One
UPDATE names session and dialer, so it can hit no other agent.
"""

from typing import Any

import pymysql

from controller.core.actions import Outcome, SessionRow
from controller.core.actions.relogin import LOGOUT
from controller.vicidial.connections import COLUMN_DENIED, Statements, error_text
from controller.vicidial.ports import VicidialError, WhyNot
from messages.codes import Reply
from messages.records import AgentPause, Arrival, Relogin

LOOK = """
    SELECT live_agent_id, server_ip, IF(status = 'PAUSED' AND lead_id > 0 AND callerid <> '', 'INCALL', status),
           external_pause, lead_id
    FROM vicidial_live_agents WHERE user = %s
"""
"""VICIdial's clean-up pauses agents whose tab sleeps, in a call too; a call that is over has no callerid."""
LOOK_WITHOUT_CALL = LOOK.replace("callerid", "''")
LOOK_WITHOUT_LEAD = LOOK_WITHOUT_CALL.replace("lead_id", "0")
LOOKS: tuple[str, ...] = (LOOK, LOOK_WITHOUT_CALL, LOOK_WITHOUT_LEAD)
"""The look, and what the grants of an earlier hotdesk and of one before it leave of it: without the lead no
disposition is waited for."""
STATUSES = (
    "SELECT status FROM vicidial_statuses WHERE status = %s LIMIT 1",
    "SELECT status FROM vicidial_campaign_statuses WHERE status = %s LIMIT 1",
)
LOG_OUT = """
    UPDATE vicidial_live_agents SET external_pause = %s
    WHERE live_agent_id = %s AND user = %s AND server_ip = %s AND external_pause <> %s
"""
HANG_UP_AND_LOG_OUT = """
    UPDATE vicidial_live_agents SET external_hangup = '1', external_pause = %s
    WHERE live_agent_id = %s AND user = %s AND server_ip = %s AND external_pause <> %s
"""
HANG_UP_DISPOSE_AND_LOG_OUT = """
    UPDATE vicidial_live_agents SET external_hangup = '1', external_status = %s, external_pause = %s
    WHERE live_agent_id = %s AND user = %s AND server_ip = %s AND external_pause <> %s
"""
HANG_UP = """
    UPDATE vicidial_live_agents SET external_hangup = '1' WHERE live_agent_id = %s AND user = %s AND server_ip = %s
"""
HANG_UP_AND_DISPOSE = """
    UPDATE vicidial_live_agents SET external_hangup = '1', external_status = %s
    WHERE live_agent_id = %s AND user = %s AND server_ip = %s
"""
# VICIdial's screen obeys each of these once, and recognises a new one by its second
PAUSE = """
    UPDATE vicidial_live_agents SET external_pause = CONCAT('PAUSE!', UNIX_TIMESTAMP())
    WHERE live_agent_id = %s AND user = %s AND server_ip = %s AND external_pause <> %s
"""
RESUME = """
    UPDATE vicidial_live_agents SET external_pause = CONCAT('RESUME!', UNIX_TIMESTAMP())
    WHERE live_agent_id = %s AND user = %s AND server_ip = %s AND external_pause = %s
"""
_NO_ROW = (0, "", "")


class SqlSessionReader:
    """Reads the rows of single agents."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements
        self._looks = LOOKS

    def sessions(self, user: str) -> tuple[SessionRow, ...]:
        """Return every row of a user.

        Raises:
            VicidialError: the database does not answer or refuses.
        """
        try:
            rows = self._read(user)
        except (pymysql.MySQLError, OSError) as error:
            raise VicidialError(f"VICIdial's database could not be read for {user!r}: {error_text(error)}") from error
        return tuple(
            # blanks at its end, as the phone's row may have them, count nowhere in SQL
            SessionRow(int(number), (ip or "").rstrip(" "), pause or "", status or "", int(lead_id or 0))
            for number, ip, status, pause, lead_id in rows
        )

    def _read(self, user: str) -> tuple[tuple[Any, ...], ...]:
        looks = self._looks
        try:
            return self._statements.read(looks[0], (user,))
        except pymysql.OperationalError as error:
            if error.args[0] != COLUMN_DENIED or len(looks) == 1:
                raise
        self._looks = looks[1:]
        return self._read(user)

    def knows_status(self, status: str) -> bool:
        """Return True if VICIdial, or one of its campaigns, has this status.

        Raises:
            VicidialError: the database does not answer or refuses.
        """
        try:
            return any(self._statements.read(statement, (status,)) for statement in STATUSES)
        except (pymysql.MySQLError, OSError) as error:
            raise VicidialError(f"VICIdial's statuses cannot be read: {error_text(error)}") from error


class SqlAgentControl:
    """Agent control by one UPDATE on the agent's own row."""

    names_user = False
    ways = 1

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    def log_out(self, relogin: Relogin, hang_up_as: str | None, why_not: WhyNot) -> Outcome:  # noqa: ARG002 # one step
        """As `AgentControl.log_out`; it changes exactly that session on that dialer, or nothing."""
        row = (relogin.live_agent_id, relogin.user, relogin.from_server_ip, LOGOUT)
        statement = LOG_OUT
        values: tuple[object, ...] = (LOGOUT, *row)
        if hang_up_as:
            statement, values = HANG_UP_DISPOSE_AND_LOG_OUT, (hang_up_as, *values)
        elif hang_up_as is not None:
            statement = HANG_UP_AND_LOG_OUT
        return self._write(statement, values, "external_pause is LOGOUT")

    def hang_up(self, relogin: Relogin, hang_up_as: str) -> Outcome:
        """As `AgentControl.hang_up`; a row that has the hang-up already is as good as a changed one."""
        row = (relogin.live_agent_id, relogin.user, relogin.from_server_ip)
        statement = HANG_UP_AND_DISPOSE if hang_up_as else HANG_UP
        outcome = self._statements.write(statement, (hang_up_as, *row) if hang_up_as else row, "external_hangup is 1")
        if outcome.reply is Reply.GONE:
            return Outcome(Reply.DONE, "the row already had the hang-up, or has changed since")
        return outcome

    def pause(self, pause: AgentPause) -> Outcome:
        """As `AgentControl.pause`; it never replaces a LOGOUT."""
        row = (pause.live_agent_id, pause.user, pause.server_ip, LOGOUT)
        return self._write(PAUSE, row, "external_pause is PAUSE")

    def resume(self, action: AgentPause | Arrival) -> Outcome:
        """As `AgentControl.resume`; only if the row still has our pause, or nothing if there was none."""
        mark = action.mark if isinstance(action, AgentPause) else ""
        row = (action.live_agent_id, action.user, action.server_ip, mark)
        return self._write(RESUME, row, "external_pause is RESUME")

    def tell(self, arrival: Arrival) -> Outcome:
        """As `AgentControl.tell`; not by SQL: it would be a right to write to every agent's screen."""
        return Outcome(Reply.REFUSED, f"{arrival.user} can be told by VICIdial's agent API only")

    def call(self, arrival: Arrival) -> Outcome:
        """As `AgentControl.call`; not by SQL: a second call to a phone that has just answered cannot be kept out."""
        return Outcome(Reply.REFUSED, f"the phone of {arrival.user} can be called by VICIdial's agent API only")

    def ready(self) -> Outcome | None:
        """As `AgentControl.ready`: a connection is looked at where it is used."""
        return None

    def missing_rights(self, dead_call_status: str, *, tells: bool = False) -> str | None:  # noqa: ARG002 # it cannot
        """As `AgentControl.missing_rights`."""
        tried = (
            self._statements.write(HANG_UP_DISPOSE_AND_LOG_OUT, (dead_call_status, LOGOUT, *_NO_ROW, LOGOUT), ""),
            self._statements.write(PAUSE, (*_NO_ROW, LOGOUT), ""),
        )
        return next((outcome.said for outcome in tried if outcome.reply is not Reply.GONE), None)

    def _write(self, statement: str, values: tuple[object, ...], done: str) -> Outcome:
        outcome = self._statements.write(statement, values, done)
        if outcome.reply is Reply.GONE:
            return Outcome(Reply.GONE, "the row was gone or had changed by the time of the update")
        return outcome
