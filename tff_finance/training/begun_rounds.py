"""Counts rounds as they begin, those of killed processes included.

A round that is repeated after an interruption was released twice: the server saw both
updates, though only one of them counts for the model. Privacy accounting counts both.
"""

import os
import pathlib

from tff_finance.training.checkpoints import CheckpointError


class BegunRounds:
    """A count that is on disk before the round that it counts begins."""

    def __init__(self, path: pathlib.Path | None = None) -> None:
        """Goes on where an earlier process ended.

        Args:
            path: A file with one byte for each round; None counts in this process
                only.
        """
        self._path = path
        self._count = path.stat().st_size if path and path.exists() else 0

    @property
    def count(self) -> int:
        """Rounds begun so far."""
        return self._count

    def at_least(self, rounds: int) -> None:
        """Counts rounds that are known to be done, should their count be lost."""
        self._count = max(self._count, rounds)

    def begin(self) -> None:
        """Counts the round that is about to begin.

        Raises:
            CheckpointError: If it can't be written: the round must not begin.
        """
        if self._path:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with self._path.open("ab") as stream:
                    stream.write(b".")
                    stream.flush()
                    os.fsync(stream.fileno())
            except OSError as error:
                raise CheckpointError(
                    f"can't count rounds in {self._path}: {error.strerror or error}. A "
                    "private round that isn't counted must not begin."
                ) from error
        self._count += 1
