"""`hotdesk hook`: in beside a page that runs, proven by requests, and out again without a trace."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.database import Database
from tests.hook.office import PLAN
from tests.support.processes import CLUSTER, COMMAND, clean_environment, site, until
from tests.support.web import FakeApi, Web, web_server

TOKEN = "0123456789abcdef01234567"
OWN = b"<?php\n# caf\xe9: a site's own, as VICIdial's example is\n$hide_timeclock_link = '1';\n?>\n"
HOOK = {"hotdesk-hook.php", "hotdesk.php", "hotdesk.js", "hotdesk-options.php"}


@pytest.fixture(scope="module")
def web(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """Yield a login page with an options.php of the site's own, and no hook."""
    folder = tmp_path_factory.mktemp("site")

    def own(root: Path) -> None:
        (root / "options.php").write_bytes(OWN)
        (root / "options.php").chmod(0o640)

    with site(database, PLAN) as made, web_server(folder, made, 2, [f"sys_temp_dir={folder}"], install=own) as web:
        yield web


def hook(web: Web, *words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    """Run `hotdesk hook` for this site."""
    folder = web.folder
    given = [COMMAND, "hook", *words, "--folder", str(folder / "agc"), "--settings", str(folder)]
    return subprocess.run(  # noqa: S603 (our own command)
        given,
        cwd=folder,
        env=clean_environment({"COLUMNS": "300"}),
        input=typed,
        capture_output=True,
        text=True,
        check=False,
    )


def install(web: Web, api: FakeApi, *more: str) -> subprocess.CompletedProcess[str]:
    """Put it in; the token comes as the words of `hotdesk setup` have it."""
    said = ("--url", api.url, "--cluster", CLUSTER, "--token-file", "-")
    return hook(web, "install", *said, "--at", web.url, *more, typed=f"{TOKEN}\n")


def well(web: Web) -> bool:
    """Return True if the hook is proven to answer: it waits for hotdesk for 250 ms only, and a machine may be busy."""
    return hook(web, "test", "--at", web.url).returncode == 0


def test_in_proven_and_out_again(web: Web, api: FakeApi) -> None:
    agc = web.folder / "agc"
    api.answer = 200, b"{}"
    shown = install(web, api, "--dry-run")
    assert (shown.returncode, "add a line" in shown.stdout) == (0, True), shown.stderr
    assert (agc / "options.php").read_bytes() == OWN

    done = install(web, api, "--yes")
    assert "done: add a line" in done.stdout, done.stderr
    assert TOKEN not in done.stdout + done.stderr
    until(lambda: well(web), "the hook answers")
    assert (web.folder / "hook.token").stat().st_mode & 0o777 == 0o400
    assert (agc / "options.php").stat().st_mode & 0o777 == 0o640
    # nothing is printed before a page, or before an answer of the agent API
    assert web.http.get("/feed.php", params={"id": "0"}).text == "GONE"
    api.answer = 201, b'{"user": "1001", "alias": "desk1001", "phone_login": "1001b"}'
    landed = until(lambda: web.log_in("1001", "desk1001").phone_login == "1001b", "a login lands where hotdesk says")
    assert landed

    api.answer = 200, b"{}"
    again = hook(web, "install", "--at", web.url, "--yes")
    assert "done:" not in again.stdout, again.stdout

    out = hook(web, "remove", "--yes")
    assert out.returncode == 0, out.stderr
    assert (agc / "options.php").read_bytes() == OWN
    assert HOOK & {each.name for each in agc.iterdir()} == set()
    assert not any((web.folder / name).exists() for name in ("hook.ini", "hook.token", "hook.json", "before"))
    assert web.log_in("1001", "desk1001").phone_login == "desk1001"


def test_what_is_wrong_is_found(web: Web, api: FakeApi) -> None:
    api.answer = 401, b"{}"
    done = install(web, api, "--yes")
    try:
        assert "refuses the token" in done.stdout
        assert done.returncode == 5
        (web.folder / "agc" / "options.php").write_bytes(b"<?php syntax error")
        assert "wrong login hook: " in hook(web, "test", "--at", web.url).stdout
    finally:
        hook(web, "remove", "--yes")
        shutil.rmtree(web.folder / "before", ignore_errors=True)
        (web.folder / "agc" / "options.php").write_bytes(OWN)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--url", "10.0.0.20"], "write hotdesk's address"),
        (["--url", "http://10.0.0.20:8470", "--cluster", CLUSTER], "--token-file"),
        (["--cluster", "West Side"], "use lower-case letters"),
    ],
)
def test_what_is_not_enough_is_one_line(web: Web, words: list[str], said: str) -> None:
    done = hook(web, "install", *words, "--yes")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert said in line
    assert (web.folder / "agc" / "options.php").read_bytes() == OWN


def test_a_site_s_file_that_ends_outside_php_is_left(web: Web, api: FakeApi) -> None:
    odd = OWN + b"<b>hello</b>\n"
    (web.folder / "agc" / "options.php").write_bytes(odd)
    try:
        done = install(web, api, "--yes")
        assert (done.returncode, "by hand" in done.stderr) == (1, True)
        assert (web.folder / "agc" / "options.php").read_bytes() == odd
        assert HOOK & {each.name for each in (web.folder / "agc").iterdir()} == set()
    finally:
        (web.folder / "agc" / "options.php").write_bytes(OWN)
