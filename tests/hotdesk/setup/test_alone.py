"""Two setups of one folder at once."""

import re
from pathlib import Path

import pytest

from hotdesk.errors import SettingsError
from hotdesk.setup.alone import alone


def test_a_second_one_is_told_since_when_another_runs(tmp_path: Path) -> None:
    with alone("/etc/hotdesk", tmp_path):
        with pytest.raises(SettingsError) as told, alone("/etc/hotdesk", tmp_path):
            pass
        with alone("/somewhere/else", tmp_path):
            pass
    assert re.fullmatch(
        r"another setup of /etc/hotdesk runs since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \(process \d+\): wait for its end",
        str(told.value),
    )
    assert told.value.exit_code == 2
    with alone("/etc/hotdesk", tmp_path):
        pass


def test_a_lock_that_leads_to_another_file_is_refused(tmp_path: Path) -> None:
    with alone("/etc/hotdesk", tmp_path):
        (lock,) = tmp_path.iterdir()
    assert not lock.exists()
    lock.symlink_to(tmp_path / "of somebody else")
    with pytest.raises(SettingsError, match="cannot be locked"), alone("/etc/hotdesk", tmp_path):
        pass
    assert not (tmp_path / "of somebody else").exists()
    lock.unlink()
    other = tmp_path / "another file"
    other.write_text("kept")
    lock.hardlink_to(other)
    with pytest.raises(SettingsError, match="no lock of this account"), alone("/etc/hotdesk", tmp_path):
        pass
    assert other.read_text() == "kept"
