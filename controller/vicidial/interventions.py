"""Changes of VICIdial's own tables, for what a screen cannot do: fence, emergency logout, screen restore.

Logouts and pauses are told to screens: by `sql` or by `agent_api`.

Each needs grants of its own (controller/grants-*.sql), and none is what moves need: without its grant it is left out,
and says so, but suspends nothing.
"""

import pymysql

from controller.core.actions import Outcome
from controller.vicidial.connections import DENIED_CODES, Statements, error_text
from messages.codes import Reply
from messages.records import Fence, FenceStage, Relogin, ScreenRestore

CLOSE = """
    UPDATE servers SET active_agent_login_server = 'N' WHERE server_ip = %s AND active_agent_login_server = 'Y'
"""
OPEN = """
    UPDATE servers SET active_agent_login_server = 'Y' WHERE server_ip = %s AND active_agent_login_server = 'N'
"""
LOOK = """
    SELECT active_agent_login_server, EXISTS (
        SELECT 1 FROM vicidial_admin_log AS changed
        WHERE changed.event_section = 'SERVERS' AND changed.event_type = 'MODIFY'
        AND changed.record_id = servers.server_id AND changed.event_date >= FROM_UNIXTIME(%s))
    FROM servers WHERE server_ip = %s
"""
CLOCKS_DIFFER_SECONDS = 60
"""VICIdial's admin page writes down every change of a server, by the clock of its web server."""

# In MySQL an assignment sees those before it, so each stage is tested before it is closed.
END_LOG = """
    UPDATE vicidial_agent_log SET
        pause_sec = IF(COALESCE(wait_epoch, 0) = 0, GREATEST(0, UNIX_TIMESTAMP() - pause_epoch), pause_sec),
        wait_sec = IF(COALESCE(wait_epoch, 0) > 0 AND COALESCE(talk_epoch, 0) = 0,
                      GREATEST(0, UNIX_TIMESTAMP() - wait_epoch), wait_sec),
        talk_sec = IF(COALESCE(talk_epoch, 0) > 0 AND COALESCE(dispo_epoch, 0) = 0,
                      GREATEST(0, UNIX_TIMESTAMP() - talk_epoch), talk_sec),
        dispo_sec = IF(COALESCE(dispo_epoch, 0) > 0, GREATEST(0, UNIX_TIMESTAMP() - dispo_epoch), dispo_sec),
        pause_type = 'ADMIN'
    WHERE user = %s AND pause_type <> 'ADMIN' AND agent_log_id =
        (SELECT agent_log_id FROM vicidial_live_agents WHERE live_agent_id = %s AND user = %s AND server_ip = %s)
"""
LOG_THE_LOGOUT = """
    INSERT INTO vicidial_user_log (user, event, campaign_id, event_date, event_epoch, session_id, server_ip, extension)
    SELECT user, 'LOGOUT', campaign_id, NOW(), UNIX_TIMESTAMP(), conf_exten, server_ip, extension
    FROM vicidial_live_agents AS live
    WHERE live_agent_id = %s AND user = %s AND server_ip = %s AND NOT EXISTS (
        SELECT 1 FROM vicidial_user_log AS ended WHERE ended.user = live.user AND ended.event = 'LOGOUT'
        AND ended.user_log_id > (
            SELECT COALESCE(MAX(begun.user_log_id), 0) FROM vicidial_user_log AS begun
            WHERE begun.user = live.user AND begun.event = 'LOGIN'))
"""
LOG_FOR_ADMINS = """
    INSERT INTO vicidial_admin_log
    (event_date, user, ip_address, event_section, event_type, record_id, event_code, event_sql, event_notes)
    SELECT NOW(), 'hotdesk', '', 'USERS', 'LOGOUT', user, %s, '', %s
    FROM vicidial_live_agents WHERE live_agent_id = %s AND user = %s AND server_ip = %s
    AND NOT EXISTS (SELECT 1 FROM vicidial_admin_log WHERE record_id = %s AND event_code = %s)
"""
END_ROOM = """
    INSERT INTO vicidial_manager
    (uniqueid, entry_date, status, response, server_ip, channel, action, callerid, cmd_line_b, cmd_line_c, cmd_line_d,
     cmd_line_e, cmd_line_f, cmd_line_g, cmd_line_h, cmd_line_i, cmd_line_j, cmd_line_k)
    SELECT '', NOW(), 'NEW', 'N', server_ip, '', 'Originate', %s, CONCAT('Channel: Local/5555', conf_exten, '@default'),
           'Context: default', 'Exten: 8300', 'Priority: 1', CONCAT('Callerid: ', %s), '', '', '', '', ''
    FROM vicidial_live_agents WHERE live_agent_id = %s AND user = %s AND server_ip = %s
    AND NOT EXISTS (SELECT 1 FROM vicidial_manager AS sent WHERE sent.server_ip = vicidial_live_agents.server_ip
                    AND sent.callerid = %s)
"""
RESTORE_SCREEN = """
    INSERT INTO web_client_sessions (extension, server_ip, program, start_time, session_name)
    SELECT kept.extension, kept.server_ip, 'vicidial', kept.login_time, kept.session_name
    FROM vicidial_session_data AS kept
    WHERE kept.user = %s AND kept.server_ip = %s AND NOT EXISTS (
        SELECT 1 FROM web_client_sessions AS known WHERE known.session_name = kept.session_name)
"""
END_SESSION = "DELETE FROM vicidial_live_agents WHERE live_agent_id = %s AND user = %s AND server_ip = %s"
FENCE_GRANTS, EMERGENCY_GRANTS, SCREEN_GRANTS = (
    f"controller/grants-{purpose}.sql" for purpose in ("fence", "emergency", "screens")
)


