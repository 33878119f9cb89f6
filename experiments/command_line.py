"""What all binaries share: usage errors in one line, exit codes, quiet imports.

Exit code 0 on success and for `--help`, 2 for a usage error, 1 for a failure.
"""

import importlib.metadata
import os
import pathlib
import signal
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from absl import app, flags

from tff_finance import checks
from tff_finance.records import files

USAGE_ERROR = 2
FAILURE = 1

_ATTACKS = "tensorflow-empirical-privacy"


def run(main: Callable[[], None]) -> None:
    """Parses flags and calls `main`.

    Not through `app.run`: TensorFlow 2.14 starts in graph mode, and Keras fails,
    if it is first imported after absl's initialisation is done.
    """
    # TensorFlow and its worker log device probing unless told otherwise.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    app.define_help_flags()
    _parse_flags(sys.argv)
    # As ctrl-C does: leave through `finally`, where TFF's worker is ended.
    signal.signal(signal.SIGTERM, lambda *_: failure("terminated"))
    try:
        main()
    except checks.RunFailedError as error:
        failure(error)
    except OSError as error:
        failure(f"{error.filename or 'writing'}: {error.strerror or error}")
    except KeyboardInterrupt:
        failure("interrupted")


def usage_error(message: object) -> NoReturn:
    """Says in one line what is wrong with the call, and exits with 2."""
    _exit(USAGE_ERROR, message)


def failure(message: object) -> NoReturn:
    """Says what went wrong, and exits with 1."""
    _exit(FAILURE, message)


def output_directory(path: str, *, flag: str = "output_dir") -> pathlib.Path:
    """The output folder, made if missing; fails if nothing can be written there."""
    if not path:
        usage_error("flag --output_dir: must name a folder, got an empty text")
    directory = pathlib.Path(path)
    try:
        files.check_writable(directory)
    except OSError as error:
        failure(f"--{flag}: can't write to {directory}: {error.strerror}")
    return directory


def check_attacks_installed() -> None:
    """Fails if the extra `attacks` isn't there; to import it would take seconds."""
    try:
        importlib.metadata.distribution(_ATTACKS)
    except importlib.metadata.PackageNotFoundError:
        failure(
            f"{_ATTACKS} isn't installed, which membership inference needs: install "
            "tff-finance with its extra `attacks`."
        )


def report_progress(line: str) -> None:
    """Prints a line to standard error without breaking a progress bar."""
    import tqdm

    tqdm.tqdm.write(line, file=sys.stderr)


def _exit(code: int, message: object) -> NoReturn:
    program = pathlib.Path(sys.argv[0]).stem
    sys.stderr.write(f"{program}: error: {message}\n")
    raise SystemExit(code)


def _parse_flags(argv: Sequence[str]) -> None:
    try:
        rest = flags.FLAGS(argv)
    except flags.Error as error:
        usage_error(str(error).replace("\n", " "))
    except SystemExit:
        # absl exits with 1 after --help, which did what it was asked to.
        raise SystemExit(0) from None
    if len(rest) > 1:
        usage_error(f"unexpected argument {rest[1]!r}; options begin with --")
