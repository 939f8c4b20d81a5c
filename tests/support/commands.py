"""What a `hotdesk` command said and how it ended, and the settings that commands are tried with."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.support import ami_manager as manager
from tests.support.processes import Site

SECRET = "hunter22-is-no-good"
SETTINGS, DATABASE, LOG, API = 2, 3, 4, 5
"""Exit codes, by what has to be mended."""


class Outcome(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    output: str
    errors: str


Command = Callable[..., Outcome]
"""Runs a command within this process: `command("check", HOTDESK_API_PORT="1")`."""


def one_line(outcome: Outcome, code: int) -> str:
    """Return what a failed command said: one line, on standard error, no traceback, no secret."""
    assert outcome.code == code, outcome
    assert SECRET not in outcome.output + outcome.errors
    (line,) = outcome.errors.splitlines()
    assert line.startswith("hotdesk: ")
    return line


def subjects(outcome: Outcome, verdict: str) -> dict[str, str]:
    """Return the findings of one verdict from `check --json`, by subject."""
    return {each["subject"]: each["what"] for each in json.loads(outcome.output) if each["verdict"] == verdict}


def probeed(folder: Path, west: Site, *ports: int, secret: str = manager.SECRET) -> dict[str, str]:
    """Write settings by which the dialers of `west` have their AMI at these ports, and no SIP; give the others."""
    tables = "".join(
        f"[clusters.west.probes.'{dialer.server_ip}']\nami_host = '{manager.HOST}'\nami_port = {port}\n"
        for dialer, port in zip(west.plan.dialer_plans, ports, strict=True)
    )
    (folder / "hotdesk.toml").write_text(f"[clusters.west]\nami_user = '{manager.USER}'\n{tables}")
    return west.environment | {"HOTDESK_CLUSTERS__WEST__AMI_SECRET": secret, "HOTDESK_CLUSTERS__WEST__SIP": "false"}
