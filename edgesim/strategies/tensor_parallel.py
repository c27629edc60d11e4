"""A decoder for language cut over devices, matrix by matrix: what its tokens cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Gt, Le

from edgesim.domain.networks.samples import SampleKind
from edgesim.domain.plan import Plan
from edgesim.domain.system.selection import is_selected
from edgesim.domain.system.topology import DeviceGlob, DeviceId
from edgesim.errors import PlanError
from edgesim.strategies.decoders.cutter import Bits, Cutter, Exchange
from edgesim.strategies.decoders.matrices import matrices_of
from edgesim.strategies.ends import known_device, require_delivered
from edgesim.units import Quantity

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from edgesim.domain.delivery import Delivery
    from edgesim.interfaces import Deployment, DeploymentContext, Kernel

FLOAT_BIT = 32.0


@dataclass(frozen=True, slots=True)
class TensorParallel:
    """Cut every matrix of a decoder over a root and workers, and count what its tokens cost.

    Each node holds and multiplies an equal share of every matrix. The root holds the whole vector: it sends it to each worker, gets back
    slices of outputs or partial sums, and joins them; it also does the classifier alone. This is what distributed-llama did in 2024: it
    gathered four times a block in version 0.1.0, and reduced twice a block in 0.3.1.

    With the model ``decoder`` a request is a prompt, which the workload's `input` says, and the `tokens` of the model that follow it. The prompt goes through all
    layers at once, which gives the first token; each further token goes through them alone, when the one before is known. Keys and values of all
    tokens before are kept: the cache grows by a token each time. With the model ``decoder-token`` it is one token, without attention to others.

    Parameters
    ----------
    root : device that has the token and joins.
    workers : devices that compute beside it; by default none.
    weight_bits : bits of a weight in memory, e.g. 4.5 for 4 bits with a scale of 16 bits for 32 weights; by default as the network has them.
    message_bits : bits of a number in a message, e.g. 8.5.
    exchange : ``gather`` cuts all matrices by outputs; ``reduce`` cuts every second one by inputs, so that whole vectors of partial sums
        come back, but only after attention and after the feed-forward part.
    cache_bits : bits of a number among the keys and values that are kept.
    dequantisation_flop : work to make a number of a weight, per weight and each time that it is read, e.g. ``2 FLOP``: an offset and a scale.

    Formula
    -------
    Per block and worker, with n nodes, width D, width of keys K and hidden units H: down D, D, D and H (n - 1) / n numbers, up (D + 2 K) / n,
    D / n, H / n and D / n: in all 3 D + H + (3 D + 2 K) / n. With ``reduce``: 2 D down and 2 D up. Both give the bytes that
    distributed-llama printed. The prompt takes as many times more as it has tokens; weights are read once for all of them.
    Attention of a token with c tokens before it = 4 D (c + 1) FLOP a block. Cache = blocks x tokens x 2 K x `cache_bits` / 8 byte: all at the root with
    ``gather``, which brings keys and values there; an equal share at each node with ``reduce``. With `tokens` 1 the latency is the time
    to the first token; time per token = (latency with T - latency with 1) / (T - 1).

    Validity
    --------
    Cost only. Norms, activations and the softmax are not counted: they are small beside the matrices, and a profile's overhead per
    layer, which is paid once between two messages, stands for them. Choosing a token of the classifier's numbers takes no time.

    References
    ----------
    B. Tadych, distributed-llama, report.pdf and README of June 2024. The order of its messages is our reading of the bytes printed there; that
    attention is at the root with ``gather`` follows from them.
    """

    kinds_of_samples: ClassVar[frozenset[SampleKind]] = frozenset({"tokens of a decoder"})
    root: DeviceId
    workers: DeviceGlob | None = None
    weight_bits: Annotated[float, Gt(0), Le(32)] | None = None
    message_bits: Annotated[float, Gt(0), Le(32)] = FLOAT_BIT
    exchange: Exchange = "gather"
    cache_bits: Annotated[float, Gt(0), Le(32)] = 16.0
    dequantisation_flop: Annotated[float, Quantity("FLOP")] = 0.0

    needs_training: ClassVar[bool] = False
    is_generating: ClassVar[bool] = True

    def deploy(self, context: DeploymentContext) -> Deployment:
        """Return the deployment.

        Raises
        ------
        PlanError
            When the topology has no such device, the network is no decoder, or samples want an answer.
        """
        root = known_device(context, "tensor-parallel.root", self.root)
        ids = sorted(context.topology.device_of)
        workers = tuple(name for name in ids if self.workers and name != root and is_selected(name, self.workers))
        if len(context.dataset.test):
            raise PlanError(
                "tensor-parallel counts the cost of tokens and gives no answers; write `input` and `classes` without a `dataset`, or take modnn with "
                "execution: tensor"
            )
        matrices = matrices_of(context)
        weight_bits = 8.0 * matrices.number_byte if self.weight_bits is None else self.weight_bits
        bits = Bits(weight_bits, self.message_bits, self.cache_bits, self.dequantisation_flop)
        cutter = Cutter(matrices, context, (root, *workers), self.exchange, bits)
        return _Tokens(cutter.plan(), context.dataset.task.output.shape)


@dataclass(frozen=True, slots=True)
class _Tokens:
    """The plan of tokens; there are no samples to answer."""

    plan: Plan
    output: tuple[int, ...]

    def kernels(self) -> Mapping[str, Kernel]:
        """Raise `PlanError`: there is nothing to compute but costs, see `edgesim.interfaces.Bundled`."""
        raise PlanError(
            "tensor-parallel counts what tokens cost and computes none of them, so there is nothing to execute; take modnn with execution: tensor"
        )

    def predict(self, delivery: Delivery) -> NDArray[np.float32]:
        """Return no answers. Raises `PlanError` when a message was lost: no vector is whole without it."""
        import numpy as np

        require_delivered(tuple(transfer.step_id for transfer in self.plan.transfers), delivery)
        return np.empty((0, *self.output), np.float32)

    def describe(self) -> dict[str, Any]:
        """Return the bytes of weights by device."""
        return {"weight_byte": dict(self.plan.weight_byte)}
