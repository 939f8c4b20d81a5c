"""`hotdesk status` as Nagios and its kind run it: by a shell, for one line and an exit code."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.core.tones import Tone
from hotdesk.cli.status import CODES
from tests.support.builders import ONE
from tests.support.commands import SETTINGS, Command, Outcome, one_line
from tests.support.log_scene import Scene, playing
from tests.support.processes import CLUSTER, COMMAND, clean_environment, until

PLUGIN = """
output=$("$1" status); code=$?
case $code in 0) s=OK;; 1) s=WARNING;; 2) s=CRITICAL;; *) s=UNKNOWN;; esac
printf '%s;%s' "$s" "$output"
"""
"""What a plugin's caller does with it."""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Yield a cluster whose API wants a token."""
    with playing(tmp_path_factory.mktemp("status"), tokens=True) as made:
        made.seat(ONE, "1001", "1002")
        yield made


@pytest.fixture
def asking(scene: Scene) -> dict[str, str]:
    """Return the variables by which a command reaches it."""
    token = str(scene.http.headers["authorization"]).removeprefix("Bearer ")
    return {"HOTDESK_API_URL": scene.url, "HOTDESK_TOKEN": token}


def test_each_state_of_a_cluster_has_its_code(scene: Scene, asking: dict[str, str], command: Command) -> None:
    def becomes(code: int) -> Outcome:
        return until(lambda: (found := command("status", **asking)).code == code and found, f"it ends with {code}")

    well = becomes(0)
    assert well.output == (
        f"HOTDESK OK - {CLUSTER}: All 3 dialers are up."
        f" | '{CLUSTER} dialers'=3 '{CLUSTER} taking'=3 '{CLUSTER} agents'=2 '{CLUSTER} incidents'=0\n"
    )
    assert command("drain", ONE, "--yes", **asking).code == 0
    assert f"HOTDESK WARNING - {CLUSTER}: {ONE} is draining." in becomes(1).output
    assert command("undrain", ONE, **asking).code == 0
    becomes(0)
    scene.silent = {ONE}
    dead = becomes(2)
    assert f"HOTDESK CRITICAL - {CLUSTER}: {ONE} is down." in dead.output
    assert f"'{CLUSTER} taking'=2" in dead.output
    told = json.loads(command("status", "--json", **asking).output)
    assert (told["code"], told["status"], told["clusters"][0]["tone"]) == (2, "CRITICAL", "trouble")
    shell = subprocess.run(  # noqa: S603 (our own command)
        ["/bin/sh", "-c", PLUGIN, "sh", COMMAND],
        capture_output=True,
        text=True,
        env=clean_environment(asking),
        check=True,
    )
    assert shell.stdout.startswith(f"CRITICAL;HOTDESK CRITICAL - {CLUSTER}: {ONE} is down.")
    assert shell.stderr == ""


def test_what_cannot_be_asked_is_unknown_and_what_does_not_answer_is_critical(
    asking: dict[str, str], command: Command, silent_port: int
) -> None:
    nowhere = command("status", "--cluster", "east", **asking)
    assert (nowhere.code, nowhere.output) == (
        3,
        f"HOTDESK UNKNOWN - there is no cluster 'east'; known: {CLUSTER}\n",
    )
    no_token = command("status", HOTDESK_API_URL=asking["HOTDESK_API_URL"])
    assert no_token.code == 3
    assert "export HOTDESK_TOKEN=TOKEN" in no_token.output
    for odd in (command("status", "--odd"), command("status", HOTDESK_API_PORT="no number", **asking)):
        assert (odd.code, odd.output.partition(" - ")[0]) == (3, "HOTDESK UNKNOWN")
    silent = command("status", HOTDESK_API_PORT=str(silent_port))
    assert silent.code == 2
    assert silent.output.startswith("HOTDESK CRITICAL - no hotdesk answers at ")


def test_only_status_itself_ends_as_monitoring_wants_it(command: Command, tmp_path: Path) -> None:
    """The word may be an argument of another command; and --config may come first."""
    assert "there is no page 'status'" in one_line(command("docs", "status"), SETTINGS)
    nowhere = str(tmp_path / "nowhere.toml")
    for where in (["--config", nowhere], [f"--config={nowhere}"]):
        outcome = command(*where, "status")
        assert (outcome.code, outcome.output.partition(" - ")[0]) == (3, "HOTDESK UNKNOWN")


def test_every_tone_has_a_code() -> None:
    assert CODES.keys() == set(Tone)
