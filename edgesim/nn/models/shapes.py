"""What architectures ask of the shapes of inputs and answers. Importing this needs no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgesim.errors import DataError

if TYPE_CHECKING:
    from edgesim.domain.networks.samples import Inputs
    from edgesim.domain.networks.task import TensorSpec


def one_float(model: str, inputs: Inputs, axes: tuple[str, ...]) -> tuple[int, ...]:
    """Return the shape of the only input.

    Parameters
    ----------
    model : its name, for messages.
    inputs : the tensors of one sample.
    axes : what it must have, e.g. ``("channels", "height", "width")``.

    Raises
    ------
    DataError
        When there are several inputs, or the one has other axes or no floating-point numbers.
    """
    specs = list(inputs.values())
    if len(specs) == 1 and len(specs[0].shape) == len(axes) and specs[0].dtype.startswith("float"):
        return specs[0].shape
    given = ", ".join(f"{name!r}: {spec}" for name, spec in inputs.items())
    raise DataError(
        f"{model} takes one float input of shape ({', '.join(axes)}), but the data set gives {given}; choose another model, or "
        "bring your own with type: import"
    )


def image(model: str, inputs: Inputs) -> tuple[int, int, int]:
    """Return channels, height and width of the only input; see `one_float`."""
    channels, height, width = one_float(model, inputs, ("channels", "height", "width"))
    return channels, height, width


def vector(model: str, output: TensorSpec) -> int:
    """Return the numbers of an answer that is a vector.

    Raises
    ------
    DataError
        When it is none.
    """
    if len(output.shape) == 1:
        return output.shape[0]
    raise DataError(
        f"{model} answers with a vector, but the task wants an answer of shape {output.shape}; choose another model, or bring your "
        "own with type: import"
    )


def tokens(model: str, inputs: Inputs) -> tuple[int, int]:
    """Return the length of a text and the number of different tokens.

    Raises
    ------
    DataError
        When there is not one input of a row of whole numbers of which it is known how many there are.
    """
    specs = list(inputs.values())
    if len(specs) == 1 and len(specs[0].shape) == 1 and specs[0].n_values is not None:
        return specs[0].shape[0], specs[0].n_values
    given = ", ".join(f"{name!r}: {spec}" for name, spec in inputs.items())
    raise DataError(
        f"{model} takes one input of tokens, shape (length,), with their number (`n_values` of the data set), but the data set gives {given}; "
        "choose another model, or bring your own with type: import"
    )


def graph(model: str, inputs: Inputs) -> tuple[int, int]:
    """Return how many vertices a graph has at most, and the features of each.

    Raises
    ------
    DataError
        When the inputs are not ``vertices`` and ``adjacency``.
    """
    vertices, adjacency = inputs.get("vertices"), inputs.get("adjacency")
    if len(inputs) == 2 and vertices is not None and adjacency is not None and len(vertices.shape) == 2:
        n_vertices, n_features = vertices.shape
        if adjacency.shape == (n_vertices, n_vertices) and vertices.dtype.startswith("float"):
            return n_vertices, n_features
    given = ", ".join(f"{name!r}: {spec}" for name, spec in inputs.items())
    raise DataError(
        f"{model} takes 'vertices', float of shape (vertices, features), and 'adjacency' of shape (vertices, vertices), but the data set gives "
        f"{given}; choose another model, or bring your own with type: import"
    )
