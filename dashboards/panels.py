"""The kinds of panels, with their looks: a dashboard defines only a panel's queries and their meaning.

Colours mean the same everywhere: green is well, yellow in doubt, orange draining or leaving, red bad, blue closed on
purpose, grey unknown.
"""

from collections.abc import Mapping
from string import ascii_uppercase
from typing import NamedTuple, Protocol, Self, TypeVar

from grafana_foundation_sdk.builders import common as parts
from grafana_foundation_sdk.builders import dashboard as boards
from grafana_foundation_sdk.builders import stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

DATASOURCE = common.DataSourceRef(type_val="prometheus", uid="${datasource}")

SCRAPES = "2s"
"""The scrape interval of alerts/prometheus.example.yml: a finer resolution shows nothing more."""

GREEN, LIGHT_GREEN, YELLOW, ORANGE, RED = "green", "light-green", "yellow", "orange", "red"
BLUE, LIGHT_BLUE, PURPLE, GREY = "blue", "light-blue", "purple", "#808080"

NUMBER, COUNT, SHARE, SECONDS, BYTES = "none", "short", "percentunit", "s", "bytes"
PER_SECOND, WHEN = "ops", "dateTimeAsIso"

Words = Mapping[int, tuple[str, str]]
"""The word that stands for each number, and its colour."""
Limits = tuple[tuple[float | None, str], ...]
"""The lowest value of each colour; None for the first."""

Link = tuple[str, str]
"""Title and address."""

ANY_IS_BAD: Limits = ((None, GREEN), (1, RED))
ANY_IS_DOUBTFUL: Limits = ((None, GREEN), (1, ORANGE))
PLAIN: Limits = ((None, BLUE),)


class About(NamedTuple):
    """The description of a panel of any kind."""

    title: str
    shows: str
    """The meaning of its values, and the normal ones."""
    unit: str = COUNT
    width: int = 12
    """Of 24."""
    height: int = 8
    runbooks: tuple[str, ...] = ()
    """Alerts whose runbooks help with these values."""


class Ask(NamedTuple):
    """A query and the legend of its series."""

    expression: str
    legend: str


class Column(NamedTuple):
    """A column of a table: a label of the queries, or the value of a query of its own."""

    title: str
    label: str = ""
    ask: str = ""
    unit: str = COUNT
    words: Words | None = None
    limits: Limits | None = None
    link: Link | None = None


class _Panel(Protocol):
    def title(self, _: str, /) -> Self: ...
    def description(self, _: str, /) -> Self: ...
    def datasource(self, _: common.DataSourceRef, /) -> Self: ...
    def unit(self, _: str, /) -> Self: ...
    def span(self, _: int, /) -> Self: ...
    def height(self, _: int, /) -> Self: ...
    def links(self, _: list[Builder[dashboard.DashboardLink]], /) -> Self: ...


P = TypeVar("P", bound=_Panel)


