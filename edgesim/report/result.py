"""A study's result in Python and in notebooks: its tables, its figures, and what a notebook shows of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes

from edgesim.domain.plan import TRAFFIC_KINDS
from edgesim.errors import DataError, ResultError, ScenarioError, UnknownNameError, nearest_name
from edgesim.files.untrusted import read_json
from edgesim.report.draw.budget import budget
from edgesim.report.draw.costs import energy, latency, memory, traffic
from edgesim.report.draw.figures import resilience, tradeoff
from edgesim.report.draw.select import at_first, loss_factor, strategies_of, unfit_in
from edgesim.report.draw.timeline import Timeline, over_time, read_timelines, timeline
from edgesim.report.draw.topology import roles_of, topology
from edgesim.report.notebook import result_html
from edgesim.study.folder import store
from edgesim.study.folder.names import TIMELINE
from edgesim.study.folder.reading import MOST_BYTE

if TYPE_CHECKING:
    from collections.abc import Sequence

KINDS = (
    "tradeoff",
    "resilience",
    "latency",
    "traffic",
    "budget",
    "energy",
    "memory",
    "timeline",
    "queues",
    "utilisation",
    "topology",
)
"""The figures: ``Result.plot_<kind>`` draws each."""


class Result(store.Result):
    """A study, read from its folder: tables as pandas frames, figures as matplotlib axes.

    ``es.run(...)`` returns one, ``es.Result("results/wearables")`` opens one. A notebook shows it as tables with intervals, the
    best values marked. The figures are those of ``edgesim plot`` and of the report. Each is drawn on the axes that it is given,
    or on a figure of its own, one column of a paper wide, which a notebook shows; ``ax.figure.savefig("figure.pdf")`` writes it.

    Parameters
    ----------
    folder : the result folder, a path or its text.

    Raises
    ------
    ResultError
        When the folder holds no result, or tables that were changed; in the tables and figures, when the study is not finished.
    UnknownNameError
        In the figures, when a factor, metric or strategy is not in the result.
    TypeError
        In the figures, when `ax` is no axes.

    Examples
    --------
    A phone that answers alone; nothing is trained where a workload has a shape only.

    >>> import tempfile
    >>> import edgesim as es
    >>> scenario = es.Scenario.from_text('''
    ... name: alone
    ... replications: 2
    ... topology: {devices: [{id: hub, profile: phone}]}
    ... workload: {input: [1, 8, 8], classes: 10, model: small-cnn, source: hub, sink: hub}
    ... strategies: {single: {device: hub}}
    ... ''')
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     es.run(scenario, workers=1, output=f"{folder}/alone").is_complete
    ...     result = es.Result(f"{folder}/alone")
    ...     result.frame()["outcome"].tolist()
    ...     result.summary().query("metric == 'traffic'")["mean"].tolist()
    ...     result.plot_latency().get_xlabel()
    True
    ['completed', 'completed']
    [0.0]
    'latency'
    """

    def __init__(self, folder: Path | str) -> None:
        super().__init__(Path(folder))
        if self.is_complete:
            self.check()

    def plot_tradeoff(self, ax: Axes | None = None, *, factor: str | None = None, metric: str | None = None) -> Axes:
        """Draw the main score, or another metric, against traffic per inference, with the Pareto front.

        Parameters
        ----------
        ax : where to draw.
        factor : the factor whose values are drawn; others stay at their first. By default the first that changes failures.
        metric : by default the main score, or latency where no score was asked.
        """
        summary, whole = self.summary(), self.intact()
        known = [str(name) for name in summary["metric"].unique() if name in whole]
        return tradeoff(
            summary,
            self.metric(self._metric(metric, known)),
            _axes(ax),
            intact=whole,
            factor=self._factor(factor),
            types=self._types(),
        )

    def plot_resilience(self, ax: Axes | None = None, *, factor: str | None = None, metric: str | None = None) -> Axes:
        """Draw the main score, or another metric, against a factor: means with intervals, and exact expectations.

        Parameters
        ----------
        ax : where to draw.
        factor : the factor on the axis; others stay at their first value. By default the first that changes failures.
        metric : by default the main score, or latency where no score was asked.

        Raises
        ------
        ResultError
            When nothing was swept.
        """
        if not self.factors:
            raise ResultError(f"{self.folder} has no sweep; sweep a failure model to see scores against loss")
        summary = self.summary()
        known = [str(name) for name in summary["metric"].unique()]
        shown = self.metric(self._metric(metric, known))
        return resilience(summary, shown, _axes(ax), factor=self._factor(factor), types=self._types())

    def plot_latency(self, ax: Axes | None = None) -> Axes:
        """Draw the distribution of the latency by strategy, at the first and last value of the first factor that changes failures."""
        summary, main = self.summary(), loss_factor(self)
        trials = self.frame(columns=[*self.factors, "strategy", "latency_s"])
        factors = sorted(self.factors, key=lambda name: name != main)
        return latency(trials, _axes(ax), factors=factors, strategies=strategies_of(summary), types=self._types())

    def plot_traffic(self, ax: Axes | None = None) -> Axes:
        """Draw the distribution of the bytes of a request by strategy, at the same values as the latency."""
        summary, main = self.summary(), loss_factor(self)
        parts = [f"{kind}_byte" for kind in TRAFFIC_KINDS]
        trials = self.frame(columns=[*self.factors, "strategy", *parts])
        factors = sorted(self.factors, key=lambda name: name != main)
        return traffic(trials, _axes(ax), factors=factors, strategies=strategies_of(summary), types=self._types())

    def plot_budget(self, ax: Axes | None = None) -> Axes:
        """Draw where the mean latency of each strategy goes, at the first factor point."""
        return budget(self.budget(), _axes(ax), unfit=self._unfit_at_first())

    def plot_energy(self, ax: Axes | None = None) -> Axes:
        """Draw the energy per inference by strategy, at the first factor point."""
        return energy(self.summary(), _axes(ax), types=self._types())

    def plot_memory(self, ax: Axes | None = None) -> Axes:
        """Draw the peak memory of the fullest device by strategy, at the first factor point."""
        return memory(self.summary(), _axes(ax), types=self._types())

    def plot_timeline(self, ax: Axes | None = None, *, strategy: str | None = None) -> Axes:
        """Draw one request with nothing lost: what each device and channel does when.

        Parameters
        ----------
        ax : where to draw.
        strategy : label of the strategy; by default the first that uses several devices.
        """
        found = self.timelines()
        if not found:
            raise ResultError(f"{self.folder} has no timelines; run the scenario again")
        names = tuple(one.strategy for one in found)
        if strategy is None:
            chosen = next((one for one in found if len({bar[0] for bar in one.bars}) > 1), found[0])
        elif strategy in names:
            chosen = found[names.index(strategy)]
        else:
            raise UnknownNameError("strategy", strategy, names, nearest_name(str(strategy), names))
        return timeline(chosen, _axes(ax))

    def plot_queues(self, ax: Axes | None = None, *, strategy: str | None = None) -> Axes:
        """Draw under load how much waits over time, in the first trial at the first factor point.

        Parameters
        ----------
        ax : where to draw.
        strategy : label of the strategy whose longest queues are drawn; by default the longest one of every strategy.
        """
        return self._over_time("waiting", ax, strategy)

    def plot_utilisation(self, ax: Axes | None = None, *, strategy: str | None = None) -> Axes:
        """Draw under load how busy resources are over time, in the first trial at the first factor point.

        Parameters
        ----------
        ax : where to draw.
        strategy : label of the strategy whose busiest devices, links and media are drawn; by default the busiest one of every strategy.
        """
        return self._over_time("utilisation", ax, strategy)

    def _over_time(self, column: str, ax: Axes | None, strategy: str | None) -> Axes:
        found = self.queues()
        names = strategies_of(found)
        if found.empty:
            raise ResultError(f"{self.folder}: nothing came to any device or channel in the first trial")
        if strategy is not None and strategy not in names:
            raise UnknownNameError("strategy", strategy, tuple(names), nearest_name(strategy, tuple(names)))
        return over_time(found, column, _axes(ax), strategy=strategy, types=self._types())

    def plot_topology(self, ax: Axes | None = None) -> Axes:
        """Draw devices and links, at the first factor point."""
        return _topology(self.folder, self.manifest["scenario"], _axes(ax))

    def _types(self) -> dict[str, str]:
        return {label: str(options["type"]) for label, options in self.manifest["scenario"]["strategies"].items()}

    def _unfit_at_first(self) -> dict[str, str]:
        return unfit_in(at_first(self.summary(), self.factors)[0])

    def timelines(self) -> list[Timeline]:
        """Return one request of each strategy.

        Raises
        ------
        ResultError
            When there are none, or they are damaged: the study is not finished, or of an older version.
        """
        path = self.folder / TIMELINE
        if not path.is_file():
            raise ResultError(f"{self.folder} has no timelines; run the scenario again with --fresh")
        try:
            return read_timelines(read_json(path, most_byte=MOST_BYTE))
        except (DataError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise ResultError(f"{path} is damaged; run the scenario again with --fresh") from error

    def _factor(self, name: str | None) -> str | None:
        if name is None:
            return loss_factor(self)
        if name not in self.factors:
            raise UnknownNameError("factor", name, self.factors, nearest_name(str(name), self.factors))
        return name

    def _metric(self, name: str | None, known: Sequence[str]) -> str:
        if name is None:
            return self.main_metric
        if name not in known:
            raise UnknownNameError("metric", name, tuple(known), nearest_name(str(name), tuple(known)))
        return name

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        return result_html(self)


def _axes(ax: Axes | None) -> Axes | None:
    if ax is not None and not isinstance(ax, Axes):
        raise TypeError(f"ax: {type(ax).__name__} given, matplotlib axes expected; `_, ax = plt.subplots()` makes some")
    return ax


def _topology(folder: Path, data: dict[str, Any], ax: Axes | None) -> Axes:
    """Draw the topology of a resolved scenario; code that it names runs only where that was allowed before."""
    from edgesim.scenario.build import build
    from edgesim.scenario.scenario import Scenario

    try:
        try:
            scenario = Scenario.from_data(data)
        except ScenarioError as error:
            if not all(finding.is_unchecked for finding in error.findings):
                raise
            scenario = Scenario.from_data(_without_code(data))
        system = build(scenario.at(scenario.points()[0]))
    except ScenarioError as error:
        raise ResultError(f"{folder}: the scenario in the manifest is not valid here:\n{error}") from error
    return topology(system.topology, ax, roles=roles_of(system.source_id, system.sink_id, system.strategies))


def _without_code(data: dict[str, Any]) -> dict[str, Any]:
    """Return a scenario of the same topology that names no plug-ins but those of links."""
    ends = {key: data["workload"][key] for key in ("source", "sink")}
    workload = {"input": [1, 1, 1], "classes": 2, "model": "small-cnn", **ends}
    kept: dict[str, Any] = {key: data[key] for key in ("name", "seed", "topology", "profiles") if key in data}
    kept["sweep"] = {
        name: {key: value for key, value in factor.items() if key != "with"}
        for name, factor in data["sweep"].items()
        if factor["path"].startswith(("topology.", "profiles."))
    }
    return {**kept, "workload": workload, "strategies": {"single": {"device": ends["source"]}}}
