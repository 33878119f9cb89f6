"""Bytes per round, from the type signatures of a computation's federated form.

The clients' part of that form ends in what they send. Where an aggregation factory
encodes updates, that is the encoded update, packed as it goes up, and not the tensor
which the server makes of it again: sizes of encodings are counted from it as well.
"""

import dataclasses
import functools

import numpy as np
import tensorflow_federated as tff

from tff_finance.runtime import programs

SOURCE = "type signature"
ENCODING = "encoding"
"""Of methods whose updates are encoded."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Traffic:
    """Bytes that one institution receives and sends in one round."""

    bytes_down: int
    bytes_up: int


@functools.cache  # splitting a computation takes half a second, and seeds share it
def traffic_per_round(next_fn: tff.Computation) -> Traffic:
    """What one round of `next_fn` exchanges with each institution.

    TFF splits the computation into what the server prepares and broadcasts,
    what a client makes of it, and what is aggregated. Their types give the
    bytes exactly, before encoding.

    Args:
        next_fn: `<S@SERVER, {B*}@CLIENTS> -> <S@SERVER, ...>`.

    Returns:
        Bytes down and up per institution.

    Raises:
        ValueError: If a tensor's size is not known from its type.
    """
    form = programs.map_reduce_form(next_fn)
    return Traffic(
        bytes_down=type_bytes(form.prepare.type_signature.result),
        bytes_up=type_bytes(form.work.type_signature.result),
    )


def type_bytes(type_spec: tff.Type) -> int:
    """Bytes of a value of a type without sequences.

    Args:
        type_spec: Tensors, nested in structures.

    Returns:
        The bytes before encoding.

    Raises:
        ValueError: If the size of a tensor is not known.
    """
    if isinstance(type_spec, tff.TensorType):
        # Text has no fixed size: NumPy says 0.
        element_bytes = np.dtype(type_spec.dtype).itemsize
        if type_spec.shape is None or None in type_spec.shape or not element_bytes:
            raise ValueError(f"`type_spec` has a tensor of unknown size: {type_spec}.")
        return int(np.prod(type_spec.shape, dtype=np.int64)) * element_bytes
    if isinstance(type_spec, tff.StructType):
        return sum(type_bytes(member) for member in type_spec)
    raise ValueError(f"`type_spec` must hold tensors only, got {type_spec}.")
