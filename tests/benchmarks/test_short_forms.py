"""The benchmarks still work: each in its short form, which measures nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.timing import on_this_machine

ROOT = Path(__file__).resolve().parents[2]


LONG = 900.0
"""Seconds for what hangs; alone it takes four minutes, of which it waits most, as people and brokers do."""


@pytest.mark.timeout(4 * LONG)
def test_every_benchmark_works() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "bench", "--short"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=min(on_this_machine(LONG), 4 * LONG - 60),
    )
    assert ran.returncode == 0, ran.stdout
    assert "broken 0" in ran.stdout
