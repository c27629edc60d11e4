"""Data sets of graphs in classes, in the form of the Dortmund collection, read where a package holds them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge

from edgesim.domain.networks.samples import Dataset, SampleKind, Samples
from edgesim.domain.places import FolderName
from edgesim.errors import DataError
from edgesim.nn.data.packages.installed import installed_files
from edgesim.nn.data.splits import divided
from edgesim.tasks.classification import Classification

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VERTICES, ADJACENCY = "vertices", "adjacency"
"""The inputs of data sets of graphs: float32 of shape (n, vertices, features), and uint8 of shape (n, vertices, vertices)."""
PACKAGE = "grakel==0.1.11"
VALIDATION_SHARE = 0.15


@dataclass(frozen=True, slots=True)
class Graphs:
    """Graphs as they lie in the files; vertices and graphs are numbered from 0.

    Parameters
    ----------
    graph_of : graph of each vertex, shape (vertices,), never decreasing.
    labels : of vertices, shape (vertices, kinds of labels).
    attributes : of vertices, shape (vertices, attributes).
    edges : both ends of each edge, shape (edges, 2); each edge stands there in both directions.
    classes : of graphs, 0 to their number - 1, shape (graphs,).
    """

    graph_of: NDArray[np.int64]
    labels: NDArray[np.int64]
    attributes: NDArray[np.float64]
    edges: NDArray[np.int64]
    classes: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Mutag:
    """188 molecules, and whether they change the genes of a bacterium: 125 do.

    Vertices are atoms of 7 elements, one-hot; edges are bonds, without their kind. The largest has 28 atoms, the largest degree is 4. The set is divided within
    each class, with seed 0, into as many folds as asked; `fold` is the test, and 15 % of the rest validates.

    Parameters
    ----------
    folder : holds the files MUTAG_A.txt and so on in place of the package grakel.
    folds : number of folds.
    fold : the one that is the test split, from 0.

    References
    ----------
    A. K. Debnath et al., Structure-activity relationship of mutagenic aromatic and heteroaromatic nitro compounds, J. Med. Chem. 34(2),
    1991, doi 10.1021/jm00106a046. The files: K. Kersting et al., Benchmark Data Sets for Graph Kernels, TU Dortmund, 2016.
    """

    kind_of_samples: ClassVar[SampleKind] = "graphs"
    folder: FolderName | None = None
    folds: Annotated[int, Ge(2)] = 10
    fold: Annotated[int, Ge(0)] = 0

    def find(self) -> list[Path]:
        """Return the files. Raises `DataError` when they are not there."""
        return _files("MUTAG", self.folder, has_attributes=False)

    def load(self) -> Dataset:
        """Return the three splits. Raises `DataError` when files are missing or damaged."""
        graphs = read_graphs(self.find())
        return _dataset("mutag", graphs, self.folds, self.fold, "BSD-3-Clause (the package); data: not stated")


@dataclass(frozen=True, slots=True)
class Cuneiform:
    """267 cuneiform signs of 30 kinds, each eight or nine times, drawn from tablets by their wedges.

    A wedge is four vertices. A vertex has its place in the wedge and the kind of wedge, one-hot, and three coordinates, here relative to the mean
    of the sign and scaled by their standard deviation over the training split. Edges are within and between wedges, without their kind. The largest has 36
    vertices. Folds as in ``mutag``.

    Parameters
    ----------
    folder : holds the files Cuneiform_A.txt and so on in place of the package grakel.
    folds : number of folds; the rarest sign is there eight times.
    fold : the one that is the test split, from 0.

    References
    ----------
    N. M. Kriege, M. Fey, D. Fisseler, P. Mutzel, F. Weichert, Recognizing Cuneiform Signs Using Graph Based Methods, 2018, arXiv
    1802.05908.
    """

    kind_of_samples: ClassVar[SampleKind] = "graphs"
    folder: FolderName | None = None
    folds: Annotated[int, Ge(2)] = 5
    fold: Annotated[int, Ge(0)] = 0

    def find(self) -> list[Path]:
        """Return the files. Raises `DataError` when they are not there."""
        return _files("Cuneiform", self.folder, has_attributes=True)

    def load(self) -> Dataset:
        """Return the three splits. Raises `DataError` when files are missing or damaged."""
        graphs = read_graphs(self.find())
        return _dataset("cuneiform", graphs, self.folds, self.fold, "BSD-3-Clause (the package); data: not stated")


def _files(name: str, folder: str | None, *, has_attributes: bool) -> list[Path]:
    parts = ["A", "graph_indicator", "graph_labels", "node_labels", *(["node_attributes"] if has_attributes else [])]
    paths = tuple(f"grakel/tests/data/{name}/{name}_{part}.txt" for part in parts)
    return installed_files(name.lower(), PACKAGE, paths, folder)


def read_graphs(files: list[Path]) -> Graphs:
    """Read graphs from the files of edges, graphs of vertices, classes, labels of vertices and, if there are any, their attributes.

    Raises
    ------
    DataError
        When a file is no table of numbers, or they do not fit together; it names the file, and the line where there is one.
    """
    import numpy as np

    edges, graph_of, classes, labels = (_table(path).astype(np.int64) for path in files[:4])
    attributes = _table(files[4]) if len(files) > 4 else np.zeros((len(graph_of), 0))
    edges, graph_of = edges - 1, graph_of[:, 0] - 1
    for path, rows in ((files[3], labels), *((path, attributes) for path in files[4:])):
        if len(rows) != len(graph_of):
            raise DataError(
                f"{path} has {len(rows)} lines, but {files[1].name} has {len(graph_of)}; expected one for each vertex"
            )
    wanted = np.arange(len(classes))
    if (np.diff(graph_of) < 0).any() or not np.array_equal(np.unique(graph_of), wanted):
        raise DataError(f"{files[1]}: expected the graphs 1 to {len(classes)} of {files[2].name}, in order")
    _check_edges(files[0], edges, graph_of)
    kinds = np.unique(classes[:, 0], return_inverse=True)[1].astype(np.int64)
    return Graphs(graph_of, labels, attributes, edges, kinds)


def _check_edges(path: Path, edges: NDArray[np.int64], graph_of: NDArray[np.int64]) -> None:
    """Refuse edges that join nothing, join two graphs, or stand there in one direction only."""
    import numpy as np

    def first(are_wrong: NDArray[np.bool_]) -> str:
        return f"{path}: line {int(np.flatnonzero(are_wrong)[0]) + 1}"

    if edges.shape[1:] != (2,):
        raise DataError(f"{path}: expected two vertices in each line")
    outside = np.any((edges < 0) | (edges >= len(graph_of)), axis=1)
    if outside.any():
        raise DataError(f"{first(outside)}: expected vertices 1 to {len(graph_of)}")
    between = graph_of[edges[:, 0]] != graph_of[edges[:, 1]]
    if between.any():
        raise DataError(f"{first(between)}: the edge joins vertices of two graphs")
    known = {(one, other) for one, other in edges.tolist()}
    single = np.array([(other, one) not in known for one, other in edges.tolist()], dtype=np.bool_)
    if single.any():
        raise DataError(f"{first(single)}: the edge is not there in the other direction")


def _table(path: Path) -> NDArray[np.float64]:
    """Return the numbers of a file, shape (lines, numbers in a line)."""
    import numpy as np

    rows: list[list[float]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            rows.append([float(value) for value in line.split(",")])
        except ValueError:
            raise DataError(f"{path}: line {number}: expected numbers with commas between, not {line[:40]!r}") from None
        if len(rows[-1]) != len(rows[0]):
            raise DataError(f"{path}: line {number}: {len(rows[-1])} numbers, but line 1 has {len(rows[0])}")
    if not rows:
        raise DataError(f"{path} is empty")
    table = np.array(rows)
    if not np.isfinite(table).all():
        raise DataError(f"{path}: line {int(np.flatnonzero(~np.isfinite(table).all(axis=1))[0]) + 1}: not finite")
    return table


def _dataset(name: str, graphs: Graphs, folds: int, fold: int, licence: str) -> Dataset:
    train, validation, test = _splits(name, graphs.classes, folds, fold)
    vertices, adjacency = padded(graphs, train)

    def samples(indices: NDArray[np.int64]) -> Samples:
        return Samples({VERTICES: vertices[indices], ADJACENCY: adjacency[indices]}, graphs.classes[indices])

    return Dataset(
        name=f"{name} (fold {fold} of {folds})",
        train=samples(train),
        validation=samples(validation),
        test=samples(test),
        task=Classification(int(graphs.classes.max()) + 1),
        licence=licence,
        source="grakel 0.1.11, tests/data",
    )


def _splits(name: str, classes: NDArray[np.int64], folds: int, fold: int) -> Any:
    """Return the indices of the training, validation and test split."""
    import numpy as np
    from sklearn.model_selection import StratifiedKFold

    fewest = int(np.bincount(classes).min())
    if fold >= folds or folds > fewest:
        raise DataError(
            f"{name}: fold {fold} of {folds}; expected a fold from 0 to {folds - 1}, and 2 to {fewest} folds, since the rarest class is "
            f"there {fewest} times"
        )
    division = StratifiedKFold(folds, shuffle=True, random_state=0).split(classes[:, None], classes)
    rest, test = list(division)[fold]
    train, validation = divided(name, rest, classes, VALIDATION_SHARE)
    return train, validation, test


def padded(graphs: Graphs, train: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return all graphs as arrays of the size of the largest: features of vertices, and which are joined. What is not there is zero.

    Parameters
    ----------
    graphs : as they lie in the files.
    train : the graphs over which attributes are scaled.
    """
    import numpy as np

    n_graphs = len(graphs.classes)
    place = np.arange(len(graphs.graph_of)) - np.searchsorted(graphs.graph_of, graphs.graph_of)
    one_hot = [np.eye(int(column.max()) + 1)[column] for column in graphs.labels.T]
    features = np.concatenate([*one_hot, _scaled(graphs, train)], axis=1).astype(np.float32)
    vertices = np.zeros((n_graphs, int(place.max()) + 1, features.shape[1]), np.float32)
    vertices[graphs.graph_of, place] = features
    adjacency = np.zeros((n_graphs, vertices.shape[1], vertices.shape[1]), np.uint8)
    ends = graphs.edges.T
    adjacency[graphs.graph_of[ends[0]], place[ends[0]], place[ends[1]]] = 1
    return vertices, adjacency


def _scaled(graphs: Graphs, train: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return attributes relative to the mean of their graph, over their standard deviation in the training split."""
    import numpy as np

    sums = np.zeros((len(graphs.classes), graphs.attributes.shape[1]))
    np.add.at(sums, graphs.graph_of, graphs.attributes)
    means = sums / np.bincount(graphs.graph_of)[:, None]
    relative: NDArray[np.float64] = graphs.attributes - means[graphs.graph_of]
    scaled: NDArray[np.float64] = relative / relative[np.isin(graphs.graph_of, train)].std(axis=0)
    return scaled
