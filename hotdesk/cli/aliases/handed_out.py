"""`hotdesk aliases phones`: the accounts of the desks' softphones, a file for each."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from hotdesk.aliases import private_files, softphones
from hotdesk.aliases.records import Desk, Phone
from hotdesk.aliases.words import counted
from hotdesk.cli.aliases.desks import ALL_THERE_IS, DEFAULTS, Choice, Wanted, wanted_by
from hotdesk.cli.client import ClusterName
from hotdesk.cli.terminal import complain, say
from hotdesk.errors import HotdeskError
from hotdesk.settings import ClusterSettings, ClusterTables, Settings
from messages.names import compared
from messages.records import AliasDefect
from messages.words import remedy, sentence

READINESS = "run collectors/grants-readiness.sql"


def phones(  # noqa: PLR0913 # the same
    *,
    wanted_format: Annotated[softphones.Format, Parameter(name="--format", help="The softphone.")],
    to: Annotated[Path, Parameter(help="Folder for the files; made if it is not there.")],
    choice: Choice = ALL_THERE_IS,
    cluster: ClusterName = "",
    options: Settings = DEFAULTS,
    clusters: ClusterTables,
) -> int:
    """Write a file for each desk's softphone, with an account for each dialer; only you can read them.

    The exit code is 1 if some desk has no file.
    """
    return write_files(wanted_by(choice, cluster, options, clusters), wanted_format, to)


def write_files(wanted: Wanted, wanted_format: softphones.Format, to: Path) -> int:
    """Write the files of desks into a folder, and return the exit code: 1 if some desk has none.

    Raises:
        HotdeskError: the folder cannot be written.
    """
    left_out = written = 0
    make_folder(to)
    try:
        for desk in wanted.desks:
            try:
                file = softphones.file_of(_softphone(desk, wanted), wanted_format)
            except softphones.NoFileError as error:
                complain(f"{desk.alias_id} is left out: {error}")
                left_out = 1
                continue
            private_files.replace(to / file.name, file.text)
            written += 1
    except OSError as error:
        raise HotdeskError(f"{to} cannot be written: {error.strerror}") from error
    say(f"wrote {counted(written, 'file')} for {wanted_format} to {to}: each has a secret, and only you can read it")
    return left_out


def make_folder(to: Path) -> None:
    """Make the folder of the files, if it is not there.

    Raises:
        HotdeskError: it cannot be made.
    """
    try:
        to.mkdir(mode=private_files.FOLDER_MODE, parents=True, exist_ok=True)
    except OSError as error:
        raise HotdeskError(f"{to} cannot be written: {error.strerror}") from error


def _softphone(desk: Desk, wanted: Wanted) -> softphones.SoftphoneDesk:
    """Return a desk as its softphone needs it.

    Raises:
        NoFileError: it has no phones that register, or their secret is not known, or is not one.
    """
    there = wanted.existing.phones_by_extension.get(compared(desk.extension), {})
    ips = {each.server_ip: each for each in wanted.dialers if each.server_ip in there}
    if not ips:
        raise softphones.NoFileError("it has no phones there: 'hotdesk aliases apply' makes them")
    mine = [phone for phone in map(there.__getitem__, ips) if softphones.registers_by_sip(phone)]
    if not mine:
        raise softphones.NoFileError(
            "none of its phones there registers by SIP: they are not active, webphones, or of another protocol"
        )
    known = {phone.secret for phone in mine}
    if desk.secret:
        known = {desk.secret}
    if None in known:
        raise softphones.NoFileError(f"its secret cannot be read: {READINESS}, or write it into the file of desks")
    if len(known) > 1:
        defect = AliasDefect.SECRETS_DIFFER
        raise softphones.NoFileError(f"{sentence(defect)}: {remedy(defect)}")
    secret = known.pop()
    if not secret:
        raise softphones.NoFileError("its secret is empty, so nothing can register: write one into the file of desks")
    return softphones.SoftphoneDesk(
        alias_id=desk.alias_id,
        name=desk.name or desk.alias_id,
        extension=mine[0].extension,
        password=desk.password or mine[0].password or "",
        secret=secret,
        accounts=tuple(
            softphones.Account(
                phone.server_ip, _sip_port(wanted.settings, phone), ips[phone.server_ip].shown, phone.login
            )
            for phone in mine
        ),
    )


def _sip_port(cluster: ClusterSettings, phone: Phone) -> int:
    own = cluster.probes.get(phone.server_ip)
    return cluster.sip_port if own is None or own.sip_port is None else own.sip_port
