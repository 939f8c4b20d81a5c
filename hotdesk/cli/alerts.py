"""`hotdesk alerts`: Prometheus's rules, with what only an installation knows filled in."""

import re
from typing import Annotated

from cyclopts import Parameter

from hotdesk.cli.terminal import say
from hotdesk.errors import HotdeskError, SettingsError
from hotdesk.shipped import shipped

GRAFANA = "https://grafana.example"
RUNBOOKS = "https://hotdesk.example/runbooks"
"""The addresses that stand in the rules as they are shipped."""

JOB = "hotdesk"
ADDRESS = re.compile(r"https?://[^\s'\"{}<>\\]+")
"""An address that needs no escape in YAML, nor in Prometheus's templates."""
JOB_NAME = re.compile(r"[\w.:/-]+")


def alerts(
    *,
    runbooks: Annotated[str, Parameter(help="Where the runbooks are: their pages' address without the name.")],
    dashboards: Annotated[str, Parameter(help="Grafana's address, which has the dashboards.")],
    job: Annotated[str, Parameter(help="Prometheus' job that scrapes hotdesk.")] = JOB,
) -> None:
    """Print the alert rules for Prometheus, with your links and your job in them."""
    file = shipped("alerts/hotdesk.rules.yml")
    try:
        ours = file.read_text()
    except OSError as error:
        raise HotdeskError(f"{file} cannot be read: {error.strerror}") from error
    for line in rules_for(ours, _base(runbooks), _base(dashboards), _job(job)).splitlines():
        say(line)


def rules_for(rules: str, runbooks: str, dashboards: str, job: str) -> str:
    """Return the shipped rules with these addresses and this job in place of their own."""
    for ours, theirs in (
        (RUNBOOKS, runbooks),
        (GRAFANA, dashboards),
        (f'job="{JOB}"', f'job="{job}"'),
        (f"job: {JOB}\n", f"job: {job}\n"),
    ):
        rules = rules.replace(ours, theirs)
    return rules


def _base(address: str) -> str:
    """Return the beginning of links, without a slash at its end."""
    if ADDRESS.fullmatch(address) is None:
        raise SettingsError(f"{address!r} is no address: it begins with https:// or http://, and has no quotes")
    return address.rstrip("/")


def _job(name: str) -> str:
    if JOB_NAME.fullmatch(name) is None:
        raise SettingsError(f"{name!r} is no name of a job: letters, digits, and any of . : / - _")
    return name
