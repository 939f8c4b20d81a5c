"""What a soak says of what it saw, and that it ends as it should."""

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.soak.growth import LEAST_SAMPLES, Sample, trends
from tests.soak.plan import DIALERS, MOMENT, MOMENT_SECONDS, OWN, SHORTEST_PAUSE_SECONDS, TOGETHER, draw

ROOT = Path(__file__).parents[2]


def test_faults_come_ever_faster_and_all_of_them_come() -> None:
    dice = random.Random(1)  # noqa: S311 # it must repeat
    planned = [draw(dice, number / 400) for number in range(401)]
    pauses = [each.pause_seconds for each in planned]
    assert pauses == sorted(pauses, reverse=True)
    assert pauses[-1] == SHORTEST_PAUSE_SECONDS
    assert {each.own for each in planned} == {"", *OWN}
    assert {each.dialer for each in planned} == {"", *DIALERS}
    both = [number for number, each in enumerate(planned) if each.own and each.dialer]
    assert {planned[number].own for number in both} == set(TOGETHER)
    assert sum(number > 200 for number in both) > sum(number < 200 for number in both)


def test_a_heartbeat_that_stands_still_for_a_moment_goes_on_before_anybody_may_be_moved() -> None:
    dice = random.Random(1)  # noqa: S311 # it must repeat
    planned = [draw(dice, 0) for _ in range(400)]
    moments = [each.lead_seconds + each.lasts_seconds for each in planned if each.own == MOMENT]
    assert moments
    assert max(moments) <= MOMENT_SECONDS


def test_what_grows_is_told_from_what_does_not() -> None:
    flat = [Sample(90 + number % 3, 40, 0) for number in range(400)]
    leaking = [Sample(90 + number / 10, 40 + number / 40, 0) for number in range(400)]
    behind = [Sample(90, 40, number) for number in range(400)]
    assert [each.what for each in trends(flat) if not each.flat] == []
    assert [each.what for each in trends(leaking) if not each.flat] == ["megabytes", "files"]
    assert [each.what for each in trends(behind) if not each.flat] == ["lag"]
    assert trends(flat[: LEAST_SAMPLES - 1]) == []


@pytest.mark.timeout(110)
def test_a_short_soak_ends_with_its_line_and_breaks_nothing() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.soak", "0.05", "8"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    last = ran.stdout.splitlines()[-1]
    assert re.fullmatch(r"minutes 0\.05, faults 1, moved [1-9]\d*, broken 0", last), ran.stdout + ran.stderr
    assert ran.returncode == 0
