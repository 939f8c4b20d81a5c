"""Every scenario goes as its file expects."""

from pathlib import Path

import pytest

from tests.scenarios.run import files, play_file

HERE = Path(__file__).parent


@pytest.mark.parametrize("path", files(HERE), ids=lambda path: path.stem)
def test_it_goes_as_expected(path: Path) -> None:
    row = play_file(path)
    assert row.differences == (), "\n".join(row.timeline)


def test_a_scenario_goes_the_same_way_again() -> None:
    path = HERE / "host_killed_by_api.toml"
    assert play_file(path) == play_file(path)
