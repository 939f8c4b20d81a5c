"""Steps: what is done already, what a person has changed, and the way back. Values in, values out."""

import msgspec
import pytest

from hotdesk.setup.steps import (
    Commands,
    Entry,
    File,
    Folder,
    Notes,
    Owner,
    Remove,
    Seen,
    State,
    Statements,
    Step,
    digest,
    entry_of,
    step_of,
    undoing,
    words_for,
)

PATH = "/etc/hotdesk/hotdesk.toml"
ROOT = Owner("root", "root")
FILE = File(PATH, b"mine", 0o644)


def seen(content: bytes | None = b"mine", mode: int = 0o644, owner: Owner = ROOT) -> dict[str, Seen]:
    """Return what is at the path."""
    return {PATH: Seen(mode, owner, content)}


def notes(content: bytes = b"mine", copy: str = "") -> Notes:
    """Return notes that say that setup wrote this."""
    return Notes((Entry(what="write it", path=PATH, digest=digest(content), copy=copy),))


@pytest.mark.parametrize(
    ("act", "there", "known", "state"),
    [
        (FILE, {}, Notes(), State.TO_DO),
        (FILE, seen(), Notes(), State.DONE),
        (FILE, seen(mode=0o600), Notes(), State.TO_DO),
        (FILE, seen(owner=Owner("me", "root")), Notes(), State.TO_DO),
        # setup's own, of other answers: written anew
        (FILE, seen(b"older"), notes(b"older"), State.TO_DO),
        # a person's, or changed by one
        (FILE, seen(b"theirs"), Notes(), State.KEPT),
        (FILE, seen(b"theirs"), notes(b"older"), State.KEPT),
        (FILE, seen(None), Notes(), State.KEPT),
        (msgspec.structs.replace(FILE, stays=True), seen(b"theirs"), Notes(), State.DONE),
        (msgspec.structs.replace(FILE, stays=True), seen(b"theirs", 0o666), Notes(), State.TO_DO),
        (msgspec.structs.replace(FILE, ours=True), seen(b"theirs"), Notes(), State.TO_DO),
        (msgspec.structs.replace(FILE, takes_over=True), seen(b"theirs"), Notes(), State.TO_DO),
        (Folder(PATH, 0o700), {}, Notes(), State.TO_DO),
        (Folder(PATH, 0o700), seen(None, 0o755), Notes(), State.DONE),
        (Folder(PATH, 0o700, exact=True), seen(None, 0o755), Notes(), State.TO_DO),
        (Folder(PATH, 0o700), seen(b"a file"), Notes(), State.KEPT),
    ],
)
def test_what_is_there_decides_what_is_to_do(
    act: File | Folder, there: dict[str, Seen], known: Notes, state: State
) -> None:
    assert step_of(act, "write it", there, known).state is state


def test_a_secret_in_use_stays_when_only_its_mode_is_wrong() -> None:
    step = step_of(msgspec.structs.replace(FILE, stays=True), "write it", seen(b"theirs", 0o666), Notes())
    assert isinstance(step.act, File)
    assert step.act.content == b"theirs"
    assert entry_of(step, seen(b"theirs", 0o666), Notes(), "/copy") is None


def test_what_is_taken_over_comes_back_as_it_was_before_the_latest_change() -> None:
    act = msgspec.structs.replace(FILE, takes_over=True)
    step = step_of(act, "write it", seen(b"theirs"), Notes())
    entry = entry_of(step, seen(b"theirs"), Notes(), "/copy")
    assert entry == Entry(what="write it", path=PATH, digest=digest(b"mine"), copy="/copy")
    # written by us before, and changed by a person since: what they have now is kept
    again = entry_of(step, seen(b"theirs"), notes(b"ours", "/older"), "/newer")
    assert again is not None
    assert again.copy == "/newer"
    # written by us before: the first copy stays the one to come back
    ours = entry_of(step, seen(b"ours"), notes(b"ours", "/older"), "/newer")
    assert ours is not None
    assert ours.copy == "/older"


def test_the_way_back_is_the_last_first_and_leaves_what_somebody_changed() -> None:
    known = Notes(
        (
            Entry(what="make a folder", path="/etc/hotdesk"),
            Entry(what="write it", path=PATH, digest=digest(b"mine")),
            Entry(what="write another", path="/etc/other", digest=digest(b"other"), copy="/copy"),
            Entry(what="start the service", back=(("systemctl", "stop", "it"),)),
        )
    )
    there = {
        "/etc/hotdesk": Seen(0o755, ROOT, None),
        PATH: Seen(0o644, ROOT, b"changed"),
        "/etc/other": Seen(0o600, ROOT, b"other"),
    }
    stop, other, mine, folder = undoing(known, there)
    assert stop[0].act == Commands((("systemctl", "stop", "it"),))
    assert other[0].act == Remove("/etc/other", "/copy")
    assert (mine[0].state, mine[0].why) == (State.KEPT, "somebody has changed it since")
    assert folder[0].act == Remove("/etc/hotdesk")
    assert [entry for _, entry in undoing(known, {})] == list(reversed(known.entries))
    gone = [step for step, entry in undoing(known, {}) if entry is not None and entry.path]
    assert [step.state for step in gone] == [State.KEPT, State.DONE, State.DONE]
    assert gone[0].why == "somebody has removed it since; what was there before is in /copy"


def test_what_is_back_already_is_no_change_of_somebody() -> None:
    before = b"the site's own"
    entry = Entry(what="write it", path=PATH, digest=digest(b"mine"), copy=f"/before/it.{digest(before)[:8]}")
    ((step, _),) = undoing(Notes((entry,)), {PATH: Seen(0o644, ROOT, before)})
    assert step.state is State.TO_DO


def test_a_thing_that_other_words_name_now_is_noted_and_taken_back_once() -> None:
    commands, sql = (("userdel", "hotdesk"),), "DROP USER 'hotdesk'@'%';"
    older = Notes((Entry(what="make a user", back=commands), Entry(what="run the grants", statement=sql)))
    newer = older.with_entry(Entry(what="make the user hotdesk", back=commands))
    newer = newer.with_entry(Entry(what="give rights", statement=sql)).with_entry(Entry(what="let in", back=(("a",),)))
    assert [each.what for each in newer.entries] == ["make the user hotdesk", "give rights", "let in"]
    assert [step.act for step, _ in undoing(newer, {})] == [
        Commands((("a",),)),
        Statements((sql,), (sql,)),
        Commands(commands),
    ]


def test_a_thing_done_again_is_noted_once() -> None:
    known = notes(b"one").with_entry(Entry(what="another", back=(("a",),))).with_entry(notes(b"two").entries[0])
    assert [(each.path, each.digest) for each in known.entries] == [(PATH, digest(b"two")), ("", "")]
    assert known.without(known.entries[:1]).entries == known.entries[1:]


def test_a_person_reads_what_stands_in_a_step_but_for_secrets() -> None:
    step = Step(what="write it", back="it is removed", act=FILE, state=State.TO_DO)
    assert list(words_for(step)) == ["write it", "    back: it is removed", "    | mine"]
    secret = msgspec.structs.replace(FILE, content=b"hunter22", secret=True)
    words = list(words_for(msgspec.structs.replace(step, act=secret, state=State.KEPT, why="there was one already")))
    assert words == ["write it  [left as it is: there was one already]", "    back: it is removed"]
    command = msgspec.structs.replace(step, act=Commands((("sh", "-c", "a b"),)))
    assert list(words_for(command))[-1] == "    | sh -c 'a b'"
    assert list(words_for(msgspec.structs.replace(step, state=State.DONE))) == ["write it  [done already]"]
