"""`hotdesk aliases verify`: which desks are registered on which dialers, and whether one answers a call."""

import asyncio
from typing import Annotated

import msgspec
from cyclopts import Parameter

from hotdesk.aliases.registered import FINE, Registration, ask_dialers, lines_of, places_of, station_of
from hotdesk.aliases.ringing import ring
from hotdesk.aliases.words import counted
from hotdesk.cli.aliases.applied import Yes
from hotdesk.cli.aliases.desks import ALL_THERE_IS, DEFAULTS, Choice, Wanted, wanted_by
from hotdesk.cli.client import AsJson, ClusterName
from hotdesk.cli.terminal import agrees, say, say_json
from hotdesk.errors import HotdeskError, SettingsError
from hotdesk.settings import ClusterTables, Settings
from messages.names import compared
from messages.records import ServerIp


class _RingAnswer(msgspec.Struct, frozen=True, kw_only=True):
    alias: str
    server_ip: ServerIp
    dialer: str
    answered: bool
    why: str
    """Why it was not answered."""


def verify(  # noqa: PLR0913 # the same
    *,
    choice: Choice = ALL_THERE_IS,
    ring_desk: Annotated[
        str, Parameter(name="--ring", help="Call this desk (alias or extension) from each dialer, with a short tone.")
    ] = "",
    yes: Yes = False,
    cluster: ClusterName = "",
    as_json: AsJson = False,
    options: Settings = DEFAULTS,
    clusters: ClusterTables,
) -> int:
    """Show which desks are registered on which dialers now, asked of the dialers by AMI.

    The exit code is 0 if all of them are.
    """
    wanted = wanted_by(choice, cluster, options, clusters)
    if ring_desk:
        return _ring(ring_desk, wanted, yes=yes, as_json=as_json)
    ips = [each.server_ip for each in wanted.dialers]
    listed = asyncio.run(ask_dialers(wanted.settings.probe_settings(), ips))
    places = places_of(wanted.existing, wanted.desks, wanted.dialers, listed)
    missing = [each for each in places if each.registration not in FINE]
    if as_json:
        say_json(places)
    else:
        for line in lines_of(places, listed):
            say(line)
        registered = sum(each.registration is Registration.REGISTERED for each in places)
        away = len({each.alias_id for each in missing})
        lacking = f"{counted(away, 'desk')} {'is' if away == 1 else 'are'} incomplete"
        say(
            f"{wanted.cluster}: {counted(registered, 'registration')} of {counted(len(wanted.desks), 'desk')} on"
            f" {counted(len(wanted.dialers), 'dialer')}; {lacking if missing else 'none is missing'}"
        )
    return 1 if missing else 0


def _ring(name: str, wanted: Wanted, *, yes: bool, as_json: bool) -> int:
    desk = next(
        (each for each in wanted.desks if compared(name) in {compared(each.alias_id), compared(each.extension)}), None
    )
    if desk is None:
        raise SettingsError(f"there is no desk {name!r}: name an alias or an extension")
    probes = wanted.settings.probe_settings()
    targets = probes.probes_of([each.server_ip for each in wanted.dialers])
    there = wanted.existing.phones_by_extension.get(compared(desk.extension), {})
    phones = [(dialer, phone) for dialer in wanted.dialers if (phone := there.get(dialer.server_ip)) is not None]
    calls = [
        (dialer, phone, target) for dialer, phone in phones if (target := targets[dialer.server_ip].ami) is not None
    ]
    if not phones:
        raise SettingsError(f"{desk.alias_id} has no phone on these dialers")
    if len(calls) < len(phones):
        raise SettingsError("there is no AMI account to call with: set ami_user and ami_secret_file")
    if as_json and not yes:
        raise SettingsError("nothing was called: with --json there is no question to confirm, so add --yes")
    if not yes and not agrees(f"call {desk.alias_id} from {counted(len(calls), 'dialer')}, one after the other"):
        raise HotdeskError("nothing was called")
    answers = []
    for dialer, phone, target in calls:
        rung = ring(target, station_of(phone))
        answers.append(
            _RingAnswer(
                alias=desk.alias_id,
                server_ip=dialer.server_ip,
                dialer=dialer.shown,
                answered=rung.answered,
                why=rung.said,
            )
        )
        if not as_json:
            say(f"{dialer.shown}: {'answered' if rung.answered else rung.said}")
    if as_json:
        say_json(answers)
    return 0 if all(each.answered for each in answers) else 1
