"""What the library has been worth: figures, the best skills, the trend, costs, and where skills change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from rich.table import Table
from rich.text import Text
from textual import on
from textual.app import ComposeResult, RenderResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option
from textual_plotext import PlotextPlot

from skillsmith.errors import NotFoundError
from skillsmith.library.analytics import METRICS, Metric, SkillAnalytics
from skillsmith.library.evidence.intervals import Interval
from skillsmith.library.reporting.figures import LibraryDashboard, TopSkill, Trend, VersionHeat
from skillsmith.models import Skill
from skillsmith.tui.base import Pane
from skillsmith.tui.text import ago, duration, money, number, plural, share
from skillsmith.tui.widgets.bars import interval_bar, rate_text
from skillsmith.tui.widgets.choices import Choices
from skillsmith.tui.widgets.dag import DagView
from skillsmith.tui.widgets.dag_model import graph_of
from skillsmith.tui.widgets.skill_pages import Pen
from skillsmith.workspace import Workspace

WINDOWS: Final[tuple[int | None, ...]] = (30, 90, 7, None)
LIMIT: Final = 50
TICK_CELLS: Final = 12
METRIC_WORDS: Final[Mapping[str, str]] = {
    "success_rate": "most reliable", "executions": "most used", "time_saved": "most time saved",
    "cost_saved": "most cost saved", "last_used": "last used",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Heat:
    """Where executions changed a skill.

    Args:
        heat: Of its current version; None: that was not executed.
    """

    skill: Skill
    heat: VersionHeat | None


class TrendPlot(PlotextPlot):
    """Executions over time: what succeeded and what failed, day by day."""

    _trend: Trend | None = None
    _colours: tuple[str, str] = ("#000000", "#000000")

    def draw(self, trend: Trend, *, colours: tuple[str, str]) -> None:
        """Draw a trend.

        Args:
            trend: What is drawn.
            colours: Of successes and failures, as ``#rrggbb``.
        """
        self._trend, self._colours = trend, colours
        self.refresh()

    def render(self) -> RenderResult:
        """Draw from nothing each time: what plotext has built once changes what it builds next."""
        plot: Any = self.plt
        plot.clear_figure()
        points = self._trend.points if self._trend else ()
        if points:
            good = [point.figures.successes for point in points]
            bad = [point.figures.failures for point in points]
            places = list(range(len(points)))
            plot.stacked_bar(places, [good, bad], color=[_rgb(one) for one in self._colours], width=0.7)
            plot.xticks(*_ticks([one.start[5:] for one in points], room=self.size.width))
            top = max(1, *map(sum, zip(good, bad, strict=True)))
            plot.yticks(sorted({0, top // 2, top}))
        plot.xaxes(lower=True, upper=False)
        plot.yaxes(left=True, right=False)
        return super().render()


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _ticks(labels: Sequence[str], *, room: int) -> tuple[list[int], list[str]]:
    """Return places on the axis with their labels, so few that none has to give way to another."""
    step = max(-(-len(labels) // max(room // TICK_CELLS, 1)), 1)
    places = list(range(step // 2, len(labels), step))
    return places, [labels[place] for place in places]


class AnalyticsPane(Pane):
    """Figures of the library, and of the skill that is selected in the ranking."""

    DEFAULT_CSS = """
    AnalyticsPane {
        & .totals { height: auto; padding: 0 1; }
        & .upper { height: 2fr; }
        & .lower { height: 3fr; border-top: solid $panel; }
        & #ranking { width: 3fr; height: 1fr; }
        & #trend { width: 2fr; }
        & #heat { width: 3fr; }
        & .legend { height: 1; padding: 0 1; color: $foreground 65%; }
        & #about { width: 2fr; padding: 0 1; border-left: solid $panel; overflow-y: auto; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("w", "window", "Days"),
        Binding("o", "metric", "Order"),
        Binding("g", "graph", "Graph"),
        Binding("r", "reload", "Reload", show=False),
    ]

    class Counted(Message):
        """The library's figures are there."""

        def __init__(self, dashboard: LibraryDashboard) -> None:
            super().__init__()
            self.dashboard = dashboard

    class Warm(Message):
        """A skill's heat map is there; None: the skill is gone."""

        def __init__(self, found: Heat | None) -> None:
            super().__init__()
            self.found = found

    def __init__(self) -> None:
        super().__init__()
        self._metric: Metric = METRICS[0]
        self._days: int | None = WINDOWS[0]
        self._top: tuple[TopSkill, ...] = ()
        self._trend: Trend | None = None

    def compose(self) -> ComposeResult:
        """Build figures, ranking, trend and heat map."""
        yield Static("", classes="totals")
        with Horizontal(classes="upper"):
            yield Choices(id="ranking", markup=False)
            yield TrendPlot(id="trend")
        yield Static("", classes="legend")
        with Horizontal(classes="lower"):
            with Vertical(id="heat"):
                yield DagView(id="map")
            yield Static("", id="about")

    def on_mount(self) -> None:
        """Follow changes."""
        self.smith.changed.subscribe(self, self.reload)
        self.watch(self.app, "theme", self._draw_trend, init=False)

    def shown(self) -> None:
        """Count anew, and go to the ranking."""
        self._count()
        self.query_one("#ranking", OptionList).focus()

    def reload(self, _: None = None) -> None:
        """Count anew, when it is looked at."""
        if self.display and self.screen.is_current:
            self._count()

    def _count(self) -> None:
        metric, days, now = self._metric, self._days, self.smith.now
        self.ask(
            lambda workspace: SkillAnalytics(workspace.db, clock=now).library_dashboard(
                metric=metric, limit=LIMIT, days=days
            ),
            self.Counted, lane="search", group="dashboard",
        )  # fmt: skip

    @property
    def pen(self) -> Pen:
        """How the theme writes."""
        return Pen(style=self.smith.style, dark=self.smith.current_theme.dark)

    @on(Counted)
    def _counted(self, event: Counted) -> None:
        event.stop()
        board = event.dashboard
        self.query_one(".totals", Static).update(self._totals(board))
        self._trend = board.trend
        self._draw_trend()
        ranking = self.query_one("#ranking", OptionList)
        held = self._top[ranking.highlighted].skill if self._top and ranking.highlighted is not None else None
        self._top = board.top
        ranking.clear_options()
        ranking.add_options([Option(self._line(one)) for one in board.top])
        names = [one.skill for one in board.top]
        ranking.highlighted = names.index(held) if held in names else 0 if names else None
        legend = "executions a day: █ succeeded █ failed" if board.top else "no skill was used in this time"
        self.query_one(".legend", Static).update(self._legend() if board.top else legend)
        if not names:
            self.query_one("#about", Static).update("")

    def _legend(self) -> Text:
        style, bucket = self.smith.style, self._trend.bucket if self._trend else "day"
        text = Text(f"executions a {bucket}: ").append("█ succeeded ", style=style("success"))
        text.append("█ failed", style=style("error"))
        return text.append(" · below: changes to its steps")

    def _totals(self, board: LibraryDashboard) -> Text:
        style, totals, savings = self.smith.style, board.totals, board.costs.savings
        window = "all time" if board.days is None else f"the last {board.days} days"
        text = Text(f"{window}: ", style=style("muted"))
        text.append(
            f"{plural(totals.executions, 'execution')} of {board.used} of {plural(board.skills, 'skill')}"
        )
        if totals.success_rate is not None:
            rate = Interval(
                totals.success_rate, totals.success_rate_low or 0.0, totals.success_rate_high or 1.0
            )
            text.append("\nsuccess ", style=style("muted")).append(rate_text(rate))
        saved = (_saved(savings.time_saved_seconds), money(savings.cost_saved_usd))
        for word, value in (
            ("adapted", share(totals.adaptation_rate)), ("cost", _cost(totals.cost_usd, totals.unpriced)),
            ("saved", " ".join(filter(None, saved))),
        ):  # fmt: skip
            if value:
                text.append(f"  {word} ", style=style("muted")).append(value)
        order = f"\n{METRIC_WORDS[board.metric]} first"
        return text.append(order, style=f"bold {style('accent')}")

    def _line(self, one: TopSkill) -> Text:
        style, figures = self.smith.style, one.figures
        rate = None
        if figures.success_rate is not None:
            rate = Interval(
                figures.success_rate, figures.success_rate_low or 0.0, figures.success_rate_high or 1.0
            )
        text = interval_bar(rate, width=10, style=style)
        text.append(f" {share(figures.success_rate):>4} {number(figures.executions):>5}× ")
        text.append(one.skill, style=style("primary"))
        if self._metric == "last_used":
            text.append(f"  {ago(figures.last_used_at, self.smith.now())}", style=style("muted"))
        saved = _saved(one.savings.time_saved_seconds)
        text.append(f"  saved {saved}" if saved else "", style=style("muted"))
        text.no_wrap = True
        return text

    def _draw_trend(self) -> None:
        if self._trend is not None:
            colours = (self.smith.style("success"), self.smith.style("error"))
            self.query_one(TrendPlot).draw(self._trend, colours=colours)

    @on(OptionList.OptionHighlighted)
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        name, days, now = self._top[event.option_index].skill, self._days, self.smith.now
        self.ask(lambda workspace: heat_of(workspace, name, days, now=now), self.Warm, group="heat")

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.smith.open_screen("skill", self._top[event.option_index].skill)

    @on(Warm)
    def _warm(self, event: Warm) -> None:
        event.stop()
        found = event.found
        if found is None:
            self.query_one("#about", Static).update("this skill is gone")
            return
        rows = found.heat.rows if found.heat else ()
        heat = {row.target: row.executions for row in rows if row.kind == "node"}
        self.query_one(DagView).show(graph_of(found.skill), heat=heat)
        self.query_one("#about", Static).update(self._about(found))

    def _about(self, found: Heat) -> Table:
        pen, heat = self.pen, found.heat
        table = Table.grid(padding=(0, 1, 0, 0))
        table.add_column(overflow="fold")
        table.add_row(Text(f"{found.skill.name}@{found.skill.version}", style="bold"))
        if heat is None:
            table.add_row(Text("this version was not executed", style=pen.style("muted")))
            return table
        table.add_row(Text(f"changed in {plural(heat.finished, 'execution')}:", style=pen.style("muted")))
        changed = sorted((row for row in heat.rows if row.executions), key=lambda row: -row.executions)
        for row in changed:
            kinds = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in row.counts.items())
            line = Text(f"{row.target} ", style=pen.style("primary")).append(
                f"{share(row.share)} ", style="bold"
            )
            table.add_row(line.append(kinds, style=pen.style("muted")))
        if not changed:
            table.add_row(Text("nothing: every execution did as the skill says", style=pen.style("success")))
        return table

    def action_window(self) -> None:
        """Look at another length of time."""
        self._days = WINDOWS[(WINDOWS.index(self._days) + 1) % len(WINDOWS)]
        self._count()

    def action_metric(self) -> None:
        """Rank by something else."""
        self._metric = METRICS[(METRICS.index(self._metric) + 1) % len(METRICS)]
        self._count()

    def action_graph(self) -> None:
        """Walk about in the heat map."""
        self.query_one(DagView).focus()

    def action_reload(self) -> None:
        """Count anew."""
        self._count()


def heat_of(workspace: Workspace, name: str, days: int | None, *, now: Callable[[], float]) -> Heat | None:
    """Return where executions changed the current version of a skill; None when it is gone."""
    try:
        skill = workspace.skills.get(name)
    except NotFoundError:
        return None
    found = SkillAnalytics(workspace.db, clock=now).adaptation_heatmap(name, days=days)
    mine = next((one for one in found.versions if one.version == skill.version), None)
    return Heat(skill=skill, heat=mine)


def _saved(seconds: float | None) -> str:
    if not seconds:
        return ""
    return duration(seconds) if seconds > 0 else f"-{duration(-seconds)}"


def _cost(usd: float | None, unpriced: int) -> str:
    return f"not known for {unpriced}" if usd is None and unpriced else money(usd)
