"""Calls of binaries that end before TensorFlow: nearly all they do is to import."""

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


@dataclasses.dataclass(frozen=True)
class Done:
    """A call that has ended."""

    returncode: int
    stdout: str
    stderr: str


def quick_call(module, *arguments, before=""):
    """Calls a binary such as `experiments.tune` in a fork that has its imports.

    Fails if TensorFlow is among them. `before` is code that is executed first.
    """
    server = _server(module, before)
    with tempfile.TemporaryDirectory() as name:
        request = [[str(argument) for argument in arguments], name]
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        code = int(server.stdout.readline())
        imported, *printed = (
            pathlib.Path(name, file).read_text(encoding="utf-8")
            for file in ("imported", "stdout", "stderr")
        )
    done = Done(code, *printed)
    roots = {line.partition(".")[0] for line in imported.splitlines()}
    assert not roots & {"tensorflow", "tensorflow_federated", "keras"}, done
    return done


@functools.cache
def _server(module, before):
    """One for each binary: flags of one must not be known to another."""
    program = pathlib.Path(__file__).with_name("fork_server.py")
    server = subprocess.Popen(
        [sys.executable, str(program), module, before],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    @atexit.register
    def end():
        server.communicate(timeout=10)

    return server
