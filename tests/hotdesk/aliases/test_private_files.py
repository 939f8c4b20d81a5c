"""Files with passwords: for their owner alone, and a journal is on the disk at each step."""

import os
import stat
from pathlib import Path

import pytest

from hotdesk.aliases.private_files import Journal, replace


def test_each_text_of_a_journal_is_on_the_disk_before_the_next_thing_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, synced = tmp_path / "undo", []

    def fsync(file: int) -> None:
        synced.append("folder" if stat.S_ISDIR(os.fstat(file).st_mode) else path.read_text())

    monkeypatch.setattr(os, "fsync", fsync)
    journal = Journal(path)
    journal.write("head\n")
    journal.write("mark\n")
    journal.close()
    assert synced == ["folder", "head\n", "head\nmark\n"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        Journal(path)


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "desk1001.baresip"
    path.write_text("old")
    path.chmod(0o644)
    replace(path, "new")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", 0o600)
    assert list(tmp_path.iterdir()) == [path]
