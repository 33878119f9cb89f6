"""Runs a job in child processes that are killed, until one ends by itself.

    python driver.py JOB.py FOLDER SEED KILLS

JOB.py has `main(folder, started)`, which calls `started()` when its work begins.
TensorFlow is imported once, before the forks, so that the kills hit the job's work
and not its imports. The first child runs in FOLDER/whole and isn't killed; then
children run in FOLDER/killed, each killed a random part of the first one's working
time after it started, and a last one that isn't.
"""

import importlib.util
import os
import pathlib
import random
import signal
import sys
import time
import traceback


def run(main, folder, *, kill_after=None):
    """Runs a child; its working time, or None if it was killed."""
    started, child_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            main(folder, lambda: os.write(child_end, b"s"))
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    os.close(child_end)
    os.read(started, 1)
    os.close(started)
    start = time.monotonic()
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(pid, signal.SIGKILL)  # a zombie, if it has ended by now
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return None
    if os.WEXITSTATUS(status):
        raise SystemExit("the job failed")
    return time.monotonic() - start


def main(job, folder, seed, kills):
    spec = importlib.util.spec_from_file_location("job", job)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    rng = random.Random(seed)
    folder = pathlib.Path(folder)
    seconds = run(module.main, folder / "whole")
    for _ in range(kills):
        kill_after = rng.uniform(0, 0.7) * seconds
        killed = run(module.main, folder / "killed", kill_after=kill_after) is None
        sys.stdout.write(f"after {kill_after:.2f} s: {killed=}\n")
        sys.stdout.flush()
    run(module.main, folder / "killed")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
