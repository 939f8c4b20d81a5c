"""The shell of setup, on real files below a folder that stands for /."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from hotdesk.errors import HotdeskError, SettingsError
from hotdesk.setup.machine import Tree, run, this_owner
from hotdesk.setup.steps import (
    Commands,
    File,
    Folder,
    Notes,
    Owner,
    State,
    Statements,
    Step,
    paths_of,
    step_of,
    undoing,
)

NOTES = "/etc/hotdesk/setup.json"
OWNER = this_owner()
MIB = 1024 * 1024


def no_sql(statements: Sequence[str]) -> None:
    """Refuse: there are none."""
    raise AssertionError(statements)


def do(tree: Tree, *acts: File | Folder) -> None:
    """Carry out what is to do of these."""
    for act in acts:
        step = step_of(act, f"make {act.path}", tree.seen([act.path]), tree.notes)
        if step.state is State.TO_DO:
            tree.carry_out(step, no_sql)


def undo(tree: Tree) -> list[str]:
    """Return what was left when all was taken back."""
    made = undoing(tree.notes, tree.seen(paths_of(tree.notes)))
    return [
        f"{step.what}: {left or step.why}"
        for step, entry in made
        if (left := tree.undo(step, entry, no_sql)) or step.why
    ]


def test_what_was_made_is_gone_again_with_its_record(tmp_path: Path) -> None:
    tree = Tree(NOTES, tmp_path)
    do(
        tree,
        Folder("/etc/hotdesk", 0o755, OWNER),
        Folder("/etc/hotdesk/secrets", 0o700, OWNER, exact=True),
        File("/etc/hotdesk/secrets/tokens", b"read t\n", 0o600, OWNER),
    )
    made = tmp_path / "etc/hotdesk/secrets/tokens"
    assert (made.read_bytes(), made.stat().st_mode & 0o777) == (b"read t\n", 0o600)
    assert (tmp_path / "etc/hotdesk/setup.json").stat().st_mode & 0o777 == 0o600
    assert undo(Tree(NOTES, tmp_path)) == []
    assert list(tmp_path.rglob("*")) == [tmp_path / "etc"]


def test_what_somebody_changed_since_is_left_and_all_else_goes(tmp_path: Path) -> None:
    tree = Tree(NOTES, tmp_path)
    do(tree, Folder("/etc/hotdesk", 0o755, OWNER), File("/etc/hotdesk/a", b"a", 0o644, OWNER))
    do(tree, File("/etc/hotdesk/b", b"b", 0o644, OWNER))
    (tmp_path / "etc/hotdesk/a").write_text("changed")
    left = undo(Tree(NOTES, tmp_path))
    assert len(left) == 2
    assert "somebody has changed it since" in left[0]
    assert "not empty" in left[1]
    assert [each.name for each in (tmp_path / "etc/hotdesk").iterdir()] == ["a"]


def test_what_is_replaced_comes_back_with_its_mode_and_its_copy_is_closed(tmp_path: Path) -> None:
    site = tmp_path / "srv/options.php"
    site.parent.mkdir(parents=True)
    site.write_bytes(b"<?php $caf\xe9 = 1;\n")
    site.chmod(0o640)
    tree = Tree(NOTES, tmp_path)
    do(tree, File("/srv/options.php", b"another", 0o640, OWNER, takes_over=True))
    (copy,) = (tmp_path / "etc/hotdesk/before").iterdir()
    assert copy.parent.stat().st_mode & 0o777 == 0o700
    assert site.read_bytes() == b"another"
    assert undo(Tree(NOTES, tmp_path)) == []
    assert (site.read_bytes(), site.stat().st_mode & 0o777) == (b"<?php $caf\xe9 = 1;\n", 0o640)
    assert not (tmp_path / "etc/hotdesk/before").exists()


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "shared").write_text("before")
    (tmp_path / "options.php").symlink_to("shared")
    do(Tree(NOTES, tmp_path), File("/options.php", b"after", 0o644, OWNER, takes_over=True))
    assert (tmp_path / "options.php").is_symlink()
    assert (tmp_path / "shared").read_text() == "after"


def test_a_file_is_seen_whole_or_refused(tmp_path: Path) -> None:
    """What is seen of options.php is written back with a line more."""
    large = tmp_path / "large"
    large.write_bytes(b"<?php " + b"#" * 2 * MIB)
    tree = Tree(NOTES, tmp_path)
    assert tree.seen(["/large"])["/large"].content == large.read_bytes()
    os.truncate(large, 17 * MIB)
    with pytest.raises(SettingsError, match="larger than 16 MiB"):
        tree.seen(["/large"])
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SettingsError, match="neither a file nor a folder"):
        tree.seen(["/pipe"])


def test_commands_are_run_and_one_that_fails_says_so(tmp_path: Path) -> None:
    tree = Tree(NOTES, tmp_path)
    mark = tmp_path / "mark"
    act = Commands((("touch", str(mark)), ("sh", "-c", "echo no such luck; exit 3")), (("rm", str(mark)),))
    step = Step(what="make a mark", back="", act=act, state=State.TO_DO)
    with pytest.raises(HotdeskError, match="exit code 3: no such luck"):
        tree.carry_out(step, no_sql)
    # half of it is done, so it can be taken back
    assert undo(tree) == []
    assert not mark.exists()
    assert run(("there-is-no-such-command",)).code == 127


def test_what_could_not_be_taken_back_is_tried_again(tmp_path: Path) -> None:
    """The notes stay until the last act: a user may be in use, and a disk full."""
    site, free = tmp_path / "srv/options.php", tmp_path / "nobody-uses-it"
    site.parent.mkdir(parents=True)
    site.write_bytes(b"the site's own")
    tree = Tree(NOTES, tmp_path)
    do(tree, Folder("/etc/hotdesk", 0o755, OWNER))
    act = Commands((("true",),), (("test", "-e", str(free)),))
    tree.carry_out(Step(what="make a user", back="", act=act, state=State.TO_DO), no_sql)
    do(tree, File("/srv/options.php", b"another", 0o644, OWNER, takes_over=True))

    tree = Tree(NOTES, tmp_path)
    made = undoing(tree.notes, tree.seen(paths_of(tree.notes)))
    (copy,) = (tmp_path / "etc/hotdesk/before").iterdir()
    copy.rename(tmp_path / "aside")
    copy.mkdir()  # it cannot be read
    for step, entry in made:
        with pytest.raises(HotdeskError):
            tree.undo(step, entry, no_sql)
    assert len(Tree(NOTES, tmp_path).notes.entries) == 3

    copy.rmdir()
    (tmp_path / "aside").rename(copy)
    free.touch()
    assert undo(Tree(NOTES, tmp_path)) == []
    assert site.read_bytes() == b"the site's own"
    assert not (tmp_path / "etc/hotdesk").exists()


def test_what_is_changed_while_a_person_reads_is_not_written_over(tmp_path: Path) -> None:
    site = tmp_path / "options.php"
    site.write_bytes(b"the site's own")
    tree = Tree(NOTES, tmp_path)
    act = File("/options.php", b"another", 0o644, OWNER, takes_over=True)
    step = step_of(act, "write it", tree.seen([act.path]), tree.notes)
    site.write_bytes(b"a better one")
    with pytest.raises(HotdeskError, match="changed just now: run it again"):
        tree.carry_out(step, no_sql)
    assert site.read_bytes() == b"a better one"

    do(tree, act)
    made = undoing(tree.notes, tree.seen(paths_of(tree.notes)))
    site.write_bytes(b"the best")
    with pytest.raises(HotdeskError, match="changed just now"):
        tree.undo(*made[0], no_sql)
    assert site.read_bytes() == b"the best"


def test_what_could_not_be_written_is_not_noted(tmp_path: Path) -> None:
    """Otherwise what is there would look like somebody's change, and be left for good."""
    name = "n" * 250  # that of the temporary file beside it is too long
    with pytest.raises(HotdeskError, match="too long"):
        do(Tree(NOTES, tmp_path), File(f"/{name}", b"after", 0o644, OWNER))
    assert Tree(NOTES, tmp_path).notes == Notes()


