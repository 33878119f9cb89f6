"""Secure sums in simulation: what they compute, in the clear.

A deployment has clients mask their integers, so that the server learns the sum only.
Here this process adds them up, with the same arithmetic: modular sums wrap around, and
an integer that is larger than was agreed on is an error, where masking would return a
wrong sum.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_finance.runtime import values
from tff_finance.runtime.graph_import import flat_function

_MOST_BITS = 62  # that TFF allows


class SecureSums:
    """The secure sums of a `MapReduceForm`, over leaves of what `work` returns."""

    def __init__(self, form: tff.backends.mapreduce.MapReduceForm) -> None:
        """Reads what is summed, and within which bounds."""
        plain, *secure = form.work.type_signature.result
        self._plain_leaves = len(values.tensor_specs(plain))
        self._specs = [spec for part in secure for spec in values.tensor_specs(part)]
        bits, largest, moduli = (
            _by_leaf(part, computation)
            for part, computation in zip(
                secure,
                (
                    form.secure_sum_bitwidth,
                    form.secure_sum_max_input,
                    form.secure_modular_sum_modulus,
                ),
                strict=True,
            )
        )
        if any(number > _MOST_BITS for number in bits):
            raise ValueError(f"A secure sum has more than {_MOST_BITS} bits: {bits}.")
        # A modular sum takes any integer, the others none above a bound.
        self._largest = [*(2**b - 1 for b in bits), *largest, *[None] * len(moduli)]
        self._moduli = [*[None] * (len(bits) + len(largest)), *moduli]

    def split(
        self, update: Sequence[tf.Tensor]
    ) -> tuple[Sequence[tf.Tensor], Sequence[tf.Tensor]]:
        """The leaves of `work` that are summed plainly, and those securely."""
        return update[: self._plain_leaves], update[self._plain_leaves :]

    def zero(self) -> list[tf.Tensor]:
        """The sums over no clients."""
        return [tf.zeros(spec.shape, spec.dtype) for spec in self._specs]

    def add(
        self, total: Sequence[tf.Tensor], summands: Sequence[tf.Tensor]
    ) -> list[tf.Tensor]:
        """Adds one client's integers."""
        return [
            _add_bounded(a, b, largest)
            if modulus is None
            else _add_modular(a, b, modulus)
            for a, b, largest, modulus in zip(
                total, summands, self._largest, self._moduli, strict=True
            )
        ]


def _add_bounded(total: tf.Tensor, summand: tf.Tensor, largest: Any) -> tf.Tensor:
    wide = tf.cast(summand, tf.int64)
    checked = [
        tf.debugging.assert_non_negative(wide, "A secure sum takes no negative one."),
        tf.debugging.assert_less_equal(
            wide, tf.constant(largest, tf.int64), "A secure sum's integer is too large."
        ),
    ]
    with tf.control_dependencies(checked):
        return total + summand


def _add_modular(total: tf.Tensor, summand: tf.Tensor, modulus: int) -> tf.Tensor:
    wide = tf.cast(total, tf.int64) + tf.cast(summand, tf.int64)
    return tf.cast(tf.math.floormod(wide, modulus), total.dtype)


def _by_leaf(
    summands: tff.Type, bounds: tff.framework.ConcreteComputation
) -> list[int]:
    """One bound for each tensor; TFF has one for a structure, or for each leaf."""
    by_structure: list[int] = []
    if not list(summands):
        return by_structure
    given = iter(_constants(bounds))
    for part, bound in zip(summands, bounds.type_signature.result, strict=True):
        leaves = len(values.tensor_specs(part))
        if isinstance(bound, tff.TensorType):
            by_structure += [next(given)] * leaves
        else:
            by_structure += [next(given) for _ in range(leaves)]
    return by_structure


def _constants(computation: tff.framework.ConcreteComputation) -> list[int]:
    function = flat_function(computation)
    run = tf.function(lambda: function([]), autograph=False).get_concrete_function()
    return [int(np.asarray(leaf)) for leaf in run()]
