"""Brings a training run to where it was, server and institutions alike."""

import dataclasses
from typing import Any

import numpy as np

from tff_finance.institutions.state import InstitutionStateFiles
from tff_finance.training.checkpoints import Checkpoints, reason
from tff_finance.training.progress import Progress

_ROUNDS_UNPRUNED = 20  # to look through folders takes longer than a short round


@dataclasses.dataclass(frozen=True, kw_only=True)
class Keeper:
    """Keeps the state of a training run, as far as it is to be kept.

    Attributes:
        checkpoints: Of the server's state and all else that the loop knows.
        institution_state: Files that stay at the institutions. A checkpoint has
            their fingerprint, so that it isn't taken up with other files.
    """

    checkpoints: Checkpoints | None
    institution_state: InstitutionStateFiles | None

    def begin(self, fresh: Progress) -> Progress:
        """Brings institution state to where training goes on, and tells where.

        Args:
            fresh: The beginning of this run.

        Returns:
            The last checkpoint, or the beginning if there is none.

        Raises:
            CheckpointError: If there is a checkpoint that can't be used.
        """
        progress = self._restore(fresh) or fresh
        if self.institution_state:
            self.institution_state.drop_after(progress.round)
        return progress

    @property
    def due(self) -> bool:
        """Whether it is time to save."""
        return self.checkpoints is not None and self.checkpoints.due

    def finish(self, progress: Progress) -> None:
        """Saves the end of training, if much has happened since the last time.

        Raises:
            CheckpointError: If it can't be written.
        """
        if self.checkpoints and self.checkpoints.due_at_the_end(progress.round):
            self.save(progress)

    def save(self, progress: Progress) -> None:
        """Saves, then deletes the institutions' files from before.

        Raises:
            CheckpointError: If it can't be written.
        """
        if not self.checkpoints:
            return
        self.checkpoints.save(self._arrays(progress), round_number=progress.round)
        self._prune(progress)

    def after_round(self, progress: Progress) -> None:
        """Deletes old files of institutions where no checkpoint needs them.

        An institution looks through all of its files whenever it reads one.
        """
        if not self.checkpoints and not progress.round % _ROUNDS_UNPRUNED:
            self._prune(progress)

    def _prune(self, progress: Progress) -> None:
        if self.institution_state:
            # What goes with the best weights is part of the outcome.
            best = progress.best.round if progress.best else None
            self.institution_state.drop_before(progress.round, keep=best)

    def _restore(self, fresh: Progress) -> Progress | None:
        if not self.checkpoints:
            return None
        arrays = self.checkpoints.restore(self._arrays(fresh))
        if arrays is None:
            return None
        *own, fingerprint = arrays
        try:
            progress = Progress.from_arrays(tuple(own))
        except ValueError as error:
            raise self.checkpoints.error(
                self.checkpoints.round, reason(error)
            ) from error
        if progress.seed != fresh.seed:
            raise self.checkpoints.error(
                progress.round, f"it is of seed {progress.seed}, not of {fresh.seed}"
            )
        if fingerprint.decode() != self._fingerprint(progress):
            raise self.checkpoints.error(
                progress.round, "the institutions' state files have changed since"
            )
        return progress

    def _arrays(self, progress: Progress) -> tuple[Any, ...]:
        fingerprint = np.array(self._fingerprint(progress), np.object_)
        return (*progress.to_arrays(), fingerprint)

    def _fingerprint(self, progress: Progress) -> str:
        """Of what the next round reads, and of what goes with the best weights."""
        if not self.institution_state:
            return ""
        rounds = [progress.round]
        if progress.best:
            rounds.append(progress.best.round)
        return " ".join(self.institution_state.fingerprint(n) for n in rounds)
