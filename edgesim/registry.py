"""Names -> plug-ins, seam by seam, with the protocols that the plug-ins of a seam meet.

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

from typing import Any, get_args

from edgesim.domain.load import CountedArrivals, FiniteArrivals, ScalableArrivals
from edgesim.domain.networks.objective import Attacking, Objective
from edgesim.domain.networks.task import Task
from edgesim.domain.system.rates import ChangingRate
from edgesim.domain.system.transport import BatchEndToEndTransport, BatchLinkTransport, Transport
from edgesim.interfaces import (
    ArrivalModel,
    Attackable,
    BatchLossModel,
    BatchOutageModel,
    BatchPacketLossModel,
    BatchRenewalModel,
    BatchSlowdownModel,
    Bringing,
    BurstLossModel,
    Checkable,
    ComputeModel,
    CoreChoosing,
    DatasetSource,
    FailureModel,
    FilterDividing,
    FilterGraph,
    Findable,
    Generating,
    IndependentLossModel,
    Learning,
    LearningForLosses,
    LossAware,
    Measuring,
    ModelBuilder,
    OfOneKind,
    OfSomeKinds,
    Partitioner,
    Recovery,
    Replacing,
    Sourced,
    Strategy,
    StrikingModel,
    StudentTeaching,
    Trainable,
    Watching,
    WeightedLossModel,
)
from edgesim.plugins import Registry

STRATEGIES = Registry[Strategy](
    "strategies",
    "strategy",
    {
        "single": "edgesim.strategies.single:Single",
        "chain": "edgesim.strategies.layers.chain:Chain",
        "modnn": "edgesim.strategies.modnn:MoDNN",
        "coedge": "edgesim.strategies.shares.coedge:CoEdge",
        "fused-tiles": "edgesim.strategies.layers.fused_tiles:FusedTiles",
        "early-exit": "edgesim.strategies.exits.early_exit:EarlyExit",
        "resilinet": "edgesim.strategies.layers.resilinet:ResiliNet",
        "coded": "edgesim.strategies.layers.coded:Coded",
        "nonn": "edgesim.strategies.nonn:NoNN",
        "resilient": "edgesim.strategies.resilient:Resilient",
        "parm": "edgesim.strategies.queries.parm:ParM",
        "approxifer": "edgesim.strategies.queries.approxifer:ApproxIFER",
        "rocoin": "edgesim.strategies.groups.rocoin:RoCoIn",
        "cascade": "edgesim.strategies.cascade:Cascade",
        "ensemble": "edgesim.strategies.ensemble:Ensemble",
        "sample-shards": "edgesim.strategies.shards:SampleShards",
        "per-target": "edgesim.strategies.targets:PerTarget",
        "branches": "edgesim.strategies.students.branches:Branches",
        "vertices": "edgesim.strategies.graphs.vertices:Vertices",
        "strokes": "edgesim.strategies.graphs.strokes:Strokes",
        "reservoirs": "edgesim.strategies.graphs.reservoirs:Reservoirs",
        "tensor-parallel": "edgesim.strategies.tensor_parallel:TensorParallel",
    },
    (Strategy,),
    (
        Attackable,
        Checkable,
        Trainable,
        Measuring,
        FilterDividing,
        Generating,
        StudentTeaching,
        Learning,
        LearningForLosses,
        OfSomeKinds,
    ),
)
FAILURES = Registry[FailureModel](
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
        "domains": "edgesim.failures.domains:Domains",
        "domains-on-off": "edgesim.failures.domains:RepairedDomains",
        "stragglers": "edgesim.failures.stragglers:ShiftedExponential",
        "log-normal": "edgesim.failures.stragglers:LogNormal",
        "jitter": "edgesim.failures.jitter:Jitter",
        "slowdowns": "edgesim.failures.slowdowns:Slowdowns",
    },
    get_args(FailureModel),
    (
        Checkable,
        StrikingModel,
        IndependentLossModel,
        WeightedLossModel,
        BurstLossModel,
        BatchOutageModel,
        BatchRenewalModel,
        BatchLossModel,
        BatchPacketLossModel,
        BatchSlowdownModel,
    ),
)
COMPUTE = Registry[ComputeModel](
    "compute",
    "compute model",
    {
        "roofline": "edgesim.compute.roofline:Roofline",
        "multi-core": "edgesim.compute.multi_core:MultiCore",
        "measured": "edgesim.compute.measured:Measured",
        "profiled": "edgesim.compute.profiled:Profiled",
    },
    (ComputeModel,),
    (Checkable, CoreChoosing),
)
TRANSPORTS = Registry[Transport](
    "transports",
    "transport",
    {
        "datagram": "edgesim.network.transport:Datagram",
        "arq": "edgesim.network.transport:Arq",
        "tcp": "edgesim.network.transport:Tcp",
    },
    get_args(Transport),
    (BatchLinkTransport, BatchEndToEndTransport),
)
RATES = Registry[ChangingRate](
    "rates",
    "changing rate",
    {
        "steps": "edgesim.network.rates:Steps",
    },
    (ChangingRate,),
)
ARRIVALS = Registry[ArrivalModel](
    "arrivals",
    "arrival model",
    {
        "closed-loop": "edgesim.arrivals.closed_loop:ClosedLoop",
        "periodic": "edgesim.arrivals.periodic:Periodic",
        "poisson": "edgesim.arrivals.poisson:Poisson",
        "bursts": "edgesim.arrivals.poisson:Bursts",
        "trace": "edgesim.arrivals.trace:Trace",
    },
    get_args(ArrivalModel),
    (CountedArrivals, FiniteArrivals, ScalableArrivals),
)
RECOVERIES = Registry[Recovery](
    "recoveries",
    "recovery",
    {
        "none": "edgesim.recoveries.none:Nothing",
        "retry": "edgesim.recoveries.retry:Retry",
        "failover": "edgesim.recoveries.failover:Failover",
        "reassign": "edgesim.recoveries.reassign:Reassign",
    },
    (Recovery,),
    (Watching, Replacing),
)
DATASETS = Registry[DatasetSource](
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
        "grimm-tales": "edgesim.nn.data.packages.tales:GrimmTales",
        "mutag": "edgesim.nn.data.packages.graphs:Mutag",
        "cuneiform": "edgesim.nn.data.packages.graphs:Cuneiform",
        "faces": "edgesim.nn.data.packages.faces:Faces",
        "land-cover": "edgesim.nn.data.packages.land_cover:LandCover",
        "composed-sketches": "edgesim.nn.data.sketches.composed:ComposedSketches",
        "sketch-files": "edgesim.nn.data.sketches.files:SketchFiles",
        "shape-only": "edgesim.nn.models.untrained:ShapeOnly",
    },
    (DatasetSource,),
    (Findable, OfOneKind),
)
MODELS = Registry[ModelBuilder](
    "models",
    "model",
    {
        "small-cnn": "edgesim.nn.models.zoo:SmallCNN",
        "strided-cnn": "edgesim.nn.models.zoo:StridedCNN",
        "wrn": "edgesim.nn.models.zoo:WideResNet",
        "vgg": "edgesim.nn.models.zoo:VGG",
        "vgg16": "edgesim.nn.models.untrained:VGG16",
        "decoder-token": "edgesim.nn.models.untrained:DecoderToken",
        "mlp": "edgesim.nn.models.zoo:MLP",
        "logistic": "edgesim.nn.models.tabular.kernels:Logistic",
        "rbf": "edgesim.nn.models.tabular.kernels:RBF",
        "grnn": "edgesim.nn.models.tabular.kernels:GRNN",
        "target-networks": "edgesim.nn.models.tabular.targets:TargetNetworks",
        "text-cnn": "edgesim.nn.models.text:TextCNN",
        "gpt": "edgesim.nn.models.decoders.gpt:GPT",
        "grid-detector": "edgesim.nn.models.maps.grid_detector:GridDetector",
        "unet": "edgesim.nn.models.maps.unet:UNet",
        "fdgnn": "edgesim.nn.models.reservoirs:FDGNN",
        "sketch-gnn": "edgesim.nn.models.sketches.sketch_gnn:SketchGNN",
        "decoder": "edgesim.nn.models.brought.decoder:Decoder",
        "exported": "edgesim.nn.models.brought.files:Exported",
        "onnx": "edgesim.nn.models.brought.files:Onnx",
        "import": "edgesim.nn.models.zoo:Imported",
    },
    (ModelBuilder,),
    (Findable, Sourced, Bringing, OfOneKind),
)
TASKS = Registry[Task](
    "tasks",
    "task",
    {
        "classification": "edgesim.tasks.classification:Classification",
        "multi-label": "edgesim.tasks.multi_label:MultiLabel",
        "regression": "edgesim.tasks.regression:Regression",
        "dense-classification": "edgesim.tasks.dense_classification:DenseClassification",
        "detection": "edgesim.tasks.detection:Detection",
        "stroke-segmentation": "edgesim.tasks.stroke_segmentation:StrokeSegmentation",
        "next-character": "edgesim.tasks.next_character:NextCharacter",
    },
    (Task,),
)
FILTER_GRAPHS = Registry[FilterGraph](
    "filter-graphs",
    "filter graph",
    {
        "activation-hubs": "edgesim.nn.parts.filters:ActivationHubs",
        "activation-hubs-code": "edgesim.nn.parts.filters:ActivationHubsCode",
        "co-activation": "edgesim.nn.parts.filters:CoActivation",
        "similar-activation": "edgesim.nn.parts.filters:SimilarActivation",
    },
    (FilterGraph,),
)
PARTITIONERS = Registry[Partitioner](
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
    (Partitioner,),
)
OBJECTIVES = Registry[Objective](
    "objectives",
    "objective",
    {
        "distillation": "edgesim.nn.objectives.distillation:JointDistillation",
        "failout": "edgesim.nn.objectives.failout:Failout",
        "mel": "edgesim.nn.objectives.mel:MEL",
        "expectation": "edgesim.nn.objectives.expectation:Expectation",
        "adversarial": "edgesim.nn.objectives.adversarial:Adversarial",
        "ard": "edgesim.nn.objectives.ard:ARD",
        "rslad": "edgesim.nn.objectives.rslad:RSLAD",
    },
    (Objective,),
    (Attacking, LossAware),
)

REGISTRIES: dict[str, Registry[Any]] = {
    registry.seam: registry
    for registry in (
        STRATEGIES,
        FAILURES,
        COMPUTE,
        TRANSPORTS,
        RATES,
        ARRIVALS,
        RECOVERIES,
        TASKS,
        DATASETS,
        MODELS,
        PARTITIONERS,
        FILTER_GRAPHS,
        OBJECTIVES,
    )
}
