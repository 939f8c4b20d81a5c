"""The login hook's steps, and what the checks of web servers and dialers say. Values in, values out."""

from pathlib import Path

import pytest

from hotdesk.findings import Finding, Verdict
from hotdesk.setup import dialer, web
from hotdesk.setup.dialer import Dialer, Probed
from hotdesk.setup.facts import Vicidial
from hotdesk.setup.hook import (
    FILES,
    INI,
    LINE,
    OPTIONS,
    OURS,
    PAGE,
    UnfitError,
    Web,
    in_code,
    ini_values,
    paths,
    refused,
    removal,
    steps,
    with_line,
    without_line,
)
from hotdesk.setup.steps import Entry, File, Folder, Notes, Owner, Remove, Seen, State, Step, digest
from messages.records import ProbeResult

ROOT = Path(__file__).parents[3]
SHIPPED = {name: (ROOT / "hook" / name).read_bytes() for name in (*FILES, OPTIONS, INI)}
WEB = Web("/agc", SHIPPED, "wwwrun", "http://10.0.0.20:8470", "west", "t" * 24)
ADMIN = Owner("root", "root")
OWN = "<?php\n$hide_timeclock_link = '1';\n"
PAGES = {WEB.at(PAGE): Seen(0o644, ADMIN, b"<?php $INSERT_before_body_close = '';")}


def there(**files: str) -> dict[str, Seen]:
    """Return the page, and other files beside it."""
    return PAGES | {WEB.at(name.replace("_", ".")): Seen(0o644, ADMIN, text.encode()) for name, text in files.items()}


def after(made: list[Step], before: dict[str, Seen]) -> tuple[dict[str, Seen], Notes]:
    """Return what would be seen, and noted, after these steps."""
    seen, notes = dict(before), Notes()
    for each in made:
        if isinstance(each.act, File):
            copy = "/copy" if each.act.takes_over and each.act.path in seen else ""
            notes = notes.with_entry(
                Entry(what=each.what, path=each.act.path, digest=digest(each.act.content), copy=copy)
            )
            seen[each.act.path] = Seen(each.act.mode, each.act.owner, each.act.content)
        elif isinstance(each.act, Folder):
            seen[each.act.path] = Seen(0o755, ADMIN, None)
    return seen, notes


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        (OWN, True),
        ("<?php\n$a = 'no ?> here';\n", True),
        ('<?php\n$a = "no \\" ?> here";\n', True),
        ("<?php\n/* no ?> here */\n", True),
        ("<?php\n$a = <<<'END'\nno ?> here\nEND;\n", True),
        ("<?php\n$a = 1; // a remark ends at ?>\n", False),
        ("<?php # it's ?> text", False),
        ("<?php $a = 1; ?>\n<b>text</b>", False),
        ("<?php $a = 1; ?>\n<?php $b = 2;\n", True),
        ("<?= 1 ?> <?php", True),
        ("no PHP at all", False),
        ("", False),
    ],
)
def test_whether_a_line_at_the_end_would_be_code(text: str, inside: bool) -> None:
    assert in_code(text) is inside


@pytest.mark.parametrize("ending", ["", "\n", "?>", "\n?>\n", "?>\n\n  \n", "// done"])
def test_the_line_stands_at_the_end_and_goes_again(ending: str) -> None:
    text = with_line(OWN + ending)
    assert text.endswith(f"\n{LINE}\n")
    assert "?>" not in text
    assert without_line(text).strip() == (OWN + ending.replace("?>", "")).strip()


def test_a_file_that_ends_outside_php_is_left() -> None:
    with pytest.raises(UnfitError, match="by hand"):
        with_line(f"{OWN}?>\n<b>hello</b>\n")


def test_where_there_is_no_options_file_ours_is_it_and_a_second_time_changes_nothing() -> None:
    made = steps(WEB, PAGES, Notes())
    assert {each.state for each in made} == {State.TO_DO}
    assert [each.act.path for each in made if isinstance(each.act, File)][-1] == WEB.at(OPTIONS)
    seen, notes = after(made, PAGES)
    token = seen[WEB.token_file]
    assert (token.mode, token.owner.user) == (0o400, "wwwrun")
    values = ini_values((seen[WEB.ini].content or b"").decode())
    assert (values["urls"], values["cluster"], values["token_file"]) == (WEB.urls, "west", WEB.token_file)
    again = steps(WEB._replace(token=""), seen, notes)
    assert [each.what for each in again if each.state is not State.DONE] == []
    assert refused(WEB._replace(token=""), seen) == ""


