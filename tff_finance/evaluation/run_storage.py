"""Where a run keeps what is no result: encoded rows, institutions' state."""

import contextlib
import pathlib
import tempfile
from collections.abc import Iterator

from tff_finance.institutions.examples import ExampleStore, InMemory
from tff_finance.institutions.shards import ShardFiles
from tff_finance.records.run_folder import RunFolder


@contextlib.contextmanager
def example_store(runtime: str, folder: RunFolder | None) -> Iterator[ExampleStore]:
    """By file where another process of this machine runs the rounds.

    Workers may be on machines that don't see this one's files.
    """
    if runtime != "tff":
        yield InMemory()
    elif folder:
        with folder.scratch() as directory:
            yield ShardFiles(directory)
    else:
        with tempfile.TemporaryDirectory(prefix="tff_finance_") as name:
            yield ShardFiles(pathlib.Path(name))


@contextlib.contextmanager
def state_directory(folder: RunFolder | None) -> Iterator[pathlib.Path]:
    """Where institutions keep state between rounds: with the run's checkpoints."""
    if folder:
        yield folder.institution_state
    else:
        with tempfile.TemporaryDirectory(prefix="tff_finance_") as name:
            yield pathlib.Path(name)
