"""CSV files that somebody else wrote: separator, header, numbers and damage."""

import codecs
import contextlib
import csv
import dataclasses
import gzip
import io
import pathlib
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as arrow_compute
import pyarrow.csv as pa_csv

pc: Any = arrow_compute  # makes its functions when it is imported
SEPARATORS = (",", ";", "\t", "|")
_SAMPLE_BYTES = 1 << 16
_HEADER_AND_ROW = 2
_UNREADABLE = (OSError, EOFError, zlib.error, pa.ArrowException)
_CODES = pa.dictionary(pa.int32(), pa.string())
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


class TableFileError(ValueError):
    """A file that can't be read as a table; the message names it."""

    def __init__(self, path: pathlib.Path, fault: str) -> None:
        """Joins file and fault."""
        super().__init__(f"File {path}: {fault}.")


@dataclasses.dataclass(frozen=True)
class CsvFile:
    """A text file whose separator and header are known.

    Attributes:
        path: The file; gzipped if its name ends in .gz.
        separator: Between fields.
        names: The header.
    """

    path: pathlib.Path
    separator: str
    names: tuple[str, ...]

    @classmethod
    def open(cls, path: pathlib.Path, *, separator: str | None = None) -> "CsvFile":
        """Finds separator and header.

        Args:
            path: The file.
            separator: Given, or detected if None.

        Returns:
            The file, of which only the beginning was read.

        Raises:
            TableFileError: If it is missing, empty, damaged or not UTF-8, or if
                the separator can't be told.
        """
        sample = _sample(path)
        if separator is None:
            is_tsv = path.name.lower().endswith((".tsv", ".tsv.gz"))
            separator = "\t" if is_tsv else _separator(path, sample)
        return cls(path, separator, tuple(_records(sample, separator)[0]))

    def read(
        self,
        *,
        texts: Sequence[str],
        numbers: Mapping[str, Sequence[str]],
        decimal: str = ".",
    ) -> pa.Table:
        """Reads columns.

        Args:
            texts: Columns to read as they stand.
            numbers: Columns to read as float64, with the texts that mean
                "missing" in each. One that holds anything else stays text.
            decimal: Decimal point.

        Returns:
            The columns; an empty cell is null.

        Raises:
            TableFileError: If rows differ in length or the file is damaged.
        """
        codes: dict[str, pa.DataType] = dict.fromkeys(texts, _CODES)
        # Nearly always all are numbers, and then this is the fast and small way.
        plain = {name: pa.float64() for name, missing in numbers.items() if not missing}
        as_text = {name: pa.string() for name in numbers if name not in plain}
        try:
            table = self._read(codes | plain | as_text, decimal)
        except pa.ArrowInvalid as error:
            if "conversion error to double" not in str(error):
                raise self._unreadable(error) from error
            plain, as_text = {}, dict.fromkeys(numbers, pa.string())
            table = self._read_again(codes | as_text, decimal)
        except _UNREADABLE as error:
            raise self._unreadable(error) from error
        # Arrow takes the word "nan" for a number; here it is a text like others.
        if words := [n for n in plain if pc.any(pc.is_nan(table[n])).as_py()]:
            again = self._read_again(dict.fromkeys(words, pa.string()), decimal)
            for name in words:
                table = _replaced(table, name, again[name])
        for name in (*as_text, *words):
            parsed = _numbers(table[name], numbers[name], decimal)
            table = _replaced(table, name, parsed)
        return table

    def batches(
        self,
        *,
        texts: Sequence[str],
        numbers: Mapping[str, Sequence[str]],
        decimal: str = ".",
    ) -> Iterator[pa.Table]:
        """Reads columns part by part, in memory that doesn't grow with the file.

        Args:
            texts: As for `read`.
            numbers: As for `read`; a part in which a cell is no number stays text.
            decimal: Decimal point.

        Yields:
            The rows in order, some thousands at a time. A gzipped file is unpacked
            to a temporary file.

        Raises:
            TableFileError: If rows differ in length or the file is damaged.
        """
        types = dict.fromkeys([*texts, *numbers], pa.string())
        try:
            with _unpacked(self.path) as name, pa.OSFile(name) as stream:
                # Threads would read ahead; a single one counts rows for errors.
                options = self._options(types, decimal, use_threads=False)
                with pa_csv.open_csv(stream, **options) as reader:
                    for batch in reader:
                        table = pa.Table.from_batches([batch])
                        for column, missing in numbers.items():
                            parsed = _numbers(table[column], missing, decimal)
                            table = _replaced(table, column, parsed)
                        yield table
        except _UNREADABLE as error:
            raise self._fault(error) from error

    def _read(self, types: Mapping[str, pa.DataType], decimal: str) -> pa.Table:
        return self._parsed(types, decimal, use_threads=True)

    def _read_again(self, types: Mapping[str, pa.DataType], decimal: str) -> pa.Table:
        try:
            return self._read(types, decimal)
        except _UNREADABLE as error:
            raise self._unreadable(error) from error

    def _parsed(
        self, types: Mapping[str, pa.DataType], decimal: str, *, use_threads: bool
    ) -> pa.Table:
        options = self._options(types, decimal, use_threads=use_threads)
        with _arrow_stream(self.path) as stream:
            return pa_csv.read_csv(stream, **options)

    def _options(
        self, types: Mapping[str, pa.DataType], decimal: str, *, use_threads: bool
    ) -> dict[str, Any]:
        """How Arrow reads the file."""
        return {
            "read_options": pa_csv.ReadOptions(use_threads=use_threads),
            "parse_options": pa_csv.ParseOptions(
                delimiter=self.separator, newlines_in_values=True
            ),
            "convert_options": pa_csv.ConvertOptions(
                column_types=types,
                include_columns=list(types),
                null_values=[""],
                strings_can_be_null=True,
                decimal_point=decimal,
            ),
        }

    def _unreadable(self, error: Exception) -> TableFileError:
        """The error that names the file, and the row where Arrow can tell it."""
        if isinstance(error, pa.ArrowInvalid):
            try:  # only a single thread counts the rows
                types = dict.fromkeys(self.names, pa.string())
                self._parsed(types, ".", use_threads=False)
            except pa.ArrowException as counted:
                error = counted
            except _UNREADABLE:
                pass
        return self._fault(error)

    def _fault(self, error: Exception) -> TableFileError:
        text = " ".join(str(error).split())
        if "UTF8" in text:
            return TableFileError(self.path, f"is not UTF-8, save it so: {text}")
        return TableFileError(self.path, f"can't be read: {text}")


