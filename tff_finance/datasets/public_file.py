"""Files of public tables, recognised by the checksum of what they hold.

A file is what its SHA-256 says, whatever its name. The checksum is of the content:
of a gzip file, of what it unpacks to, since every packer compresses otherwise.
"""

import dataclasses
import hashlib
import pathlib
import struct
import zlib
from collections.abc import Iterable

from tff_finance import checks
from tff_finance.datasets.download import RemoteFile

_GZIP = b"\x1f\x8b"
_GZIP_WINDOW = 16 + zlib.MAX_WBITS  # zlib's way to ask for gzip's header


class PublicFileError(checks.RunFailedError):
    """A public file that is missing, damaged or unreadable; says what to do."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PublicFile:
    """A file of a public table, known to the byte.

    Attributes:
        name: The name it has where it comes from, unpacked.
        sha256: Checksum of its content, unpacked if it is a gzip file.
        size: Bytes of that content.
        description: What it is, and whether it is official or derived.
        address: Where the publisher keeps these very bytes, if anywhere.
        any_line_ends: Whether copies have CRLF line ends too; `sha256` and `size`
            are then those with LF.
    """

    name: str
    sha256: str
    size: int
    description: str
    address: str | None = None
    any_line_ends: bool = False

    @property
    def names(self) -> tuple[str, str]:
        """Its name, plain and packed."""
        return self.name, self.name + ".gz"

    @property
    def remote(self) -> RemoteFile | None:
        """The download, if the publisher's address is known."""
        if self.address is None:
            return None
        return RemoteFile(address=self.address, sha256=self.sha256, size=self.size)

    def read(self, path: pathlib.Path) -> bytes | None:
        """Reads a file that may be this one.

        Args:
            path: A file, of any name.

        Returns:
            Its content, unpacked, or None if it isn't this file's.

        Raises:
            PublicFileError: If the file can't be read.
        """
        try:
            content = self._content(path)
        except OSError as error:
            raise PublicFileError(f"{path}: {error.strerror or error}.") from error
        if content is None or hashlib.sha256(content).hexdigest() != self.sha256:
            return None
        return content

    def _content(self, path: pathlib.Path) -> bytes | None:
        """Content of the right size, LF line ends if they vary; None if it differs."""
        with path.open("rb") as stream:
            packed = stream.read(len(_GZIP)) == _GZIP
        if packed:
            content = _unpacked(path, self.size)
        elif path.stat().st_size == self.size or self.any_line_ends:
            content = path.read_bytes()
        else:
            return None
        if content is not None and self.any_line_ends:
            content = content.replace(b"\r\n", b"\n")
        return content

    def find(
        self, folders: Iterable[pathlib.Path]
    ) -> tuple[pathlib.Path, bytes] | None:
        """Looks for the file in folders, its own name first, then any other.

        Args:
            folders: Searched in this order, without the folders in them.

        Returns:
            Path and content, or None if it is in none of them.

        Raises:
            PublicFileError: If a file of this name is there and can't be read.
        """
        paths = [path for folder in folders for path in _files_of(folder)]
        paths.sort(key=lambda path: path.name not in self.names)  # stable
        for path in paths:
            named = path.name in self.names
            if not named and not self._may_be(path):
                continue
            try:
                content = self.read(path)
            except PublicFileError:
                if named:
                    raise
                continue
            if content is not None:
                return path, content
        return None

    def impostors(self, folders: Iterable[pathlib.Path]) -> list[pathlib.Path]:
        """Files that have its name and not its content."""
        return [
            path
            for folder in folders
            for path in _files_of(folder)
            if path.name in self.names and self.read(path) is None
        ]

    def _may_be(self, path: pathlib.Path) -> bool:
        """Whether its size fits, so that it is worth reading."""
        try:
            size = path.stat().st_size
            with path.open("rb") as stream:
                packed = stream.read(len(_GZIP)) == _GZIP
                if packed:
                    stream.seek(-4, 2)  # gzip ends in the unpacked size
                    (size,) = struct.unpack("<I", stream.read(4))
        except (OSError, struct.error):
            return False
        # A line of a table has ten characters and more.
        slack = self.size // 10 if self.any_line_ends else 0
        return self.size <= size <= self.size + slack


def _unpacked(path: pathlib.Path, size: int) -> bytes | None:
    """What a gzip file holds, if it is intact and that long; never much more."""
    unpacker = zlib.decompressobj(_GZIP_WINDOW)
    try:
        content = unpacker.decompress(path.read_bytes(), size + 1)
    except zlib.error:
        return None
    return content if unpacker.eof and len(content) == size else None


def _files_of(folder: pathlib.Path) -> list[pathlib.Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_file())
