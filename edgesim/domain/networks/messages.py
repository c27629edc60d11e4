"""How the numbers in messages are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from edgesim.domain.bounds import one_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from edgesim.domain.networks.samples import Inputs

Dtype = Literal["float32", "float16", "int8"]
N_STEPS = 255
"""Between the 256 levels of 8 bits."""
_RANGE_BYTE = 8  # smallest and largest number, as float32


@dataclass(frozen=True, slots=True)
class Messages:
    """How the numbers in messages are written: the inputs, what devices tell each other, and the answers.

    Whoever receives a tensor computes with the numbers that were written. Whole numbers, such as tokens, are sent as they are.

    Parameters
    ----------
    dtype : ``float32``, as networks compute; ``float16``, numbers beyond 65,504 become that; ``int8``, one of 256 levels between the smallest and the
        largest number of the tensor in this message, which are sent along.

    Formula
    -------
    Byte of a tensor of n numbers: 4 n, 2 n, or n + 8. With ``int8`` a number x becomes a + h round((x - a) / h), h = (b - a) / 255, a the
    smallest and b the largest number; so it is off by h / 2 at most.

    Validity
    --------
    Rounding takes no time. Networks are trained with float32; none learns to be rounded.

    References
    ----------
    B. Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference, CVPR 2018, arXiv 1712.05877, section 2.1: the
    affine scheme, of a range known beforehand, with a zero that is a level of its own. Ours takes the range of each tensor, and 0 is a level only at its end.

    Examples
    --------
    >>> Messages("int8").byte_of(400, 100), Messages("float16").byte_of(400, 100), Messages().byte_of(400, 100)
    (108, 200, 400)
    """

    dtype: Dtype = "float32"

    def __post_init__(self) -> None:
        one_of("messages", Dtype, dtype=self.dtype)

    @property
    def is_rounding(self) -> bool:
        """Whether a receiver computes with other numbers than the sender had."""
        return self.dtype != "float32"

    def byte_of(self, size_byte: int, n_numbers: int) -> int:
        """Return the size of a tensor in a message, in byte.

        Parameters
        ----------
        size_byte : its size as it is computed.
        n_numbers : how many floating-point numbers it holds; 0 for a tensor of whole numbers.
        """
        if not self.is_rounding or not n_numbers:
            return size_byte
        return 2 * n_numbers if self.dtype == "float16" else n_numbers + _RANGE_BYTE

    def byte_of_inputs(self, size_byte: int, inputs: Inputs) -> int:
        """Return the size of all inputs of a sample in a message, in byte.

        Parameters
        ----------
        size_byte : their size as they are.
        inputs : their shapes and types.

        Examples
        --------
        >>> from edgesim.domain.networks.task import TensorSpec
        >>> given = {"x": TensorSpec((1, 8, 8)), "tokens": TensorSpec((10,), "int64")}
        >>> Messages("int8").byte_of_inputs(256 + 80, given)
        152
        """
        for spec in inputs.values():
            if spec.dtype.startswith("float"):
                as_it_is_byte = spec.size * int(spec.dtype.removeprefix("float")) // 8
                size_byte += self.byte_of(as_it_is_byte, spec.size) - as_it_is_byte
        return size_byte

    def received(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return what the receiver of a tensor computes with.

        Parameters
        ----------
        values : shape (n, ...); the first axis counts samples, and each is in a message of its own.

        Examples
        --------
        Levels of 0.5: 0.6 becomes 0.5.

        >>> import numpy as np
        >>> Messages("int8").received(np.array([[0.0, 0.6, 127.5]], np.float32)).tolist()
        [[0.0, 0.5, 127.5]]
        """
        import numpy as np

        if not self.is_rounding or not np.issubdtype(values.dtype, np.floating) or not values.size:
            return values
        if self.dtype == "float16":
            largest = np.finfo(np.float16).max
            return values.clip(-largest, largest).astype(np.float16).astype(values.dtype)
        flat = values.reshape(len(values), -1)
        low, high = flat.min(axis=1, keepdims=True), flat.max(axis=1, keepdims=True)
        step = (high - low) / N_STEPS
        levels = np.rint((flat - low) / np.where(step > 0, step, 1))
        written: NDArray[Any] = (low + step * levels).astype(values.dtype).reshape(values.shape)
        return written

    def received_inputs(self, inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        """Return what the receiver of samples computes with; named arrays whose first axis counts the samples."""
        return {name: self.received(array) for name, array in inputs.items()} if self.is_rounding else inputs


AS_COMPUTED = Messages()
