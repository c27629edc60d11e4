"""What files say, in the place of their names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgesim.scenario.files.layer_times import with_layer_times
from edgesim.scenario.files.recorded import with_failures, with_rates
from edgesim.scenario.files.traces import with_trace
from edgesim.scenario.graphs.files import GraphFile, with_graph_file

if TYPE_CHECKING:
    from edgesim.scenario.form.problems import Problem
    from edgesim.scenario.text.source import Source


def with_files(data: dict[str, Any], source: Source) -> tuple[dict[str, Any], GraphFile, list[Problem]]:
    """Put what files say in the place of their names; return also what comes from a graph file, and what is wrong with files."""
    data, unread = with_rates(data, source)
    data, graph, unreadable = with_graph_file(data, source)
    data, undone = with_failures(data, source)
    data, untimed = with_trace(data, source)
    data, unmeasured = with_layer_times(data, source)
    return data, graph, [*unread, *unreadable, *undone, *untimed, *unmeasured]