def graph(
    about: About,
    *asks: Ask,
    colours: Mapping[str, str] | None = None,
    limits: Limits | None = None,
    stacked: bool = False,
) -> timeseries.Panel:
    """Return a panel with lines over time, those in `colours` in theirs; stacked if their sum has a meaning."""
    panel = _described(timeseries.Panel(), about)
    for letter, ask in zip(ascii_uppercase, asks, strict=False):
        panel = panel.with_target(_over_time(letter, ask))
    panel = (
        panel.draw_style(common.GraphDrawStyle.LINE)
        .line_interpolation(common.LineInterpolation.STEP_AFTER if stacked else common.LineInterpolation.LINEAR)
        .line_width(1)
        .fill_opacity(40 if stacked else 10)
        .show_points(common.VisibilityMode.AUTO)
        .axis_soft_min(0)
        .legend(
            parts.VizLegendOptions()
            .display_mode(common.LegendDisplayMode.LIST)
            .placement(common.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(parts.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING))
    )
    if stacked:
        panel = panel.stacking(parts.StackingConfig().mode(common.StackingMode.NORMAL))
    if limits is not None:
        dashed = parts.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
        panel = panel.thresholds(_thresholds(limits)).thresholds_style(dashed)
    for name, colour in (colours or {}).items():
        panel = panel.override_by_name(name, [_fixed(colour)])
    return panel


def timeline(about: About, ask: Ask, words: Words, *, to: Link | None = None) -> statetimeline.Panel:
    """Return a panel with a bar over time for each series, in the words and colours of its numbers.

    A click on a bar opens `to`, if there is one.
    """
    panel = (
        _described(statetimeline.Panel(), about)
        .with_target(_over_time("A", ask))
        .mappings([_mapping(words)])
        .color_scheme(boards.FieldColor().mode(dashboard.FieldColorModeId.THRESHOLDS))
        .thresholds(_thresholds(((None, GREY),)))
        .show_value(common.VisibilityMode.AUTO)
        .merge_values(True)
        .row_height(0.8)
        .fill_opacity(80)
        .line_width(0)
        .legend(parts.VizLegendOptions().show_legend(False))
        .tooltip(parts.VizTooltipOptions().mode(common.TooltipDisplayMode.SINGLE))
    )
    return panel if to is None else panel.data_links([link(*to)])


def number(about: About, ask: Ask, *, limits: Limits = PLAIN) -> stat.Panel:
    """Return a panel with the value at the end of the shown time, in large print."""
    return (
        _described(stat.Panel(), about)
        .with_target(_query("A", ask.expression).legend_format(ask.legend).instant())
        .thresholds(_thresholds(limits))
        .color_mode(common.BigValueColorMode.VALUE)
        .graph_mode(common.BigValueGraphMode.NONE)
        .text_mode(common.BigValueTextMode.AUTO)
        .reduce_options(parts.ReduceDataOptions().calcs(["lastNotNull"]))
        .no_value("no data")
    )


def listing(about: About, *columns: Column, empty: str) -> table.Panel:
    """Return a table of the values at the end of the shown time: a row for each set of labels, in these columns.

    Each label of the queries has its column. `empty` is shown instead of an empty table.
    """
    asked = [column.ask for column in columns if column.ask]
    # Grafana omits the letter if there is only one query.
    values = iter([f"Value #{letter}" for letter in ascii_uppercase[: len(asked)]] if len(asked) > 1 else ["Value"])
    names = [next(values) if column.ask else column.label for column in columns]
    panel = _described(table.Panel(), about).cell_height(common.TableCellHeight.SM).no_value(empty)
    for letter, expression in zip(ascii_uppercase, asked, strict=False):
        panel = panel.with_target(_query(letter, expression).instant().format(PromQueryFormat.TABLE))
    arranged = {"excludeByName": {"Time": True}, "indexByName": {name: index for index, name in enumerate(names)}}
    for name, options in (("merge", {}), ("organize", {**arranged, "renameByName": {}})):
        panel = panel.with_transformation(dashboard.DataTransformerConfig(id_val=name, options=options))
    for column, name in zip(columns, names, strict=True):
        panel = panel.override_by_name(name, _properties(column))
    return panel


def link(title: str, address: str) -> boards.DashboardLink:
    """Return a link from a panel or a cell."""
    return boards.DashboardLink(title).type(dashboard.DashboardLinkType.LINK).url(address)


def _described(panel: P, about: About) -> P:
    pages = [link(f"Runbook: {alert}", f"${{runbooks}}/{alert}.md").target_blank(True) for alert in about.runbooks]
    dressed = (
        panel.title(about.title)
        .description(about.shows)
        .datasource(DATASOURCE)
        .unit(about.unit)
        .span(about.width)
        .height(about.height)
    )
    return dressed.links([*pages]) if pages else dressed


def _query(letter: str, expression: str) -> Dataquery:
    return Dataquery().ref_id(letter).datasource(DATASOURCE).expr(expression)


def _over_time(letter: str, ask: Ask) -> Dataquery:
    query = _query(letter, ask.expression).legend_format(ask.legend).range()
    # A rate needs two scrapes, and Grafana knows the interval from its data source. A query that needs only one scrape
    # is shown at the scrape interval: a failover takes seconds.
    return query if "$__rate_interval" in ask.expression else query.interval(SCRAPES)


def _thresholds(limits: Limits) -> boards.ThresholdsConfig:
    steps = [dashboard.Threshold(value=value, color=colour) for value, colour in limits]
    return boards.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(steps)


def _mapping(words: Words) -> dashboard.ValueMap:
    return dashboard.ValueMap(
        options={
            str(value): dashboard.ValueMappingResult(text=text, color=colour, index=index)
            for index, (value, (text, colour)) in enumerate(words.items())
        }
    )


def _fixed(colour: str) -> dashboard.DynamicConfigValue:
    return dashboard.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": colour})


def _properties(column: Column) -> list[dashboard.DynamicConfigValue]:
    found: list[tuple[str, object]] = [("displayName", column.title)]
    if column.ask:
        found.append(("unit", column.unit))
    if column.words is not None:
        found.append(("mappings", [_mapping(column.words)]))
    if column.limits is not None:
        found.append(("thresholds", _thresholds(column.limits).build()))
    if column.words is not None or column.limits is not None:
        found.append(("custom.cellOptions", common.TableColorTextCellOptions()))
    if column.link is not None:
        title, url = column.link
        found.append(("links", [{"title": title, "url": url}]))
    return [dashboard.DynamicConfigValue(id_val=name, value=value) for name, value in found]
