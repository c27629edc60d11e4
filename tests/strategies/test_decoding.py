"""Tokens behind a prompt: work, messages and cache by hand, and what is refused."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from edgesim.errors import DataError, ScenarioError
from edgesim.interfaces import Silent
from edgesim.scenario.scenario import Scenario
from edgesim.study.preparation.plans import PlannedStrategy, plans

CONFIG: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 320, "max_position_embeddings": 64, "torch_dtype": "float16",
}  # fmt: skip
PROMPT, TOKENS, N_BLOCKS, D, K, VOCABULARY = 5, 3, 2, 64, 32, 320
IN_BLOCK = D * (2 * D + 2 * K + 3 * 96)
OTHERS = VOCABULARY * D + (2 * N_BLOCKS + 1) * D
"""Vectors of tokens, and normalisations."""


def planned(
    folder: Path, n: int = 2, config: dict[str, Any] | None = None, tokens: int = TOKENS, **options: Any
) -> PlannedStrategy:
    """Return the plan of three tokens behind a prompt of five, over n nodes; the answer is wanted at the last."""
    path = folder / "config.json"
    path.write_text(json.dumps(CONFIG | (config or {})))
    model: dict[str, Any] = {"type": "decoder", "config": str(path), "tokens": tokens}
    return plan_of(model, {"input": [PROMPT], "values": VOCABULARY}, n, options)


def plan_of(model: dict[str, Any], given: dict[str, Any], n: int, options: dict[str, Any]) -> PlannedStrategy:
    usual = {"type": "tensor-parallel", "root": "n1", "exchange": "reduce", "workers": "n*" if n > 1 else None}
    strategy = {name: value for name, value in {**usual, **options}.items() if value is not None}
    scenario = Scenario.from_data({
        "name": "tokens",
        "topology": {
            "devices": [{"id": f"n{{1..{n}}}", "profile": "raspberry-pi-4b"}],
            "switches": [{"id": "switch"}],
            "links": [{"between": ["switch", "n*"], "bandwidth": "941 Mbit/s"}],
        },
        "workload": {**given, "classes": VOCABULARY, "model": model, "source": "n1", "sink": f"n{n}"},
        "strategies": {"cut": strategy},
    })  # fmt: skip
    [one] = plans(scenario, (), Silent())
    return one


def work_of(one: PlannedStrategy) -> float:
    return sum(work.work_flop for step in one.plan.computes for work in step.work)


@pytest.mark.parametrize("exchange", ["gather", "reduce"])
@pytest.mark.parametrize("n", [1, 2, 4])
def test_work_by_hand_however_it_is_divided(tmp_path: Path, exchange: str, n: int) -> None:
    """Matrices of 5 + 1 + 1 tokens, a classifier for each new one, attention of places 1 to 7 to what is there."""
    one = planned(tmp_path, n, exchange=exchange)
    matrices = 2 * N_BLOCKS * IN_BLOCK * (PROMPT + TOKENS - 1)
    attention = N_BLOCKS * 4 * D * sum(range(1, PROMPT + TOKENS))
    assert work_of(one) == pytest.approx(matrices + TOKENS * 2 * D * VOCABULARY + attention, rel=1e-12)
    unpacked = planned(tmp_path, n, exchange=exchange, dequantisation="2 FLOP")
    assert work_of(unpacked) - work_of(one) == pytest.approx(2 * TOKENS * (N_BLOCKS * IN_BLOCK + D * VOCABULARY))


@pytest.mark.parametrize(
    ("exchange", "numbers"), [("reduce", 4 * D), ("gather", 3 * D + 96 / 2 + (D + 2 * K + D + 96 + D) / 2)]
)
def test_messages_of_each_token_and_layer(tmp_path: Path, exchange: str, numbers: float) -> None:
    """Two nodes: 2 D each way with reduce; D, D, D and H / 2 down, and halves of outputs up with gather. The prompt has five times as many."""
    sent = [0] * (TOKENS + 1)
    for step in planned(tmp_path, exchange=exchange, message_bits=8).plan.transfers:
        if step.kind == "intermediate":
            sent[int(step.step_id.split("/")[0].removeprefix("token "))] += step.size_byte
    assert sent == [0, PROMPT * N_BLOCKS * numbers, N_BLOCKS * numbers, N_BLOCKS * numbers]


@pytest.mark.parametrize("exchange", ["gather", "reduce"])
def test_the_cache_grows_by_a_token_each_time(tmp_path: Path, exchange: str) -> None:
    """2 K numbers of 16 bits a block and token: after five tokens, six, seven; at the root alone, or half at each node."""
    one = planned(tmp_path, exchange=exchange)
    joins = [
        step.activation_byte
        for step in one.plan.computes
        if step.step_id.endswith("blocks.1.w2/join") or step.step_id.endswith("w1+w3+w2/join")
    ]
    share = 1 if exchange == "gather" else 2
    whole = [N_BLOCKS * n_tokens * 2 * K * 2 // share for n_tokens in (5, 6, 7)]
    assert sorted(set(joins)) == whole
    eight = planned(tmp_path, exchange=exchange, cache_bits=8)
    held = {
        bits: max(step.activation_byte for step in plan.plan.computes if step.device_id == "n2" and step.work)
        for bits, plan in ((16, one), (8, eight))
    }
    assert (held[16] > held[8]) == (exchange == "reduce")


def test_weights_as_they_are_and_of_four_bits(tmp_path: Path) -> None:
    """16 bits of the configuration by default; equal shares of the blocks, and vectors, normalisations and classifier at the root."""
    for bits, options in ((16, {}), (4.5, {"weight_bits": 4.5})):
        held = planned(tmp_path, **options).plan.weight_byte
        assert held["n2"] == N_BLOCKS * IN_BLOCK / 2 * bits / 8
        assert held["n1"] == held["n2"] + (OTHERS + D * VOCABULARY) * bits / 8


def test_prompt_and_tokens_go_as_numbers(tmp_path: Path) -> None:
    """From the source five of 8 byte, to the sink three."""
    answer = next(step for step in planned(tmp_path).plan.transfers if step.step_id == "answer")
    assert answer.size_byte == 8 * TOKENS


def test_the_first_token_does_not_know_of_the_others(tmp_path: Path) -> None:
    """With `tokens` 1 it ends when the first of three ends; each further one takes longer than none, and the later the longer."""
    first, all_ = planned(tmp_path, tokens=1), planned(tmp_path, tokens=4)
    ended = {step.step_id: step.ended_s for step in all_.steps}
    ends = [ended[f"token {number}/classifier"] for number in (1, 2, 3, 4)]
    assert {step.step_id: step.ended_s for step in first.steps}["token 1/classifier"] == ends[0]
    gaps = [later - sooner for sooner, later in pairwise(ends)]
    assert 0 < gaps[0] <= gaps[1] <= gaps[2]


def test_a_window_bounds_the_cache(tmp_path: Path) -> None:
    """Five tokens back: places 1 to 5 see as many, 6 and 7 five."""
    one = planned(tmp_path, config={"model_type": "mistral", "sliding_window": 5})
    attention = sum(work.work_flop for step in one.plan.computes for work in step.work if work.layer_id == "attention")
    assert attention == N_BLOCKS * 4 * D * (15 + 5 + 5)


def test_what_a_decoder_is_not_made_for_is_refused(tmp_path: Path) -> None:
    """The 64th place reads the last but one token."""
    assert planned(tmp_path, tokens=60).plan.answer_id
    with pytest.raises(
        DataError,
        match="prompt and tokens are 66 together, of which the last is not read, but max_position_embeddings of",
    ):
        planned(tmp_path, tokens=61)


def test_strategies_that_give_one_token_are_refused_more(tmp_path: Path) -> None:
    """And take one."""
    single = {"type": "single", "root": None, "exchange": None, "workers": None}
    assert planned(tmp_path, tokens=1, **single).plan.answer_id
    with pytest.raises(ScenarioError, match="it gives one token, but the model asks for 3"):
        planned(tmp_path, **single)
