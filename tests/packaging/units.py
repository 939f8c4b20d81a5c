"""The units as systemd reads them."""

import os
import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
SYSTEMD = ROOT / "packaging" / "systemd"
UNITS = sorted(SYSTEMD.glob("*.service"))
SECRETS = SYSTEMD / "secrets.conf"
INSTALLED = "/opt/hotdesk/current/bin/hotdesk"
SECRETS_FOLDER = "/etc/hotdesk/secrets"
DOCUMENT = (ROOT / "docs" / "guide" / "install.md").read_text()
TOML = re.compile(r"```toml\n(.*?)```", re.DOTALL)


def settings(file: Path, *, commented: bool = False) -> dict[str, list[str]]:
    """Return the settings of a unit's file, whatever its section; each may stand there more than once."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in file.read_text().splitlines():
        text = line.removeprefix("#") if commented and line.startswith("#Load") else line
        name, equals, value = text.partition("=")
        if equals and not text.startswith(("#", ";", "[")):
            found[name].append(value)
    return found


def credentials(file: Path, *, commented: bool = False) -> dict[str, str]:
    """Return the secrets that a drop-in names: where each lies, by its name."""
    loaded = (each.partition(":") for each in settings(file, commented=commented)["LoadCredential"])
    return {name: path for name, _, path in loaded}


def secrets_of(unit: Path) -> Path:
    """Return the drop-in with the secrets of a unit's service."""
    return SYSTEMD / f"{unit.stem.replace('hotdesk', 'secrets')}.conf"


def environment(file: Path) -> dict[str, str]:
    """Return the variables that a unit sets."""
    return dict(each.split("=", 1) for each in settings(file)["Environment"])


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze, which must be there: Debian's package `systemd` has it."""
    tool = shutil.which("systemd-analyze")
    assert tool, "there is no systemd-analyze: Debian's package `systemd` has it"
    return subprocess.run(  # noqa: S603 (a test's own arguments)
        [tool, *arguments], capture_output=True, text=True, check=False, env=os.environ | {"SYSTEMD_COLORS": "0"}
    )


def toml(text: str) -> list[str]:
    """Return the settings that a document shows, without the indentation of a list."""
    return [re.sub(r"^   ", "", each, flags=re.MULTILINE) for each in TOML.findall(text)]
