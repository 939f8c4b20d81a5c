"""`hotdesk run`, `collect`, `control` and `serve`: a process of all roles, or of one."""

import os
import resource
import signal
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import structlog

from hotdesk import logs, settings
from hotdesk.errors import HotdeskError, SettingsError
from hotdesk.notify.senders import Told
from hotdesk.notify.settings import FileFault, NotifySettings, notify_settings, told_by
from hotdesk.service import Service
from hotdesk.settings import ClusterTables, NotifyTables, Options, ReadAgain
from hotdesk.signals import Asked, asked_by, asked_to_end, in_a_terminal
from hotdesk.wanted import Role, Wanted

DEFAULTS = Options()
WATCH_SECONDS = 1.0
_Tables = tuple[dict[str, Any], dict[str, Any]]
"""Those of the clusters, and those of the recipients of notifications."""

log = structlog.get_logger()


def run(*, options: Options = DEFAULTS, clusters: ClusterTables, notify: NotifyTables, read_again: ReadAgain) -> None:
    """Run all roles in this process: collect, control and serve."""
    _run_roles(frozenset(Role), options, (clusters, notify), read_again)


def collect(
    *, options: Options = DEFAULTS, clusters: ClusterTables, notify: NotifyTables, read_again: ReadAgain
) -> None:
    """Run collectors only: read the clusters' databases, and publish records."""
    _run_roles(frozenset({Role.COLLECT}), options, (clusters, notify), read_again)


def control(
    *, options: Options = DEFAULTS, clusters: ClusterTables, notify: NotifyTables, read_again: ReadAgain
) -> None:
    """Run a controller only: own a share of the clusters, and decide for them."""
    _run_roles(frozenset({Role.CONTROL}), options, (clusters, notify), read_again)


def serve(*, options: Options = DEFAULTS, clusters: ClusterTables, notify: NotifyTables, read_again: ReadAgain) -> None:
    """Run a replica only: answer the API, and decide for no cluster."""
    _run_roles(frozenset({Role.SERVE}), options, (clusters, notify), read_again)


def _run_roles(roles: frozenset[Role], options: Options, tables: _Tables, read_again: ReadAgain) -> None:
    logs.configure()
    # a dump of this process would hold every secret
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for variable, meant in settings.unknown_variables(os.environ).items():
        log.warning("a variable looks like a setting, and is none: ignored", variable=variable, meant=meant)
    reload = Asked()
    with (
        asked_to_end() as end,
        nullcontext() if in_a_terminal() else asked_by(signal.SIGHUP, reload),
        Service(_wanted(roles, options, tables)) as service,
    ):
        while not end.wait(WATCH_SECONDS):
            if ended := service.ended():
                raise HotdeskError(
                    f"{', '.join(ended)} ended unexpectedly, and this process cannot work without it; see the log above"
                )
            if reload.consume():
                _change(service, roles, options, read_again)


def _wanted(roles: frozenset[Role], options: Options, tables: _Tables) -> Wanted:
    clusters = settings.clusters(tables[0], options, os.environ)
    recipients = notify_settings(tables[1], os.environ) if Role.CONTROL in roles else {}
    if Role.COLLECT in roles and not clusters:
        raise SettingsError(
            "no cluster to collect from: 'hotdesk setup' sets one up; or write a [clusters.NAME] table, as"
            " 'hotdesk init' shows"
        )
    return Wanted(
        roles=roles,
        log=options.log,
        api=options.api,
        # The other roles use no database, and need not be able to read its password.
        databases={name: cluster.database_settings() for name, cluster in clusters.items() if Role.COLLECT in roles},
        policies={name: cluster.policy() for name, cluster in clusters.items()},
        actuators={
            name: cluster.actuator_settings()
            for name, cluster in clusters.items()
            if Role.CONTROL in roles and cluster.mode == "act"
        },
        probes={name: cluster.probe_settings() for name, cluster in clusters.items() if Role.COLLECT in roles},
        told=_reachable(recipients),
    )


def _reachable(recipients: Mapping[str, NotifySettings]) -> dict[str, Told]:
    """Return the recipients but for those whose files are at fault: a lost file must not keep hotdesk from working."""
    told: dict[str, Told] = {}
    for name, each in recipients.items():
        try:
            told |= told_by({name: each})
        except FileFault as error:
            log.error("a recipient of notifications is left out", why=str(error))  # noqa: TRY400 # a file is at fault
    return told


def _change(service: Service, roles: frozenset[Role], options: Options, read_again: ReadAgain) -> None:
    """Apply the clusters' settings as they are now; if they are wrong, all stays as it was."""
    try:
        service.change(_wanted(roles, options, read_again()))
    except HotdeskError as error:
        log.warning("the settings changed and cannot be used; all stays as it was", why=str(error))
