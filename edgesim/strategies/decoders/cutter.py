"""The plan of the tokens that a decoder gives, each of its matrices cut over devices."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Literal

from edgesim.domain.plan import Compute, LayerWork, Plan, Step, Transfer
from edgesim.strategies.ends import answer_steps, input_transfers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgesim.interfaces import DeploymentContext
    from edgesim.strategies.decoders.matrices import Matrices, Matrix

Exchange = Literal["gather", "reduce"]
"""Slices of outputs are gathered after each matrix, or partial sums are added after attention and after the feed-forward part."""
ROUNDS: dict[Exchange, tuple[tuple[str, ...], ...]] = {
    "gather": (("q", "k", "v"), ("o",), ("w1", "w3"), ("w2",)),
    "reduce": (("q", "k", "v", "o"), ("w1", "w3", "w2")),
}
"""What each node computes between two messages."""


@dataclass(frozen=True, slots=True)
class Bits:
    """How numbers lie in memory and in messages.

    Parameters
    ----------
    weight, message, cache : bits of a weight, of a number in a message, of a number of the cache.
    dequantisation_flop : work per weight that is read.
    """

    weight: float
    message: float
    cache: float
    dequantisation_flop: float


@dataclass(frozen=True, slots=True)
class Pass:
    """Tokens that go through the decoder together: the prompt, then each token that it gave.

    Parameters
    ----------
    prefix : of the ids of its steps.
    n_positions : tokens.
    n_before : tokens before them; None when attention is not counted.
    """

    prefix: str
    n_positions: int
    n_before: int | None

    def n_seen(self, window: int | None) -> int:
        """Return how many pairs of tokens attention looks at: each token sees itself and those before, at most a window.

        >>> Pass("", 3, 2).n_seen(None), Pass("", 3, 2).n_seen(4)  # 3 + 4 + 5, 3 + 4 + 4
        (12, 11)
        """
        if self.n_before is None:
            return 0
        most = window or self.n_before + self.n_positions
        return sum(min(self.n_before + one + 1, most) for one in range(self.n_positions))

    def n_cached(self, window: int | None) -> int:
        """Return of how many tokens keys and values are kept when it is done."""
        n_tokens = 0 if self.n_before is None else self.n_before + self.n_positions
        return min(n_tokens, window or n_tokens)


def passes(prompt: int | None, n_tokens: int) -> Iterator[Pass]:
    """Yield what goes through a decoder for some tokens behind a prompt; for one token alone without a prompt.

    >>> [(one.n_positions, one.n_before) for one in passes(5, 3)]
    [(5, 0), (1, 5), (1, 6)]
    """
    if prompt is None:
        yield Pass("", 1, None)
        return
    yield Pass("token 1/", prompt, 0)
    for number in range(2, n_tokens + 1):
        yield Pass(f"token {number}/", 1, prompt + number - 2)


class Cutter:
    """From the matrices of a decoder to a plan.

    Parameters
    ----------
    matrices, context : of the decoder.
    nodes : the root, then the workers.
    exchange, bits : what is sent when, and how.
    """

    def __init__(
        self, matrices: Matrices, context: DeploymentContext, nodes: Sequence[str], exchange: Exchange, bits: Bits
    ) -> None:
        self.matrices, self.context, self.exchange, self.bits = matrices, context, exchange, bits
        self.root, *self.workers = nodes
        self.n_nodes = len(nodes)
        self.steps: list[Step] = []

    def plan(self) -> Plan:
        """Return the plan of the tokens behind the prompt, or of one alone when there is no prompt."""
        input_byte = self.context.graph.input_byte
        self.steps += input_transfers(self.context, self.root, input_byte)
        given = tuple(step.step_id for step in self.steps)
        classifier, last = self.matrices.classifier, Compute("none", self.root)
        for one in passes(self.matrices.prompt, self.matrices.n_tokens):
            self.steps.append(Compute(f"{one.prefix}embedded", self.root, inputs=given))
            for index in range(len(self.matrices.blocks)):
                for names in ROUNDS[self.exchange]:
                    self._round(one, index, names)
            held_byte = self.matrices.number_byte * classifier.n_outputs + self._cache_byte(one, self.root)
            work = (self._work([classifier], 1.0, 1),)
            last = Compute(f"{one.prefix}classifier", self.root, work, (self.steps[-1].step_id,), held_byte)
            self.steps.append(last)
            given = (last.step_id,)
        output_byte = self.matrices.number_byte * classifier.n_outputs
        if self.matrices.prompt is not None:  # the tokens themselves
            output_byte = input_byte // self.matrices.prompt * self.matrices.n_tokens
        self.steps += answer_steps(self.context, last, output_byte)
        return Plan(tuple(self.steps), self.steps[-1].step_id, self.weight_byte())

    def weight_byte(self) -> dict[str, int]:
        """Return the bytes of weights by device: equal shares of the matrices in blocks, and all else at the root."""
        matrices = [matrix for block in self.matrices.blocks for matrix in block.values()]
        held = sum(self._stored_byte(matrix.n_weights, 1.0 / self.n_nodes) for matrix in matrices)
        alone = self._stored_byte(self.matrices.classifier.n_weights + self.matrices.n_others, 1.0)
        return dict.fromkeys(self.workers, held) | {self.root: held + alone}

    def _round(self, one: Pass, index: int, names: tuple[str, ...]) -> None:
        """Send the vectors to the workers, multiply them everywhere, and join the slices at the root."""
        matrices = [self.matrices.blocks[index][name] for name in names]
        name = f"{one.prefix}blocks.{index}.{'+'.join(names)}"
        before = (self.steps[-1].step_id,)
        n_inputs = one.n_positions * matrices[0].n_inputs
        down = n_inputs * (self.n_nodes - 1) / self.n_nodes if names == ("w2",) else n_inputs
        n_numbers = one.n_positions * self._answers(names, matrices)
        work = [self._work(matrices, 1.0 / self.n_nodes, one.n_positions)]
        attention = self._attention(one, 1.0 if self.exchange == "gather" else 1.0 / self.n_nodes)
        if attention and "q" in names and self.exchange == "reduce":
            work.append(attention)
        number_byte = self.matrices.number_byte
        held_byte = number_byte * n_inputs + ceil(number_byte * n_numbers)
        for worker in self.workers:
            self._send(f"{name}/down/{worker}", (self.root, worker), down, before)
        for device in (self.root, *self.workers):
            inputs = before if device == self.root else (f"{name}/down/{device}",)
            kept_byte = held_byte + self._cache_byte(one, device)
            self.steps.append(Compute(f"{name}/compute/{device}", device, tuple(work), inputs, kept_byte))
        for worker in self.workers:
            self._send(f"{name}/up/{worker}", (worker, self.root), n_numbers, (f"{name}/compute/{worker}",))
        joined = (f"{name}/compute/{self.root}", *(f"{name}/up/{worker}" for worker in self.workers))
        own = (attention,) if attention and "q" in names and self.exchange == "gather" else ()
        self.steps.append(Compute(f"{name}/join", self.root, own, joined, self._cache_byte(one, self.root)))

    def _send(self, name: str, ends: tuple[str, str], n_numbers: float, inputs: tuple[str, ...]) -> None:
        size_byte = ceil(n_numbers * self.bits.message / 8 - 1e-9)
        self.steps.append(Transfer(name, *ends, size_byte, f"{n_numbers:g} numbers", "intermediate", inputs))

    def _answers(self, names: tuple[str, ...], matrices: Sequence[Matrix]) -> float:
        """Return how many numbers a worker sends back for a token."""
        if self.exchange == "reduce":  # the outputs of the last matrix, as partial sums
            return matrices[-1].n_outputs
        answers = matrices[:1] if names == ("w1", "w3") else matrices  # their product is one vector
        return sum(matrix.n_outputs for matrix in answers) / self.n_nodes

    def _stored_byte(self, n_weights: int, share: float) -> int:
        return ceil(4 * n_weights * share * self.bits.weight / 32)

    def _work(self, matrices: Sequence[Matrix], share: float, n_positions: int) -> LayerWork:
        """Return the work of matrices that are multiplied one after another without a pause; weights are read once."""
        number_byte = self.matrices.number_byte
        moved_byte = sum(
            self._stored_byte(matrix.n_weights, share) + share * (number_byte * n_positions * matrix.n_outputs)
            for matrix in matrices
        )
        moved_byte += number_byte * n_positions * matrices[0].n_inputs
        unpacked_flop = self.bits.dequantisation_flop * sum(matrix.n_weights for matrix in matrices)
        work_flop = share * (n_positions * sum(matrix.work_flop for matrix in matrices) + unpacked_flop)
        return LayerWork("+".join(matrix.layer_id for matrix in matrices), "linear", work_flop, moved_byte)

    def _attention(self, one: Pass, share: float) -> LayerWork | None:
        """Return the work of a share of the heads: queries with keys, and weights with values; the cache is read once."""
        n_seen = one.n_seen(self.matrices.window)
        if not n_seen:
            return None
        width = self.matrices.blocks[0]["q"].n_outputs
        vectors_byte = 2 * one.n_positions * width * self.matrices.number_byte
        moved_byte = share * (vectors_byte + self._block_cache_byte(one))
        return LayerWork("attention", "linear", share * 4.0 * width * n_seen, moved_byte)

    def _block_cache_byte(self, one: Pass) -> float:
        """Return the bytes of keys and values of one block, all heads."""
        block = self.matrices.blocks[0]
        n_numbers = block["k"].n_outputs + block["v"].n_outputs
        return one.n_cached(self.matrices.window) * n_numbers * self.bits.cache / 8

    def _cache_byte(self, one: Pass, device: str) -> int:
        """Return the bytes of the cache of all blocks on a device when a pass is done: with ``gather`` all of it is at the root."""
        share = 1.0 / self.n_nodes if self.exchange == "reduce" else float(device == self.root)
        return ceil(len(self.matrices.blocks) * self._block_cache_byte(one) * share)
