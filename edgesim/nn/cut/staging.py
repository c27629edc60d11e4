"""A network as a sequence of stages that are cut over devices, and segments that one device computes whole.

What a stage is depends on the execution. With ``mapreduce`` it is a convolution or a linear layer with the elementwise layers
behind it: its input is scattered and its output gathered. With ``halo`` it is a run of layers, as long as possible, between
which outputs stay where they are. All sizes follow from the shapes of the traced tensors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakKeyDictionary

from torch import fx, nn

from edgesim.domain.networks.samples import inputs_of
from edgesim.errors import DataError
from edgesim.nn.cost.layers import is_layer, layer_cost, weights_of
from edgesim.nn.cost.moves import plain
from edgesim.nn.cost.plain import Move
from edgesim.nn.cost.trace import (
    byte_of,
    entries,
    is_in_place,
    is_view,
    layer_name,
    live_byte,
    record,
    shape_of,
    submodule,
)
from edgesim.nn.cut.coded import why_uncoded
from edgesim.nn.cut.fused import split_linears
from edgesim.nn.cut.sections import Section, divide_sections
from edgesim.nn.cut.stages import Layer, Segment, Stage, StagedNetwork, Tensor
from edgesim.nn.operators.division import axes_of
from edgesim.nn.operators.readers import (
    is_elementwise,
    is_linear,
    is_main,
    operands,
    pool_of,
    reader_of,
    uncut_layer,
)
from edgesim.nn.operators.roles import roles_by_node
from edgesim.nn.operators.rows import weight_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgesim.domain.networks.samples import Inputs

Execution = Literal["mapreduce", "halo", "tensor", "fused", "coded"]
"""Whether a stage is one layer, scattered and gathered, a run of layers whose outputs stay at the devices, also a section of
layers divided by features and heads (see `edgesim.nn.cut.sections`), the first run of layers only, or one layer that can be coded."""
Form = Literal["strips", "tiles", "channels"]
"""How the output of a convolution is cut; see `edgesim.nn.operators.division.cut`."""


def staged(
    network: nn.Module,
    inputs: Inputs | tuple[int, ...],
    execution: Execution = "mapreduce",
    form: Form = "strips",
    *,
    has_bare_matrices: bool = False,
    n_devices: int = 1,
    until: str | None = None,
) -> StagedNetwork:
    """Divide a network into stages and segments.

    What can be cut is said at `edgesim.nn.operators.readers.reader_of`. With ``mapreduce`` a stage is a convolution or linear layer and
    the elementwise layers behind it, as long as nothing else reads what lies between. With ``halo`` it is a run of layers that
    follow each other and hold a convolution; a layer whose output has less than two positions to cut ends it. Linear layers
    read all of their input, so they are stages as with ``mapreduce``. With ``tensor`` linear layers that follow one another, with attention or elementwise
    layers between them, are one stage, divided by features and heads; what is left is as with ``mapreduce``. With ``fused`` there is one stage,
    the first run as with ``halo``, which ends behind the layer `until` if one is named. With ``coded`` a stage is a layer that can be coded, see
    `edgesim.nn.cut.coded`, without the layers behind it.

    Parameters
    ----------
    network : in evaluation mode.
    inputs : the tensors of one sample; see `edgesim.nn.cost.trace.trace`.
    execution, form : what stages are, and along which axes they are cut.
    has_bare_matrices : whether a linear layer is a stage without the elementwise layers behind it.
    n_devices : how many compute; only ``tensor`` asks.
    until : the id of the last layer of the run; only ``fused`` asks.

    Raises
    ------
    DataError
        When the network cannot be traced, returns anything but one tensor, or overwrites a tensor that is read later.
    """
    graph = plain(network, inputs)
    sections: list[Section] = []
    if execution == "tensor":
        split_linears(graph)
        record(graph, inputs)
        sections = divide_sections(graph, n_devices)
        record(graph, inputs)
    for node, roles in roles_by_node(graph).items():
        node.meta["roles"] = roles
    nodes = list(graph.graph.nodes)
    answer = nodes.pop().args[0]
    if not isinstance(answer, fx.Node) or len(answer.meta["tensors"]) != 1:
        raise DataError(f"{type(network).__name__} returns more than one tensor; a network must return its logits only")
    alive = live_byte(graph)
    if execution == "fused":
        groups = _first_run(graph, nodes, form, until)
    else:
        groups = _groups(graph, nodes, execution, form, sections, has_bare_matrices=has_bare_matrices)
    segments = [
        _segment(graph, group, max([alive[node] for node in group] + _held_byte(graph, cut_nodes, alive), default=0))
        for cut_nodes, group in groups
    ]
    granules = {section.nodes[0]: section.n_granules for section in sections}
    stages = tuple(_stage(graph, cut_nodes, granules.get(cut_nodes[0], 0)) for cut_nodes, _ in groups[1:])
    entered = entries(graph)
    uncut = tuple(text for _, group in groups for node in group if (text := uncut_layer(graph, node)))
    return StagedNetwork(
        graph,
        stages,
        tuple(segments),
        tuple(node.name for node in entered),
        answer.name,
        sum(map(byte_of, entered)),
        byte_of(answer),
        uncut,
    )


_known: WeakKeyDictionary[nn.Module, dict[tuple[Any, ...], StagedNetwork]] = WeakKeyDictionary()
"""What networks were divided into, as long as they are there."""


def staged_once(
    network: nn.Module,
    inputs: Inputs | tuple[int, ...],
    execution: Literal["mapreduce", "halo"],
    form: Form,
    *,
    has_bare_matrices: bool = False,
) -> StagedNetwork:
    """Return what `staged` does, and the same object where it was asked before; its graph must not be changed.

    Deployments of one network at many factor points, or of many strategies, so share what is traced. Weights that were changed or replaced since
    then are another network. The parameters are those of `staged`, which also says the errors.
    """
    specs = inputs_of(inputs)
    weights = (
        (tensor.data_ptr(), 0 if tensor.is_inference() else tensor._version)  # noqa: SLF001 - no other tells of writing in place
        for tensor in network.state_dict(keep_vars=True).values()
    )
    key = (execution, form, has_bare_matrices, network.training, tuple(specs.items()), *weights)
    found = _known.setdefault(network, {})
    if key not in found:
        found[key] = staged(network, inputs, execution, form, has_bare_matrices=has_bare_matrices)
    return found[key]


Group = tuple[list[fx.Node], list[fx.Node]]
"""The nodes of a stage (none at the beginning) and those of the segment behind it."""


def _groups(
    graph: fx.GraphModule,
    nodes: list[fx.Node],
    execution: Execution,
    form: Form,
    sections: Sequence[Section],
    *,
    has_bare_matrices: bool,
) -> list[Group]:
    groups: list[Group] = [([], [])]
    section_of = {section.nodes[0]: section for section in sections}
    taken: set[fx.Node] = set()
    for position, node in enumerate(nodes):
        if node in taken:
            continue
        if node in section_of:
            stage = list(section_of[node].nodes)
        elif execution == "coded":
            stage = [] if why_uncoded(graph, node) else [node]
        elif is_linear(graph, node):
            stage = [node] if has_bare_matrices else _chain(graph, node)
        elif execution == "halo":
            stage = _run(graph, nodes[position:], form)
        else:
            stage = _chain(graph, node) if is_main(graph, node) else []
        if stage:
            taken.update(stage)
            groups.append((stage, []))
        else:
            groups[-1][1].append(node)
    return groups


def _first_run(graph: fx.GraphModule, nodes: list[fx.Node], form: Form, until: str | None) -> list[Group]:
    """Return the first run of layers, up to one of a name, and what is in front of it and behind it; no run where there is none."""
    for start in range(len(nodes)):
        run = _run(graph, nodes[start:], form)
        names = [layer_name(node) for node in run]
        if run:
            stop = start + (names.index(until) + 1 if until in names else len(run))
            return [([], nodes[:start]), (nodes[start:stop], nodes[stop:])]
    return [([], nodes)]


def _chain(graph: fx.GraphModule, node: fx.Node) -> list[fx.Node]:
    """Return a node and the elementwise nodes behind it that read nothing else and whose input nothing else reads."""
    chain = [node]
    while len(chain[-1].users) == 1:
        follower = next(iter(chain[-1].users))
        is_next = follower.all_input_nodes == [chain[-1]] and is_elementwise(graph, follower)
        if not is_next or reader_of(graph, follower) is None:
            break
        chain.append(follower)
    return chain


def _run(graph: fx.GraphModule, nodes: list[fx.Node], form: Form) -> list[fx.Node]:
    """Return the nodes at the beginning that can stay at the devices; none when there is no convolution or matrix product among them.

    Moves of elements at either end stay with the owner.
    """
    run: list[fx.Node] = []
    for node in nodes:
        shape = shape_of(node)
        axes = axes_of(form, node.meta.get("roles", ""))
        if len(shape) < 2 or max((shape[axis] for axis in axes), default=0) < 2 or reader_of(graph, node) is None:
            break
        run.append(node)
    while run and isinstance(submodule(graph, run[-1]), Move):
        run.pop()
    if run and isinstance(submodule(graph, run[0]), Move):
        return []
    return run if any(is_main(graph, node) for node in run) else []


def _stage(graph: fx.GraphModule, nodes: list[fx.Node], n_granules: int) -> Stage:
    members = set(nodes)
    layers = tuple(_layer(graph, node) for node in nodes)
    inputs: dict[str, Tensor] = {}
    for node in nodes:
        for source in node.all_input_nodes:
            if source not in members:
                inputs[source.name] = Tensor(
                    source.name, shape_of(source), byte_of(source), source.meta.get("roles", ""), _is_float(source)
                )
    outputs = tuple(node.name for node in nodes if any(user not in members for user in node.users))
    name = next(layer.layer_id for layer in layers if layer.is_main)
    return Stage(name, layers, tuple(inputs.values()), outputs, n_granules)


def _layer(graph: fx.GraphModule, node: fx.Node) -> Layer:
    reader = reader_of(graph, node)
    if reader is None:
        raise DataError(f"layer {layer_name(node)!r} cannot be cut; leave it to one device")
    return Layer(
        name=node.name,
        layer_id=layer_name(node),
        module=str(node.target),
        shape=shape_of(node),
        output_byte=byte_of(node),
        reader=reader,
        cost=layer_cost(graph, node, set()) if is_layer(graph, node) else None,
        weights=_weights(graph, [node]),
        is_matrix=is_linear(graph, node),
        is_main=is_main(graph, node),
        is_overwriting=is_in_place(graph, node) or is_view(graph, node),
        input_shapes=tuple(shape_of(source) for source in operands(node)),
        pool=pool_of(graph, node),
        roles=node.meta.get("roles", ""),
        weight_axes=weight_axes(graph, node),
        is_float=_is_float(node),
    )


def _is_float(node: fx.Node) -> bool:
    dtype = node.meta["dtype"]
    return dtype is not None and bool(dtype.is_floating_point)


def _held_byte(graph: fx.GraphModule, nodes: list[fx.Node], alive: dict[fx.Node, int]) -> list[int]:
    """Return the bytes that the owner holds when it has the results of a stage: with those, what was there before it."""
    if not nodes:
        return []
    first, members = nodes[0], set(nodes)
    own_byte = 0 if is_in_place(graph, first) or is_view(graph, first) else byte_of(first)
    return [alive[first] - own_byte + sum(byte_of(node) for node in nodes if any(u not in members for u in node.users))]


def _segment(graph: fx.GraphModule, nodes: list[fx.Node], activation_byte: int) -> Segment:
    names = tuple(node.name for node in nodes)
    layers = tuple(layer_cost(graph, node, set()) for node in nodes if is_layer(graph, node))
    cuttable = tuple(_layer(graph, node) for node in nodes if reader_of(graph, node) is not None)
    return Segment(names, layers, _weights(graph, nodes), activation_byte, cuttable)


def _weights(graph: fx.GraphModule, nodes: list[fx.Node]) -> dict[str, int]:
    """Return the bytes of weights by module; each node counts all of its own, since any device may be the first to need them."""
    return {
        str(node.target): sum(tensor.numel() * tensor.element_size() for tensor in weights_of(graph, node))
        for node in nodes
        if node.op in {"call_module", "get_attr"}
    }
