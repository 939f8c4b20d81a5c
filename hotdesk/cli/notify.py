"""`hotdesk notify`: try the notifications out."""

import os
from typing import Annotated

from cyclopts import Parameter

from controller.core.notifications import message_of_test
from hotdesk.cli.client import AsJson
from hotdesk.cli.terminal import say, say_json
from hotdesk.errors import HotdeskError, SettingsError
from hotdesk.notify.senders import SendError, Told
from hotdesk.notify.settings import notify_settings, told_by
from hotdesk.settings import NotifyTables


def try_out(
    name: Annotated[str, Parameter(help="Name of one recipient; default: all of them.")] = "",
    *,
    as_json: AsJson = False,
    notify: NotifyTables,
) -> int:
    """Send a test message to one recipient of [notify.NAME], or to all of them; it needs no running hotdesk."""
    known = notify_settings(notify, os.environ)
    if not known or (name and name not in known):
        there = ", ".join(known) or "none: write a [notify.NAME] table, see docs/guide/notifications.md"
        raise SettingsError(f"there is no recipient {name!r}; there are {there}" if known else f"recipients: {there}")
    told = told_by({each: known[each] for each in known if name in {"", each}})
    outcomes = {each: _tried(each, how) for each, how in told.items()}
    if as_json:
        say_json(outcomes)
    else:
        for each, failed in outcomes.items():
            say(f"{each}: {failed or 'sent'}")
    return HotdeskError.exit_code if any(outcomes.values()) else 0


def _tried(name: str, told: Told) -> str:
    """Return why a test message could not be sent, or "" if it was."""
    try:
        told.send(message_of_test(name))
    except SendError as error:
        return f"not sent: {error}"
    return ""
