"""Calls of binaries in forks that have the imports, which else take the longest."""

import atexit
import dataclasses
import functools
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
# TensorFlow and TFF with it; nothing runs in them before the fork. Without XLA, which
# compiles for longer than small banks train: bank_case_study_test has it.
TRAINING = """
import tff_finance.evaluation.case_study
import tff_finance.report.console
import tff_finance.runtime.choice
from tff_finance.client_work import local_training
local_training._LARGEST_COMPILED_BATCH = 0
"""


@dataclasses.dataclass(frozen=True)
class Done:
    """A call that has ended."""

    returncode: int
    stdout: str
    stderr: str


def quick_call(module, *arguments, before=""):
    """Calls a binary such as `experiments.tune`, which ends before TensorFlow.

    Fails if TensorFlow is among its imports. `before` is code that is executed first.
    """
    done, imported = _call(_server(before, module), module, arguments, seconds=120)
    roots = {line.partition(".")[0] for line in imported.splitlines()}
    assert not roots & {"tensorflow", "tensorflow_federated", "keras"}, done
    return done


def full_call(module, *arguments, directory=ROOT):
    """Calls a binary that trains, in a fork that has imported TensorFlow."""
    done, _ = _call(_server(TRAINING), module, arguments, directory)
    return done


def _call(server, module, arguments, directory=ROOT, *, seconds=600):
    """How it ended, and the names of the modules that it imported."""
    with tempfile.TemporaryDirectory() as name:
        request = [module, [str(argument) for argument in arguments]]
        request += [str(directory), seconds, name]
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        code = int(server.stdout.readline())
        imported, *printed = (
            pathlib.Path(name, file).read_text(encoding="utf-8")
            for file in ("imported", "stdout", "stderr")
        )
    return Done(code, *printed), imported


@functools.cache
def _server(*arguments):
    """One for each binary: flags of one must not be known to another.

    And one for all that train, which has imported none of them.
    """
    program = pathlib.Path(__file__).with_name("fork_server.py")
    server = subprocess.Popen(
        [sys.executable, str(program), *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "120"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    @atexit.register
    def end():
        server.communicate(timeout=10)

    return server
