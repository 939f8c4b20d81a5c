"""The format of a scenario, and how a file becomes one. What it does not know it refuses, by its line."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

import msgspec

from hotdesk.errors import SettingsError
from hotdesk.settings import ClusterSettings
from hotdesk.toml_lines import TomlLines
from messages.records import Grouping

MOST_AGENTS, MOST_DIALERS = 2000, 26
LONGEST_SECONDS = 24 * 3600.0
TIME = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?")
PLACE = re.compile(r" - at `(?:key in )?\$([^`]*)`$")
QUOTED = re.compile(r"`([^`]+)`")

ROOMS = 249
"""Of each dialer, as a stock VICIdial has them."""
WRONG = {
    "in_wrapup": "in_calls and in_wrapup are more than all agents together",
    "agents": f"there are more agents than rooms: a dialer has {ROOMS}",
    "weights": 'a weight is of a dialer by its number: { "1" = 2 }',
    "calls_every": "a time between two calls is more than 0s",
    "calls_sent_every": "a time between two calls is more than 0s",
}
"""By key: what is wrong where the cluster does not allow what the key allows."""
START = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)
"""A Monday morning."""


class StoryError(Exception):
    """A file that is no scenario; `str()` is one line that names the file and the place."""


class Seconds(float):
    """A time, written as 45s, 2m or 1h30m."""


Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Whole = Annotated[int, msgspec.Meta(ge=0)]
Number = Annotated[int, msgspec.Meta(ge=1)]
Kind = Literal["ami", "sip"]
Ordered = Literal["drain", "undrain", "move", "pause", "resume", "unbrake", "unfence"]
Clocked = Literal["log", "collector", "dialer"]
Part = Literal["collector", "controller"]


class Bound(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a number may be."""

    at_least: Whole = msgspec.field(name="from", default=0)
    to: Whole | None = None
    at_most: Whole | None = None

    def allows(self, number: int) -> bool:
        """Return True if the number lies within."""
        most = self.to if self.at_most is None else self.at_most
        return self.at_least <= number and (most is None or number <= most)

    def why_odd(self) -> str:
        """Return why it bounds nothing, or is never met; empty: it is a bound."""
        if self.to is not None and self.at_most is not None:
            return "to and at_most are the same: write one of them"
        if self == Bound():
            return "a bound has from, to or at_most"
        most = self.to if self.at_most is None else self.at_most
        return "from is more than to" if most is not None and most < self.at_least else ""

    def __str__(self) -> str:
        if self.at_most is not None:
            return f"at most {self.at_most}"
        return f"at least {self.at_least}" if self.to is None else f"{self.at_least} to {self.to}"


Count = Whole | Bound


class Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that happens; `tests.scenarios.events` has what each `do` is, and takes."""

    at: Seconds
    do: str
    dialer: Number | None = None
    dialers: tuple[Number, ...] = ()
    agent: Number | None = None
    agents: tuple[Number, ...] = ()
    web: Number | None = None
    lasts: Seconds | None = msgspec.field(name="for", default=None)
    with_sessions: bool | None = None
    apart: Seconds | None = None
    order: Ordered | None = None
    value: Literal["Y", "N"] | None = None
    probes: tuple[Kind, ...] | None = None
    of: Clocked | None = None
    by: Seconds | None = None
    part: Part | None = None
    all: bool | None = None
    back_after: Seconds | None = None
    count: Number | None = None


class Expect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to come of it. What a file does not name is not looked at."""

    logouts: Count | None = None
    false_logouts: Count | None = None
    calls_ended: Count | None = None
    dispositions_lost: Count | None = None
    moves_of_a_user: Count | None = None
    judged_down: tuple[Number, ...] | None = None
    fenced: tuple[Number, ...] | None = None
    closed: tuple[Number, ...] | None = None
    listed: Count | None = None
    paused: Count | None = None
    advised: Count | None = None
    logins_lost: Count | None = None
    unheard: Count | None = None
    calls_unheard: Count | None = None
    still_ready: Count | None = None
    emptied: tuple[Number, ...] | None = None
    braked: bool | None = None
    arrived_within: Seconds | None = None
    last_logout_within: Seconds | None = None
    silence: Seconds | None = None
    ready_unheard: Seconds | None = None
    undecided: Seconds | None = None


