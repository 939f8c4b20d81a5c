"""The sentence for people behind each code, and what to do about it: one table for each kind of code.

A sentence may be reworded at any time: nothing compares or searches it. `sentence` returns an unknown code as it is.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from messages.codes import (
    Code,
    DecisionCode,
    NoPick,
    NoRelogin,
    NotFenced,
    Odd,
    Precondition,
    Reason,
    ReasonCode,
    ReplayCode,
    Reply,
    Unreadable,
)
from messages.records import (
    AgentPauseStage,
    AliasDefect,
    ArrivalStage,
    DialerState,
    FenceStage,
    Ineligible,
    NotMoved,
    ReloginStage,
    ScreenRestoreStage,
)


class Words(NamedTuple):
    """The meaning of a code, and the remedy."""

    sentence: str
    """With `{facts}` for the writer of a record to fill in."""
    remedy: str = ""
    """Empty if there is nothing to do, or if the sentence says it."""


INELIGIBLE: Mapping[Ineligible, Words] = {
    Ineligible.DOWN: Words("down", "see its incident"),
    Ineligible.SUSPECT: Words("suspect: it may be down", "wait a few seconds: it is up or down by then"),
    Ineligible.DRAINING: Words("draining by order", "hotdesk undrain DIALER"),
    Ineligible.MAINTENANCE: Words("maintenance window", "wait for its end, or change maintenance in the settings"),
    Ineligible.WARMING_UP: Words("just back, and has had its share of new logins", "wait: its share grows"),
    Ineligible.SWITCHED_OFF: Words("switched off (active=N)", "set the server active in VICIdial"),
    Ineligible.CLOSED: Words(
        "closed to agent logins (active_agent_login_server=N)", "set Agent Login Active to Y in VICIdial"
    ),
    Ineligible.NO_HEARTBEAT: Words("no heartbeat row", "check that AST_update.pl runs on the dialer"),
    Ineligible.STALLED: Words("heartbeat stalled", "check that AST_update.pl runs on the dialer"),
    Ineligible.TWIN_SILENT: Words("its twin server has no heartbeat", "check the twin, or empty Active Twin Server IP"),
    Ineligible.NO_ROOM: Words("no free conference room", "add conference rooms for this server in VICIdial"),
    Ineligible.FULL: Words("max_agents reached", "raise max_agents in the settings, or add a dialer"),
    Ineligible.PHONE_INACTIVE: Words("phone is not active", "set the phone active, or remove it from the alias"),
    Ineligible.NOT_REGISTERED: Words("phone is not registered there", "have the softphone register on this dialer"),
    Ineligible.NO_SUCH_PHONE: Words("no phone has this login", "create the phone, or remove it from the alias"),
    Ineligible.NO_SUCH_SERVER: Words("the phone's server does not exist", "correct the phone's server_ip"),
}

NOT_MOVED: Mapping[NotMoved, Words] = {
    NotMoved.REMOTE: Words("remote agent: has no screen to log in again with"),
    NotMoved.NO_ALIAS: Words("their phone alias is not known", "have them log in with their alias"),
    NotMoved.AMBIGUOUS: Words("several phone aliases list their phone", "list each phone in one alias only"),
    NotMoved.NOWHERE: Words("no other dialer of their alias takes logins", "hotdesk explain ALIAS says why"),
    NotMoved.NO_BETTER: Words(
        "no other dialer of their alias is better than theirs", "hotdesk explain ALIAS says what each has against it"
    ),
    NotMoved.MOVED_OFTEN: Words(
        "moved as often as moves_of_a_user allows in ten minutes", "find out why they come back; hotdesk incidents"
    ),
    NotMoved.IN_CALL: Words("in a call: moved when it ends"),
    NotMoved.IN_WRAPUP: Words("chooses the disposition of a call: moved after that, or after wrapup_seconds"),
    NotMoved.CALL_LOST: Words("their own dialer is up, but the dialer of their call died", "have them hang up"),
    NotMoved.STAYED: Words(
        "still logged in after several logouts", "have them close the agent screen and log in again"
    ),
    NotMoved.LEAVING: Words("was sent a logout by somebody else, which their screen has yet to obey"),
    NotMoved.NOT_PAUSED: Words(
        "waits for calls they cannot hear, and could not be paused", "have them pause, or log in again"
    ),
    NotMoved.LOGGED_OUT: Words("logged out by hotdesk, and not logged in again", "have them log in"),
    NotMoved.NEWER: Words("logged in after Asterisk had started again, so their phone works"),
    NotMoved.NOT_ARRIVED: Words(
        "logged in again, and their phone is not in its conference room",
        "look at their phone: it must be registered there, and take the call",
    ),
    NotMoved.PHONE_LOST: Words(
        "Asterisk has started again, and their phone is not back in its conference room",
        "have them log out and in again",
    ),
    NotMoved.UNCONFIRMED: Words(
        "their dialer is down by its heartbeat alone, which confirms no death",
        "look at the dialer: hotdesk move USER moves one of them; a probe that answers confirms deaths",
    ),
}

ALIAS_DEFECTS: Mapping[AliasDefect, Words] = {
    AliasDefect.TWO_PHONES: Words("two phones share one of its logins", "set a login of its own for each phone"),
    AliasDefect.PASSWORDS_DIFFER: Words(
        "its phones have different login passwords",
        "set the same login password for all: the page accepts only phones whose password was typed",
    ),
    AliasDefect.SECRETS_DIFFER: Words(
        "its phones have different registration secrets",
        "set the same registration password for all, or the agent's softphone cannot register on each",
    ),
    AliasDefect.LIST_CUT: Words(
        "its list of logins fills all 255 characters, so the rest was cut off",
        "use shorter logins, or fewer phones",
    ),
}

UNREADABLE: Mapping[Unreadable, Words] = {
    Unreadable.LOCKED: Words("locked, or being read for long", "SHOW FULL PROCESSLIST says by whom"),
    Unreadable.CRASHED: Words("crashed", "REPAIR TABLE mends it"),
    Unreadable.REFUSED: Words("refused", "run the GRANT statements of docs/guide/database.md"),
    Unreadable.ABSENT: Words("absent, or renamed", "see what was done to that table; VICIdial needs it too"),
    Unreadable.UNREACHABLE: Words("unreachable", "see how many connections the server allows hotdesk's account"),
}

REASONS: Mapping[ReasonCode, Words] = {
    ReasonCode.SUSPENDED: Words("suspended by {by}{because}", "hotdesk resume"),
    ReasonCode.FLEET_BRAKE: Words(
        "{bad} of {service} dialers in service look bad at once: the observer may be at fault",
        "if they are really dead: hotdesk unbrake",
    ),
    ReasonCode.WATCHING_ANEW: Words("the collector has just started to poll, or polls were missing"),
    ReasonCode.PROBES_BLIND: Words(
        "the probes of all dialers fail at once: the collector's own network may be at fault"
    ),
    ReasonCode.VIEW_STALE: Words("the latest poll is old: the log or its readers lag"),
    ReasonCode.DEATH_IN_DOUBT: Words("the dialer may not be dead: {evidence}"),
    ReasonCode.HEARTBEAT_ALONE: Words(
        "only its heartbeat has stalled, and no probe confirms that it is dead",
        "give hotdesk a probe (sip = true needs no account), or set act_on_heartbeat_alone",
    ),
    ReasonCode.NOTHING_DECIDED: Words("nothing has been decided yet"),
    ReasonCode.CLUSTER_UNKNOWN: Words("nothing is known of the cluster now"),
    ReasonCode.WITHDRAWN: Words("it was withdrawn meanwhile"),
    ReasonCode.MOVED_OFTEN: Words("this user was moved as often in ten minutes as moves_of_a_user allows"),
    ReasonCode.AGENTS_UNREAD: Words(
        "the agents' sessions cannot be read for {seconds} s: {why}", "see which statement holds that table"
    ),
    ReasonCode.ANOTHER_INSTALLATION: Words(
        "another hotdesk, with a log of its own, wants to collect from this database too", "stop one of the two"
    ),
    ReasonCode.REPLICA: Words(
        "this database is a replica or read-only: what is written there never reaches an agent",
        "set host to the server that VICIdial writes to",
    ),
    ReasonCode.NOT_OWNER: Words("this process may no longer own the cluster"),
    ReasonCode.NOT_CLAIMED: Words("this process has not claimed the cluster"),
    ReasonCode.NEWER_HOTDESK: Words("a newer hotdesk decides here", "upgrade this one and restart it"),
    ReasonCode.NO_ACTUATORS: Words("by its settings this process no longer carries out actions here"),
    ReasonCode.STOPPING: Words("this process is stopping"),
}

DECISIONS: Mapping[DecisionCode, Words] = {
    DecisionCode.ORDERED: Words("ordered: {kind}"),
    DecisionCode.ORDER_TAKEN_BACK: Words("took back: {kind}"),
    DecisionCode.CLUSTER_FORGOTTEN: Words("ordered: forget"),
    DecisionCode.INCIDENT_OPENED: Words("opened incident {incident}: {kind}"),
    DecisionCode.INCIDENT_CHANGED: Words("incident {incident} is now: {kind}"),
    DecisionCode.INCIDENT_CLOSED: Words("closed incident {incident}"),
    DecisionCode.MOVES_WITHHELD: Words("withholding moves"),
    DecisionCode.MOVES_RELEASED: Words("withholding moves no longer"),
    DecisionCode.NOT_MOVED: Words("did not move an agent"),
    DecisionCode.MOVE_PLANNED: Words("planned a move from {from_server_ip} to {to_server_ip} as {phone_login}"),
    DecisionCode.MOVE_ADVISED: Words("would move from {from_server_ip} to {to_server_ip} as {phone_login}"),
    DecisionCode.MOVE_REPEATED: Words("planned a move again"),
    DecisionCode.MOVE_FORCED: Words("planned an emergency logout"),
    DecisionCode.MOVE_GIVEN_UP: Words("gave up a move"),
    DecisionCode.MOVE_WITHDRAWN: Words("withdrew a move"),
    DecisionCode.ARRIVED: Words("an agent has arrived"),
    DecisionCode.NOT_ARRIVED: Words("an agent has not arrived"),
    DecisionCode.CALL_PLANNED: Words("planned to have the agent's phone called again"),
    DecisionCode.NOT_RESUMED: Words("did not make an agent ready again"),
    DecisionCode.PAUSE_PLANNED: Words("planned an agent pause"),
    DecisionCode.PAUSE_ADVISED: Words("would pause the agent"),
    DecisionCode.PAUSE_REPEATED: Words("planned an agent pause again"),
    DecisionCode.PAUSE_GIVEN_UP: Words("gave up an agent pause"),
    DecisionCode.PAUSE_WITHDRAWN: Words("withdrew an agent pause"),
    DecisionCode.PAUSE_NOT_TAKEN_BACK: Words("did not take an agent pause back"),
    DecisionCode.RESUME_PLANNED: Words("planned to resume the agent"),
    DecisionCode.FENCE_PLANNED: Words("planned a fence"),
    DecisionCode.FENCE_ADVISED: Words("would fence the dialer"),
    DecisionCode.FENCE_NOT_TAKEN: Words("did not fence a dialer"),
    DecisionCode.FENCE_UNCLEAR: Words("looks whether hotdesk closed a dialer"),
    DecisionCode.UNFENCE_PLANNED: Words("planned to open a fenced dialer again"),
    DecisionCode.HANG_UP_SENT: Words("sent the agent's screen a hang-up of its dead call: {reply}"),
    DecisionCode.LOGOUT_SENT: Words("sent the agent's screen a logout: {reply}"),
    DecisionCode.SESSION_ENDED: Words("ended the agent's session in VICIdial's tables: {reply}"),
    DecisionCode.SESSION_NOT_ENDED: Words("did not end the agent's session in VICIdial's tables"),
    DecisionCode.PAUSE_SENT: Words("sent the agent's screen a pause: {reply}"),
    DecisionCode.RESUME_SENT: Words("sent the agent's screen a resume: {reply}"),
    DecisionCode.CALL_SENT: Words("had the agent's phone called again: {reply}"),
    DecisionCode.SCREEN_RESTORE_PLANNED: Words("planned to restore an agent's screen"),
    DecisionCode.SCREEN_RESTORED: Words("restored an agent's screen: {reply}"),
    DecisionCode.TOLD: Words("told the agent on their screen what happened: {reply}"),
    DecisionCode.FENCE_SENT: Words("closed the dialer to logins: {reply}"),
    DecisionCode.UNFENCE_SENT: Words("opened the dialer to logins again: {reply}"),
    DecisionCode.NOT_UNFENCED: Words(
        "did not open a dialer to logins again", "mend what it says: it is tried again each minute"
    ),
}

NOT_FENCED: Mapping[NotFenced, Words] = {
    NotFenced.ADVISED: Words("hotdesk only advises here", 'set mode = "act"'),
    NotFenced.LAST_DIALER: Words("it is the last dialer that VICIdial could send a login to"),
}

PRECONDITIONS: Mapping[Precondition, Words] = {
    Precondition.SEND: Words("send"),
    Precondition.GONE: Words("the session is gone: nothing sent"),
    Precondition.ELSEWHERE: Words("the session is now on another dialer: nothing sent"),
    Precondition.TOLD: Words("the screen was already sent a logout: nothing sent"),
    Precondition.HANG_UP: Words(
        "the screen was already sent a logout, and waits for a call that has died: sent only a hang-up"
    ),
    Precondition.IN_CALL: Words("the agent is in a call that may be alive: nothing sent yet"),
    Precondition.IN_WRAPUP: Words("the agent has still to choose a disposition: nothing sent yet"),
    Precondition.NO_CALL: Words("the call is over already: nothing sent"),
    Precondition.PAUSED: Words("the agent is already paused: nothing sent"),
    Precondition.NOT_OURS: Words("a person has paused or resumed the agent since: nothing sent"),
    Precondition.TWICE: Words(
        "the user has a second session, which the agent API would end too: nothing sent",
        'set relogin_via = "sql"',
    ),
}

REPLIES: Mapping[Reply, Words] = {
    Reply.DONE: Words("done"),
    Reply.GONE: Words("no such session"),
    Reply.DENIED: Words("denied", "correct the agent API user or the database grants, then hotdesk resume"),
    Reply.REFUSED: Words("refused"),
    Reply.UNCLEAR: Words("no answer: may have been done"),
    Reply.UNSENT: Words("not sent"),
}

RELOGIN_STAGES: Mapping[ReloginStage, Words] = {
    ReloginStage.ADVISED: Words("advised"),
    ReloginStage.HANGING_UP: Words("dead call to be hung up"),
    ReloginStage.WRAPPING_UP: Words("agent chooses the disposition"),
    ReloginStage.PLANNED: Words("planned"),
    ReloginStage.SENT: Words("logout sent"),
    ReloginStage.FAILED: Words("failed", "have the agent close the screen and log in again"),
    ReloginStage.ENDED: Words("logged out"),
    ReloginStage.MOVED: Words("logged in on another dialer"),
}

AGENT_PAUSE_STAGES: Mapping[AgentPauseStage, Words] = {
    AgentPauseStage.ADVISED: Words("advised"),
    AgentPauseStage.PLANNED: Words("planned"),
    AgentPauseStage.PAUSED: Words("paused"),
    AgentPauseStage.GIVEN_UP: Words("given up"),
    AgentPauseStage.RESUMING: Words("being taken back"),
}

SCREEN_RESTORE_STAGES: Mapping[ScreenRestoreStage, Words] = {
    ScreenRestoreStage.PLANNED: Words("planned"),
    ScreenRestoreStage.DONE: Words("done: VICIdial knows the screen again"),
    ScreenRestoreStage.FAILED: Words("failed", "have the agent log in again"),
}

ARRIVAL_STAGES: Mapping[ArrivalStage, Words] = {
    ArrivalStage.TELLING: Words("agent to be told what happened"),
    ArrivalStage.AWAITED: Words("phone awaited"),
    ArrivalStage.CALLING: Words("phone to be called again"),
    ArrivalStage.RESUMING: Words("agent to be made ready again"),
    ArrivalStage.ARRIVED: Words("arrived"),
    ArrivalStage.LOGGED_IN: Words("logged in; whether the phone is in its room cannot be known"),
    ArrivalStage.MISSING: Words("phone missing", "look at the agent's phone: it must be registered, and take the call"),
}

FENCE_STAGES: Mapping[FenceStage, Words] = {
    FenceStage.PLANNED: Words("planned"),
    FenceStage.TAKEN: Words("closed by hotdesk"),
    FenceStage.NOT_TAKEN: Words("not taken"),
    FenceStage.LOOKING: Words("being looked at"),
    FenceStage.UNCLEAR: Words("unclear", "check the server in VICIdial, then hotdesk unfence DIALER"),
    FenceStage.RETURNING: Words("being opened again"),
    FenceStage.RETURNED: Words("opened again"),
}

ODD_ROWS: Mapping[Odd, Words] = {
    Odd.NULL_KEY: Words("a row without its key"),
    Odd.BAD_TEXT: Words("text that is not UTF-8"),
    Odd.BAD_NUMBER: Words("text in place of a number"),
    Odd.BAD_WEIGHT: Words("a weight line that does not begin with IP,weight; VICIdial skips it"),
    Odd.UNKNOWN_STATUS: Words("an agent status VICIdial does not document"),
    Odd.UNKNOWN_GROUPING: Words("a pllb_grouping VICIdial does not document"),
    Odd.TWO_SESSIONS: Words("a user with two sessions"),
    Odd.SESSION_WITHOUT_SERVER: Words("a session on a server that does not exist"),
    Odd.HEARTBEAT_WITHOUT_SERVER: Words("a heartbeat of a server that does not exist"),
    Odd.HEARTBEAT_NO_DATE: Words("a heartbeat that is not a date"),
    Odd.TWO_PHONES: Words("two phones with one login"),
    Odd.PHONE_WITHOUT_SERVER: Words("a phone on a server that does not exist"),
    Odd.ALIAS_WITHOUT_PHONE: Words("an alias that names a phone that does not exist"),
    Odd.ALIAS_SAME_SERVER: Words("an alias with two phones on one server"),
    Odd.ALIAS_EMPTY: Words("an alias without logins"),
}

NOTICES: Mapping[DialerState | None, str] = {
    DialerState.DOWN: "Dialer {before} failed. You are on dialer {after} now.",
    DialerState.DRAINING: "Dialer {before} is taken out of service. You are on dialer {after} now.",
    DialerState.CLOSED: "Dialer {before} is closed. You are on dialer {after} now.",
    None: "You were moved to dialer {after}.",
}
"""The words for an agent on the new screen, by the kind of the incident; None: a person ordered the move.

