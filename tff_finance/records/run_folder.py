"""An experiment's output folder, from which a killed run goes on.

    record/, summary.json    the result
    model/                   the model, where one is asked for
    trials.csv, best.flags   the result of a search for settings
    metrics/, tensorboard/   losses round by round, while the run goes
    checkpoints/run.json     what was asked for, and of which code
    checkpoints/seed_0/fed_avg/record/   a finished part: never run again
    checkpoints/seed_0/fed_avg/training/ state of training that is under way
    checkpoints/institution_state/scaffold/bank_a/ an institution's own, likewise

A part's record is written once, its `run.json` last, so that a part is finished
or not, and never half.
"""

import contextlib
import dataclasses
import fcntl
import json
import pathlib
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

from tff_finance import checks
from tff_finance.records import files
from tff_finance.records.run_record import RunRecord, UnreadableRecordError

_SHOWN = 5  # differences named in an error
_SETTINGS = "run.json"
_MADE_BY_A_RUN = (
    "metrics",
    "tensorboard",
    "record",
    "summary.json",
    "missed_by_workers.json",
    "model",
    "trials.csv",
    "best.flags",
    "checkpoints",
)


class DifferentRunError(ValueError):
    """The folder holds a run of other settings or of another code."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunFolder:
    """The output folder of one run.

    Attributes:
        directory: The folder.
        checkpoint_seconds: Seconds of training between two checkpoints, and so
            about the most that a kill costs; 0 for one after every round.
    """

    directory: pathlib.Path
    checkpoint_seconds: float = 10.0

    def __post_init__(self) -> None:
        """Refuses a negative time."""
        checks.check_at_least("checkpoint_seconds", self.checkpoint_seconds, 0)

    @contextlib.contextmanager
    def claim(
        self, *, config: Mapping[str, Any], versions: Mapping[str, str]
    ) -> Iterator[None]:
        """Keeps other processes out of the folder until the block ends.

        Args:
            config: What is asked for, as JSON holds it.
            versions: What it will be computed with.

        Raises:
            DifferentRunError: If the folder holds a run that differs in these.
            RunFailedError: If another process runs there.
        """
        with self._lock():
            settings = {"config": dict(config), "versions": dict(versions)}
            self._check_same(settings)
            files.write_json(self._checkpoints / _SETTINGS, {"schema": 1} | settings)
            yield

    def discard(self) -> None:
        """Deletes what an earlier run left here, and nothing else.

        Raises:
            RunFailedError: If another process runs there.
        """
        with self._lock():
            # Last what tells whose the parts are: killed on the way, this folder
            # still refuses another run.
            for path in sorted(self._checkpoints.glob("*")):
                if path.name != _SETTINGS:
                    _delete(path)
            for name in _MADE_BY_A_RUN:
                _delete(self.directory / name)

    def finished(self, part: str) -> RunRecord | None:
        """Reads the record of a part, and drops what its training may have left.

        Args:
            part: Such as "seed_0/fed_avg".

        Returns:
            The record, or None if the part isn't finished.

        Raises:
            RunFailedError: If it was finished and can't be read.
        """
        directory = self._record_of(part)
        if not (directory / "run.json").exists():
            return None
        try:
            record = RunRecord.read(directory)
        except UnreadableRecordError as error:
            raise checks.RunFailedError(
                f"{str(error).rstrip('.')}. Delete {directory} to have this part run "
                "again."
            ) from error
        # There is some if a process was killed right after it had finished.
        _delete(self.training(part))
        return record

    def finish(self, part: str, record: RunRecord) -> None:
        """Keeps a part's record, and drops the checkpoints of its training."""
        record.write(self._record_of(part))
        _delete(self.training(part))

    def training(self, part: str) -> pathlib.Path:
        """The folder for the state of a part's training; gone when it is finished."""
        return self._checkpoints / part / "training"

    @property
    def institution_state(self) -> pathlib.Path:
        """For state that institutions keep from round to round, by method."""
        return self._checkpoints / "institution_state"

    def beside(self, part: str, name: str) -> pathlib.Path:
        """A file that belongs to a part and isn't in its record."""
        return self._checkpoints / part / name

    @property
    def model(self) -> pathlib.Path:
        """The folder for the model, where a run is to leave one."""
        return self.directory / "model"

    @contextlib.contextmanager
    def scratch(self) -> Iterator[pathlib.Path]:
        """A folder of this process alone: empty now, and gone afterwards."""
        directory = self._checkpoints / "scratch"
        _delete(directory)
        directory.mkdir(parents=True)
        try:
            yield directory
        finally:
            _delete(directory)

    def write_record(self, record: RunRecord) -> None:
        """Writes the record of all parts so far."""
        record.write(self.directory / "record")

    def _record_of(self, part: str) -> pathlib.Path:
        return self._checkpoints / part / "record"

    @property
    def _checkpoints(self) -> pathlib.Path:
        return self.directory / "checkpoints"

    def _check_same(self, settings: Mapping[str, Any]) -> None:
        for name in ("checkpoints", "record"):
            path = self.directory / name / _SETTINGS
            if not path.exists():
                continue
            try:
                earlier = files.read_json(path)
                differing = differences(
                    {key: earlier[key] for key in settings}, settings
                )
            except (ValueError, KeyError, TypeError) as error:
                raise checks.RunFailedError(
                    f"{path} can't be read ({error}), so that it is unknown which "
                    "run this is: choose another folder, or discard what is there."
                ) from error
            if differing:
                raise DifferentRunError(
                    f"{self.directory} holds another run: {_listed(differing)}"
                )
            return

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise checks.RunFailedError(
                    f"another process is running in {self.directory}: wait for its "
                    "end, or choose another folder."
                ) from None
            except OSError:
                pass  # a file system without locks
            yield


def _delete(path: pathlib.Path) -> None:
    """Deletes a file or a folder if it is there; of a link, the link alone."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


_ABSENT = object()


def differences(before: Any, now: Any, name: str = "") -> list[str]:
    """What differs between two JSON values, a line each: "config.seeds was ..."."""
    if not (isinstance(before, Mapping) and isinstance(now, Mapping)):
        if before == now:
            return []
        return [f"{name} was {_shown(before)} and is now {_shown(now)}"]
    lines = []
    for key in [*before, *(key for key in now if key not in before)]:
        below = f"{name}.{key}" if name else key
        lines += differences(before.get(key, _ABSENT), now.get(key, _ABSENT), below)
    return lines


def _shown(value: Any) -> str:
    return "absent" if value is _ABSENT else json.dumps(value, ensure_ascii=False)


def _listed(lines: list[str]) -> str:
    more = len(lines) - _SHOWN
    return "; ".join(lines[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")