def test_a_copy_that_stays_is_named(tmp_path: Path) -> None:
    site = tmp_path / "options.php"
    site.write_bytes(b"the site's own")
    tree = Tree(NOTES, tmp_path)
    do(tree, File("/options.php", b"another", 0o644, OWNER, takes_over=True))
    site.unlink()
    (left,) = undo(Tree(NOTES, tmp_path))
    (copy,) = (tmp_path / "etc/hotdesk/before").iterdir()
    assert f"somebody has removed it since; what was there before is in /etc/hotdesk/before/{copy.name}" in left


def test_statements_go_to_the_database_and_back(tmp_path: Path) -> None:
    said: list[str] = []
    tree = Tree(NOTES, tmp_path)
    act = Statements(("GRANT a;", "GRANT b;"), (), "DROP USER x;")
    tree.carry_out(Step(what="give rights", back="", act=act, state=State.TO_DO), said.extend)
    ((step, entry),) = undoing(tree.notes, {})
    assert tree.undo(step, entry, said.extend) == ""
    assert said == ["GRANT a;", "GRANT b;", "DROP USER x;"]
    assert tree.notes == Notes()


def test_what_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "etc/hotdesk").mkdir(parents=True)
    (tmp_path / "etc/hotdesk/setup.json").write_text("{")
    with pytest.raises(SettingsError, match="has no notes"):
        Tree(NOTES, tmp_path)