VICIdial's notifications bear ASCII letters, digits, blanks and `. , : - ( )`: other signs break them, or get lost.
"""

NO_PICKS: Mapping[NoPick, Words] = {
    NoPick.UNKNOWN_ALIAS: Words("no alias and no phone has this login", "see Admin, Phone Aliases in VICIdial"),
    NoPick.NO_DIALER: Words("no dialer of this alias takes logins now", "hotdesk explain ALIAS says why"),
}

NO_RELOGINS: Mapping[NoRelogin, Words] = {
    NoRelogin.NONE: Words("hotdesk has not logged this screen out"),
    NoRelogin.NOT_YET: Words("hotdesk is about to log this screen out, or does not yet know that it has", "ask again"),
}

REPLAYED: Mapping[ReplayCode, Words] = {
    ReplayCode.DIALER_JUDGED: Words("is {state}"),
    ReplayCode.DATABASE_AWAY: Words("the database does not answer"),
    ReplayCode.DATABASE_BACK: Words("the database answers again"),
    ReplayCode.MOVES_HELD_UP: Words("no agent may be moved"),
    ReplayCode.MOVES_GO_ON: Words("agents may be moved again"),
}

TABLES: Mapping[type[Code], Mapping[Any, Words]] = {  # tests/messages checks that each table has all its codes
    Ineligible: INELIGIBLE,
    NotMoved: NOT_MOVED,
    AliasDefect: ALIAS_DEFECTS,
    ReasonCode: REASONS,
    Unreadable: UNREADABLE,
    DecisionCode: DECISIONS,
    NotFenced: NOT_FENCED,
    Precondition: PRECONDITIONS,
    Reply: REPLIES,
    Odd: ODD_ROWS,
    NoPick: NO_PICKS,
    NoRelogin: NO_RELOGINS,
    ReplayCode: REPLAYED,
    ReloginStage: RELOGIN_STAGES,
    AgentPauseStage: AGENT_PAUSE_STAGES,
    ArrivalStage: ARRIVAL_STAGES,
    FenceStage: FENCE_STAGES,
    ScreenRestoreStage: SCREEN_RESTORE_STAGES,
}


def sentence(code: Code, **facts: object) -> str:
    """Return the sentence of a code with its facts filled in; a code of a newer hotdesk is its own sentence."""
    words = TABLES.get(type(code), {}).get(code)
    return str(code) if words is None else words.sentence.format(**facts)


def remedy(code: Code) -> str:
    """Return what to do about a code; empty: nothing, or not known here."""
    words = TABLES.get(type(code), {}).get(code)
    return "" if words is None else words.remedy


def reason(code: ReasonCode, **facts: object) -> Reason:
    """Return a reason: the code and its sentence."""
    return Reason(code, sentence(code, **facts))
