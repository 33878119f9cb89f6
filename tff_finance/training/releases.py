"""Release of per-round metrics while training goes on."""

import asyncio
import concurrent.futures
import glob
import pathlib
from collections.abc import Mapping, Sequence

import tensorflow as tf
import tensorflow_federated as tff

from tff_finance import checks
from tff_finance.records import files
from tff_finance.training.checkpoints import reason

ReleaseManager = tff.program.ReleaseManager


class ReleaseError(checks.RunFailedError):
    """Metrics that can't be released."""


class Releases:
    """Releases each round's metrics beside the next round.

    A manager takes milliseconds, as long as a short round does. One round waits
    at most, and in order: managers of files expect increasing keys.
    """

    def __init__(self, managers: Sequence[ReleaseManager]) -> None:
        """Takes any TFF release managers whose key is the round."""
        self._managers = tuple(managers)
        # One loop and one thread for all rounds: to make them takes longer than
        # a release.
        self._loop = asyncio.new_event_loop()
        self._thread = concurrent.futures.ThreadPoolExecutor(1)
        self._waiting: concurrent.futures.Future[None] | None = None

    def __enter__(self) -> "Releases":
        """For the rounds of a training run."""
        return self

    def __exit__(self, error_type: type[BaseException] | None, *_: object) -> None:
        """Waits until everything is out; an error on the way counts more."""
        try:
            if error_type is None:
                self.finish()
        finally:
            self._thread.submit(self._close).result()
            self._thread.shutdown()

    def release(self, metrics: Mapping[str, float], round_number: int) -> None:
        """Hands metrics over, when those of the last round are out.

        Raises:
            ReleaseError: If those of the last round couldn't be released.
        """
        self.finish()
        self._waiting = self._thread.submit(self._release, metrics, round_number)

    def finish(self) -> None:
        """Waits until everything is out.

        Raises:
            ReleaseError: If it couldn't be released.
        """
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.result()

    def _release(self, metrics: Mapping[str, float], round_number: int) -> None:
        for manager in self._managers:
            try:
                self._loop.run_until_complete(manager.release(metrics, round_number))
            except (OSError, ValueError, tf.errors.OpError) as error:
                raise ReleaseError(
                    f"can't release the metrics of round {round_number} through "
                    f"{type(manager).__name__}: {reason(error)}. Mend it and start "
                    "again with the same flags."
                ) from error

    def _close(self) -> None:
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()


def csv_manager(path: pathlib.Path) -> ReleaseManager:
    """A row for each round; goes on where an earlier process ended.

    Args:
        path: The file; folders above it are made.

    Returns:
        The manager; its key is the round.

    Raises:
        ReleaseError: If there is such a file already that can't be read.
    """
    try:
        _tidy(path)
        return tff.program.CSVFileReleaseManager(path, key_fieldname="round")
    except (
        OSError,
        ValueError,
        tff.program.CSVKeyFieldnameNotFoundError,
        tf.errors.OpError,
    ) as error:
        raise ReleaseError(
            f"can't go on with {path}: {reason(error)}. Delete it; the run's record "
            "holds all rounds in any case."
        ) from error


def _tidy(path: pathlib.Path) -> None:
    """Removes what the manager leaves behind if it is killed or the disk is full."""
    for temporary in path.parent.glob(f"{glob.escape(path.name)}_temp*"):
        temporary.unlink()
    if path.exists() and not (content := path.read_bytes()).endswith(b"\n"):
        # Half a row, whose round would be misread.
        whole = content[: content.rfind(b"\n") + 1]
        if not whole:
            path.unlink()
            return
        files.write_atomically(path, lambda temporary: temporary.write_bytes(whole))


def tensorboard_manager(directory: pathlib.Path) -> ReleaseManager:
    """Scalars by round, for `tensorboard --logdir`.

    Args:
        directory: Made if missing.

    Returns:
        The manager; its key is the round.

    Raises:
        ReleaseError: If nothing can be written there.
    """
    try:
        return tff.program.TensorBoardReleaseManager(directory)
    except (OSError, tf.errors.OpError) as error:
        raise ReleaseError(
            f"can't write to {directory}: {reason(error)}. Mend it and start again "
            "with the same flags."
        ) from error
