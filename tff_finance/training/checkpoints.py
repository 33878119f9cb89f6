"""Checkpoints of a training run, through a TFF program state manager."""

import pathlib
import time
from typing import Any

import tensorflow as tf
import tensorflow_federated as tff

from tff_finance import checks
from tff_finance.runtime.waiting import wait_for

_WORTH_SAVING_SECONDS = 1.0  # ten times what saving takes


class CheckpointError(checks.RunFailedError):
    """A checkpoint that can't be written or read."""


class Checkpoints:
    """Saves and restores nested structures of arrays, versioned by round."""

    def __init__(
        self,
        manager: tff.program.ProgramStateManager,
        *,
        every_seconds: float,
        place: str,
    ) -> None:
        """Starts the clock.

        Args:
            manager: Where they are saved.
            every_seconds: Between two checkpoints; 0 for one after every round.
            place: Named in errors.
        """
        checks.check_at_least("every_seconds", every_seconds, 0)
        self._manager = manager
        self._every_seconds = every_seconds
        self._place = place
        self._saved_at = time.monotonic()
        self._round = 0

    @classmethod
    def in_folder(
        cls, directory: pathlib.Path, *, every_seconds: float
    ) -> "Checkpoints":
        """Checkpoints in a folder, which keeps the newest.

        Args:
            directory: Made if missing.
            every_seconds: Between two checkpoints.

        Returns:
            The checkpoints.

        Raises:
            CheckpointError: If the folder can't be made.
        """
        try:
            manager = tff.program.FileProgramStateManager(
                directory, prefix="round_", keep_total=1, keep_first=False
            )
        except (OSError, tf.errors.OpError) as error:
            raise CheckpointError(
                f"can't keep checkpoints in {directory}: {reason(error)}."
            ) from error
        return cls(manager, every_seconds=every_seconds, place=str(directory))

    @property
    def round(self) -> int:
        """Of the one that was saved or read last; 0 if there is none."""
        return self._round

    @property
    def due(self) -> bool:
        """Whether the last one is old enough."""
        return self._age() >= self._every_seconds

    def due_at_the_end(self, round_number: int) -> bool:
        """Whether what came since is worth saving when training is over.

        A method may train many models, each for less time than lies between two
        checkpoints.

        Args:
            round_number: The last round of training.

        Returns:
            Whether to save it.
        """
        enough = min(self._every_seconds, _WORTH_SAVING_SECONDS)
        return round_number > self._round and self._age() >= enough

    def save(self, structure: Any, *, round_number: int) -> None:
        """Saves a structure, whole or not at all.

        Args:
            structure: Nested arrays, numbers and strings.
            round_number: Its version, above that of the last one.

        Raises:
            CheckpointError: If it can't be written.
        """
        # A list, since a SavedModel can't hold dictionaries: TensorFlow 2.14's
        # wrapper of them isn't understood by typing_extensions above 4.5.
        leaves = list(tf.nest.flatten(structure))
        try:
            wait_for(self._manager.save(leaves, round_number))
        except (OSError, tf.errors.OpError) as error:
            raise CheckpointError(
                f"can't write a checkpoint to {self._place}: {reason(error)}. "
                "Nothing that was saved is lost: mend it and start again with the "
                "same flags."
            ) from error
        self._saved_at = time.monotonic()
        self._round = round_number

    def restore(self, like: Any) -> Any | None:
        """Reads the newest checkpoint.

        Args:
            like: A structure that is nested as the saved one.

        Returns:
            The structure, or None if there is no checkpoint.

        Raises:
            CheckpointError: If it can't be read, or is another structure.
        """
        versions = wait_for(self._manager.get_versions())
        if not versions:
            return None
        leaves = list(tf.nest.flatten(like))
        try:
            restored = wait_for(self._manager.load(versions[-1], leaves))
            structure = tf.nest.pack_sequence_as(like, list(restored))
        except Exception as error:  # whatever a damaged file leads to
            raise self.error(versions[-1], reason(error)) from error
        self._round = versions[-1]
        return structure

    def error(self, round_number: int, why: str) -> CheckpointError:
        """What to raise about a checkpoint that can't be used."""
        return CheckpointError(
            f"the checkpoint of round {round_number} in {self._place} can't be used: "
            f"{why}. Delete {self._place} to train this model again from its start."
        )

    def _age(self) -> float:
        return time.monotonic() - self._saved_at


def reason(error: BaseException) -> str:
    """The first line of what went wrong."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".")
