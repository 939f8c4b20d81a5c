"""What `hotdesk --version` says of a clone, which no build has told its commit."""

from pathlib import Path

import pytest

from hotdesk.version import commit_of_clone

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    "files",
    [
        {"HEAD": COMMIT},
        {"HEAD": "ref: refs/heads/main", "refs/heads/main": COMMIT},
        {"HEAD": "ref: refs/heads/main", "packed-refs": f"# pack-refs\n{COMMIT} refs/heads/main\n"},
    ],
    ids=["detached", "branch", "packed"],
)
def test_a_clone_says_which_commit_is_checked_out(tmp_path: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        path = tmp_path / ".git" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
    assert commit_of_clone(tmp_path) == COMMIT[:12]


def test_what_is_no_clone_has_no_commit(tmp_path: Path) -> None:
    assert commit_of_clone(tmp_path) == ""
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    assert commit_of_clone(tmp_path) == ""
