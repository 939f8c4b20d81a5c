"""`hotdesk alerts`: the rules as one installation needs them."""

from pathlib import Path

import pytest
import yaml

from hotdesk.cli.alerts import GRAFANA, RUNBOOKS
from hotdesk.cli.main import app
from hotdesk.errors import HotdeskError, SettingsError
from hotdesk.shipped import shipped
from tests.support.prometheus import run_tool


def printed(capsys: pytest.CaptureFixture[str], *flags: str) -> str:
    """Return what the command prints."""
    app(["alerts", *flags], result_action="return_value")
    return capsys.readouterr().out


def test_the_rules_have_the_links_and_the_job_of_the_installation(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    text = printed(
        capsys, "--runbooks", "https://hotdesk.corp:8470/runbooks/", "--dashboards", "http://g.corp", "--job", "hd-2"
    )
    rules = [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]
    links = {rule["alert"]: rule["annotations"] for rule in rules if "alert" in rule}
    assert links["HotdeskLag"]["runbook_url"] == "https://hotdesk.corp:8470/runbooks/HotdeskLag.md"
    assert links["HotdeskLag"]["dashboard_url"] == "http://g.corp/d/hotdesk-fleet"
    assert {rule["labels"]["job"] for rule in rules} == {"hd-2"}
    assert RUNBOOKS not in text
    assert GRAFANA not in text
    assert 'job="hotdesk"' not in text
    file = tmp_path / "rules.yml"
    file.write_text(text)
    run_tool("promtool", "check", "rules", "--lint-fatal", file)


def test_without_a_job_they_are_the_shipped_ones_but_for_the_links(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "--runbooks", RUNBOOKS, "--dashboards", GRAFANA)
    assert text == shipped("alerts/hotdesk.rules.yml").read_text()


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--runbooks", "hotdesk.corp/runbooks"),
        ("--runbooks", "https://a'b"),
        ("--dashboards", "https://{{ .Values }}"),
        ("--dashboards", ""),
        ("--job", 'a"b'),
        ("--job", ""),
    ],
)
def test_what_would_break_the_rules_is_refused(capsys: pytest.CaptureFixture[str], flag: str, value: str) -> None:
    given = {"--runbooks": "https://a", "--dashboards": "https://b"} | {flag: value}
    with pytest.raises(SettingsError, match="is no"):
        printed(capsys, *(word for pair in given.items() for word in pair))


def test_an_installation_that_lacks_the_file_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("hotdesk.shipped.PLACES", (tmp_path,))
    with pytest.raises(HotdeskError, match=r"hotdesk\.rules\.yml cannot be read: No such file"):
        printed(capsys, "--runbooks", RUNBOOKS, "--dashboards", GRAFANA)
