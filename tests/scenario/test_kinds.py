"""Networks and strategies beside samples that they are not for: a finding when the scenario is read, not a refusal when it runs."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from edgesim.domain.networks.samples import SampleKind
from edgesim.domain.networks.task import TensorSpec
from edgesim.errors import EdgesimError, ScenarioError
from edgesim.registry import DATASETS, MODELS, STRATEGIES
from edgesim.scenario.scenario import Scenario

TEXT = """
name: kinds
topology:
  devices: [{id: hub, profile: phone}, {id: "w{1..2}", profile: phone}]
  links: [{between: ["*", "*"], bandwidth: 2 Mbit/s}]
workload:
  dataset: digits
  model: small-cnn
  source: hub
  sink: hub
strategies:
  single: {device: hub}
"""
TOKENS = {"characters": TensorSpec((64,), "int32", 72)}
SAMPLES: dict[SampleKind, tuple[dict[str, TensorSpec], TensorSpec]] = {
    "images of one class each": ({"images": TensorSpec((3, 32, 32))}, TensorSpec((10,))),
    "images with a class of each pixel": ({"bands": TensorSpec((6, 16, 16))}, TensorSpec((7, 16, 16))),
    "images with boxes": ({"image": TensorSpec((1, 128, 128))}, TensorSpec((64, 6))),
    "rows of numbers": ({"features": TensorSpec((22,))}, TensorSpec((2,))),
    "texts": (TOKENS, TensorSpec((2,))),
    "texts whose next character is asked": (TOKENS, TensorSpec((72, 64))),
    "graphs": ({"vertices": TensorSpec((28, 7)), "adjacency": TensorSpec((28, 28), "uint8")}, TensorSpec((2,))),
    "sketches": ({"points": TensorSpec((256, 2)), "strokes": TensorSpec((256,), "int64")}, TensorSpec((4, 256))),
}
"""What data sets of each kind give, and want."""
OTHERS = {"import", "onnx", "exported"}
"""Models of which nobody knows what they are for."""


def findings(text: str) -> list[tuple[int, str, str]]:
    """Return line, message and remedy of what is wrong."""
    try:
        Scenario.from_text(text)
    except ScenarioError as error:
        return [(one.line, one.message, one.help) for one in error.findings]
    return []


def test_all_say_their_kind() -> None:
    """Every data set with samples, and every model that does not come from its user; strategies name known kinds."""
    known = set(get_args(SampleKind))
    for registry, others in ((DATASETS, {"shape-only"}), (MODELS, OTHERS)):
        assert {name for name in registry.names() if registry.get(name).__module__.startswith("edgesim.")} - others == {
            name for name in registry.names() if _inherited(registry.get(name)) in known
        }
    for name in STRATEGIES.names():
        assert vars(STRATEGIES.get(name)).get("kinds_of_samples", known) <= known


def _inherited(one: type) -> Any:
    return next((vars(base)["kind_of_samples"] for base in one.__mro__ if "kind_of_samples" in vars(base)), None)


@pytest.mark.parametrize("name", [name for name in MODELS.names() if name not in {*OTHERS, "decoder", "decoder-token"}])
def test_models_are_for_the_samples_that_they_say(name: str) -> None:
    """A network can be built for the inputs and answers of this kind, and of no other."""
    builder = MODELS.get(name)()
    for kind, (inputs, output) in SAMPLES.items():
        if kind == builder.kind_of_samples:
            builder.build(inputs, output)
        else:
            with pytest.raises(EdgesimError):
                builder.build(inputs, output)


@pytest.mark.parametrize(
    ("strategy", "line", "message", "remedy"),
    [
        (
            "ensemble:\n    devices: w*\n    students: 2\n    student: unet", 16,
            "unet is for images with a class of each pixel, but digits has images of one class each", "take one of small-cnn, ",
        ),
        (
            "rocoin: {most_lost: 0.01, devices: w*,\n    sizes: [small-cnn, gpt]}", 14,
            "gpt is for texts whose next character is asked, but digits has images of one class each", "take one of small-cnn, ",
        ),
        (
            "branches: {devices: w*, deadline: 1 s}", 13, "it is for graphs or texts, but small-cnn is for images of one class each",
            "take another strategy, or a model of these: fdgnn, text-cnn",
        ),
    ],
)  # fmt: skip
def test_strategies_and_students_for_other_samples_are_findings(
    strategy: str, line: int, message: str, remedy: str
) -> None:
    """On the line of what is named, with what can be taken."""
    ((found_line, found, help_),) = findings(f"{TEXT}  {strategy}\n")
    assert (found_line, found) == (line, message)
    assert help_.startswith(remedy)


def test_a_network_for_other_samples_is_a_finding() -> None:
    """Of the workload, also at one point of a sweep."""
    message = "unet is for images with a class of each pixel, but digits has images of one class each"
    assert [one[:2] for one in findings(TEXT.replace("small-cnn", "unet"))] == [(8, message)]
    swept = f"{TEXT}sweep: {{network: {{path: workload.model, values: [small-cnn, unet]}}}}\n"
    assert [message in one[1] for one in findings(swept)] == [True]


def test_students_need_a_layer_of_filters() -> None:
    """Which a U-Net has not; `ensemble` does without."""
    text = TEXT.replace("digits", "land-cover").replace("small-cnn", "unet")
    for label in ("nonn", "resilient", "rocoin"):
        options = "most_lost: 0.01, sizes: [unet]" if label == "rocoin" else "students: 2, student: unet"
        found = findings(f"{text}  {label}: {{devices: w*, {options}{', parts: 1' if label == 'resilient' else ''}}}\n")
        assert [one[:2] for one in found] == [
            (13, "its students divide the filters of a layer of the network, but the model names none")
        ]
    assert not findings(f"{text}  ensemble: {{students: 2, devices: w*, student: unet}}\n")
