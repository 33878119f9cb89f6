"""The parts of a study that a folder keeps, so that none is run twice."""

import pathlib

from tff_finance import checks
from tff_finance.evaluation.test_scores import TestScores
from tff_finance.records import files
from tff_finance.records.run_folder import RunFolder, differences
from tff_finance.records.run_record import RunRecord
from tff_finance.training.folder import TrainingFolder

# Lies beside a method's record.
_SCORES = "scores.npz"


class StudyParts:
    """Parts by seed and name, such as a method's; without a folder none is kept.

    Args:
        folder: The run's, claimed by the caller; None for none.
        header: A record without rows of this run, which each part's must match.
    """

    def __init__(self, folder: RunFolder | None, header: RunRecord) -> None:
        self._folder = folder
        self._header = header

    def finished(self, seed: int, name: str) -> RunRecord | None:
        """What an earlier process left of a part.

        Returns:
            Its record; None if it wasn't finished.

        Raises:
            RunFailedError: If it is a part of another run.
        """
        part = _part(seed, name)
        record = self._folder.finished(part) if self._folder else None
        if record:
            self._check_same_run(record, part)
        return record

    def finish(self, seed: int, name: str, record: RunRecord) -> RunRecord:
        """Keeps the record of a part, and returns it."""
        if self._folder:
            self._folder.finish(_part(seed, name), record)
        return record

    def training(self, seed: int, name: str) -> TrainingFolder | None:
        """Where the training of a part keeps its checkpoints; None for nowhere."""
        if not self._folder:
            return None
        return TrainingFolder(run=self._folder, part=_part(seed, name))

    def keep_scores(self, seed: int, name: str, scores: TestScores) -> None:
        """Keeps a method's scores of test rows beside its record."""
        if self._folder:
            scores.write(_scores_path(self._folder, seed, name))

    def scores(self, seed: int, name: str) -> TestScores | None:
        """The scores that a method kept; None if it didn't."""
        if not self._folder:
            return None
        path = _scores_path(self._folder, seed, name)
        return TestScores.read(path) if path.exists() else None

    def _check_same_run(self, record: RunRecord, part: str) -> None:
        """Refuses a part copied from another run's folder, or left by one."""
        of = ("experiment", "config", "scenario", "preprocessing", "versions")
        before, now = (
            {name: getattr(one, name) for name in of} for one in (record, self._header)
        )
        if differing := differences(before, now):
            raise checks.RunFailedError(
                f"checkpoints/{part}/record is a part of another run: {differing[0]}. "
                "Delete it to have this part run again."
            )


def finished_scores(folder: RunFolder, *, seed: int, method: str) -> TestScores:
    """The scores of test rows that a finished run keeps beside its checkpoints.

    Args:
        folder: The run's.
        seed: One of its seeds.
        method: One of its methods.

    Returns:
        The scores.

    Raises:
        RunFailedError: If they aren't there.
    """
    path = _scores_path(folder, seed, method)
    try:
        return TestScores.read(path)
    except files.UNREADABLE as error:
        raise checks.RunFailedError(
            f"{path}: {files.what_is_wrong(error)}. Scores are kept by a comparison "
            "that was run to its end in this folder: run it again."
        ) from error


def _scores_path(folder: RunFolder, seed: int, name: str) -> pathlib.Path:
    return folder.beside(_part(seed, name), _SCORES)


def _part(seed: int, name: str) -> str:
    return f"seed_{seed}/{name}"
