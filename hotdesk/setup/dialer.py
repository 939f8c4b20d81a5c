"""A dialer, judged by what was found there: is all there that hotdesk's probes need? Pure.

The forms of `manager.conf` and of `manager show user` are Asterisk's own.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from collectors.clocks import APART_SECONDS, REMEDY
from hotdesk.errors import HotdeskError
from hotdesk.findings import Finding, note, ok, wrong
from hotdesk.setup.facts import ASTGUICLIENT, Vicidial
from messages.records import ProbeResult

MANAGER = "/etc/asterisk/manager.conf"
ACCOUNT = "hotdesk"
RIGHT = "reporting"
RELOAD = "asterisk -rx 'manager reload'"
OUTSIDE = "let hotdesk's machine in by the firewall, and check that Asterisk runs"

_SECTION = re.compile(r"^\[([^\]]+)\]")
_INCLUDE = re.compile(r"^#(?:try)?include\s+[\"<]?([^\">]+)")
_PERM = re.compile(r"^\s*write perm:\s*(.*)$", re.MULTILINE)
_NO_USER = re.compile(r"There is no manager called", re.IGNORECASE)
MOST_INCLUDES = 50

Section = dict[str, list[str]]
"""Of each key in small letters its values, since `permit` may come again."""


class Probed(NamedTuple):
    """The dialer's own answers, at its own address."""

    ami: ProbeResult | None
    """None: it was not asked, without an account."""
    sip: ProbeResult
    refusal: str = ""


class Dialer(NamedTuple):
    """Facts that were found on a dialer."""

    vicidial: Vicidial
    sections: Mapping[str, Section]
    """Those of manager.conf, by name in small letters; empty: it cannot be read."""
    loaded: str | None
    """Asterisk's words about the account as it has loaded it; None: it cannot be asked."""
    probed: Probed | None
    """None: its address is not known."""
    clock_ahead_seconds: float | None
    """Of the database's; None: it could not be asked."""


def sections(text: str, included: Callable[[str], str]) -> dict[str, Section]:
    """Return the sections of a configuration file of Asterisk's; `included` returns the text of another file."""
    found: dict[str, Section] = {}
    name = ""
    for line in _lines(text, included, [MOST_INCLUDES]):
        if opened := _SECTION.match(line):
            name = opened[1].strip().lower()
            found.setdefault(name, {})
            continue
        key, sign, value = line.partition("=")
        if sign and name:
            found[name].setdefault(key.strip().lower(), []).append(value.removeprefix(">").strip())
    return found


def _lines(text: str, included: Callable[[str], str], left: list[int]) -> Iterator[str]:
    for raw in text.splitlines():
        line = raw.partition(";")[0].strip()
        if (more := _INCLUDE.match(line)) and left[0] > 0:
            left[0] -= 1
            yield from _lines(included(more[1].strip()), included, left)
        else:
            yield line


def judged(dialer: Dialer) -> Iterator[Finding]:
    """Yield what is right and what is wrong on this dialer."""
    if dialer.vicidial.server_ip:
        yield ok("vicidial", f"this is the dialer {dialer.vicidial.server_ip}")
    else:
        error = HotdeskError(f"{ASTGUICLIENT} names no VARserver_ip: this is no dialer of VICIdial's")
        yield wrong(error, "vicidial", "run it on a dialer")
    yield from _of_manager(dialer)
    yield from _of_account(dialer)
    if dialer.probed is not None:
        yield from _of_probes(dialer.probed, dialer.vicidial.server_ip)
    yield _of_clock(dialer.clock_ahead_seconds)


def _of_manager(dialer: Dialer) -> Iterator[Finding]:
    general = dialer.sections.get("general")
    if general is None:
        error = HotdeskError(f"{MANAGER} cannot be read, or has no [general]")
        yield wrong(error, "ami", "run it as root, on a dialer")
        return
    if general.get("enabled", ["no"])[-1].lower() not in {"yes", "true", "1", "on", "y", "t"}:
        yield wrong(HotdeskError("AMI is switched off"), "ami", f"enabled = yes in [general] of {MANAGER}; {RELOAD}")
    bound = general.get("bindaddr", ["0.0.0.0"])[-1]  # noqa: S104 # Asterisk's own default, compared
    if bound != dialer.vicidial.server_ip and (bound.startswith("127.") or bound == "::1"):
        error = HotdeskError(f"AMI listens for this machine alone: bindaddr = {bound}")
        yield wrong(error, "ami", "bindaddr = 0.0.0.0, and a firewall that lets only hotdesk's machine in")


def _of_account(dialer: Dialer) -> Iterator[Finding]:
    account = dialer.sections.get(ACCOUNT)
    if account is None:
        error = HotdeskError(f"{MANAGER} has no account [{ACCOUNT}]")
        yield wrong(error, "ami", "hotdesk setup --ami prints it; see docs/guide/probes.md")
        return
    if not account.get("permit") or not account.get("deny"):
        remedy = "deny = 0.0.0.0/0.0.0.0, and permit for the address of hotdesk's machine"
        yield note("ami", f"every address may try [{ACCOUNT}]", remedy)
    if dialer.loaded is None:
        yield note("ami", "Asterisk cannot be asked what it has loaded", "run it as root, while Asterisk runs")
        return
    if _NO_USER.search(dialer.loaded):
        yield wrong(HotdeskError(f"[{ACCOUNT}] is in {MANAGER}, and not loaded"), "ami", RELOAD)
        return
    found = _PERM.search(dialer.loaded)
    rights = {each.strip() for each in (found[1] if found else "").split(",")} - {"", "<none>"}
    if not rights & {RIGHT, "all"}:
        remedy = f"write = {RIGHT}; without it an Asterisk that starts again is noticed a minute later"
        yield note("ami", f"[{ACCOUNT}] may not ask when Asterisk started", remedy)
    elif rights > {RIGHT}:
        more = ", ".join(sorted(rights - {RIGHT}))
        yield note("ami", f"[{ACCOUNT}] may do more than it needs: {more}", f"write = {RIGHT}")
    else:
        yield ok("ami", f"[{ACCOUNT}] is loaded, and may read only")


def _of_probes(probed: Probed, address: str) -> Iterator[Finding]:
    if probed.ami is ProbeResult.ALIVE:
        yield ok("ami", f"it answers at {address}, and takes the account")
    elif probed.ami is ProbeResult.DENIED:
        # as `permit` has it: the account is for hotdesk's machine
        remedy = "fine, where permit names hotdesk's machine only: hotdesk check there tries it"
        yield note("ami", f"it answers at {address}, and refuses the account from here", remedy)
    elif probed.ami is not None:
        yield wrong(HotdeskError(f"AMI at {address} is {probed.ami}"), "ami", OUTSIDE)
    if probed.sip is ProbeResult.ALIVE:
        yield ok("sip", f"it answers at {address}")
    else:
        remedy = "set sip_port, if it listens elsewhere; see docs/guide/probes.md"
        yield note("sip", f"SIP at {address} is {probed.sip}", remedy)


def _of_clock(ahead_seconds: float | None) -> Finding:
    if ahead_seconds is None:
        return note("clock", "the database's clock could not be asked", f"see VARDB_ in {ASTGUICLIENT}")
    if abs(ahead_seconds) >= APART_SECONDS:
        differs = f"{abs(ahead_seconds):.0f} s {'ahead of' if ahead_seconds > 0 else 'behind'}"
        what = f"the database's clock is {differs} this dialer's, which VICIdial takes for dead from 120 s on"
        return wrong(HotdeskError(what), "clock", REMEDY)
    return ok("clock", "it agrees with the database's")
