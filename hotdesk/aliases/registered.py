"""Which desks are registered on which dialers now: asked of the dialers by AMI.

Where no AMI account is set it is read from `phones.peer_status`. That stands still when a dialer dies, so it never
stands in for a dialer that could have been asked and gave no answer.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from textwrap import wrap
from typing import NamedTuple

import msgspec

from collectors.probes.ami import AmiProbe, AmiTarget
from collectors.probes.prober import ProbeSettings
from controller.core.ranking import ABSENT, REGISTERING
from hotdesk.aliases.records import Desk, Dialer, Existing, Phone
from hotdesk.aliases.words import counted
from messages.names import compared
from messages.records import NO_PEER_STATUS, ProbeResult, ServerIp

UNLISTED = frozenset({"IAX2"})
"""Protocols that register, and of which `AmiProbe.list_phones` has no list."""
PROBE_SECONDS, LIST_SECONDS = 3.0, 15.0
NO_ACCOUNT = "without an AMI account it goes by phones.peer_status: set ami_user"
WIDTH = 80
"""Columns of a terminal."""


class Registration(StrEnum):
    """Where a desk stands on one dialer."""

    REGISTERED = "registered"
    ABSENT = "not registered"
    NO_PHONE = "no phone"
    """The desk has no phone there."""
    UNKNOWN = "not known"
    NOT_ASKED = "not asked"
    """A webphone registers once its agent is logged in, and an EXTERNAL phone never."""


FINE = frozenset({Registration.REGISTERED, Registration.NOT_ASKED})
"""Nothing is missing there."""


class Listed(NamedTuple):
    """A dialer's words about its phones."""

    phones: Mapping[str, bool] | None = None
    """By station, protocol and extension, as names are compared; None: it did not say."""
    why: str = ""
    """Why it did not."""
    account: bool = True
    """There is an AMI account to ask it with."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A desk on one dialer."""

    alias_id: str
    extension: str
    server_ip: ServerIp
    dialer: str
    registration: Registration
    why: str = ""
    """Why it is not known, or more about its absence."""


async def ask_dialers(settings: ProbeSettings, dialers: Sequence[ServerIp]) -> dict[ServerIp, Listed]:
    """Return what each dialer says of its phones; all are asked at once."""
    targets = settings.probes_of(dialers)
    lists = await asyncio.gather(*(_list(targets[each].ami) for each in dialers))
    return dict(zip(dialers, lists, strict=True))


async def _list(target: AmiTarget | None) -> Listed:
    if target is None:
        return Listed(why=NO_ACCOUNT, account=False)
    probe = AmiProbe(target)
    try:
        result = await probe.probe(PROBE_SECONDS)
        if result is not ProbeResult.ALIVE:
            refusal = f" ({probe.refusal})" if probe.refusal else ""
            return Listed(why=f"its AMI at {target.host}:{target.port} is {result.value}{refusal}")
        await probe.list_phones(LIST_SECONDS)
    except OSError as error:
        return Listed(why=f"its AMI at {target.host}:{target.port} cannot be asked: {error}")
    finally:
        probe.close()
    if probe.registered is None:
        return Listed(why="its AMI account may not list phones: it needs the permission reporting")
    return Listed(phones={compared(name): there for name, there in probe.registered.items()})


def places_of(
    existing: Existing, desks: Sequence[Desk], dialers: Sequence[Dialer], listed: Mapping[ServerIp, Listed]
) -> list[Place]:
    """Return where each desk stands on each of the dialers."""
    phones = existing.phones_by_extension
    return [
        _place(desk, dialer, phones.get(compared(desk.extension), {}).get(dialer.server_ip), listed)
        for desk in desks
        for dialer in dialers
    ]


def _place(desk: Desk, dialer: Dialer, phone: Phone | None, listed: Mapping[ServerIp, Listed]) -> Place:
    registration, why = _registration(phone, listed[dialer.server_ip])
    return Place(
        alias_id=desk.alias_id,
        extension=desk.extension,
        server_ip=dialer.server_ip,
        dialer=dialer.shown,
        registration=registration,
        why=why,
    )


def _registration(phone: Phone | None, said: Listed) -> tuple[Registration, str]:  # noqa: PLR0911 # one each
    """Return what the dialer says of a phone now, and why no more is known."""
    if phone is None:
        return Registration.NO_PHONE, ""
    if phone.webphone or phone.protocol.upper() not in REGISTERING:
        return Registration.NOT_ASKED, ""
    if not said.account:
        return _by_table(phone, said.why)
    if said.phones is None:
        return Registration.UNKNOWN, said.why
    there = said.phones.get(compared(station_of(phone)))
    if there is not None:
        return (Registration.REGISTERED if there else Registration.ABSENT), ""
    if phone.protocol.upper() in UNLISTED:
        # no AMI action of a dialer lists them
        return Registration.UNKNOWN, "look with 'iax2 show peers' there"
    return Registration.ABSENT, "the dialer has not loaded it"


def _by_table(phone: Phone, why: str) -> tuple[Registration, str]:
    status = phone.peer_status.upper()
    if status in NO_PEER_STATUS:
        return Registration.UNKNOWN, why
    return (Registration.ABSENT if status in ABSENT else Registration.REGISTERED), ""


def lines_of(places: Sequence[Place], listed: Mapping[ServerIp, Listed]) -> Iterator[str]:
    """Yield what people read of the desks that are missing somewhere, in 80 columns: a line each, and one each phone.

    Why a whole dialer does not say more stands there once, before them.
    """
    dialers = {each.server_ip: each.dialer for each in places}
    reasons: dict[str, list[str]] = {}
    for server_ip, dialer in dialers.items():
        if why := listed[server_ip].why:
            reasons.setdefault(why, []).append(dialer)
    for why, named in reasons.items():
        whose = "all dialers" if 1 < len(named) == len(dialers) else ", ".join(named)
        yield from wrap(f"{whose}: {why}", WIDTH, subsequent_indent="  ", break_on_hyphens=False)
    of_desks: dict[str, list[Place]] = {}
    for place in places:
        if place.registration is not Registration.NOT_ASKED:
            of_desks.setdefault(place.alias_id, []).append(place)
    for alias_id, asked in of_desks.items():
        missing = [each for each in asked if each.registration not in FINE]
        if missing:
            there = len(asked) - len(missing)
            yield f"{alias_id} ({asked[0].extension}): registered on {there} of {counted(len(asked), 'dialer')}"
        for each in missing:
            more = f": {each.why}" if each.why and each.why != listed[each.server_ip].why else ""
            yield f"  {each.dialer}: {each.registration}{more}"


def station_of(phone: Phone) -> str:
    """Return what Asterisk calls a phone."""
    return f"{phone.protocol}/{phone.extension}"