class Story(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file."""

    name: Annotated[str, msgspec.Meta(min_length=1)]
    dialers: Annotated[int, msgspec.Meta(ge=1, le=MOST_DIALERS)]
    agents: Annotated[int, msgspec.Meta(ge=0, le=MOST_AGENTS)]
    duration: Seconds
    starts: datetime = START
    in_calls: Share = 0.0
    in_wrapup: Share = 0.0
    calls_last: Seconds | None = None
    wrapup: Seconds | None = None
    calls_every: Seconds | None = None
    calls_sent_every: Seconds | None = None
    probes: tuple[Kind, ...] = ("ami", "sip")
    hook: bool = True
    webs: Annotated[int, msgspec.Meta(ge=1, le=20)] = 1
    weights: dict[str, Whole] = {}
    older_updaters: bool = False
    grouping: Grouping = Grouping.DISABLED
    grouping_limit: Number = 50
    unregistered: tuple[Number, ...] = ()
    unregistered_agents: tuple[Number, ...] = ()
    seed: Whole = 1
    settings: ClusterSettings = ClusterSettings()
    events: tuple[Event, ...] = msgspec.field(name="event", default=())
    expect: Expect = Expect()


class _Weights(msgspec.Struct, frozen=True):
    """VICIdial's weights, where they stand among the settings."""

    weights: dict[str, Whole]


class Takes(NamedTuple):
    """What an event may have besides its time, and what it must."""

    may: frozenset[str] = frozenset()
    must: frozenset[str] = frozenset()
    chosen_by: str = ""
    """The option whose value decides whom the event is about; empty: none does."""
    subjects: Mapping[str, str] = {}
    """By such a value: `dialer` or `agent`, which it needs. Other values take neither."""


def seconds_of(text: object) -> Seconds:
    """Return a time.

    Raises:
        ValueError: it is none.
    """
    found = TIME.fullmatch(text) if isinstance(text, str) else None
    if not text or found is None:
        raise ValueError(f'{text!r} is no time: write one such as "45s", "2m" or "1h30m"')
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    total = hours * 3600 + minutes * 60 + seconds
    if total > LONGEST_SECONDS:
        raise ValueError(f"{text!r} is longer than a day")
    return Seconds(total)


def read_story(path: Path, events: Mapping[str, Takes]) -> Story:
    """Read a file; `events`: what there is to do.

    Raises:
        StoryError: it cannot be read, or is no scenario.
    """
    try:
        text = path.read_text()
        tables = tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise StoryError(f"{path}: {error}") from error
    return _Reader(path, text, events).story(tables)


_T = TypeVar("_T")


class _Reader:
    """Turns one file's tables into a scenario, and says of what does not fit on which line it stands."""

    def __init__(self, path: Path, text: str, events: Mapping[str, Takes]) -> None:
        self._lines = TomlLines(str(path), text)
        self._events = events

    def story(self, tables: dict[str, Any]) -> Story:
        """Return the scenario."""
        event, settings, expect = tables.pop("event", []), tables.pop("settings", {}), tables.pop("expect", {})
        if isinstance(settings, dict) and "weights" in settings:
            # VICIdial's own setting, and not one of hotdesk's: it may stand in either place
            if "weights" in tables:
                raise self._error("weights stand in the file twice", "settings", "weights")
            weights = self._convert({"weights": settings.pop("weights")}, _Weights, "settings")
            tables["weights"] = weights.weights
        if not isinstance(event, list) or not all(isinstance(each, dict) for each in event):
            raise self._error("an event is a table of its own: write [[event]]", "", "event")
        story = self._convert(tables, Story, "")
        events = [self._event(each, number, story) for number, each in enumerate(event)]
        story = msgspec.structs.replace(
            story,
            starts=story.starts if story.starts.tzinfo else story.starts.replace(tzinfo=UTC),
            settings=self._settings(settings),
            expect=self._convert(expect, Expect, "expect"),
            events=tuple(sorted(events, key=lambda each: each.at)),
        )
        self._check(story)
        return story

    def _check(self, story: Story) -> None:
        """Refuse what each key by itself allows, and the cluster does not."""
        for name in ("judged_down", "fenced", "closed", "emptied"):
            self._numbers(getattr(story.expect, name) or (), story.dialers, "expect", name, 0)
        self._numbers(story.unregistered, story.dialers, "", "unregistered", 0)
        self._numbers(story.unregistered_agents, story.agents, "", "unregistered_agents", 0)
        numbers = {str(each) for each in range(1, story.dialers + 1)}
        wrong = {
            "in_wrapup": story.in_calls + story.in_wrapup > 1,
            "agents": story.agents > story.dialers * ROOMS,
            "weights": not story.weights.keys() <= numbers,
            "calls_every": story.calls_every is not None and not story.calls_every,
            "calls_sent_every": story.calls_sent_every is not None and not story.calls_sent_every,
        }
        if story.expect.calls_unheard is not None and story.calls_sent_every is None:
            raise self._error("calls_unheard needs calls_sent_every: no call is sent", "expect", "calls_unheard")
        for key, is_so in wrong.items():
            if is_so:
                raise self._error(WRONG[key], "", key)
        for key in msgspec.structs.asdict(story.expect):
            bound = getattr(story.expect, key)
            if isinstance(bound, Bound) and (why := bound.why_odd()):
                raise self._error(f"{key}: {why}", "expect", key)

    def _settings(self, table: dict[str, Any]) -> ClusterSettings:
        settings = self._convert(table, ClusterSettings, "settings")
        try:
            settings.refuse_what_defeats_it()
        except SettingsError as error:
            raise self._error(str(error), "settings", "maintenance") from error
        return settings

    def _event(self, table: dict[str, Any], number: int, story: Story) -> Event:
        event = self._convert(table, Event, "event", number)
        takes = self._events.get(event.do)
        if takes is None:
            known = ", ".join(sorted(self._events))
            raise self._error(f"nothing is called {event.do!r}; there are {known}", "event", "do", number)
        for key in table:
            if key not in {"at", "do", *takes.may, *takes.must}:
                raise self._error(f"{event.do} has no {key!r}", "event", key, number)
        for key in sorted(takes.must):
            # one of several may be named in the plural
            if not table.keys() & {key, f"{key}s"}:
                raise self._error(f"{event.do} needs {key!r}", "event", "do", number)
        self._subject(table, takes, number)
        if event.at > story.duration:
            raise self._error("it is after the end of the scenario", "event", "at", number)
        for key in ("dialers", "agents", "probes"):
            if key in table and not table[key]:
                raise self._error(f"{key} names none", "event", key, number)
        for key, most in (("dialer", story.dialers), ("agent", story.agents), ("web", story.webs)):
            one, several = getattr(event, key), getattr(event, f"{key}s", ())
            self._numbers([] if one is None else [one], most, "event", key, number)
            self._numbers(several, most, "event", f"{key}s", number)
        return event

    def _subject(self, table: dict[str, Any], takes: Takes, number: int) -> None:
        if not takes.chosen_by:
            return
        value = table[takes.chosen_by]
        subject = takes.subjects.get(value)
        if subject is not None and not table.keys() & {subject, f"{subject}s"}:
            raise self._error(f"{takes.chosen_by} = {value!r} needs {subject!r}", "event", takes.chosen_by, number)
        for key in table:
            if key.removesuffix("s") in {"dialer", "agent"} - {subject}:
                raise self._error(f"{takes.chosen_by} = {value!r} has no {key!r}", "event", key, number)

    def _numbers(self, given: Sequence[int], most: int, table: str, key: str, number: int) -> None:
        for each in given:
            if each > most:
                raise self._error(f"{key} {each}: there are {most} only", table, key, number)

    def _convert(self, given: object, kind: type[_T], table: str, number: int = 0) -> _T:
        try:
            return msgspec.convert(given, kind, strict=True, dec_hook=_times)
        except msgspec.ValidationError as error:
            what = str(error)
            place = PLACE.search(what)
            what = PLACE.sub("", what)
            named = place[1].lstrip(".").partition(".")[0].partition("[")[0] if place else ""
            unknown = QUOTED.search(what) if "unknown field" in what else None
            key = unknown[1] if unknown and not named else named
            raise self._error(f"{what}{f' ({key})' if key and key not in what else ''}", table, key, number) from error

    def _error(self, what: str, table: str, key: str, number: int = 0) -> StoryError:
        inside = ("event", number) if table == "event" else tuple(filter(None, (table,)))
        return StoryError(f"{self._lines.place((*inside, key))}: {what}")


def _times(kind: type, given: object) -> object:
    if kind is Seconds:
        return seconds_of(given)
    raise NotImplementedError