def test_notes_that_others_may_write_are_refused_since_they_are_commands(tmp_path: Path) -> None:
    do(Tree(NOTES, tmp_path), File("/a", b"a", 0o644, OWNER))
    (tmp_path / "etc/hotdesk/setup.json").chmod(0o602)
    with pytest.raises(SettingsError, match="chmod go-w"):
        Tree(NOTES, tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_notes_of_another_account_are_not_carried_out_by_root(tmp_path: Path) -> None:
    do(Tree(NOTES, tmp_path), File("/a", b"a", 0o644, OWNER))
    os.chown(tmp_path / "etc/hotdesk/setup.json", 65534, 65534)
    with pytest.raises(SettingsError, match="belongs to nobody: run it as that account"):
        Tree(NOTES, tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_a_file_goes_to_whom_it_is_for(tmp_path: Path) -> None:
    do(Tree(NOTES, tmp_path), File("/token", b"t", 0o400, Owner("nobody", "root")))
    assert (tmp_path / "token").owner() == "nobody"
    do(Tree(NOTES, tmp_path), File("/unpacked", b"u", 0o644, Owner("54321", "54321")))
    assert (tmp_path / "unpacked").stat().st_uid == 54321
    with pytest.raises(HotdeskError, match="there is no such"):
        do(Tree(NOTES, tmp_path), File("/other", b"t", 0o400, Owner("no-such-user", "root")))
    assert not (tmp_path / "other").exists()
    with pytest.raises(HotdeskError, match="there is no such"):
        do(Tree(NOTES, tmp_path), Folder("/secrets", 0o700, Owner("no-such-user", "root")))
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_a_link_of_another_account_is_not_followed_to_a_file_of_root(tmp_path: Path) -> None:
    """Whoever may write into the pages' folder must not have root write elsewhere."""
    (tmp_path / "passwords").write_text("root's")
    link = tmp_path / "options.php"
    link.symlink_to("passwords")
    os.lchown(link, 65534, 65534)
    with pytest.raises(HotdeskError, match="a link to a file of another account"):
        do(Tree(NOTES, tmp_path), File("/options.php", b"after", 0o644, OWNER, takes_over=True))
    assert (tmp_path / "passwords").read_text() == "root's"
    assert list((tmp_path / "etc/hotdesk").iterdir()) == []  # no copy, no notes
