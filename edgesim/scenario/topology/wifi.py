"""The form of ``topology.wifi``: one line for a Wi-Fi cell, with its access point, its medium and its links."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Lt
from pydantic import Field, ValidationError, model_validator

from edgesim.domain.system.topology import Link, Medium
from edgesim.network.transport import Arq
from edgesim.scenario.catalog.radio import Standard, radio
from edgesim.scenario.form.options import Share, mistake, mistake_at
from edgesim.scenario.form.spec import Spec
from edgesim.scenario.topology.expand import link_id
from edgesim.units import BitPerSecond, Quantity, Seconds, show

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgesim.scenario.topology.expand import Ids

ACCESS_POINT, MEDIUM = "ap", "wifi"


class WifiSpec(Spec):
    """A Wi-Fi cell: devices that share the air with an access point, over which all of their messages go.

    It stands for a medium `wifi`, an access point `ap` that computes nothing unless `access_point` names a device or switch, and
    links both ways between it and every station, of one rate. A message between two stations uses the air twice. Lost packets are sent
    again at once by the station or access point that sent them.
    """

    standard: Standard = Field(description="which standard, with one stream", examples=["802.11n", "802.11ac"])
    distance: Annotated[float, Quantity("m", is_minimum_excluded=True)] | None = Field(
        None, description="of every station from the access point; the rate follows from it", examples=["15 m"]
    )
    rate: BitPerSecond | None = Field(
        None, description="rate of data of one station alone, as a measurement shows it", examples=["44.5 Mbit/s"]
    )
    loss: Annotated[float, Ge(0), Lt(1), Share()] = Field(
        description="probability that a packet is lost, before it is sent again", examples=["1 %"]
    )
    retries: Annotated[int, Ge(0)] = Field(
        7,
        description="how often a lost packet is sent again; 0: never, and a message that lost one is lost",
        examples=[7],
    )
    first_message: Seconds = Field(
        0.0, description="time by which the first message over each link takes longer (addresses)", examples=["6 ms"]
    )
    devices: str = Field("*", description="which devices are stations", examples=["w*"])
    access_point: str | None = Field(
        None,
        description="device or switch that is the access point; by default a switch `ap` of its own",
        examples=["hub"],
    )

    @model_validator(mode="after")
    def _has_a_rate(self) -> WifiSpec:
        if (self.distance is None) == (self.rate is None):
            raise mistake("a Wi-Fi cell has a distance or a rate", expected="one of `distance` and `rate`")
        if self.distance is not None and radio(self.standard).rate_bit_per_s(self.distance) is None:
            message = f"{self.standard} does not reach {show(self.distance, 'm')}"
            most = show(round(radio(self.standard).reach_m, 1), "m")
            raise mistake_at(("distance",), self.distance, mistake(message, expected=f"at most {most}"))
        return self

    @property
    def bandwidth_bit_per_s(self) -> float:
        """Rate of data of one station alone, in bit/s."""
        if self.rate is not None:
            return self.rate
        return radio(self.standard).efficiency * (radio(self.standard).rate_bit_per_s(self.distance or 0.0) or 0.0)

    @property
    def point_id(self) -> str:
        """The id of the access point."""
        return self.access_point or ACCESS_POINT

    def pairs(self, ids: Ids) -> Iterator[tuple[str, str]]:
        """Yield source and destination of every link."""
        for name in ids.select(self.devices):
            if name != self.point_id:
                yield name, self.point_id
                yield self.point_id, name

    def medium(self) -> Medium:
        """Return the air."""
        return Medium(MEDIUM, contention=radio(self.standard).contention)

    def links(self, ids: Ids) -> Iterator[Link]:
        """Yield the links."""
        transport = Arq(self.retries) if self.retries else None
        for src, dst in self.pairs(ids):
            yield Link(
                link_id(src, dst), src, dst, self.bandwidth_bit_per_s, medium_id=MEDIUM, transport=transport,
                message_overhead_s=radio(self.standard).message_overhead_s, first_message_s=self.first_message,
            )  # fmt: skip

    def told(self) -> str:
        """Say what the line stands for."""
        known = radio(self.standard)
        again = f"sent again up to {self.retries} times" if self.retries else "not sent again"
        return (
            f"wifi: links of {show(self.bandwidth_bit_per_s, 'bit/s')} to {self.point_id} over one medium with contention "
            f"{known.contention:g}, {show(known.message_overhead_s, 's')} per message, {100 * self.loss:.3g} % of packets lost, {again}"
        )


def read_wifi(data: object) -> WifiSpec | None:
    """Return the cell in plain data, or None when its form is wrong, which is reported with the form."""
    try:
        return WifiSpec.model_validate_json(json.dumps(data))
    except (ValidationError, TypeError, ValueError):
        return None
