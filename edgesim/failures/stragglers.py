"""Devices that sometimes take longer."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from statistics import NormalDist
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Gt

from edgesim.domain.system.selection import is_selected
from edgesim.domain.system.topology import Device, DeviceGlob
from edgesim.failures.sampling.inversion import exponential, exponentials
from edgesim.rng import BatchStreams, ReplicationStreams

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class ShiftedExponential:
    """Multiply the time of each computation by a constant plus an exponential variable.

    Every computation draws its own factor.

    Parameters
    ----------
    mu : rate of the exponential part, per unit of the undisturbed time.
    shift : s.
    devices : pattern of device ids.

    Formula
    -------
    Factor = s + E, P(E > x) = exp(-mu x); mean s + 1 / mu. Of n equal computations in parallel the last ends in the
    mean after s + H_n / mu, H_n = 1 + 1/2 + ... + 1/n.

    Validity
    --------
    Slowdowns that computations meet independently of each other. The usual model of stragglers has s = 1; with s =
    0 and mu = 1 times are exponential with the compute model's time as mean.

    References
    ----------
    K. Lee, M. Lam, R. Pedarsani, D. Papailiopoulos, K. Ramchandran, Speeding Up Distributed Machine Learning Using Codes,
    IEEE Transactions on Information Theory 64(3):1514-1529, 2018, doi 10.1109/TIT.2017.2736066.
    """

    mu: Annotated[float, Gt(0)]
    shift: Annotated[float, Ge(0)] = 1.0
    devices: DeviceGlob = "*"

    def slows(self, device: Device) -> bool:
        """Return whether computations on this device can be slowed.

        Examples
        --------
        >>> from edgesim.domain.system.topology import Device, DeviceProfile
        >>> profile = DeviceProfile("example", {"conv": 1e9}, 1e9, 0.0, 2**20, 0, 0, 0, 0, "assumed")
        >>> [ShiftedExponential(1.0, devices="w*").slows(Device(name, profile)) for name in ("w1", "hub")]
        [True, False]
        """
        return is_selected(device.device_id, self.devices)

    def factor(self, device: Device, streams: ReplicationStreams) -> float:
        """Draw by how much one computation takes longer."""
        return self.shift + exponential(streams(f"device/{device.device_id}").uniform(), 1.0 / self.mu)

    def factors(self, device: Device, is_begun: NDArray[np.bool_], streams: BatchStreams) -> NDArray[np.float64]:
        """Draw by how much one computation takes longer, in many replications."""
        factors = exponentials(streams(f"device/{device.device_id}").uniforms(is_begun), 1.0 / self.mu)
        factors += self.shift
        return factors


@dataclass(frozen=True, slots=True)
class LogNormal:
    """Multiply the time of each computation by a log-normal variable.

    Every computation draws its own factor.

    Parameters
    ----------
    sigma : spread of the logarithm.
    median : median of the factor.
    devices : pattern of device ids.

    Formula
    -------
    Factor = median x exp(sigma Z), Z standard normal; mean median x exp(sigma^2 / 2).

    Validity
    --------
    Slowdowns that multiply, e.g. of shared memory and clock rate, independently for each computation.

    References
    ----------
    E. L. Crow, K. Shimizu, Lognormal Distributions: Theory and Applications, Marcel Dekker, 1988.
    """

    sigma: Annotated[float, Ge(0)]
    median: Annotated[float, Gt(0)] = 1.0
    devices: DeviceGlob = "*"

    def slows(self, device: Device) -> bool:
        """Return whether computations on this device can be slowed."""
        return is_selected(device.device_id, self.devices)

    def factor(self, device: Device, streams: ReplicationStreams) -> float:
        """Draw by how much one computation takes longer.

        Examples
        --------
        Without spread it is the median.

        >>> from edgesim.domain.system.topology import Device, DeviceProfile
        >>> from edgesim.rng import Streams
        >>> profile = DeviceProfile("example", {"conv": 1e9}, 1e9, 0.0, 2**20, 0, 0, 0, 0, "assumed")
        >>> LogNormal(sigma=0.0, median=2.0).factor(Device("w1", profile), Streams(1).replication(0))
        2.0
        """
        uniform = max(streams(f"device/{device.device_id}").uniform(), 2.0**-54)
        return self.median * exp(self.sigma * _NORMAL.inv_cdf(uniform))

    def factors(self, device: Device, is_begun: NDArray[np.bool_], streams: BatchStreams) -> NDArray[np.float64]:
        """Draw by how much one computation takes longer, in many replications."""
        import numpy as np
        from scipy.special import ndtri

        uniforms = np.maximum(streams(f"device/{device.device_id}").uniforms(is_begun), 2.0**-54)
        factors: NDArray[np.float64] = self.median * np.exp(self.sigma * ndtri(uniforms))
        return factors
