"""Dense examples: the form in which an institution's rows enter TFF.

A client's dataset is a sequence with one element, the institution's whole
encoded table, or, in `shards`, the names of its files. Minibatches are cut inside
the client's graph: a `tf.data` pipeline of small batches takes several times longer
per round.
"""

import collections
from collections.abc import Mapping
from typing import Protocol

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

Examples = Mapping[str, np.ndarray]


def dense_examples(x: np.ndarray, y: np.ndarray, *, institution: str) -> Examples:
    """Packs encoded rows as the element that `examples_type` describes.

    Args:
        x: Features, real[n, features].
        y: Labels 0 or 1, real[n] or real[n, 1].
        institution: Name of the institution; it seeds the order of its
            batches and names the folder of its state.

    Returns:
        `OrderedDict(x=float32[n, features], y=float32[n, 1], institution=str)`.

    Raises:
        ValueError: If the rows of `x` and `y` differ in number, if a feature is
            not finite or a label not 0 or 1, or if `institution` can't name a
            folder.
    """
    if x.ndim != 2 or y.shape not in {(len(x),), (len(x), 1)}:  # noqa: PLR2004
        raise ValueError(
            "`x` must be [n, features] and `y` [n] or [n, 1], got "
            f"{x.shape} and {y.shape} from {institution!r}."
        )
    faults = {
        "`x` with values that are not finite": ~np.isfinite(x).all(axis=1),
        "`y` other than 0 or 1": ~np.isin(y, (0, 1)).reshape(len(x)),
    }
    for fault, rows in faults.items():
        if rows.any():
            raise ValueError(
                f"{institution!r} has {rows.sum()} rows of {fault}, the first in row "
                f"{int(rows.argmax())}: mend or leave out these rows."
            )
    if institution in {"", ".", ".."} or "/" in institution:
        raise ValueError(
            f"`institution` must be a name without '/', got {institution!r}."
        )
    return collections.OrderedDict(
        x=np.ascontiguousarray(x, np.float32),
        y=np.asarray(y, np.float32).reshape(-1, 1),
        institution=np.array(institution.encode(), np.object_),
    )


def examples_type(num_features: int) -> tff.StructWithPythonType:
    """The TFF type of one institution's element, `B` in other docstrings."""
    return tff.to_type(
        collections.OrderedDict(
            x=(np.float32, [None, num_features]),
            y=(np.float32, [None, 1]),
            institution=np.str_,
        )
    )


def client_dataset(examples: Examples) -> tf.data.Dataset:
    """A client's dataset: one element, the whole table. Built once per run."""
    return tf.data.Dataset.from_tensors(examples)


class ExampleStore(Protocol):
    """How clients get at their rows: with the call, or from files."""

    @property
    def grouped(self) -> bool:
        """Whether a client stands for several institutions."""
        ...

    def element_type(self, num_features: int) -> tff.Type:
        """The TFF type of one institution's element, for tables of this width."""
        ...

    def client_dataset(self, examples: Examples) -> tf.data.Dataset:
        """A client's dataset: one element of that type. Built once per run."""
        ...


class InMemory:
    """Rows are in the element: best where the rounds run in this process."""

    grouped = False

    def element_type(self, num_features: int) -> tff.Type:
        """As `examples_type`."""
        return examples_type(num_features)

    def client_dataset(self, examples: Examples) -> tf.data.Dataset:
        """As the function of this name."""
        return client_dataset(examples)
