"""Downloads of pinned files: checked against a SHA-256, resumed, renamed at the end.

A download fills `NAME.part` beside the file and becomes NAME by one rename, after
its size and checksum have proved right. A transfer that broke off leaves the part;
the next call asks the server for the rest (HTTP Range) and begins anew if the server
can't give it. All other failures leave nothing behind.
"""

import contextlib
import dataclasses
import fcntl
import os
import pathlib
import re
import time
from collections.abc import Iterator
from typing import IO

import requests
import tqdm

from tff_finance import checks
from tff_finance.records import files

_CHUNK = 1 << 13  # the last one is lost when a transfer breaks off
_OK = 200
_PARTIAL = 206
_RANGE_NOT_SATISFIABLE = 416
# Too busy or out of order for the moment; all else from 400 on stays as it is.
_PASSING = {408, 425, 429, 500, 502, 503, 504}


class DownloadError(checks.RunFailedError):
    """A download that failed; the message names file, address and what to do."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A file that is known to the byte.

    Attributes:
        address: Where the publisher keeps it; http or https.
        sha256: Checksum of its bytes, 64 hexadecimal digits.
        size: Its bytes.
    """

    address: str
    sha256: str
    size: int

    def __post_init__(self) -> None:
        """Refuses a file that isn't pinned."""
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError(
                f"`sha256` of {self.address} must have 64 hexadecimal digits, got "
                f"{self.sha256!r}: a file without a known checksum isn't downloaded."
            )
        checks.check_positive("size", self.size)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a download waits and how often it tries.

    Attributes:
        connect_seconds: For the connection to be made.
        read_seconds: For the next bytes, not for the whole file.
        attempts: Requests that may break off before the download gives up.
        pause_seconds: Before the second attempt; doubled before each further one.
    """

    connect_seconds: float = 15.0
    read_seconds: float = 60.0
    attempts: int = 4
    pause_seconds: float = 1.0


def download(
    remote: RemoteFile,
    path: pathlib.Path,
    *,
    patience: Patience | None = None,
    progress: bool = True,
) -> None:
    """Downloads a file, or the rest of it, to `path`.

    Args:
        remote: The file.
        path: Where it goes; folders above it are made.
        patience: Timeouts and attempts. Default: `Patience()`.
        progress: Shows a progress bar on a terminal.

    Raises:
        DownloadError: If the server can't be reached, has no such file, keeps
            breaking off or sends something else than the pinned file. Only a
            transfer that broke off leaves its part.
        OSError: If the file can't be written; names it.
    """
    folders = [folder for folder in path.parents if not folder.exists()]
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(part, remote) as stream:
            transfer = _Transfer(remote, part, stream, patience or Patience(), progress)
            transfer.run()
            os.fsync(stream.fileno())
            part.replace(path)
    except OSError as error:
        raise OSError(
            error.errno, error.strerror or str(error), error.filename or str(part)
        ) from error
    finally:
        for folder in folders:
            with contextlib.suppress(OSError):  # it holds the file or its part
                folder.rmdir()


@contextlib.contextmanager
def _locked(part: pathlib.Path, remote: RemoteFile) -> Iterator[IO[bytes]]:
    """The part, opened for one process at a time; gone afterwards if it is empty."""
    with part.open("ab") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The other process may have renamed it between the two calls.
            free = part.exists() and part.samefile(f"/proc/self/fd/{stream.fileno()}")
        except BlockingIOError:
            free = False
        if not free:
            raise DownloadError(
                f"{part}: another process is downloading {remote.address} there; "
                "wait for it and try again."
            )
        try:
            yield stream
        finally:
            if part.exists() and not part.stat().st_size:
                part.unlink()


class _BrokenOffError(Exception):
    """An attempt that may go better the next time."""


class _Transfer:
    """One download: attempts that each add to the part, and the final check."""

    def __init__(
        self,
        remote: RemoteFile,
        part: pathlib.Path,
        stream: IO[bytes],
        patience: Patience,
        progress: bool,
    ) -> None:
        self._remote = remote
        self._part = part
        self._stream = stream
        self._patience = patience
        self._progress = progress
        self._validator: str | None = None  # of the bytes that are in the part

    def run(self) -> None:
        """Completes the part; see `download` for what it raises."""
        if self._done() > self._remote.size:
            self._empty()
        old = self._done()
        self._fetch()
        # What an earlier call left may be of another file: once more without it.
        if old and not self._is_right():
            self._empty()
            self._fetch()
        if not self._is_right():
            found = files.sha256(self._part)
            self._empty()
            raise self._error(
                f"its SHA-256 is {found}, expected {self._remote.sha256}; the "
                "publisher has changed the file, or something on the way has. It was "
                "deleted"
            )

    def _fetch(self) -> None:
        """Attempts until all bytes are there."""
        pause = self._patience.pause_seconds
        reason = ""
        for attempt in range(self._patience.attempts):
            if self._done() == self._remote.size:
                return
            if attempt:
                time.sleep(pause)
                pause *= 2
            try:
                self._attempt()
            except (_BrokenOffError, requests.RequestException) as error:
                reason = _reason(error)
        if self._done() < self._remote.size:
            kept = (
                f"; {self._part} keeps them, and calling again goes on from there"
                if self._done()
                else ""
            )
            raise self._error(
                f"{reason}; {self._done():,} of {self._remote.size:,} bytes came in "
                f"{self._patience.attempts} attempts{kept}"
            )

    def _attempt(self) -> None:
        headers = {"Accept-Encoding": "identity"}  # the pinned bytes as they are
        if self._done():
            headers["Range"] = f"bytes={self._done()}-"
            if self._validator:
                headers["If-Range"] = self._validator
        with requests.get(
            self._remote.address,
            headers=headers,
            stream=True,
            timeout=(self._patience.connect_seconds, self._patience.read_seconds),
        ) as response:
            self._check_status(response)
            if response.status_code != _PARTIAL:
                self._empty()  # the file from its beginning
            self._validator = _strong_validator(response)
            self._append(response)

    def _check_status(self, response: requests.Response) -> None:
        status = response.status_code
        said = f"the server said {status} {response.reason}".rstrip()
        if status == _PARTIAL:
            expected = f"bytes {self._done()}-"
            if not response.headers.get("Content-Range", "").startswith(expected):
                self._empty()
                raise _BrokenOffError("the server sent another part than asked for")
        elif status == _RANGE_NOT_SATISFIABLE:
            self._empty()
            raise _BrokenOffError(said)
        elif status in _PASSING:
            raise _BrokenOffError(said)
        elif status != _OK:
            raise self._error(said)

    def _append(self, response: requests.Response) -> None:
        with tqdm.tqdm(
            desc=self._part.stem,
            initial=self._done(),
            total=self._remote.size,
            unit="B",
            unit_scale=True,
            disable=None if self._progress else True,  # None: on a terminal only
        ) as bar:
            for chunk in response.iter_content(_CHUNK):
                self._stream.write(chunk)
                bar.update(len(chunk))
                if self._done() > self._remote.size:
                    self._empty()
                    raise self._error(
                        f"it is longer than the {self._remote.size:,} bytes expected; "
                        "the publisher has changed the file, or this is an error page"
                    )
        if self._done() < self._remote.size:
            raise _BrokenOffError("the server ended the transfer early")

    def _done(self) -> int:
        self._stream.flush()
        return os.fstat(self._stream.fileno()).st_size

    def _empty(self) -> None:
        self._stream.flush()
        self._stream.truncate(0)
        self._validator = None

    def _is_right(self) -> bool:
        self._stream.flush()
        return files.sha256(self._part) == self._remote.sha256

    def _error(self, reason: str) -> DownloadError:
        return DownloadError(
            f"{self._part.with_suffix('')}: could not download "
            f"{self._remote.address}: {reason}. You may get the file in another way "
            f"(SHA-256 {self._remote.sha256}) and put it into {self._part.parent}."
        )


def _strong_validator(response: requests.Response) -> str | None:
    """What names these very bytes; a weak ETag doesn't, nor does a date to seconds."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else None


def _reason(error: Exception) -> str:
    """What went wrong, without the library's object addresses."""
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate was not accepted"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy can't be used"
    if isinstance(error, requests.exceptions.Timeout):
        return "the server did not answer in time"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off"
    if isinstance(error, requests.exceptions.ConnectionError):
        # requests reports a silence in the middle of a body as this.
        silent = "timed out" in str(error)
        return "the server fell silent" if silent else "the server could not be reached"
    return str(error)
