"""Tables by file: the form in which rows never enter a call of TFF.

An institution's encoded table is written once, as a sequence of shards. A client's
dataset has one element, the names of these files, which the client's own graph
reads: whoever calls a round sends names and weights, and a machine holds one shard
of each institution that is training on it, whatever the size of the table.

A shard is one file of little-endian float32: `x` row by row, then `y`.
"""

import collections
import itertools
import pathlib
import shutil
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_finance import checks
from tff_finance.institutions.examples import Examples

ROWS_PER_SHARD = 65_536
"""Rows of a shard. A multiple of all common batch sizes: batches don't go across
shards, so that otherwise each shard would end in a smaller one."""

_LITTLE_ENDIAN = np.dtype("<f4")


ShardNames = Mapping[str, np.ndarray]
"""A value of `shards_type`."""


def shards_type() -> tff.StructWithPythonType:
    """The TFF type of one institution's element where rows are in files."""
    return _names_type([])


def _names_type(members: list[int | None]) -> tff.StructWithPythonType:
    return tff.to_type(
        collections.OrderedDict(
            files=(np.str_, [*members, None]),
            rows=(np.int64, [*members, None]),
            institution=(np.str_, members),
        )
    )


def write_shards(
    chunks: Iterable[Examples],
    directory: pathlib.Path,
    *,
    rows_per_shard: int = ROWS_PER_SHARD,
) -> ShardNames:
    """Writes one institution's rows.

    Args:
        chunks: What `dense_examples` returns: a whole table, or its parts one after
            the other, so that a table need not fit into memory.
        directory: For this institution's shards alone; made if missing.
        rows_per_shard: Rows of each shard but the last.

    Returns:
        The names of the files, the element of the client's dataset.

    Raises:
        ValueError: If there are no chunks, or chunks of several institutions.
        OSError: If a file can't be written.
    """
    checks.check_at_least("rows_per_shard", rows_per_shard, 1)
    directory.mkdir(parents=True, exist_ok=True)
    names: list[bytes] = []
    rows: list[int] = []
    institutions: set[bytes] = set()
    for part in _parts(chunks, rows_per_shard, institutions):
        path = directory / f"shard_{len(names):06d}"
        _write(part, path)
        names.append(str(path.absolute()).encode())
        rows.append(len(part["x"]))
    if len(institutions) != 1:
        raise ValueError(
            f"`chunks` must be of one institution, got {sorted(institutions)}."
        )
    return collections.OrderedDict(
        files=np.array(names, np.object_),
        rows=np.array(rows, np.int64),
        institution=np.array(institutions.pop(), np.object_),
    )


class ShardFiles:
    """Where a run keeps its institutions' shards; a `GroupStore`.

    A table's files are deleted when the dataset of their names is no longer used.

    Attributes:
        grouped: Whether clients are groups of institutions, as `groups` makes them.
    """

    def __init__(
        self,
        directory: pathlib.Path,
        *,
        rows_per_shard: int = ROWS_PER_SHARD,
        grouped: bool = False,
    ) -> None:
        """Takes a folder of the run's own, which all its workers see."""
        self.grouped = grouped
        self._directory = directory
        self._rows_per_shard = rows_per_shard
        self._numbers = itertools.count()
        self._names: weakref.WeakKeyDictionary[tf.data.Dataset, ShardNames] = (
            weakref.WeakKeyDictionary()
        )
        # A group's files must outlive it.
        self._members: weakref.WeakKeyDictionary[
            tf.data.Dataset, Sequence[tf.data.Dataset]
        ] = weakref.WeakKeyDictionary()

    def element_type(self, num_features: int) -> tff.Type:
        """Names of files; their width is the model's."""
        del num_features
        return _names_type([None] if self.grouped else [])

    def client_dataset(self, examples: Examples) -> tf.data.Dataset:
        """Writes a table; the dataset has its files' names."""
        folder = self._directory / f"table_{next(self._numbers):06d}"
        names = write_shards([examples], folder, rows_per_shard=self._rows_per_shard)
        dataset = tf.data.Dataset.from_tensors(names)
        weakref.finalize(dataset, shutil.rmtree, folder, ignore_errors=True)
        self._names[dataset] = names
        return dataset

    def groups(
        self, datasets: Sequence[tf.data.Dataset], size: int
    ) -> list[tf.data.Dataset]:
        """As `GroupStore.groups`."""
        checks.check_at_least("size", size, 1)
        starts = range(0, len(datasets), size)
        return [self._group(datasets[start : start + size]) for start in starts]

    def _group(self, members: Sequence[tf.data.Dataset]) -> tf.data.Dataset:
        names = _stacked([self._names[member] for member in members])
        group = tf.data.Dataset.from_tensors(names)
        self._members[group] = members
        return group


def _stacked(members: Sequence[ShardNames]) -> ShardNames:
    """One value of all; members with fewer shards get empty ones, never read."""
    shards = max(len(member["files"]) for member in members)
    files_of = np.full([len(members), shards], b"", np.object_)
    rows_of = np.zeros([len(members), shards], np.int64)
    for number, member in enumerate(members):
        files_of[number, : len(member["files"])] = member["files"]
        rows_of[number, : len(member["rows"])] = member["rows"]
    institutions = [member["institution"].item() for member in members]
    return collections.OrderedDict(
        files=files_of,
        rows=rows_of,
        institution=np.array(institutions, np.object_),
    )


def read_shard(
    name: tf.Tensor, rows: tf.Tensor, num_features: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Reads a shard inside a TensorFlow graph.

    Args:
        name: Of the file, string[].
        rows: Of the shard, int64[].
        num_features: Width of the table.

    Returns:
        `x: float32[rows, num_features]` and `y: float32[rows, 1]`. A file that
        doesn't have so many numbers fails when it is read.
    """
    numbers = tf.io.decode_raw(tf.io.read_file(name), tf.float32)
    x, y = tf.split(numbers, [rows * num_features, rows])
    return tf.reshape(x, [-1, num_features]), tf.reshape(y, [-1, 1])


def _parts(
    chunks: Iterable[Examples], size: int, institutions: set[bytes]
) -> Iterator[Examples]:
    """Deals the rows of all chunks anew, `size` at a time; at least one part."""
    waiting: list[Examples] = []
    for chunk in chunks:
        institutions.add(bytes(chunk["institution"].item()))
        waiting.append(chunk)
        while sum(len(part["x"]) for part in waiting) >= size:
            whole = _joined(waiting)
            yield _slice(whole, slice(size))
            waiting = [_slice(whole, slice(size, None))]
    if waiting:
        whole = _joined(waiting)
        if len(whole["x"]):
            yield whole


def _joined(parts: list[Examples]) -> Examples:
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in ("x", "y")}


def _slice(examples: Examples, rows: slice) -> Examples:
    return {name: examples[name][rows] for name in ("x", "y")}


def _write(part: Examples, path: pathlib.Path) -> None:
    # Not atomically: nobody knows the name before the table is written, and no later
    # run uses it.
    with path.open("wb") as file:
        for name in ("x", "y"):
            np.ascontiguousarray(part[name], _LITTLE_ENDIAN).tofile(file)
