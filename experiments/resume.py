"""Flags and steps of binaries whose killed run goes on where it was."""

import contextlib
import pathlib
from collections.abc import Iterator
from typing import Any

from absl import flags

from experiments import command_line
from tff_finance.records.run_folder import DifferentRunError, RunFolder
from tff_finance.records.versions import result_versions

_RESTART = flags.DEFINE_bool(
    "restart",
    False,
    "Begin anew, discarding what an earlier run left in the output folder. Otherwise "
    "a run of the same settings goes on where it was.",
)
_CHECKPOINT_SECONDS = flags.DEFINE_float(
    "checkpoint_seconds",
    10.0,
    "Seconds of training between two checkpoints; 0 for one after every round.",
    lower_bound=0.0,
)


@contextlib.contextmanager
def claimed_folder(
    directory: pathlib.Path, config: dict[str, Any]
) -> Iterator[RunFolder]:
    """The output folder of a run, closed to other processes until the block ends.

    Leaves with a usage error if it holds a run of other settings.
    """
    try:
        folder = RunFolder(
            directory=directory, checkpoint_seconds=_CHECKPOINT_SECONDS.value
        )
    except ValueError as error:  # not a number, or infinity
        command_line.usage_error(f"flag --checkpoint_seconds: {error}")
    if _RESTART.value:
        folder.discard()
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(folder.claim(config=config, versions=result_versions()))
        except DifferentRunError as error:
            command_line.usage_error(
                f"--output_dir: {error}. Give the settings of that run to go on with "
                "it, another folder, or --restart to discard it."
            )
        yield folder
