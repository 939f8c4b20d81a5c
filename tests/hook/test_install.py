"""The guide's own commands install the hook beside an options.php that a site has already, however that file ends."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from simulator.database import Database
from tests.hook.office import PLAN
from tests.support.processes import site
from tests.support.web import ROOT, FakeApi, Web, web_server

GUIDE = ROOT / "docs" / "guide" / "login-hook.md"
INSTALLED = "/opt/hotdesk/current/share/hotdesk"
USER, ALIAS = "1001", "desk1001"
OWN = "<?php\n$hide_timeclock_link = '1';\n$user_login_first\t= '1';\t# the phone comes from the user's record\n"
ENDINGS = {"closed": "\n?>\n", "blank": "?>\n\n  \n", "bare": "?>", "open": "", "unfinished": "// done"}


def _install(root: Path, own: str) -> None:
    """Run the guide's commands for an options.php that is there already, twice: an update of hotdesk does it again."""
    copy, _, append = re.findall(r"```sh\n(.*?)```", GUIDE.read_text(), re.DOTALL)[2:5]
    (root / "options.php").write_text(own)
    commands = (
        (copy + append)
        .replace("/opt/hotdesk/current/share/hotdesk", str(ROOT))
        .replace("/srv/www/htdocs/agc", str(root))
    )
    for _ in range(2):
        subprocess.run(["/bin/sh", "-ec", commands], check=True, cwd=root)  # noqa: S603 (our own guide's)


@pytest.fixture(scope="module")
def web(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """Yield the login page of a site whose agents type no phone, with the hook as the guide installs it."""
    with (
        site(database, PLAN) as made,
        web_server(tmp_path_factory.mktemp("own"), made, 2, install=lambda root: _install(root, OWN + "\n?>\n")) as web,
    ):
        made.run(f"UPDATE vicidial_users SET phone_login = '{ALIAS}', phone_pass = 'phonepass' WHERE user = '{USER}'")
        yield web


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_guides_commands_suit_an_options_file_whatever_its_end(tmp_path: Path, ending: str) -> None:
    _install(tmp_path, OWN + ENDINGS[ending])
    probe = "require 'options.php'; require 'options.php'; echo function_exists('hotdesk_log_in') . $user_login_first;"
    php = [shutil.which("php") or "php", "-r", probe]
    ran = subprocess.run(php, cwd=tmp_path, capture_output=True, text=True, check=True)  # noqa: S603 (our own command)
    assert ran.stdout == "11"
    assert (tmp_path / "options.php").read_text().count("hotdesk-options.php") == 1


def test_nothing_is_printed_before_a_page_of_such_a_site(web: Web) -> None:
    assert web.http.get("/feed.php", params={"id": "0"}).text == "GONE"


def test_an_agent_who_types_no_phone_lands_where_hotdesk_says(web: Web, api: FakeApi) -> None:
    api.answer = 201, b'{"user": "1001", "alias": "desk1001", "phone_login": "1001b"}'
    web.set_up(api.url)
    shown = web.log_in(USER, "", phone_pass="")
    assert (shown.logged_in, shown.phone_login) == (True, "1001b")
    assert (f'"alias":"{ALIAS}"' in shown.html, '"record":true' in shown.html) == (True, True)
    assert "phonepass" not in api.asked[0]


def test_an_agent_who_types_a_phone_all_the_same_gets_that_one(web: Web, api: FakeApi) -> None:
    api.answer = 201, b'{"user": "1001", "alias": "desk1002", "phone_login": "1002a"}'
    web.set_up(api.url)
    shown = web.log_in(USER, "desk1002")
    assert (shown.phone_login, '"record":false' in shown.html) == ("1002a", True)


@pytest.mark.parametrize("user", ["1001", "nobody", "o'brien"])
def test_without_an_answer_the_page_reads_the_record_itself(web: Web, api: FakeApi, user: str) -> None:
    api.answer = 404, b"{}"
    web.set_up(api.url)
    assert web.log_in(user, "", phone_pass="").phone_login == (ALIAS if user == USER else "")


def test_an_agent_who_types_no_phone_is_logged_in_again_without_one(web: Web, api: FakeApi, page: Page) -> None:
    api.answer = 201, b'{"user": "1001", "alias": "desk1001", "phone_login": "1001b"}'
    web.set_up(api.url)
    page.goto(f"{web.url}/vicidial.php")
    for name, value in {"VD_login": USER, "VD_pass": "secret", "VD_campaign": "SALES"}.items():
        page.fill(f"input[name={name}]", value)
    page.click("#submit")
    expect(page.locator("#phone")).to_have_text("1001b")
    api.answer = 200, b'{"alias": "desk-1001"}'
    page.evaluate("LogouT('API')")
    expect(page.locator("#hotdesk_moves")).to_be_visible()
    assert page.locator("form input[name=VD_login]").get_attribute("value") == USER
    assert page.locator("form input[name=phone_login], form input[name=phone_pass]").count() == 0