def numbers_and_texts(texts: pd.Series, decimal: str) -> pd.Series:
    """Cells that are numbers as such, all others as the texts that they are."""

    def number_or_text(text: str) -> float | str:
        number = text.strip().replace(decimal, ".") if decimal != "." else text.strip()
        plain = _NUMBER.fullmatch(number) and (decimal == "." or "." not in text)
        return float(number) if plain else text

    return texts.astype(object).map(number_or_text, na_action="ignore")


def _sample(path: pathlib.Path) -> str:
    """The beginning of the file, up to the end of a line."""
    try:
        with gzip.open(path) if _is_gzip(path) else path.open("rb") as stream:
            data = stream.read(_SAMPLE_BYTES)
    except _UNREADABLE as error:
        raise TableFileError(path, f"can't be read: {error}") from error
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise TableFileError(path, "is UTF-16, save it as UTF-8")
    if len(data) == _SAMPLE_BYTES:
        data = data[: data.rfind(b"\n") + 1] or data
    try:
        sample = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        fault = f"is not UTF-8, save it so: {error.reason} at byte {error.start}"
        raise TableFileError(path, fault) from error
    if not sample.strip():
        raise TableFileError(path, "is empty")
    return sample


def _separator(path: pathlib.Path, sample: str) -> str:
    """The one separator that splits the header and the rows below it alike."""
    fitting = []
    for separator in SEPARATORS:
        widths = {len(record) for record in _records(sample, separator)}
        if len(widths) == 1 and widths != {1}:
            fitting.append(separator)
    if not fitting:
        # Rows of unlike lengths, or a single column: reading will tell.
        header = _records(sample, ",")[0], _records(sample, ";")[0]
        return "," if len(header[0]) >= len(header[1]) else ";"
    if len(fitting) > 1:
        raise TableFileError(
            path,
            f"may be separated by any of {fitting}; say which: `separator` in the "
            "institution's `file` table of the contract",
        )
    return fitting[0]


def _records(sample: str, separator: str) -> list[list[str]]:
    """The records of the sample but for the last, which may be cut."""
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=separator)
    records = [record for record in reader if record]
    return records[:-1] if len(records) > _HEADER_AND_ROW else records


def _numbers(texts: pa.Array, missing: Sequence[str], decimal: str) -> pa.Array:
    """The texts as float64, or as they are if one of them is no number."""
    if missing:
        is_missing = pc.is_in(texts, value_set=pa.array(missing, pa.string()))
        texts = pc.if_else(is_missing, pa.scalar(None, pa.string()), texts)
    plain = pc.utf8_trim_whitespace(texts)
    if decimal != ".":
        if pc.any(pc.match_substring(plain, ".")).as_py():
            return texts
        plain = pc.replace_substring(plain, decimal, ".")
    try:
        numbers = pc.cast(plain, pa.float64())
    except pa.ArrowInvalid:
        return texts
    return texts if pc.any(pc.is_nan(numbers)).as_py() else numbers


def _replaced(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, values)


def _arrow_stream(path: pathlib.Path) -> pa.NativeFile:
    # Arrow's threads never end where they meet damage within a gzipped stream, so a
    # gzipped file is unpacked first.
    if not _is_gzip(path):
        return pa.OSFile(str(path))
    with gzip.open(path) as stream:
        return pa.BufferReader(stream.read())


@contextlib.contextmanager
def _unpacked(path: pathlib.Path) -> Iterator[str]:
    """The name of the file, or of a temporary one with what it unpacks to."""
    if not _is_gzip(path):
        yield str(path)
        return
    with tempfile.NamedTemporaryFile(prefix="tff_finance_") as target:
        with gzip.open(path) as packed:
            shutil.copyfileobj(packed, target)
        target.flush()
        yield target.name


def _is_gzip(path: pathlib.Path) -> bool:
    return path.name.lower().endswith(".gz")
