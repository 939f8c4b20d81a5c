"""The format of scenarios: what it takes, what it refuses and where, and that its page says so."""

import re
from pathlib import Path

import msgspec
import pytest

from tests.scenarios.__main__ import main
from tests.scenarios.events import HAPPENINGS, TAKES
from tests.scenarios.run import files, play
from tests.scenarios.story import START, Event, Expect, Seconds, Story, StoryError, read_story, seconds_of

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs" / "design" / "scenarios.md").read_text()

STORY = """\
name = "a story"
dialers = 2
agents = 4
duration = "1m"

[settings]
mode = "act"

[[event]]
at = "10s"
do = "active"
dialer = 1
value = "N"
for = "5s"

[[event]]
at = "20s"
do = "updater_stops"
dialers = [1, 2]

[expect]
logouts = { at_most = 3 }
silence = "30s"
"""


def _file(folder: Path, text: str) -> Path:
    path = folder / "story.toml"
    path.write_text(text)
    return path


def test_a_story_is_read(tmp_path: Path) -> None:
    story = read_story(_file(tmp_path, STORY), TAKES)
    assert (story.settings.mode, story.dialers, story.hook, story.probes) == ("act", 2, True, ("ami", "sip"))
    assert [str((each.at, each.do, each.lasts)) for each in story.events] == [
        "(10.0, 'active', 5.0)",
        "(20.0, 'updater_stops', None)",
    ]
    assert story.expect.silence == Seconds(30)


def test_an_event_about_an_agent_is_refused_where_there_are_none(tmp_path: Path) -> None:
    text = (
        STORY.replace("agents = 4", "agents = 0")
        .replace("dialers = [1, 2]", "agent = 1")
        .replace("updater_stops", "tab_hidden")
    )
    with pytest.raises(StoryError, match="agent 1: there are 0 only"):
        read_story(_file(tmp_path, text), TAKES)


def test_a_beginning_without_a_zone_is_utc(tmp_path: Path) -> None:
    text = STORY.replace("agents = 4", "agents = 4\nstarts = 2026-01-05T10:00:00")
    assert read_story(_file(tmp_path, text), TAKES).starts == START


def test_weights_may_stand_among_the_settings(tmp_path: Path) -> None:
    text = STORY.replace('mode = "act"', 'mode = "act"\nweights = { "1" = 2 }')
    assert read_story(_file(tmp_path, text), TAKES).weights == {"1": 2}