def test_a_site_s_own_options_file_is_added_to_and_comes_back() -> None:
    before = there(options_php=OWN + "?>\n")
    seen, notes = after(steps(WEB, before, Notes()), before)
    content = seen[WEB.at(OPTIONS)].content or b""
    assert content.decode() == f"<?php\n$hide_timeclock_link = '1';\n{LINE}\n"
    assert {each.state for each in steps(WEB, seen, notes)} == {State.DONE}
    out = removal(WEB, seen, notes)
    assert (out[0][0].act, out[0][0].state) == (Remove(WEB.at(OPTIONS), "/copy"), State.TO_DO)
    assert {step.state for step, _ in out} == {State.TO_DO}
    # changed since: only the line goes
    changed = seen | {WEB.at(OPTIONS): Seen(0o644, ADMIN, content + b"$more = 1;\n")}
    (first, entry), *_ = removal(WEB, changed, notes)
    assert isinstance(first.act, File)
    assert OURS.encode() not in first.act.content
    assert b"$more = 1;" in first.act.content
    assert entry == notes.of(WEB.at(OPTIONS))
    # its copy stays, so where it is must be said
    assert first.what.endswith("is in /copy")


def test_a_hook_that_was_put_in_by_hand_is_taken_out_too() -> None:
    seen = there(options_php=with_line(OWN)) | {
        WEB.at(name): Seen(0o644, ADMIN, b"an older one") for name in (*FILES, OURS)
    }
    made = removal(WEB, seen, Notes())
    assert isinstance(made[0][0].act, File)
    assert {each.act.path for each, _ in made[1:] if isinstance(each.act, Remove)} == {
        WEB.at(name) for name in (*FILES, OURS)
    }
    ours = PAGES | {WEB.at(OPTIONS): Seen(0o644, ADMIN, SHIPPED[OPTIONS])}
    assert [each.act for each, _ in removal(WEB, ours, Notes())] == [Remove(WEB.at(OPTIONS))]
    assert removal(WEB, PAGES, Notes()) == []


def test_our_options_file_with_a_site_s_additions_is_left() -> None:
    seen = PAGES | {WEB.at(OPTIONS): Seen(0o644, ADMIN, SHIPPED[OPTIONS] + b"$mine = 1;\n")}
    assert steps(WEB, seen, Notes())[-1].state is State.KEPT


@pytest.mark.parametrize(
    ("found", "seen", "why"),
    [
        (WEB, {}, "there is no /agc/vicidial.php"),
        (WEB, {WEB.at(PAGE): Seen(0o644, ADMIN, b"<?php")}, "too old"),
        (WEB._replace(urls=""), PAGES, "--url"),
        (WEB._replace(token=""), PAGES, "--token-file"),
    ],
)
def test_where_the_hook_cannot_go_in_it_says_why(found: Web, seen: dict[str, Seen], why: str) -> None:
    assert why in refused(found, seen)


PHP = web.Php("8.2.7", frozenset({"curl", "json", "mysqli"}))
WELL = web.Asked(WEB.urls, 200)


def wrongs(findings: list[Finding]) -> list[str]:
    """Return what is not well, in one line each."""
    return [f"{each.verdict} {each.what}: {each.remedy}" for each in findings if each.verdict is not Verdict.OK]


def test_a_web_server_that_lacks_nothing_is_all_well() -> None:
    for before in (PAGES, there(options_php=OWN)):
        seen, _ = after(steps(WEB, before, Notes()), before)
        assert wrongs(list(web.judged(WEB, seen, PHP, (WELL,)))) == []
        assert set(paths(WEB)) >= set(seen)


@pytest.mark.parametrize(
    ("changed", "php", "asked", "said"),
    [
        ({}, web.Php("7.1.33", frozenset()), WELL, "wrong PHP is 7.1.33"),
        ({}, web.Php("8.2.7", frozenset({"json"})), WELL, "wrong PHP 8.2.7 lacks curl"),
        ({}, None, WELL, "note there is no command php"),
        ({FILES[2]: None}, PHP, WELL, "wrong not there: hotdesk.js"),
        ({FILES[1]: b"older"}, PHP, WELL, "note of another version, or changed: hotdesk.php"),
        ({OPTIONS: OWN.encode()}, PHP, WELL, "wrong /agc/options.php does not load it"),
        ({OPTIONS: f"{OWN}?>\n{LINE}\n".encode()}, PHP, WELL, "stands outside PHP"),
        ({OPTIONS: with_line(OWN).encode()}, PHP, WELL, "loads hotdesk-options.php, which is not there"),
        ({}, PHP, web.Asked(WEB.urls, 401), "refuses the token"),
        ({}, PHP, web.Asked(WEB.urls, 404), "knows no cluster west"),
        ({}, PHP, web.Asked(WEB.urls, 0, "Connection refused"), "cannot be reached: Connection refused"),
    ],
)
def test_what_a_web_server_lacks_is_said(
    changed: dict[str, bytes | None], php: web.Php | None, asked: web.Asked, said: str
) -> None:
    seen, _ = after(steps(WEB, PAGES, Notes()), PAGES)
    for name, content in changed.items():
        del seen[WEB.at(name)]
        if content is not None:
            seen[WEB.at(name)] = Seen(0o644, ADMIN, content)
    (line,) = wrongs(list(web.judged(WEB, seen, php, (asked,))))
    assert said in line


