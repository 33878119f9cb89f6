"""Values of TFF types as flat lists of tensors, and back."""

import collections
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs
import tensorflow as tf
import tensorflow_federated as tff


def leaf_types(type_spec: Any) -> Iterator[Any]:
    """Tensors and sequences of a type, in order; None has none.

    Placements make no difference.
    """
    if isinstance(type_spec, tff.FederatedType):
        yield from leaf_types(type_spec.member)
    elif isinstance(type_spec, tff.StructType):
        for member in type_spec:
            yield from leaf_types(member)
    elif type_spec is not None:
        yield type_spec


def tensor_specs(type_spec: tff.Type | None) -> list[tf.TensorSpec]:
    """Specs of the leaves of a type; a sequence is a dataset's scalar variant."""
    return [
        tf.TensorSpec([], tf.variant)
        if isinstance(leaf, tff.SequenceType)
        else tf.TensorSpec(leaf.shape, tf.dtypes.as_dtype(leaf.dtype))
        for leaf in leaf_types(type_spec)
    ]


def build_flattener(type_spec: tff.Type | None) -> Callable[[Any], list[tf.Tensor]]:
    """Builds the function that flattens values of a type.

    Args:
        type_spec: Structures of tensors, with or without placements; None for no
            value.

    Returns:
        From Python containers, TFF structures and arrays to one tensor per leaf;
        raises TypeError if a value isn't of the type.
    """
    if type_spec is None:
        return lambda _: []
    flatten = _build_flattener(type_spec)
    return lambda value: list(flatten(value))


def build_packer(type_spec: tff.Type) -> Callable[[Sequence[tf.Tensor]], Any]:
    """Builds the function that packs tensors as TFF's own runtime returns them.

    TFF has one for any value; this one looks at the type once, which saves a
    millisecond in every round.

    Args:
        type_spec: Structures of tensors, with or without placements.

    Returns:
        From one tensor per leaf of the type, in order, to NumPy arrays and
        scalars in the type's Python containers.

    Raises:
        TypeError: If a structure names only some of its members.
    """
    pack = _build_packer(type_spec)
    return lambda tensors: pack(iter(tensors))


def _build_flattener(type_spec: Any) -> Callable[[Any], Iterator[tf.Tensor]]:
    if isinstance(type_spec, tff.FederatedType):
        return _build_flattener(type_spec.member)
    if not isinstance(type_spec, tff.StructType):
        return _build_converter(type_spec)
    names = tff.structure.name_list_with_nones(type_spec)
    flatteners = [_build_flattener(member) for member in type_spec]

    def flatten(value: Any) -> Iterator[tf.Tensor]:
        structure = tff.structure.from_container(value)
        given = tff.structure.name_list_with_nones(structure)
        # As in TFF, what has no names goes by its order.
        fits = given == names or not any(given) or not any(names)
        if len(given) != len(names) or not fits:
            raise TypeError(f"Expected a structure of type {type_spec}, got {value!r}.")
        for flatten_member, member in zip(flatteners, structure, strict=True):
            yield from flatten_member(member)

    return flatten


def _build_converter(type_spec: Any) -> Callable[[Any], Iterator[tf.Tensor]]:
    dtype = tf.dtypes.as_dtype(type_spec.dtype)
    shape = tf.TensorShape(type_spec.shape)

    def convert(value: Any) -> Iterator[tf.Tensor]:
        tensor = tf.convert_to_tensor(value, dtype)
        if not shape.is_compatible_with(tensor.shape):
            raise TypeError(
                f"Expected a tensor of type {type_spec}, got shape {tensor.shape}."
            )
        yield tensor

    return convert


def _build_packer(type_spec: tff.Type) -> Callable[[Iterator[tf.Tensor]], Any]:
    if isinstance(type_spec, tff.FederatedType):
        return _build_packer(type_spec.member)
    if not isinstance(type_spec, tff.StructType):
        return lambda tensors: next(tensors).numpy()
    names = tff.structure.name_list_with_nones(type_spec)
    packers = [_build_packer(member) for member in type_spec]
    if any(names) and not all(names):
        raise TypeError(f"A structure must name all its members or none: {type_spec}.")
    container = type_spec.python_container or (
        collections.OrderedDict if any(names) else tuple
    )
    if attrs.has(container) or hasattr(container, "_fields"):  # or a named tuple
        return lambda tensors: container(
            **{name: pack(tensors) for name, pack in zip(names, packers, strict=True)}
        )
    if any(names):
        return lambda tensors: container(
            [(name, pack(tensors)) for name, pack in zip(names, packers, strict=True)]
        )
    return lambda tensors: container([pack(tensors) for pack in packers])