@pytest.mark.parametrize(
    ("text", "seconds"), [("45s", 45), ("2m", 120), ("1h30m", 5400), ("1.5s", 1.5), ("1h1m1s", 3661), ("0s", 0)]
)
def test_a_time_is_read(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("given", ["", "45", "m2", "2m3", "-1s", "25h", 45, None])
def test_what_is_no_time_is_refused(given: object) -> None:
    with pytest.raises(ValueError, match=r"no time|a day"):
        seconds_of(given)


@pytest.mark.parametrize(
    ("line", "instead", "number", "says"),
    [
        ("agents = 4", "agents = 4\nagent = 1", 4, "unknown field `agent`"),
        ("agents = 4", "agents = -4", 3, "agents"),
        ('duration = "1m"', 'duration = "1 minute"', 4, "no time"),
        ('mode = "act"', 'mod = "act"', 7, "unknown field `mod`"),
        ('mode = "act"', 'mode = "acts"', 7, "mode"),
        ('do = "active"', 'do = "activates"', 11, "nothing is called 'activates'"),
        ('do = "active"', 'do = "collector_stops"', 12, "collector_stops has no 'dialer'"),
        ('value = "N"', 'valu = "N"', 13, "unknown field `valu`"),
        ('value = "N"\n', "", 11, "active needs 'value'"),
        ('value = "N"', 'value = "no"', 13, "value"),
        ("dialers = [1, 2]", "dialers = [1, 3]", 19, "dialers 3: there are 2 only"),
        ("dialers = [1, 2]", "with_sessions = true\ndialer = 1", 19, "updater_stops has no 'with_sessions'"),
        ('at = "20s"', 'at = "2m"', 17, "after the end"),
        ("logouts =", "logout =", 22, "unknown field `logout`"),
        ("{ at_most = 3 }", "{ most = 3 }", 22, "unknown field `most`"),
        ('do = "updater_stops"\ndialers = [1, 2]', 'do = "order"\norder = "move"', 19, "order = 'move' needs 'agent'"),
        (
            'do = "updater_stops"\ndialers = [1, 2]',
            'do = "order"\norder = "drain"',
            19,
            "order = 'drain' needs 'dialer'",
        ),
        (
            'do = "updater_stops"\ndialers = [1, 2]',
            'do = "order"\norder = "drain"\ndialer = 1\nagent = 1',
            21,
            "order = 'drain' has no 'agent'",
        ),
        (
            'do = "updater_stops"\ndialers = [1, 2]',
            'do = "order"\norder = "pause"\ndialers = [1]',
            20,
            "order = 'pause' has no 'dialers'",
        ),
        (
            'do = "updater_stops"\ndialers = [1, 2]',
            'do = "clock_steps"\nby = "1m"\nof = "dialer"',
            20,
            "of = 'dialer' needs 'dialer'",
        ),
        ("dialers = [1, 2]", 'weights = { "1" = 2 }\ndialer = 1', 19, "unknown field `weights`"),
        ('mode = "act"', 'weights = { "1" = -2 }', 7, "weights"),
        ("agents = 4", "agents = 4\nunregistered = [9]", 4, "unregistered 9: there are 2 only"),
        (
            "agents = 4",
            "agents = 4\nunregistered = [1]\nunregistered_agents = [9]",
            5,
            "unregistered_agents 9: there are 4 only",
        ),
        ("agents = 4", "agents = 499", 3, "more agents than rooms"),
        ("agents = 4", 'agents = 4\ncalls_every = "0s"', 4, "more than 0s"),
        ("agents = 4", 'agents = 4\ncalls_sent_every = "0s"', 4, "more than 0s"),
        ('silence = "30s"', "calls_unheard = 0", 23, "needs calls_sent_every"),
        ("agents = 4", 'agents = 4\nweights = { "9" = 1 }', 4, "a weight is of a dialer by its number"),
        ("dialers = [1, 2]", "dialers = []", 19, "dialers names none"),
        ('do = "updater_stops"\ndialers = [1, 2]', 'do = "phone_dies"\nagents = []', 19, "agents names none"),
        ('do = "updater_stops"\ndialers = [1, 2]', 'do = "phone_dies"\nagent = 5', 19, "agent 5: there are 4 only"),
        ("{ at_most = 3 }", "{ at_most = 3, to = 3 }", 22, "write one of them"),
        ("{ at_most = 3 }", "{ from = 4, to = 3 }", 22, "from is more than to"),
        ("{ at_most = 3 }", "{}", 22, "a bound has from, to or at_most"),
        ('silence = "30s"', "closed = [3]", 23, "closed 3: there are 2 only"),
        ('silence = "30s"', "silence = 30", 23, "no time"),
        ("[expect]", "[expects]", 21, "unknown field `expects`"),
        ('[[event]]\nat = "10s"', '[event]\nat = "10s"', 16, "Cannot overwrite a value"),
        ("dialers = 2", "dialers = = 2", 2, "line 2"),
        ("[expect]", '[[settings.maintenance]]\nstart = "00:00"\nminutes = 1440\n[expect]', 21, "drained for good"),
        ("[expect]", '[[settings.maintenance]]\nstart = "4:00"\nminutes = 3\n[expect]', 21, "regex"),
        ("[expect]", '[[settings.maintenance]]\nstart = "04:00"\nminutes = 3\nzone = "X"\n[expect]', 21, "time zone"),
    ],
)
def test_what_it_does_not_know_is_refused_with_its_line(
    tmp_path: Path, line: str, instead: str, number: int, says: str
) -> None:
    assert line in STORY
    path = _file(tmp_path, STORY.replace(line, instead, 1))
    with pytest.raises(StoryError, match=re.escape(says)) as refused:
        read_story(path, TAKES)
    assert str(path) in str(refused.value)
    assert f"line {number}" in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(tmp_path / "nothing.toml") == 2
    assert "nothing.toml" in capsys.readouterr().err
    assert main(tmp_path) == 2
    assert "no scenarios" in capsys.readouterr().err


def test_what_differs_is_said_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fine, wrong = STORY.replace("a story", "fine"), STORY.replace("{ at_most = 3 }", "7")
    (tmp_path / "a.toml").write_text(fine)
    (tmp_path / "b.toml").write_text(wrong)
    assert main(tmp_path) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].endswith("as expected")
    assert "not 7" in lines[2]
    assert lines[-1] == "scenarios 2, as expected 1"


@pytest.mark.parametrize("path", files(HERE), ids=lambda path: path.stem)
def test_a_file_says_first_what_it_is_about(path: Path) -> None:
    assert path.read_text().startswith("# ")


@pytest.mark.parametrize("do", HAPPENINGS)
def test_an_event_can_happen(do: str) -> None:
    given: dict[str, object] = {
        "dialer": 1,
        "agent": 1,
        "web": 1,
        "value": "N",
        "order": "drain",
        "part": "collector",
        "of": "log",
        "by": "1s",
        "count": 3,
    }
    takes = HAPPENINGS[do].takes
    raw = {"at": "5s", "do": do} | {key: given[key] for key in given if key in takes.must}
    if do == "order":
        raw["dialer"] = 1
    event = msgspec.convert(raw, Event, dec_hook=lambda _, text: seconds_of(text))
    play(Story(name=do, dialers=2, agents=2, duration=seconds_of("10s"), events=(event,)))


def _rows(title: str) -> list[str]:
    section = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    return [name for row in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)]


def _names(kind: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(kind)}


def test_the_page_has_every_event_option_and_expectation() -> None:
    assert sorted(_rows("Events")) == sorted(HAPPENINGS)
    assert sorted(_rows("Options of events")) == sorted(_names(Event) - {"at", "do"})
    assert sorted(_rows("Expectations")) == sorted(_names(Expect))
    assert sorted(_rows("The file")) == sorted(_names(Story))


def test_no_option_is_taken_by_no_event() -> None:
    taken = {key for takes in TAKES.values() for key in (*takes.may, *takes.must)}
    assert taken == _names(Event) - {"at", "do"}
