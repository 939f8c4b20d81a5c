"""Codes stand for sentences on the wire, in labels and in the API. `messages.words` has the sentences.

A code that a newer hotdesk added is read and shown as it is, and the rest of its record is read too.
"""

from enum import StrEnum
from typing import Self

import msgspec


class Code(StrEnum):
    """A word in lower_snake_case with one meaning."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        """Accept a code of a newer hotdesk: it equals itself, and none of the known ones."""
        if not isinstance(value, str):
            return None
        unknown = str.__new__(cls, value)
        unknown._name_ = unknown._value_ = value
        return unknown

    @property
    def known(self) -> bool:
        """False for a code of a newer hotdesk."""
        return self.value in type(self)._value2member_map_


class ReasonCode(Code):
    """The reason why hotdesk carries out nothing, or moves no agent, at this moment."""

    SUSPENDED = "suspended"
    """A person suspended the automation, or hotdesk did because VICIdial refused its account."""
    FLEET_BRAKE = "fleet_brake"
    WATCHING_ANEW = "watching_anew"
    PROBES_BLIND = "probes_blind"
    VIEW_STALE = "view_stale"
    DEATH_IN_DOUBT = "death_in_doubt"
    HEARTBEAT_ALONE = "heartbeat_alone"
    NOTHING_DECIDED = "nothing_decided"
    CLUSTER_UNKNOWN = "cluster_unknown"
    WITHDRAWN = "withdrawn"
    MOVED_OFTEN = "moved_often"
    AGENTS_UNREAD = "agents_unread"
    ANOTHER_INSTALLATION = "another_installation"
    REPLICA = "replica"
    NOT_OWNER = "not_owner"
    NOT_CLAIMED = "not_claimed"
    NEWER_HOTDESK = "newer_hotdesk"
    NO_ACTUATORS = "no_actuators"
    STOPPING = "stopping"


class Unreadable(Code):
    """The reason why a table of VICIdial's cannot be read now."""

    LOCKED = "locked"
    """It did not answer within the time limit: somebody has locked it, or reads it for long."""
    CRASHED = "crashed"
    REFUSED = "refused"
    ABSENT = "absent"
    """There is no such table or column: renamed, dropped, or of another VICIdial."""
    UNREACHABLE = "unreachable"


class Reason(msgspec.Struct, frozen=True):
    """A reason to withhold something: a code to decide by, and a sentence for people."""

    code: ReasonCode
    text: str

    def __str__(self) -> str:
        """Return the sentence."""
        return self.text


class DecisionCode(Code):
    """The kind of one line of the audit: something decided, withheld or done."""

    ORDERED = "ordered"
    ORDER_TAKEN_BACK = "order_taken_back"
    CLUSTER_FORGOTTEN = "cluster_forgotten"
    INCIDENT_OPENED = "incident_opened"
    INCIDENT_CHANGED = "incident_changed"
    INCIDENT_CLOSED = "incident_closed"
    MOVES_WITHHELD = "moves_withheld"
    MOVES_RELEASED = "moves_released"
    NOT_MOVED = "not_moved"
    MOVE_PLANNED = "move_planned"
    MOVE_ADVISED = "move_advised"
    MOVE_REPEATED = "move_repeated"
    MOVE_FORCED = "move_forced"
    MOVE_GIVEN_UP = "move_given_up"
    MOVE_WITHDRAWN = "move_withdrawn"
    ARRIVED = "arrived"
    NOT_ARRIVED = "not_arrived"
    CALL_PLANNED = "call_planned"
    NOT_RESUMED = "not_resumed"
    PAUSE_PLANNED = "pause_planned"
    PAUSE_ADVISED = "pause_advised"
    PAUSE_REPEATED = "pause_repeated"
    PAUSE_GIVEN_UP = "pause_given_up"
    PAUSE_WITHDRAWN = "pause_withdrawn"
    PAUSE_NOT_TAKEN_BACK = "pause_not_taken_back"
    RESUME_PLANNED = "resume_planned"
    FENCE_PLANNED = "fence_planned"
    FENCE_ADVISED = "fence_advised"
    FENCE_NOT_TAKEN = "fence_not_taken"
    FENCE_UNCLEAR = "fence_unclear"
    UNFENCE_PLANNED = "unfence_planned"
    HANG_UP_SENT = "hang_up_sent"
    LOGOUT_SENT = "logout_sent"
    SESSION_ENDED = "session_ended"
    SESSION_NOT_ENDED = "session_not_ended"
    PAUSE_SENT = "pause_sent"
    RESUME_SENT = "resume_sent"
    CALL_SENT = "call_sent"
    TOLD = "told"
    SCREEN_RESTORE_PLANNED = "screen_restore_planned"
    SCREEN_RESTORED = "screen_restored"
    FENCE_SENT = "fence_sent"
    UNFENCE_SENT = "unfence_sent"
    NOT_UNFENCED = "not_unfenced"


class NotFenced(Code):
    """Why a dead dialer is not fenced for the moment: this is looked at again at each poll."""

    ADVISED = "advised"
    LAST_DIALER = "last_dialer"


class Precondition(Code):
    """The result of reading a user's rows right before an action."""

    SEND = "send"
    GONE = "gone"
    ELSEWHERE = "elsewhere"
    TOLD = "told"
    HANG_UP = "hang_up"
    IN_CALL = "in_call"
    IN_WRAPUP = "in_wrapup"
    NO_CALL = "no_call"
    PAUSED = "paused"
    NOT_OURS = "not_ours"
    TWICE = "twice"


class Reply(Code):
    """The outcome of an action; the label of a metric."""

    DONE = "done"
    GONE = "gone"
    """The session was gone, or there was no row to change."""
    DENIED = "denied"
    """The account lacks a permission. hotdesk sends no more until a person mends that: VICIdial locks users out."""
    REFUSED = "refused"
    UNCLEAR = "unclear"
    """No answer came: the action may have been done."""
    UNSENT = "unsent"


class Odd(Code):
    """The way in which a row of VICIdial's does not fit; the label of a metric."""

    NULL_KEY = "null_key"
    BAD_TEXT = "bad_text"
    BAD_NUMBER = "bad_number"
    BAD_WEIGHT = "bad_weight"
    UNKNOWN_STATUS = "unknown_status"
    UNKNOWN_GROUPING = "unknown_grouping"
    TWO_SESSIONS = "two_sessions"
    SESSION_WITHOUT_SERVER = "session_without_server"
    HEARTBEAT_WITHOUT_SERVER = "heartbeat_without_server"
    HEARTBEAT_NO_DATE = "heartbeat_no_date"
    TWO_PHONES = "two_phones"
    PHONE_WITHOUT_SERVER = "phone_without_server"
    ALIAS_WITHOUT_PHONE = "alias_without_phone"
    ALIAS_SAME_SERVER = "alias_same_server"
    ALIAS_EMPTY = "alias_empty"


class NoPick(Code):
    """The reason why a login gets no pick. VICIdial's page then goes on as it would without hotdesk."""

    UNKNOWN_ALIAS = "unknown_alias"
    NO_DIALER = "no_dialer"


class ReplayCode(Code):
    """A thing that a replay shows, besides the decisions."""

    DIALER_JUDGED = "dialer_judged"
    DATABASE_AWAY = "database_away"
    DATABASE_BACK = "database_back"
    MOVES_HELD_UP = "moves_held_up"
    MOVES_GO_ON = "moves_go_on"


class NoRelogin(Code):
    """The reason why a screen that was logged out is not sent a re-login."""

    NONE = "none"
    NOT_YET = "not_yet"
