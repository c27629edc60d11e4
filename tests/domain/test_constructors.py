"""What nothing in this world has is refused where it is given, not where it does harm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import inf, nan
from typing import Any

import numpy as np
import pytest

from edgesim.arrivals.periodic import Periodic
from edgesim.domain.delivery import Arrived
from edgesim.domain.evaluation import Evaluation
from edgesim.domain.load import Load
from edgesim.domain.networks.costs import LayerCost, ModelGraph
from edgesim.domain.networks.training import Distillation, Training
from edgesim.domain.plan import Compute, LayerWork, Plan, Transfer
from edgesim.domain.records import Outage
from edgesim.domain.stopping import Stopping, Target
from edgesim.domain.system.topology import Device, DeviceProfile, Link, Medium, Topology
from edgesim.domain.system.transport import Burst, Crossing
from edgesim.errors import PlanError

PROFILE = DeviceProfile("test", {"conv": 1e9}, 1e9, 0.0, 10**9, 1.0, 3.0, 2.0, 1.5, "assumed")
RIGHT: dict[str, Any] = {
    "profile": PROFILE,
    "device": Device("a", PROFILE),
    "link": Link("a->b", "a", "b", 1e6),
    "medium": Medium("air"),
    "topology": Topology((Device("a", PROFILE),)),
    "work": LayerWork("conv1", "conv", 1.0, 1.0),
    "compute": Compute("c", "a"),
    "transfer": Transfer("t", "a", "b", 1, "x", "input"),
    "plan": Plan((Compute("c", "a"),), "c", {}),
    "layer": LayerCost("conv1", "conv", (1,), 1.0, 0, 4, 4),
    "graph": ModelGraph((), 4, 4),
    "training": Training(),
    "distillation": Distillation(),
    "evaluation": Evaluation(),
    "load": Load(Periodic(1.0), requests=1),
    "outage": Outage("a", 0.0, 1.0),
    "target": Target("accuracy", 0.1, is_relative=False),
    "stopping": Stopping(10, 20, ()),
    "crossing": Crossing(2, 1),
    "burst": Burst(2),
    "arrived": Arrived("t", 2500, 1000, 2, is_first=True, seed=1),
}
NOT_POSITIVE = (0, -1, nan, inf, "1", None, True)
NEGATIVE = (-0.001, nan, inf, "1", True)
WRONG: dict[str, dict[str, tuple[Any, ...]]] = {
    "profile": {
        "name": ("", None),
        "flop_per_s": ({}, {"conv": 0.0}, {"conv": nan}, {"convolution": 1e9}),
        "memory_bandwidth_byte_per_s": NOT_POSITIVE,
        **dict.fromkeys(("layer_overhead_s", "memory_byte", "idle_w", "busy_w", "transmit_w", "receive_w"), NEGATIVE),
    },
    "device": {
        "device_id": ("", 3), "n_cores": (0, -1, 1.5, nan, True), "sharing": ("lifo",), "on_outage": ("retry",),
        "position_m": ((nan, 0.0), (0.0, inf)),
    },
    "link": {
        "link_id": ("",), "dst_id": ("a", "", None), "bandwidth_bit_per_s": NOT_POSITIVE, "latency_s": NEGATIVE,
        "message_overhead_s": NEGATIVE, "mtu_byte": (0, -1, 1.5), "header_byte": (-1, 0.5), "sharing": ("lifo",), "on_outage": ("",),
    },
    "medium": {"medium_id": ("",), "sharing": ("lifo",), "contention": (-0.1, nan, inf, "1")},
    "topology": {"devices": (["a"], ("a",)), "links": (("a->b",),), "media": (("air",),), "forwarding": ("fast",)},
    "work": {"work_flop": NEGATIVE, "moved_byte": NEGATIVE},
    "compute": {
        "step_id": ("",), "device_id": ("", None), "work": ((1.0,),), "inputs": ((1,), ["t"]), "activation_byte": (-1, 0.5),
        "fixed_s": NEGATIVE, "on_missing": ("give up",),
    },
    "transfer": {"step_id": ("",), "size_byte": (-1, 0.5, nan, "1"), "kind": ("output",), "inputs": ("c", (1,))},
    "plan": {"steps": (("c",),), "weight_byte": ({"a": -1}, {"a": nan})},
    "layer": {"work_flop": NEGATIVE, "weight_byte": (-1, 0.5), "input_byte": (-1,), "output_byte": (-1,), "layer_id": ("",)},
    "graph": {"layers": (("conv1",),), "input_byte": (-1,), "peak_activation_byte": (-1, 0.5)},
    "training": {
        "epochs": (0, 1.5), "batch_size": (0,), "views": (0,), "learning_rate": NOT_POSITIVE, "momentum": NEGATIVE,
        "weight_decay": NEGATIVE, "optimizer": ("adam",),
    },
    "distillation": {
        "temperature": NOT_POSITIVE, "alpha": (-0.1, 1.1, nan), "beta": NEGATIVE, "normalised_over": ("all",),
    },
    "evaluation": {"samples": (0, 1.5), "patterns": (0, -1)},
    "load": {"requests": (0, 1.5), "horizon_s": (0.0, nan, inf), "warm_up_s": NEGATIVE, "admission_limit": (0,)},
    "outage": {"start_s": (-1.0, 2.0, nan), "end_s": (-1.0, nan)},
    "target": {"metric": ("",), "half_width": NOT_POSITIVE},
    "stopping": {"floor": (0, 30, 1.5), "ceiling": (0, 5), "targets": (("accuracy",),)},
    "crossing": {"n_received": (-1, 3), "waited_s": (-1.0, nan, inf)},
    "burst": {"n_repeated": (-1, 3), "delay_s": (-1.0, nan, inf)},
    "arrived": {"size_byte": (0, -1), "packet_byte": (0,), "n_arrived": (0, 3)},
}  # fmt: skip
CASES = [(kind, field, value) for kind, fields in WRONG.items() for field, values in fields.items() for value in values]


@pytest.mark.parametrize(("kind", "field", "value"), CASES)
def test_wrong_values_are_refused(kind: str, field: str, value: Any) -> None:
    with pytest.raises(PlanError):
        replace(RIGHT[kind], **{field: value})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Link("a->b", "a", "b", 1e6, message_overhead_s=-0.001),
            "link 'a->b' has message_overhead_s -0.001; it must be a finite number of at least 0",
        ),
        (lambda: Link("a->a", "a", "a", 1e6), "link 'a->a' goes from 'a' to itself; its ends must differ"),
        (
            lambda: Compute("c", "a", on_missing="degrade", deadline_s=nan),
            "step 'c' has deadline_s nan; it must be a finite number",
        ),
    ],
)
def test_messages_say_whose_value_it_is_and_what_is_expected(make: Callable[[], object], message: str) -> None:
    with pytest.raises(PlanError) as caught:
        make()
    assert message in str(caught.value)


def test_numbers_of_numpy_are_numbers() -> None:
    assert Link("a->b", "a", "b", np.float32(1e6), mtu_byte=np.int64(100)).n_packets(250) == 3
