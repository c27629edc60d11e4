"""A small scenario that the tests of this package vary."""

from __future__ import annotations

import copy
from typing import Any

import pytest

SMALL: dict[str, Any] = {
    "name": "small",
    "topology": {
        "devices": [{"id": "hub", "profile": "phone"}, {"id": "w{1..3}", "profile": "wearable"}],
        "media": ["cell"],
        "links": [{"between": ["hub", "w*"], "bandwidth": "20 Mbit/s", "latency": "2 ms", "medium": "cell"}],
    },
    "workload": {"dataset": "digits", "model": "small-cnn", "source": "hub", "sink": "hub"},
    "strategies": {"single": {"device": "hub"}},
    "failures": {"loss": {"type": "exactly-k", "targets": "w*", "k": 1}},
    "sweep": {"lost_devices": {"path": "failures.loss.k", "values": [0, 1, 2]}},
}


@pytest.fixture
def small() -> dict[str, Any]:
    """A valid scenario in plain data, to be changed at will."""
    return copy.deepcopy(SMALL)