class SqlInterventions:
    """The fence, the emergency logout and the screen restore, by statements of their own."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    def fence(self, fence: Fence, *, first: bool) -> Outcome:
        """Close a dialer to new logins, or open it again; `first`: no attempt can have been made before.

        The outcome says whether hotdesk changed the flag: only then may it set the flag back.
        """
        if fence.stage is FenceStage.LOOKING:
            return self._look_whose(fence)
        back = fence.stage is FenceStage.RETURNING
        done = self._statements.write(
            OPEN if back else CLOSE,
            (fence.server_ip,),
            f"active_agent_login_server was {'N' if back else 'Y'}, and is now {'Y' if back else 'N'}: 1 row",
        )
        if done.reply is Reply.DENIED and not done.locked_out:
            return self._denied(fence, done, first=first)
        if done.reply is not Reply.GONE or back:
            return done
        if first:
            return Outcome(Reply.GONE, "active_agent_login_server was already N: 0 rows")
        return self._look_whose(fence)

    def _denied(self, fence: Fence, denied: Outcome, *, first: bool) -> Outcome:
        """Return what becomes of a fence that the account may not take, or not give back."""
        refused = _left_out(denied, FENCE_GRANTS)
        if fence.stage is FenceStage.RETURNING:
            return refused
        if not first:
            # an earlier attempt may have closed it, when the account still had the right
            looked = self._look_whose(fence)
            if looked.reply in {Reply.DONE, Reply.UNSENT}:
                return looked
        return Outcome(Reply.GONE, f"not closed by hotdesk, whose account may not: {refused.said}")

    def _look_whose(self, fence: Fence) -> Outcome:
        """Return whether an attempt without a known outcome has closed the dialer, or a person has."""
        since = fence.planned_at_ms / 1000 - CLOCKS_DIFFER_SECONDS
        try:
            rows = self._statements.read(LOOK, (since, fence.server_ip))
        except (pymysql.MySQLError, OSError) as error:
            reply = Reply.REFUSED if error.args and error.args[0] in DENIED_CODES else Reply.UNSENT
            return Outcome(reply, f"it cannot be read who closed the dialer: {error_text(error)}")
        flag, changed = rows[0] if rows else ("", 0)
        if flag != "N":
            return Outcome(Reply.GONE, "active_agent_login_server is not N: hotdesk has not closed the dialer")
        if changed:
            return Outcome(Reply.GONE, "active_agent_login_server is N, and a person has changed this server since")
        return Outcome(Reply.DONE, "active_agent_login_server is N, and no person has changed this server")

    def restore_screen(self, restore: ScreenRestore) -> Outcome:
        """As `Interventions.restore_screen`."""
        row = (restore.user, restore.server_ip)
        outcome = self._statements.write(RESTORE_SCREEN, row, "VICIdial knows the screen again")
        if outcome.reply is Reply.GONE:
            return Outcome(Reply.DONE, "VICIdial knew the screen already, or keeps nothing of its login")
        return _left_out(outcome, SCREEN_GRANTS)

    def missing_restore_rights(self) -> str | None:
        """Try the statement on a session that does not exist; return the missing right, None: none is missing."""
        tried = self._statements.write(RESTORE_SCREEN, ("", ""), "")
        return None if tried.reply is Reply.GONE else tried.said

    def end_session(self, relogin: Relogin) -> Outcome:
        """End a session in the tables, as the emergency logout of VICIdial's admin page does.

        The tables have no transactions. A step done before does nothing, and the session's own row goes last:
        while it is there, the whole can be started again. On a dialer that is down no room is ended: it would find the
        command when it comes back, and other agents may be in that room by then.
        """
        return _left_out(self._end(relogin), EMERGENCY_GRANTS)

    def _end(self, relogin: Relogin) -> Outcome:
        row = (relogin.live_agent_id, relogin.user, relogin.from_server_ip)
        code = f"EMERGENCY LOGOUT BY HOTDESK {relogin.live_agent_id}"
        notes = f"the screen did not react to {relogin.attempts - 1} logouts; incident {relogin.incident}"
        room = f"HDLO{relogin.live_agent_id:0>16}"
        steps: list[tuple[str, tuple[object, ...]]] = [
            (END_LOG, (relogin.user, *row)),
            (LOG_THE_LOGOUT, row),
            (LOG_FOR_ADMINS, (code, notes, *row, relogin.user, code)),
        ]
        if relogin.dialer_lives:
            steps.append((END_ROOM, (room, room, *row, room)))
        for statement, values in steps:
            outcome = self._statements.write(statement, values, "")
            if outcome.reply not in {Reply.DONE, Reply.GONE}:
                return outcome
        return self._statements.write(END_SESSION, row, "ended the session in VICIdial's tables")

    def missing_fence_rights(self) -> str | None:
        """Try the statement on a dialer that does not exist; return the missing right, None: none is missing."""
        tried = self._statements.write(CLOSE, ("",), "")
        if tried.reply is Reply.GONE:
            no_fence = Fence(cluster="", server_ip="", incident="", planned_at_ms=0, stage=FenceStage.LOOKING)
            tried = self._look_whose(no_fence)
        return None if tried.reply is Reply.GONE else tried.said

    def missing_end_rights(self, impossible: Relogin) -> str | None:
        """Try the statements on a session that cannot exist; return the missing right, None: none is missing."""
        tried = self._end(impossible)
        return None if tried.reply is Reply.GONE else tried.said


def _left_out(outcome: Outcome, grants: str) -> Outcome:
    """Return the outcome of what is left out if the account lacks the right: it may stop no move.

    An account that is not let in at all can move no agent either.
    """
    if outcome.reply is not Reply.DENIED or outcome.locked_out:
        return outcome
    said = f"{outcome.said}; 'hotdesk check' says what the account lacks, and {grants} gives it"
    return Outcome(Reply.REFUSED, said)
