"""A public table: which files it may be read from, and how they are found."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence

import pandas as pd

from tff_finance.datasets.download import Patience, download
from tff_finance.datasets.public_file import PublicFile, PublicFileError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Edition:
    """Files that together hold a table.

    Attributes:
        files: All of them are needed.
        read: Makes the raw table from their contents, in this order.
    """

    files: tuple[PublicFile, ...]
    read: Callable[[Sequence[bytes]], pd.DataFrame]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Found:
    """An edition whose files are there and have the right checksums.

    Attributes:
        edition: The edition.
        paths: Its files, in its order.
        contents: What they hold, unpacked.
    """

    edition: Edition
    paths: tuple[pathlib.Path, ...]
    contents: tuple[bytes, ...] = dataclasses.field(repr=False)

    def read(self) -> pd.DataFrame:
        """The raw table."""
        return self.edition.read(self.contents)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PublicTable:
    """A table that anybody may get.

    Attributes:
        name: Its name on the command line.
        title: What it is, in a line.
        contract: Name of its contract under `contracts/`.
        folder: Folder below `data_dir` where its files may lie, and where a
            download goes; they may lie in `data_dir` itself too.
        editions: Any one of them is enough; the first that is found is read.
        how_to_get: What a user does if nothing can be downloaded.
    """

    name: str
    title: str
    contract: str
    folder: str
    editions: tuple[Edition, ...]
    how_to_get: str

    def find(self, data_dir: pathlib.Path) -> Found | None:
        """Looks for an edition, by checksum.

        Args:
            data_dir: Searched together with the table's folder in it.

        Returns:
            The first edition all of whose files are there, or None.

        Raises:
            PublicFileError: If no edition is there and a file that has the name of
                one has other content, or can't be read.
        """
        folders = self._folders(data_dir)
        for edition in self.editions:
            hits = []
            for file in edition.files:
                hit = file.find(folders)
                if hit is None:
                    break
                hits.append(hit)
            else:
                paths, contents = zip(*hits, strict=True)
                return Found(edition=edition, paths=paths, contents=contents)
        for file in self._files():
            for path in file.impostors(folders):
                raise PublicFileError(
                    f"{path} is not the file of that name: its content's SHA-256 is "
                    f"not {file.sha256}, or it has not {file.size:,} bytes. It may be "
                    "damaged or another version. Move it away, and get it again: "
                    f"{self.how_to_get}"
                )
        return None

    def fetch(
        self,
        data_dir: pathlib.Path,
        *,
        patience: Patience | None = None,
        progress: bool = True,
    ) -> Found:
        """Finds the table, and downloads it where it is missing.

        Args:
            data_dir: Where to look; a download goes to the table's folder in it.
            patience: Timeouts and attempts of a download.
            progress: Shows a progress bar on a terminal.

        Returns:
            The files.

        Raises:
            PublicFileError: If the table is missing and no publisher keeps these
                very bytes at a known address, or if a file of its name isn't it.
            DownloadError: If the download fails.
            OSError: If it can't be written.
        """
        found = self.find(data_dir)
        if found is not None:
            return found
        for edition in self.editions:
            remotes = [(file.name, file.remote) for file in edition.files]
            if all(remote is not None for _, remote in remotes):
                for name, remote in remotes:
                    assert remote is not None
                    path = data_dir / self.folder / name
                    download(remote, path, patience=patience, progress=progress)
                found = self.find(data_dir)
                assert found is not None, "a download has the pinned content"
                return found
        raise PublicFileError(self._missing(data_dir))

    def _missing(self, data_dir: pathlib.Path) -> str:
        folders = self._folders(data_dir)
        absent = [
            file.name for file in self.editions[0].files if file.find(folders) is None
        ]
        return (
            f"table {self.name!r} is not in {data_dir} or {folders[-1]}: no file there "
            f"has the content of {', '.join(absent)}. It can't be downloaded, since no "
            f"checksum of the publisher's files is known. {self.how_to_get}"
        )

    def _files(self) -> list[PublicFile]:
        return [file for edition in self.editions for file in edition.files]

    def _folders(self, data_dir: pathlib.Path) -> list[pathlib.Path]:
        return [data_dir, data_dir / self.folder]
