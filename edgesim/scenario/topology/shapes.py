"""Whole topologies in one line each: star, line, ring, grid, tree, mesh, random geometric.

A shape names its devices ``w1``, ``w2``, ... and links them both ways. It draws nothing but the places of the random geometric
graph, from the study's seed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import lru_cache
from itertools import combinations, pairwise
from math import dist
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Len
from pydantic import Field, StringConstraints, ValidationError, field_validator, model_validator

from edgesim.domain.system.selection import MAX_IDS
from edgesim.scenario.form.options import mistake, mistake_at
from edgesim.scenario.form.spec import Spec
from edgesim.scenario.topology.expand import MAX_LINKS
from edgesim.scenario.topology.hardware import ChannelSpec, DeviceSpec, Profile, ServiceSpec
from edgesim.units import BitPerSecond, Metre

Stem = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]+$", max_length=60)]
Pair = tuple[str, str, float]
"""Two devices linked both ways, and the rate, in bit/s."""


class ShapeSpec(ChannelSpec):
    """What all shapes have."""

    profile: Profile = Field(description="name of a device profile, or a profile written here", examples=["wearable"])
    name: Stem = Field("w", description="what device ids begin with; a number follows", examples=["w"])
    service: ServiceSpec = Field(
        ServiceSpec.model_validate({}), description="how every device serves computations", examples=[{"cores": 4}]
    )

    later_keys: ClassVar[frozenset[str]] = ChannelSpec.later_keys | {"service"}

    @property
    def n_devices(self) -> int:
        """Number of devices."""
        raise TypeError("a shape says how many devices it has")

    @property
    def n_pairs(self) -> int:
        """Largest possible number of pairs of linked devices."""
        return self.n_devices

    def ids(self) -> tuple[str, ...]:
        """Return the ids of the devices."""
        return tuple(f"{self.name}{number}" for number in range(1, self.n_devices + 1))

    def devices(self, seed: int) -> Iterator[DeviceSpec]:
        """Yield the devices."""
        places = self.places(seed)
        for name in self.ids():
            service = {key: getattr(self.service_of(name), key) for key in ServiceSpec.model_fields}
            position = places.get(name)
            yield DeviceSpec.model_construct(id=name, profile=self.profile_of(name), position=position, **service)

    def profile_of(self, device_id: str) -> Any:  # noqa: ARG002 - of a shape of equal devices
        """Return the profile of a device."""
        return self.profile

    def service_of(self, device_id: str) -> ServiceSpec:  # noqa: ARG002
        """Return how a device serves computations."""
        return self.service

    def places(self, seed: int) -> dict[str, tuple[float, float]]:  # noqa: ARG002 - of a shape without places
        """Return where devices stand, in m, by id."""
        return {}

    def pairs(self, seed: int) -> Iterator[Pair]:  # noqa: ARG002
        """Yield which devices are linked both ways."""
        raise TypeError("a shape says what it links")

    @model_validator(mode="after")
    def _is_not_too_large(self) -> ShapeSpec:
        if self.n_devices > MAX_IDS or 2 * self.n_pairs > MAX_LINKS:
            raise mistake(f"this makes more than {MAX_IDS} devices or {MAX_LINKS} links", remedy="make it smaller")
        return self


class _WiredSpec(ShapeSpec):
    bandwidth: BitPerSecond = Field(description="rate of every link while a message is sent", examples=["20 Mbit/s"])


class StarSpec(_WiredSpec):
    """One device in the middle, linked with all others."""

    count: Annotated[int, Ge(1)] = Field(description="number of devices around the middle", examples=[8])
    hub: Stem = Field("hub", description="id of the device in the middle", examples=["hub"])
    hub_profile: Profile | None = Field(
        None, description="its profile; by default that of the others", examples=["phone"]
    )
    hub_service: ServiceSpec | None = Field(
        None, description="how it serves computations; by default as the others", examples=[{"cores": 8}]
    )

    later_keys: ClassVar[frozenset[str]] = ShapeSpec.later_keys | {"hub_service"}

    @property
    def n_devices(self) -> int:
        return self.count + 1

    def ids(self) -> tuple[str, ...]:
        return (self.hub, *(f"{self.name}{number}" for number in range(1, self.count + 1)))

    def profile_of(self, device_id: str) -> Any:
        return self.hub_profile if device_id == self.hub and self.hub_profile is not None else self.profile

    def service_of(self, device_id: str) -> ServiceSpec:
        return self.hub_service if device_id == self.hub and self.hub_service is not None else self.service

    def pairs(self, seed: int) -> Iterator[Pair]:  # noqa: ARG002
        for name in self.ids()[1:]:
            yield self.hub, name, self.bandwidth


class LineSpec(_WiredSpec):
    """Devices in a row, each linked with the next."""

    count: Annotated[int, Ge(1)] = Field(description="number of devices", examples=[5])

    @property
    def n_devices(self) -> int:
        return self.count

    def pairs(self, seed: int) -> Iterator[Pair]:  # noqa: ARG002
        ids = self.ids()
        for left, right in pairwise(ids):
            yield left, right, self.bandwidth


class RingSpec(LineSpec):
    """Devices in a circle, each linked with the next."""

    count: Annotated[int, Ge(3)] = Field(description="number of devices", examples=[6])

    def pairs(self, seed: int) -> Iterator[Pair]:
        yield from super().pairs(seed)
        yield self.ids()[-1], self.ids()[0], self.bandwidth


class GridSpec(_WiredSpec):
    """Devices in rows and columns, each linked with its neighbours; ids are ``w<row>_<column>``."""

    rows: Annotated[int, Ge(1)] = Field(description="number of rows", examples=[5])
    columns: Annotated[int, Ge(1)] = Field(description="number of columns", examples=[5])

    @property
    def n_devices(self) -> int:
        return self.rows * self.columns

    @property
    def n_pairs(self) -> int:
        return 2 * self.n_devices

    def _id(self, row: int, column: int) -> str:
        return f"{self.name}{row}_{column}"

    def ids(self) -> tuple[str, ...]:
        return tuple(self._id(row, column) for row in range(1, self.rows + 1) for column in range(1, self.columns + 1))

    def pairs(self, seed: int) -> Iterator[Pair]:  # noqa: ARG002
        for row in range(1, self.rows + 1):
            for column in range(1, self.columns + 1):
                if column < self.columns:
                    yield self._id(row, column), self._id(row, column + 1), self.bandwidth
                if row < self.rows:
                    yield self._id(row, column), self._id(row + 1, column), self.bandwidth


class TreeSpec(_WiredSpec):
    """A root and levels below it; ids are numbered level by level, the root first."""

    branching: Annotated[int, Ge(1)] = Field(description="number of devices below each", examples=[3])
    depth: Annotated[int, Ge(1)] = Field(description="number of levels below the root", examples=[2])

    @property
    def n_devices(self) -> int:
        total, level = 1, 1
        for _ in range(self.depth):
            level *= self.branching
            total += level
            if total > MAX_IDS:
                break
        return total

    def pairs(self, seed: int) -> Iterator[Pair]:  # noqa: ARG002
        ids = self.ids()
        for index in range(1, len(ids)):
            yield ids[(index - 1) // self.branching], ids[index], self.bandwidth


class MeshSpec(LineSpec):
    """Every device linked with every other."""

    @property
    def n_pairs(self) -> int:
        return self.count * (self.count - 1) // 2

    def pairs(self, seed: int) -> Iterator[Pair]:  # noqa: ARG002
        for left, right in combinations(self.ids(), 2):
            yield left, right, self.bandwidth


class RangeSpec(Spec):
    """One row of a path-loss table: the rate up to a distance."""

    distance: Metre = Field(description="largest distance with this rate", examples=["20 m"])
    bandwidth: BitPerSecond = Field(description="rate up to this distance", examples=["20 Mbit/s"])


class GeometricSpec(ShapeSpec):
    """Devices at uniformly random places; the rate of a link follows from its length by a table.

    The coordinates of a device depend on the seed and its id only, so that a further device moves none. Two devices at
    distance d are linked with the rate of the first row whose distance is at least d, and not at all beyond the last row.
    """

    count: Annotated[int, Ge(1)] = Field(description="number of devices", examples=[50])
    width: Metre = Field(description="extent of the area along x", examples=["100 m"])
    height: Metre = Field(description="extent of the area along y", examples=["100 m"])
    path_loss: Annotated[tuple[RangeSpec, ...], Len(1)] = Field(
        description="rates by distance, shortest first",
        examples=[[{"distance": "20 m", "bandwidth": "50 Mbit/s"}, {"distance": "40 m", "bandwidth": "10 Mbit/s"}]],
    )
    seed: Annotated[int, Ge(0)] | None = Field(
        None, description="of the places; by default the seed of the study", examples=[7]
    )

    @field_validator("path_loss")
    @classmethod
    def _is_ordered(cls, rows: tuple[RangeSpec, ...]) -> tuple[RangeSpec, ...]:
        for index, (nearer, farther) in enumerate(pairwise(rows), start=1):
            if farther.distance <= nearer.distance:
                message = "the distances of a path-loss table must increase"
                raise mistake_at((index, "distance"), farther.distance, mistake(message))
        return rows

    @property
    def n_devices(self) -> int:
        return self.count

    def places(self, seed: int) -> dict[str, tuple[float, float]]:
        return dict(_places(self.ids(), self.width, self.height, seed if self.seed is None else self.seed))

    def pairs(self, seed: int) -> Iterator[Pair]:
        seed = seed if self.seed is None else self.seed
        ranges = tuple((row.distance, row.bandwidth) for row in self.path_loss)
        yield from _near_pairs(self.ids(), self.width, self.height, seed, ranges)


@lru_cache(maxsize=4)
def _places(ids: tuple[str, ...], width_m: float, height_m: float, seed: int) -> dict[str, tuple[float, float]]:
    """Return uniformly random places; a scenario asks for them whenever it is checked and built."""
    return {name: (width_m * _uniform(seed, f"{name}/x"), height_m * _uniform(seed, f"{name}/y")) for name in ids}


@lru_cache(maxsize=4)
def _near_pairs(
    ids: tuple[str, ...], width_m: float, height_m: float, seed: int, ranges: tuple[tuple[float, float], ...]
) -> tuple[Pair, ...]:
    """Return who is near whom, in the order of the devices, with the rate; only devices in cells that touch are compared."""
    places = [*_places(ids, width_m, height_m, seed).values()]
    extent_m = max(abs(width_m), abs(height_m))
    side_m = (
        max(ranges[-1][0] * (1.0 + 1e-9), extent_m * 1e-6) or 1.0
    )  # a little more than the last distance, for rounding
    cells: dict[tuple[int, int], list[int]] = {}
    for number, (x, y) in enumerate(places):
        cells.setdefault((int(x // side_m), int(y // side_m)), []).append(number)
    found: list[Pair] = []
    for number, here in enumerate(places):
        column, row = (int(coordinate // side_m) for coordinate in here)
        around = (cells.get((column + across, row + up), ()) for across in (-1, 0, 1) for up in (-1, 0, 1))
        for other in sorted(one for cell in around for one in cell if one > number):
            distance_m = dist(here, places[other])
            rate = next((rate for farthest_m, rate in ranges if distance_m <= farthest_m), None)
            if rate is not None:
                found.append((ids[number], ids[other], rate))
    return tuple(found)


def _uniform(seed: int, name: str) -> float:
    """Return the uniform on [0, 1) that belongs to a name: 53 bits of a hash, so that no generator needs to be loaded."""
    digest = hashlib.blake2b(f"{seed}/topology/geometric/{name}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "little") >> 11) / 2.0**53


SHAPES: dict[str, type[ShapeSpec]] = {
    "star": StarSpec, "line": LineSpec, "ring": RingSpec, "grid": GridSpec, "tree": TreeSpec, "mesh": MeshSpec,
    "geometric": GeometricSpec,
}  # fmt: skip
"""The shapes by the key under `topology:`."""


def read_shape(name: str, data: object) -> ShapeSpec | None:
    """Return the shape in plain data, or None when its form is wrong, which is reported with the form."""
    try:
        return SHAPES[name].model_validate_json(json.dumps(data))
    except (ValidationError, TypeError, ValueError):
        return None
