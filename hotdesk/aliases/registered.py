"""Which desks are registered on which dialers now: asked of the dialers by AMI, or read from `phones.peer_status`."""

import asyncio
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec

from collectors.probes.ami import AmiProbe, AmiTarget
from collectors.probes.prober import ProbeSettings
from controller.core.ranking import ABSENT, REGISTERING
from hotdesk.aliases.records import Desk, Dialer, Existing, Phone
from messages.names import compared
from messages.records import NO_PEER_STATUS, ProbeResult, ServerIp

PROBE_SECONDS, LIST_SECONDS = 3.0, 15.0


class Registration(StrEnum):
    """Where a desk stands on one dialer."""

    REGISTERED = "registered"
    ABSENT = "not registered"
    NO_PHONE = "no phone"
    """The desk has no phone there."""
    UNKNOWN = "not known"
    NOT_ASKED = "not asked"
    """A webphone registers once its agent is logged in, and an EXTERNAL phone never."""


class Listed(NamedTuple):
    """A dialer's words about its phones."""

    phones: Mapping[str, bool] | None = None
    """By station, protocol and extension; None: it did not say."""
    why: str = ""
    """Why it did not."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A desk on one dialer."""

    alias_id: str
    extension: str
    server_ip: ServerIp
    dialer: str
    registration: Registration
    why: str = ""
    """Why it is not known."""


async def ask_dialers(settings: ProbeSettings, dialers: Sequence[ServerIp]) -> dict[ServerIp, Listed]:
    """Return what each dialer says of its phones; all are asked at once."""
    targets = settings.probes_of(dialers)
    lists = await asyncio.gather(*(_list(targets[each].ami) for each in dialers))
    return dict(zip(dialers, lists, strict=True))


async def _list(target: AmiTarget | None) -> Listed:
    if target is None:
        return Listed(why="there is no AMI account for it: set ami_user")
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
    return Listed(phones=dict(probe.registered))


def places_of(
    existing: Existing, desks: Sequence[Desk], dialers: Sequence[Dialer], listed: Mapping[ServerIp, Listed]
) -> list[Place]:
    """Return where each desk stands on each of the dialers."""
    phones = {(compared(phone.extension), phone.server_ip): phone for phone in existing.phones}
    return [
        _place(desk, dialer, phones.get((compared(desk.extension), dialer.server_ip)), listed)
        for desk in desks
        for dialer in dialers
    ]


def _place(desk: Desk, dialer: Dialer, phone: Phone | None, listed: Mapping[ServerIp, Listed]) -> Place:
    said = listed.get(dialer.server_ip, Listed())
    registration = Registration.NO_PHONE if phone is None else _registration(phone, said)
    return Place(
        alias_id=desk.alias_id,
        extension=desk.extension,
        server_ip=dialer.server_ip,
        dialer=dialer.shown,
        registration=registration,
        why=said.why if registration is Registration.UNKNOWN else "",
    )


def _registration(phone: Phone, said: Listed) -> Registration:
    """Return what the dialer says of a phone now, or else the table."""
    if phone.webphone or phone.protocol.upper() not in REGISTERING:
        return Registration.NOT_ASKED
    by_name = {} if said.phones is None else {compared(name): there for name, there in said.phones.items()}
    there = by_name.get(compared(f"{_channel(phone)}/{phone.extension}"))
    if there is not None:
        return Registration.REGISTERED if there else Registration.ABSENT
    status = phone.peer_status.upper()
    if status in NO_PEER_STATUS:
        return Registration.UNKNOWN
    return Registration.ABSENT if status in ABSENT else Registration.REGISTERED


def _channel(phone: Phone) -> str:
    """Return what Asterisk calls a phone's protocol."""
    return "PJSIP" if phone.protocol.upper() == "PJSIP_WIZ" else phone.protocol


def station_of(phone: Phone) -> str:
    """Return what Asterisk calls a phone."""
    return f"{_channel(phone)}/{phone.extension}"
