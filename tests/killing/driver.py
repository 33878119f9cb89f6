"""Runs a job in child processes that are killed, until one ends by itself.

    python driver.py JOB.py FOLDER SEED KILLS

JOB.py has `main(folder, started)`, which calls `started()` when its work begins. One
whose work has parts calls it for each, and has `moments(rng)`, which says for each kill
how many parts have begun in the process, and how many seconds later it comes.
TensorFlow is imported once, before the forks, so that the kills hit the job's work
and not its imports. The first child runs in FOLDER/whole and isn't killed; then
children run in FOLDER/killed, each killed at such a moment, or a random part of the
first one's working time after it started, and a last one that isn't.
"""

import importlib.util
import os
import pathlib
import random
import signal
import sys
import time
import traceback


def run(main, folder, *, starts=1, kill_after=None):
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
    for _ in range(starts):
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
    moments = [(1, rng.uniform(0, 0.7) * seconds) for _ in range(kills)]
    if hasattr(module, "moments"):
        moments = module.moments(rng)
    for starts, kill_after in moments:
        ended = run(
            module.main, folder / "killed", starts=starts, kill_after=kill_after
        )
        killed = ended is None
        sys.stdout.write(f"{kill_after:.2f} s after start {starts}: {killed=}\n")
        sys.stdout.flush()
    run(module.main, folder / "killed")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