@pytest.mark.parametrize(
    ("mode", "user", "said"),
    [(0o444, "wwwrun", "every account"), (0o400, "root", "cannot read"), (0o640, "root", "")],
)
def test_a_token_that_the_web_server_cannot_read_or_everybody_can_is_said(mode: int, user: str, said: str) -> None:
    seen, _ = after(steps(WEB, PAGES, Notes()), PAGES)
    seen[WEB.token_file] = Seen(mode, Owner(user, "root"), b"t")
    found = wrongs(list(web.judged(WEB, seen, PHP, (WELL,))))
    assert said in "".join(found)
    assert bool(found) is bool(said)


def test_what_a_request_shows_is_judged() -> None:
    assert web.of_options(200, "\n", "u").verdict is Verdict.OK
    assert "prints 'require" in web.of_options(200, LINE, "u").what
    assert "answers 500" in web.of_options(500, "", "u").what
    assert web.of_screen(200, '{"order": null}', "u").verdict is Verdict.OK
    assert "did not answer" in web.of_screen(200, '{"order":null,"again":true}', "u").what
    assert "cannot be reached: refused" in web.of_screen(0, "refused", "u").what
    assert "answers 404" in web.of_screen(404, "<html>", "u").what


MANAGER = """\
[general]
enabled = yes
port = 5038
bindaddr = 0.0.0.0 ; all of them
#include "manager_more.conf"
"""
ACCOUNT = """\
[hotdesk]
secret = s3cret
deny = 0.0.0.0/0.0.0.0
permit => 10.0.0.20/255.255.255.255
permit = 10.0.0.21/255.255.255.255
read =
write = reporting
"""
LOADED = """
       username: hotdesk
         secret: <Set>
            ACL: yes
      read perm: <none>
     write perm: reporting
displayconnects: yes
"""
DIALER = Dialer(
    Vicidial(server_ip="10.0.0.11"),
    dialer.sections(MANAGER, lambda name: ACCOUNT if name == "manager_more.conf" else ""),
    LOADED,
    Probed(ProbeResult.ALIVE, ProbeResult.ALIVE),
    0.2,
)


def test_a_dialer_that_lacks_nothing_is_all_well() -> None:
    assert DIALER.sections["hotdesk"]["permit"] == ["10.0.0.20/255.255.255.255", "10.0.0.21/255.255.255.255"]
    assert wrongs(list(dialer.judged(DIALER))) == []


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (DIALER._replace(vicidial=Vicidial()), "names no VARserver_ip"),
        (DIALER._replace(sections={}), "cannot be read"),
        (DIALER._replace(sections={**DIALER.sections, "general": {}}), "wrong AMI is switched off"),
        (
            DIALER._replace(sections={**DIALER.sections, "general": {"enabled": ["yes"], "bindaddr": ["127.0.0.1"]}}),
            "listens for this machine alone",
        ),
        (DIALER._replace(sections={"general": DIALER.sections["general"]}), "has no account [hotdesk]"),
        (DIALER._replace(loaded="There is no manager called hotdesk\n"), "not loaded: asterisk -rx 'manager reload'"),
        (DIALER._replace(loaded=None), "Asterisk cannot be asked"),
        (DIALER._replace(loaded=LOADED.replace("reporting", "<none>")), "may not ask when Asterisk started"),
        (DIALER._replace(loaded=LOADED.replace("reporting", "reporting,originate")), "than it needs: originate"),
        (DIALER._replace(probed=Probed(ProbeResult.DENIED, ProbeResult.ALIVE)), "note it answers at 10.0.0.11"),
        (DIALER._replace(probed=Probed(ProbeResult.REFUSED, ProbeResult.ALIVE)), "wrong AMI at 10.0.0.11"),
        (DIALER._replace(probed=Probed(ProbeResult.ALIVE, ProbeResult.MUTE)), "note SIP at 10.0.0.11"),
        (DIALER._replace(clock_ahead_seconds=300.0), "300 s ahead of this dialer's"),
        (DIALER._replace(clock_ahead_seconds=None), "could not be asked"),
    ],
)
def test_what_a_dialer_lacks_is_said(found: Dialer, said: str) -> None:
    assert said in "\n".join(wrongs(list(dialer.judged(found))))


def test_an_account_that_everybody_may_try_is_said() -> None:
    open_to_all = dialer.sections(MANAGER + ACCOUNT.replace("deny", ";deny"), lambda _: "")
    assert "every address may try" in "".join(wrongs(list(dialer.judged(DIALER._replace(sections=open_to_all)))))


def test_files_that_include_each_other_have_an_end() -> None:
    assert dialer.sections("#include x\n[general]\na = 1\n", lambda _: "#include x\n") == {"general": {"a": ["1"]}}
