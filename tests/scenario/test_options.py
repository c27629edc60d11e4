"""Options of plug-ins: from plain data to dataclasses and back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Le
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from edgesim.interfaces import Partitioner
from edgesim.plugins import Plugin
from edgesim.registry import PARTITIONERS, STRATEGIES
from edgesim.scenario.form.options import PluginOf, find_plugin, names, read_options, write_options
from edgesim.units import BitPerSecond, Bytes, Seconds


@dataclass(frozen=True, slots=True)
class Thirds:
    """Cut into thirds."""

    balance: float = 0.5

    def partition(self, affinity: Any, n_parts: int, rng: Any, activities: Any = None) -> Any:
        raise AssertionError


@dataclass(frozen=True, slots=True)
class Inner:
    """Options of a part."""

    n_rounds: Annotated[int, Ge(1)] = 3


@dataclass(frozen=True, slots=True)
class Everything:
    """Has an option of every kind."""

    count: int
    share: Annotated[float, Ge(0), Le(1)] = 0.25
    copy: bool = False  # a name that pydantic's models use themselves
    mode: Literal["wait", "degrade"] = "wait"
    step_deadline_s: Seconds | None = None
    size_byte: Bytes = 100
    rate_bit_per_s: BitPerSecond = 1e6
    widths: tuple[int, ...] = (8, 16)
    partitioner: Annotated[Partitioner, Plugin("partitioners")] = field(default_factory=Thirds)
    others: tuple[Annotated[Partitioner, Plugin("partitioners")], ...] = ()
    inner: Inner = Inner()

    def __post_init__(self) -> None:
        if self.count == 13:
            raise ValueError("count is 13; choose another number")


@pytest.fixture(autouse=True)
def thirds() -> Iterator[None]:
    """A partitioner called thirds."""
    PARTITIONERS.register("thirds")(Thirds)
    yield
    PARTITIONERS.remove("thirds")


def error_types(owner: type, data: dict[str, Any]) -> dict[tuple[str | int, ...], str]:
    """Return the kinds of all errors by place."""
    with pytest.raises(ValidationError) as caught:
        read_options(owner, data)
    return {error["loc"]: error["type"] for error in caught.value.errors()}


def test_names_drop_the_unit_suffix() -> None:
    """The text carries the unit."""
    assert names(Everything)[3:7] == ("mode", "step_deadline", "size", "rate")


def test_options_are_read_into_the_dataclass_with_si_units() -> None:
    """Quantities become numbers in base units, lists tuples, nested plug-ins objects; defaults are the dataclass's own."""
    data = {
        "count": 2, "copy": True, "step_deadline": "20 ms", "size": "2 KiB", "rate": "1 Mbit/s", "widths": [1], "share": 1,
        "partitioner": {"type": "thirds", "balance": 1}, "others": ["thirds"], "inner": {"n_rounds": 5},
    }  # fmt: skip
    assert read_options(Everything, data) == Everything(
        2, 1.0, True, "wait", 0.02, 2048, 1e6, (1,), Thirds(1.0), (Thirds(),), Inner(5)
    )
    assert read_options(Everything, {"count": 1}) == Everything(1)


def test_a_bare_name_is_a_plugin_with_its_defaults() -> None:
    """`partitioner: thirds` is short for `{type: thirds}`."""
    assert PluginOf("partitioners").read("thirds") == PluginOf("partitioners").read({"type": "thirds"}) == Thirds()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("count", "8"), ("count", True), ("count", 1.0), ("share", "0.5"), ("share", True), ("share", 1.5), ("copy", 1),
        ("copy", "yes"), ("mode", "Wait"), ("step_deadline", 20), ("step_deadline", "20"), ("step_deadline", "20 MB"),
        ("size", "-1 B"), ("rate", "0 bit/s"), ("widths", 8), ("widths", ["8"]), ("inner", {"n_rounds": 0}),
        ("partitioner", 3), ("partitioner", {}), ("partitioner", "halves"), ("partitioner", {"type": "thirds", "x": 1}),
        ("partitioner", {"type": 3}), ("share", float("nan")), ("share", "150 %"), ("share", "-1 %"), ("share", "x %"), ("share", "5 ms"),
    ],
)  # fmt: skip
def test_wrong_values_are_refused_where_they_stand(option: str, value: object) -> None:
    """Types are strict: a text is no number, true is not 1, a bare number is no quantity."""
    assert {place[0] for place in error_types(Everything, {"count": 1, option: value})} == {option}


@pytest.mark.parametrize(("text", "value"), [("1 %", 0.01), ("0.3%", 0.003), ("100 %", 1.0), ("1e-3 %", 1e-5)])
def test_a_number_from_0_to_1_may_be_written_in_per_cent(text: str, value: float) -> None:
    """Read exactly, written as a number."""
    read = read_options(Everything, {"count": 1, "share": text})
    assert read.share == value
    assert write_options(read)["share"] == value


def test_all_mistakes_are_found_at_once_with_nested_places() -> None:
    """Also those of nested plug-ins and dataclasses."""
    data = {"colour": 1, "partitioner": {"type": "thirds", "balance": "x"}, "inner": {"n_rounds": "x"}}
    assert error_types(Everything, data) == {
        ("count",): "missing",
        ("colour",): "extra_forbidden",
        ("partitioner", "balance"): "float_type",
        ("inner", "n_rounds"): "int_type",
    }


def test_what_a_dataclass_refuses_itself_is_a_mistake_too() -> None:
    """Its ValueError becomes the message."""
    with pytest.raises(PydanticCustomError, match="count is 13"):
        read_options(Everything, {"count": 13})


@given(
    st.builds(
        Everything,
        count=st.integers(0, 12),
        share=st.floats(0, 1),
        copy=st.booleans(),
        mode=st.sampled_from(["wait", "degrade"]),
        step_deadline_s=st.none() | st.floats(0, 1e6),
        size_byte=st.integers(0, 2**50),
        rate_bit_per_s=st.floats(1e-3, 1e12),
        widths=st.lists(st.integers(), max_size=3).map(tuple),
        partitioner=st.builds(Thirds, st.floats(allow_nan=False, allow_infinity=False)),
        others=st.lists(st.builds(Thirds), max_size=2).map(tuple),
        inner=st.builds(Inner, st.integers(1)),
    )
)
def test_what_is_written_reads_back_equal(instance: Everything) -> None:
    """For every value of every option, exactly."""
    assert read_options(Everything, write_options(instance)) == instance


def test_unusable_plugins_are_named() -> None:
    """A class that is no dataclass, and one whose annotation does not exist at run time."""

    class Plain:
        """No dataclass."""

        def deploy(self, context: Any) -> None: ...

    @dataclass(frozen=True)
    class Unresolved:
        """Its annotation names nothing."""

        rate: Nowhere  # type: ignore[name-defined]  # noqa: F821

        def deploy(self, context: Any) -> None: ...

    for plugin, part in ((Plain, "not a dataclass"), (Unresolved, "'Nowhere' is not defined")):
        STRATEGIES.register("odd")(plugin)
        try:
            with pytest.raises(PydanticCustomError, match=part):
                find_plugin("strategies", "odd")
        finally:
            STRATEGIES.remove("odd")
