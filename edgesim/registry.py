"""Names -> plug-ins.

A plug-in is a frozen dataclass whose fields are its options: a scenario's ``{type: nonn, students: 8}`` becomes
``NoNN(students=8)``. Built-in plug-ins are named here by module and attribute and imported on first use; third parties add
theirs with the `register` decorator or with an entry point of the group ``edgesim.<seam>``.

Examples
--------
>>> from dataclasses import dataclass
>>> @STRATEGIES.register("nothing")
... @dataclass(frozen=True)
... class Nothing:
...     '''Answer nothing.'''
...
...     def deploy(self, context): ...
>>> STRATEGIES.get("nothing")
<class 'edgesim.registry.Nothing'>
>>> STRATEGIES.remove("nothing")
"""

from __future__ import annotations

import difflib
import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from edgesim.errors import FOREIGN, EdgesimError, UnknownNameError
from edgesim.forms import check_form

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")


class Registry:
    """The plug-ins of one seam.

    Parameters
    ----------
    seam : plural name, also the suffix of the entry-point group, e.g. ``"strategies"``.
    kind : singular name for messages, e.g. ``"strategy"``.
    built_in : name -> ``"module:attribute"``.
    """

    def __init__(self, seam: str, kind: str, built_in: Mapping[str, str]) -> None:
        self.seam = seam
        self.kind = kind
        self._targets: dict[str, str] = dict(built_in)
        self._loaded: dict[str, Any] = {}
        self._has_entry_points = False

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that registers a plug-in under `name`.

        Raises
        ------
        EdgesimError
            When the name is taken by another plug-in, or the plug-in is none of this seam; see `edgesim.forms.check_form`.
        """

        def add(plugin: T) -> T:
            check_form(self.seam, self.kind, name, plugin)
            self._read_entry_points()
            target = f"{getattr(plugin, '__module__', '')}:{getattr(plugin, '__qualname__', '')}"
            if name in self._targets and self._targets[name] != target:
                raise EdgesimError(
                    f"{self.kind} {name!r} is already registered as {self._targets[name]}; choose another name"
                )
            self._targets[name] = target
            self._loaded[name] = plugin
            return plugin

        return add

    def remove(self, name: str) -> None:
        """Forget a plug-in, e.g. at the end of a test.

        Raises
        ------
        UnknownNameError
            When the name is not registered.
        """
        if name not in self._targets:
            raise self.unknown(name)
        del self._targets[name]
        self._loaded.pop(name, None)

    def names(self) -> tuple[str, ...]:
        """Return all names, sorted.

        Examples
        --------
        >>> TRANSPORTS.names()
        ('arq', 'datagram', 'tcp')
        """
        self._read_entry_points()
        return tuple(sorted(self._targets))

    def get(self, name: str) -> Any:
        """Return the plug-in of that name, imported if need be.

        Raises
        ------
        UnknownNameError
            When the name is not registered; it suggests the nearest one.

        Examples
        --------
        >>> FAILURES.get("exactly_k")
        Traceback (most recent call last):
            ...
        edgesim.errors.UnknownNameError: unknown failure model 'exactly_k'; expected one of 10 names; nearest 'exactly-k'
        """
        if name not in self._targets:
            self._read_entry_points()
        if name not in self._targets:
            raise self.unknown(name)
        if name not in self._loaded:
            self._loaded[name] = self._imported(name)
        return self._loaded[name]

    def _imported(self, name: str) -> Any:
        module, _, attribute = self._targets[name].partition(":")
        try:
            plugin = getattr(importlib.import_module(module), attribute)
        except FOREIGN as error:
            if module.startswith("edgesim."):
                raise
            raise EdgesimError(
                f"{self.kind} {name!r} cannot be loaded from {self._targets[name]}: {type(error).__name__}: {error}; mend or "
                "uninstall the package"
            ) from error
        check_form(self.seam, self.kind, name, plugin)
        return plugin

    def name_of(self, plugin: type) -> str:
        """Return the name under which a plug-in is registered.

        Raises
        ------
        UnknownNameError
            When it is not registered.
        """
        target = f"{plugin.__module__}:{plugin.__qualname__}"
        for name in self.names():
            if self._loaded.get(name) is plugin or self._targets[name] == target:
                return name
        raise self.unknown(plugin.__qualname__)

    def unknown(self, name: str) -> UnknownNameError:
        """Return the error that says `name` is not registered."""
        known = self.names()
        return UnknownNameError(self.kind, name, known, nearest_name(name, known))

    def summary(self, name: str) -> str:
        """Return the first line of a plug-in's docstring.

        Examples
        --------
        >>> TRANSPORTS.summary("tcp")
        'Send as a new TCP connection does: handshake, slow start, retransmission of what was lost.'
        """
        return (self.get(name).__doc__ or "").strip().split("\n")[0]

    def _read_entry_points(self) -> None:
        if self._has_entry_points:
            return
        self._has_entry_points = True
        from importlib.metadata import entry_points

        for point in entry_points(group=f"edgesim.{self.seam}"):
            if self._targets.get(point.name, point.value) != point.value:
                raise EdgesimError(
                    f"{self.kind} {point.name!r} is registered twice: {self._targets[point.name]} and {point.value}; "
                    "uninstall one of the two packages"
                )
            self._targets[point.name] = point.value


def nearest_name(name: str, known: tuple[str, ...]) -> str | None:
    """Return the most similar known name, or None when none is similar.

    Examples
    --------
    >>> nearest_name("modn", ("modnn", "nonn", "single"))
    'modnn'
    """
    found = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return found[0] if found else None


@dataclass(frozen=True, slots=True)
class Plugin:
    """Marks an option as a nested plug-in of a seam: ``Annotated[Partitioner, Plugin("partitioners")]``."""

    seam: str


STRATEGIES = Registry(
    "strategies",
    "strategy",
    {
        "single": "edgesim.strategies.single:Single",
        "modnn": "edgesim.strategies.modnn:MoDNN",
        "nonn": "edgesim.strategies.nonn:NoNN",
        "resilient": "edgesim.strategies.resilient:Resilient",
        "ensemble": "edgesim.strategies.ensemble:Ensemble",
        "sample-shards": "edgesim.strategies.shards:SampleShards",
        "per-target": "edgesim.strategies.targets:PerTarget",
        "branches": "edgesim.strategies.students.branches:Branches",
        "reservoirs": "edgesim.strategies.graphs.reservoirs:Reservoirs",
    },
)
FAILURES = Registry(
    "failures",
    "failure model",
    {
        "exactly-k": "edgesim.failures.exactly_k:ExactlyK",
        "bernoulli": "edgesim.failures.bernoulli:Bernoulli",
        "packet-loss": "edgesim.failures.packet_loss:PacketBernoulli",
        "gilbert-elliott": "edgesim.failures.gilbert_elliott:GilbertElliott",
        "on-off": "edgesim.failures.on_off:OnOff",
        "scripted": "edgesim.failures.scripted:Scripted",
        "common-cause": "edgesim.failures.common_cause:CommonCause",
        "stragglers": "edgesim.failures.stragglers:ShiftedExponential",
        "log-normal": "edgesim.failures.stragglers:LogNormal",
        "slowdowns": "edgesim.failures.slowdowns:Slowdowns",
    },
)
TRANSPORTS = Registry(
    "transports",
    "transport",
    {
        "datagram": "edgesim.network.transport:Datagram",
        "arq": "edgesim.network.transport:Arq",
        "tcp": "edgesim.network.transport:Tcp",
    },
)
RATES = Registry("rates", "changing rate", {"steps": "edgesim.network.rates:Steps"})
ARRIVALS = Registry(
    "arrivals",
    "arrival model",
    {
        "closed-loop": "edgesim.arrivals.closed_loop:ClosedLoop",
        "periodic": "edgesim.arrivals.periodic:Periodic",
        "poisson": "edgesim.arrivals.poisson:Poisson",
        "bursts": "edgesim.arrivals.poisson:Bursts",
        "trace": "edgesim.arrivals.trace:Trace",
    },
)
DATASETS = Registry(
    "datasets",
    "data set",
    {
        "digits": "edgesim.nn.data.datasets:Digits",
        "fashion-mnist": "edgesim.nn.data.datasets:FashionMNIST",
        "cifar-10": "edgesim.nn.data.cifar:CIFAR10",
        "cifar-100": "edgesim.nn.data.cifar:CIFAR100",
        "image-folder": "edgesim.nn.data.datasets:ImageFolder",
        "heart-disease": "edgesim.nn.data.packages.tables:HeartDisease",
        "bace": "edgesim.nn.data.packages.molecules:Bace",
        "tox21-sample": "edgesim.nn.data.packages.molecules:Tox21Sample",
        "movie-sentences": "edgesim.nn.data.packages.texts:MovieSentences",
        "reuters-r8": "edgesim.nn.data.packages.texts:ReutersR8",
        "20newsgroups": "edgesim.nn.data.packages.texts:Newsgroups",
        "mutag": "edgesim.nn.data.packages.graphs:Mutag",
        "cuneiform": "edgesim.nn.data.packages.graphs:Cuneiform",
        "shape-only": "edgesim.nn.models.untrained:ShapeOnly",
    },
)
MODELS = Registry(
    "models",
    "model",
    {
        "small-cnn": "edgesim.nn.models.zoo:SmallCNN",
        "strided-cnn": "edgesim.nn.models.zoo:StridedCNN",
        "wrn": "edgesim.nn.models.zoo:WideResNet",
        "vgg": "edgesim.nn.models.zoo:VGG",
        "vgg16": "edgesim.nn.models.untrained:VGG16",
        "mlp": "edgesim.nn.models.zoo:MLP",
        "logistic": "edgesim.nn.models.tabular.kernels:Logistic",
        "rbf": "edgesim.nn.models.tabular.kernels:RBF",
        "grnn": "edgesim.nn.models.tabular.kernels:GRNN",
        "target-networks": "edgesim.nn.models.tabular.targets:TargetNetworks",
        "text-cnn": "edgesim.nn.models.text:TextCNN",
        "fdgnn": "edgesim.nn.models.reservoirs:FDGNN",
        "import": "edgesim.nn.models.zoo:Imported",
    },
)
TASKS = Registry(
    "tasks",
    "task",
    {
        "classification": "edgesim.tasks.classification:Classification",
        "multi-label": "edgesim.tasks.multi_label:MultiLabel",
        "regression": "edgesim.tasks.regression:Regression",
        "dense-classification": "edgesim.tasks.dense_classification:DenseClassification",
    },
)
FILTER_GRAPHS = Registry(
    "filter-graphs",
    "filter graph",
    {
        "activation-hubs": "edgesim.nn.parts.filters:ActivationHubs",
        "activation-hubs-code": "edgesim.nn.parts.filters:ActivationHubsCode",
        "co-activation": "edgesim.nn.parts.filters:CoActivation",
        "similar-activation": "edgesim.nn.parts.filters:SimilarActivation",
    },
)
PARTITIONERS = Registry(
    "partitioners",
    "partitioner",
    {
        "louvain": "edgesim.nn.parts.partition:Louvain",
        "fiedler": "edgesim.nn.parts.spectral:Fiedler",
        "bisection": "edgesim.nn.parts.spectral:Bisection",
        "multi-eigenvector": "edgesim.nn.parts.spectral:MultiEigenvector",
        "modularity-eigenvector": "edgesim.nn.parts.spectral:ModularityEigenvector",
        "random": "edgesim.nn.parts.baselines:RandomParts",
        "index-order": "edgesim.nn.parts.baselines:IndexOrder",
        "balanced-k-means": "edgesim.nn.parts.baselines:BalancedKMeans",
    },
)

REGISTRIES: dict[str, Registry] = {
    registry.seam: registry
    for registry in (
        STRATEGIES,
        FAILURES,
        TRANSPORTS,
        RATES,
        ARRIVALS,
        TASKS,
        DATASETS,
        MODELS,
        PARTITIONERS,
        FILTER_GRAPHS,
    )
}
