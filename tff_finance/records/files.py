"""Atomic files: a reader sees the old content or the new, never a part."""

import contextlib
import hashlib
import json
import os
import pathlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

# What reading a damaged or foreign file leads to.
UNREADABLE = (OSError, EOFError, ValueError, KeyError, IndexError, TypeError)


def what_is_wrong(error: Exception) -> str:
    """What is wrong with a file, for whoever wrote neither it nor this program."""
    text = " ".join(str(error).split())
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.strerror else text
    if isinstance(error, KeyError):
        return f"it lacks {text}"
    if isinstance(error, TypeError):
        return f"another version of tff_finance wrote it: {text}"
    if isinstance(error, IndexError):
        return "it lacks rows that its settings promise"
    return text


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A temporary file to fill, renamed to `path` when the block ends well.

    Args:
        path: The file; folders above it are made.

    Yields:
        The temporary file's path. If the block fails, `path` is as before and the
        temporary file is gone.

    Raises:
        OSError: If it can't be written, such as on a full disk; names `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(
        dir=path.parent, prefix=f".{path.stem}.", suffix="".join(path.suffixes)
    )
    os.close(handle)
    temporary = pathlib.Path(name)
    try:
        yield temporary
        # mkstemp makes files that only their owner reads; results are shared.
        temporary.chmod(0o666 & ~_umask())
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(
    path: pathlib.Path, write: Callable[[pathlib.Path], object]
) -> None:
    """Lets `write` fill a temporary file, then renames it to `path`.

    Args:
        path: The file; folders above it are made.
        write: Fills the file whose path it gets. If it fails, `path` is as
            before and the temporary file is gone.

    Raises:
        OSError: If it can't be written, such as on a full disk; names `path`.
    """
    with replacing(path) as temporary:
        write(temporary)


@contextlib.contextmanager
def replacing_folder(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A temporary folder to fill, renamed to `path` when the block ends well.

    A folder that is there already is put aside first and deleted last, so that
    whoever looks sees all of the old one, nothing, or all of the new one.

    Args:
        path: The folder; folders above it are made.

    Yields:
        The temporary folder's path. If the block fails, `path` is as before and
        the temporary folder is gone.

    Raises:
        OSError: If it can't be written; names `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as name:
        temporary, old = pathlib.Path(name) / "new", pathlib.Path(name) / "old"
        temporary.mkdir()
        try:
            yield temporary
            for file in temporary.rglob("*"):
                if file.is_file():
                    file.chmod(0o666 & ~_umask())
                    with file.open("rb") as stream:
                        os.fsync(stream.fileno())
            if path.exists():
                path.rename(old)
            temporary.rename(path)
        except OSError as error:
            if old.exists() and not path.exists():
                old.rename(path)
            reason = error.strerror or str(error)
            raise OSError(error.errno, reason, str(path)) from error


def sha256(path: pathlib.Path) -> str:
    """The file's checksum, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes text as UTF-8."""
    write_atomically(path, lambda p: _write_text(p, text))


def write_json(path: pathlib.Path, content: Mapping[str, Any]) -> None:
    """Writes JSON; refuses NaN and infinity, which are no JSON."""
    text = json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False)
    write_atomically(path, lambda p: _write_text(p, text + "\n"))


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """Reads a JSON object."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_csv(path: pathlib.Path, table: pd.DataFrame) -> None:
    """Writes a table without its index; a `.gz` name compresses."""
    write_atomically(path, lambda p: table.to_csv(p, index=False))


def read_csv(path: pathlib.Path, *, text_columns: Sequence[str] = ()) -> pd.DataFrame:
    """Reads a table that `write_csv` wrote, floats to the last digit.

    Args:
        path: The file.
        text_columns: Columns taken as they stand, whatever they look like.

    Returns:
        The table; an empty field is missing, or "" in a column of text.
    """
    table = pd.read_csv(
        path,
        dtype=dict.fromkeys(text_columns, str),
        keep_default_na=False,
        na_values=[""],
        float_precision="round_trip",
    )
    return table.fillna(dict.fromkeys(text_columns, ""))


def check_writable(directory: pathlib.Path) -> None:
    """Makes a folder and checks that files can be written there.

    Raises:
        OSError: If it can't be made or written to.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=directory):
        pass


def _write_text(path: pathlib.Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
