"""Which desks a command of `hotdesk aliases` is about, on which dialers."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

from cyclopts import Parameter

from controller.api.secret_files import UnsafeFileError, refuse_readable_by_all
from hotdesk import settings
from hotdesk.aliases import choosing, desk_file
from hotdesk.aliases.reading import existing_in
from hotdesk.aliases.records import Desk, Dialer, Existing
from hotdesk.cli.log_reader import the_only
from hotdesk.errors import DatabaseFailure, SettingsError
from hotdesk.settings import ClusterSettings, ClusterTables, Options

DEFAULTS = Options()


@Parameter(name="*")
@dataclass(frozen=True)
class Choice:
    """Which desks, on which dialers."""

    desks: Annotated[Path | None, Parameter(help="File of desks (CSV); default: the aliases that there are.")] = None
    from_dialer: Annotated[str, Parameter(help="A desk for each active phone of this dialer, by name or address.")] = ""
    dialers: Annotated[
        tuple[str, ...],
        Parameter(
            consume_multiple=True, negative="", help="Dialers, by name or address; default: all that take agents."
        ),
    ] = ()


ALL_THERE_IS = Choice()


class Wanted(NamedTuple):
    """The subject of a command."""

    cluster: str
    settings: ClusterSettings
    existing: Existing
    desks: Sequence[Desk]
    dialers: Sequence[Dialer]


def wanted_by(choice: Choice, cluster: str, options: Options, tables: ClusterTables) -> Wanted:
    """Return what a command is about, with all that the cluster has.

    Raises:
        SettingsError: the choice, or its file, does not fit.
        DatabaseFailure: the database does not answer, or has no dialer that takes agents.
    """
    known = settings.clusters(tables, options, os.environ)
    name = cluster or the_only(list(known))
    of_cluster = settings_of(known, name)
    # the file first: its faults are found without a database
    from_file = None if choice.desks is None else _read_desks(choice.desks)
    if from_file is not None and choice.from_dialer:
        raise SettingsError("--desks and --from-dialer both say which desks: use one of them")
    existing = existing_in(of_cluster.database_settings())
    if choice.dialers:
        dialers = [dialer_of(existing, each) for each in choice.dialers]
    else:
        dialers = [each for each in existing.dialers if each.takes_agents]
    if from_file is not None:
        desks = from_file
    elif choice.from_dialer:
        desks = choosing.desks_of_dialer(existing, dialer_of(existing, choice.from_dialer).server_ip)
    else:
        desks = choosing.desks_of_aliases(existing)
    if not dialers:
        raise DatabaseFailure(
            "no dialer takes agents: active_asterisk_server and active_agent_login_server say which do"
        )
    if not desks:
        raise SettingsError("there are no desks: name a file with --desks, or a dialer with --from-dialer")
    return Wanted(name, of_cluster, existing, desks, dialers)


def settings_of(known: Mapping[str, ClusterSettings], name: str) -> ClusterSettings:
    """Return a cluster's settings.

    Raises:
        SettingsError: there is no such cluster.
    """
    if name not in known:
        raise SettingsError(f"there is no cluster {name!r} in the settings; there are {', '.join(known) or 'none'}")
    return known[name]


def _read_desks(file: Path) -> list[Desk]:
    try:
        text = file.read_text(encoding="utf-8")
        desks = desk_file.parse(text, str(file))
        if any(desk.password or desk.secret for desk in desks):
            refuse_readable_by_all(file, file.stat().st_mode)
    except desk_file.DeskFileError as error:
        raise SettingsError(str(error)) from error
    except UnsafeFileError as error:
        raise SettingsError(f"{file} has secrets: {error}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file} is not UTF-8: save it as 'CSV UTF-8'") from error
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}") from error
    return desks


def dialer_of(existing: Existing, name: str) -> Dialer:
    """Return the dialer of a name or an address.

    Raises:
        SettingsError: there is none.
    """
    found = choosing.dialer_named(existing, name)
    if found is None:
        raise SettingsError(
            f"there is no dialer {name!r}; there are {', '.join(each.shown for each in existing.dialers)}"
        )
    return found
