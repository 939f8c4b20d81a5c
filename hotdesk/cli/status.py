"""`hotdesk status`: one line and an exit code, as Nagios, Icinga, Zabbix and cron want them."""

from collections.abc import Sequence
from enum import IntEnum

import httpx
import msgspec

from controller.api.schemas import ClusterAnswer
from controller.core.tones import Tone
from hotdesk.cli.client import AsJson, ClusterName, ask, open_api
from hotdesk.cli.terminal import say, say_json
from hotdesk.errors import ApiFailure
from hotdesk.settings import Options, Settings

DEFAULTS = Options()


class Code(IntEnum):
    """An exit code of a monitoring plugin."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


CODES = {Tone.WELL: Code.OK, Tone.CARE: Code.WARNING, Tone.TROUBLE: Code.CRITICAL, Tone.BLIND: Code.CRITICAL}
"""The code of each tone. Where nothing is known no login is guided: that is no matter for the morning."""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The result, for scripts."""

    code: int
    status: str
    """The name of the code."""
    what: str
    clusters: Sequence[ClusterAnswer] = ()


def status(*, cluster: ClusterName = "", as_json: AsJson = False, options: Settings = DEFAULTS) -> int:
    """Show the state of all clusters, or of one, in a line, and end with it: for monitoring and for scripts.

    Exit codes: 0 all is well; 1 something can wait until the morning; 2 a dialer is down, no agent is moved, nothing is
    known, or no hotdesk answers; 3 hotdesk cannot be asked: no token, or no such cluster.
    """
    found = _found(options, cluster)
    if as_json:
        say_json(found)
    else:
        say(f"HOTDESK {found.status} - {_plain(found.what)}{_figures(found.clusters)}")
        if len(found.clusters) > 1:
            for each in found.clusters:
                say(f"{each.cluster} {CODES[each.tone].name}: {_plain(each.summary)}")
    return found.code


def show_unknown(why: str) -> int:
    """Show that hotdesk could not be asked, and return the exit code for it."""
    say(f"HOTDESK {Code.UNKNOWN.name} - {_plain(why)}")
    return Code.UNKNOWN


def _found(options: Options, name: str) -> Status:
    try:
        with open_api(options.api) as api:
            known = msgspec.json.decode(ask(api, "GET", "clusters"), type=list[ClusterAnswer])
    except ApiFailure as error:
        silent = isinstance(error.__cause__, httpx.HTTPError)
        return _status(Code.CRITICAL if silent else Code.UNKNOWN, str(error))
    asked = [each for each in known if name in {"", each.cluster}]
    if name and not asked:
        there = ", ".join(each.cluster for each in known) or "none"
        return _status(Code.UNKNOWN, f"there is no cluster {name!r}; known: {there}")
    if not asked:
        return _status(Code.CRITICAL, "no cluster is known yet; 'hotdesk check' says why")
    asked.sort(key=lambda each: -CODES[each.tone])
    worst = asked[0]
    return _status(CODES[worst.tone], f"{worst.cluster}: {worst.summary}", asked)


def _status(code: Code, what: str, clusters: Sequence[ClusterAnswer] = ()) -> Status:
    return Status(code=code, status=code.name, what=what, clusters=clusters)


def _figures(clusters: Sequence[ClusterAnswer]) -> str:
    """Return figures as Nagios' performance data; empty: none are known."""
    figures = [
        f"'{each.cluster} {name}'={getattr(each, name)}"
        for each in clusters
        for name in ("dialers", "taking", "agents", "incidents")
    ]
    return f" | {' '.join(figures)}" if figures else ""


def _plain(text: str) -> str:
    """Return a text without the sign that begins the figures."""
    return text.replace("|", "/")
