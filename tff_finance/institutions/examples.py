"""Dense examples: the form in which an institution's rows enter TFF.

A client's dataset is a sequence with one element, the institution's whole
encoded table, or, in `shards`, the names of its files. Minibatches are cut inside
the client's graph: a `tf.data` pipeline of small batches takes several times longer
per round.
"""

import collections
import weakref
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_finance import checks

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


class GroupStore(ExampleStore, Protocol):
    """A store whose clients may be groups of institutions.

    A weighted mean over groups is that over institutions. What clips, ranks or
    perturbs an institution's update must see it, and so can't be given groups.
    """

    def groups(
        self, datasets: Sequence[tf.data.Dataset], size: int
    ) -> list[tf.data.Dataset]:
        """Clients of several institutions each, in order.

        Args:
            datasets: Of `client_dataset`. They must live as long as the groups.
            size: Institutions of a group; the last may have fewer.

        Returns:
            Datasets of one element: the members' elements, stacked.
        """
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


class InMemoryGroups:
    """Rows of several institutions are in one element; a `GroupStore`.

    Tables of a group are as long as its longest: the others have rows added, which
    nobody reads.
    """

    grouped = True

    def __init__(self) -> None:
        """Knows no tables yet."""
        self._examples: weakref.WeakKeyDictionary[tf.data.Dataset, Examples] = (
            weakref.WeakKeyDictionary()
        )

    def element_type(self, num_features: int) -> tff.Type:
        """Stacked tables, and the number of rows of each."""
        return tff.to_type(
            collections.OrderedDict(
                x=(np.float32, [None, None, num_features]),
                y=(np.float32, [None, None, 1]),
                num_rows=(np.int32, [None]),
                institution=(np.str_, [None]),
            )
        )

    def client_dataset(self, examples: Examples) -> tf.data.Dataset:
        """One institution's table, for `groups`."""
        dataset = client_dataset(examples)
        self._examples[dataset] = examples
        return dataset

    def groups(
        self, datasets: Sequence[tf.data.Dataset], size: int
    ) -> list[tf.data.Dataset]:
        """As `GroupStore.groups`."""
        checks.check_at_least("size", size, 1)
        return [
            tf.data.Dataset.from_tensors(
                _stacked([self._examples[d] for d in datasets[start : start + size]])
            )
            for start in range(0, len(datasets), size)
        ]


def _stacked(members: Sequence[Examples]) -> Examples:
    num_rows = np.array([len(member["x"]) for member in members], np.int32)
    shape = (len(members), int(num_rows.max()))
    x = np.zeros([*shape, members[0]["x"].shape[1]], np.float32)
    y = np.zeros([*shape, 1], np.float32)
    for number, (rows, member) in enumerate(zip(num_rows, members, strict=True)):
        x[number, :rows], y[number, :rows] = member["x"], member["y"]
    names = np.array([member["institution"].item() for member in members], np.object_)
    return collections.OrderedDict(x=x, y=y, num_rows=num_rows, institution=names)
