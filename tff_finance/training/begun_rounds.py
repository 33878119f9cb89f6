"""Remembers rounds as they begin, those of killed processes included.

A round that is repeated after an interruption was released twice: the server saw both
updates, though only one of them counts for the model. Privacy accounting counts both.
"""

import os
import pathlib
from collections.abc import Sequence

from tff_finance.training.checkpoints import CheckpointError


class BegunRounds:
    """Numbers that are on disk before the round that they name begins."""

    def __init__(self, path: pathlib.Path | None = None) -> None:
        """Goes on where an earlier process ended.

        Args:
            path: A file with a line for each round; None remembers in this process
                only.

        Raises:
            CheckpointError: If it can't be read.
        """
        self._path = path
        self._numbers = _read(path) if path and path.exists() else []

    @property
    def numbers(self) -> Sequence[int]:
        """Of the rounds begun so far, from 0, each as often as it was begun."""
        return self._numbers

    def at_least(self, rounds: int) -> None:
        """Adds rounds that are known to be done, should the file be lost."""
        self._numbers += sorted({*range(rounds)} - {*self._numbers})

    def begin(self, number: int) -> None:
        """Remembers the round that is about to begin.

        Args:
            number: Of the round, from 0.

        Raises:
            CheckpointError: If it can't be written: the round must not begin.
        """
        if self._path:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with self._path.open("ab") as stream:
                    # A line that a kill cut off isn't taken together with the next.
                    stream.write(f"\n{number}".encode("ascii"))
                    stream.flush()
                    os.fsync(stream.fileno())
            except OSError as error:
                raise CheckpointError(
                    f"can't count rounds in {self._path}: {error.strerror or error}. A "
                    "private round that isn't counted must not begin."
                ) from error
        self._numbers.append(number)


def _read(path: pathlib.Path) -> list[int]:
    try:
        return [int(line) for line in path.read_text("ascii").split()]
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"can't read which rounds have begun from {path}: {error}. What they spent "
            "of a privacy budget isn't known: start in another folder, or with "
            "--restart, and count it as spent."
        ) from error
