"""State that stays at the institution from one round to the next.

Control variates, error feedback and local heads must not travel to the server,
and a `LearningProcess` keeps state at the server only. So the client's own
graph reads and writes a file, in a folder that only the institution sees.

Files are versioned by round: round r reads the newest version up to r and
writes version r + 1. Repeating a round, after a crash or a retry, therefore
reads what it read the first time and overwrites what it wrote, torn or whole.
An institution that misses rounds finds the version of its last one.
"""

import dataclasses
import hashlib
import pathlib
from collections.abc import Iterable, Iterator, Sequence

import tensorflow as tf

StateSpec = Sequence[tf.TensorSpec]
State = tuple[tf.Tensor, ...]

_PREFIX = "round_"
_DIGITS = 8  # of the round in a file's name


@dataclasses.dataclass(frozen=True)
class InstitutionStateFiles:
    """Reads and writes institution state inside a TensorFlow graph.

    Attributes:
        directory: Folder of one training run; holds one folder per institution.
    """

    directory: str

    def read(
        self, institution: tf.Tensor, round_number: tf.Tensor, spec: StateSpec
    ) -> State:
        """Reads the newest state up to a round.

        Args:
            institution: Name, string[].
            round_number: Counts from 0, int32[].
            spec: Shapes and types of the state; all float32.

        Returns:
            The state; zeros where the institution has none yet.
        """
        pattern = tf.strings.join(
            [_glob_escape(self._stem(institution)), "[0-9]" * _DIGITS]
        )
        paths = tf.io.matching_files(pattern)
        usable = tf.boolean_mask(
            paths, _version(paths) <= tf.cast(round_number, tf.int64)
        )

        def newest() -> tf.Tensor:
            path = usable[tf.argmax(_version(usable))]
            return tf.io.parse_tensor(tf.io.read_file(path), tf.float32)

        flat = tf.cond(
            tf.size(usable) > 0, newest, lambda: tf.zeros([_size(spec)], tf.float32)
        )
        # A file of another model must not be taken for this one's state.
        flat = tf.ensure_shape(flat, [_size(spec)])
        parts = tf.split(flat, [leaf.shape.num_elements() for leaf in spec])
        return tuple(
            tf.reshape(part, leaf.shape) for part, leaf in zip(parts, spec, strict=True)
        )

    def write(
        self, institution: tf.Tensor, round_number: tf.Tensor, state: State
    ) -> tf.Operation:
        """Writes the state that the next round will read.

        Args:
            institution: Name, string[].
            round_number: The round that produced the state, int32[].
            state: All float32.

        Returns:
            The operation; inside a `tf.function` it runs without being asked.
        """
        flat = tf.concat([tf.reshape(leaf, [-1]) for leaf in state], axis=0)
        path = self._path(institution, round_number + 1)
        return tf.io.write_file(path, tf.io.serialize_tensor(flat))

    def drop_after(self, round_number: int) -> None:
        """Deletes versions above a round, which no checkpoint of it goes with.

        Before a run's first round (0) that is all there is, such as from another
        run in the same folder.
        """
        for _, versions in self._versions():
            for version, path in versions.items():
                if version > round_number:
                    path.unlink()

    def drop_before(self, round_number: int, *, keep: int | None = None) -> None:
        """Deletes versions that no round from this one on will read.

        Args:
            round_number: The next round.
            keep: Also what this earlier round would read, such as the state after
                the best round; None for nothing.
        """
        for _, versions in self._versions():
            rounds = [round_number] if keep is None else [round_number, keep]
            needed = {_newest(versions, n) for n in rounds}
            for version, path in versions.items():
                if version < round_number and version not in needed:
                    path.unlink()

    def fingerprint(self, round_number: int) -> str:
        """SHA-256 of what all institutions would read in a round."""
        digest = hashlib.sha256()
        for institution, versions in self._versions():
            newest = _newest(versions, round_number)
            if newest is not None:
                digest.update(f"{institution}/{newest}\0".encode())
                digest.update(versions[newest].read_bytes())
        return digest.hexdigest()

    def _versions(self) -> Iterator[tuple[str, dict[int, pathlib.Path]]]:
        """Each institution, and its files by version."""
        for folder in sorted(pathlib.Path(self.directory).glob("*/")):
            files = folder.glob(f"{_PREFIX}{'[0-9]' * _DIGITS}")
            yield folder.name, {int(path.name[-_DIGITS:]): path for path in files}

    def _stem(self, institution: tf.Tensor) -> tf.Tensor:
        return tf.strings.join([self.directory, "/", institution, f"/{_PREFIX}"])

    def _path(self, institution: tf.Tensor, round_number: tf.Tensor) -> tf.Tensor:
        return tf.strings.join(
            [
                self._stem(institution),
                tf.strings.as_string(round_number, fill="0", width=_DIGITS),
            ]
        )


def _newest(versions: Iterable[int], round_number: int) -> int | None:
    """The version that a round reads, if there is one."""
    return max((v for v in versions if v <= round_number), default=None)


def _size(spec: StateSpec) -> int:
    return sum(leaf.shape.num_elements() for leaf in spec)


def _version(paths: tf.Tensor) -> tf.Tensor:
    digits = tf.strings.substr(paths, -_DIGITS, _DIGITS)
    return tf.strings.to_number(digits, tf.int64)


def _glob_escape(path: tf.Tensor) -> tf.Tensor:
    """A pattern that matches `path` only, whatever characters it has."""
    return tf.strings.regex_replace(path, r"([*?\[\\])", r"\\\1")
