"""Reading an institution's own files: CSV or TSV, gzipped or not, and Parquet.

Only the columns asked for are read. In text files a missing value is an empty
cell and nothing else: "NA" and "nan" are texts, until a contract's
`missing_values` say otherwise. Codes keep their leading zeros, and a column of
numbers in which a single cell is no number stays text, so that validation finds
that cell.
"""

import dataclasses
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pandas.api.types import union_categoricals

from tff_finance.datasets.columns import Column, NumericColumn
from tff_finance.datasets.contract import Contract, ContractError
from tff_finance.datasets.csv_files import CsvFile, TableFileError, numbers_and_texts
from tff_finance.datasets.institution_format import InstitutionFormat

CSV_ENDINGS = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
PARQUET_ENDINGS = (".parquet", ".pq")


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileColumn:
    """A column to read from a file.

    Attributes:
        name: Its name in the file.
        kind: "number", or "text" for codes.
        missing_texts: Texts that mean "missing" in a column of numbers.
    """

    name: str
    kind: Literal["number", "text"]
    missing_texts: tuple[str, ...] = ()


def column_names(
    path: pathlib.Path | str, *, separator: str | None = None
) -> tuple[str, ...]:
    """Names of all columns of a file, in its order; rows are not read.

    Args:
        path: A file as `read_table` reads it.
        separator: As for `read_table`.

    Returns:
        The names.

    Raises:
        TableFileError: If the file can't be read or a name occurs twice.
    """
    path = pathlib.Path(path)
    if _is_parquet(path):
        names = tuple(_parquet_file(path).schema_arrow.names)
    else:
        names = CsvFile.open(path, separator=separator).names
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise TableFileError(path, f"has more than one column {', '.join(twice)}")
    return names


def read_table(
    path: pathlib.Path | str,
    columns: Sequence[FileColumn] | None = None,
    *,
    separator: str | None = None,
    decimal: str = ".",
) -> pd.DataFrame:
    """Reads columns of a file.

    Args:
        path: Ends in .csv, .tsv, either with .gz, or in .parquet or .pq. Text is
            UTF-8, with or without a byte order mark, and has a header.
        columns: What to read; one that the file doesn't have is left out, for
            validation to report. None reads all columns: as texts from a text
            file, where nothing says what they are, and as stored from Parquet.
        separator: Between the fields of a text file. None: a tab in .tsv, else
            whichever of comma, semicolon, tab and bar splits header and rows
            alike.
        decimal: Decimal point of a text file.

    Returns:
        The columns in the order asked for: numbers as float64 from a text file
        and as stored from Parquet (decimals as float64), texts as categoricals.

    Raises:
        TableFileError: If the file is missing, empty, damaged, of another kind
            or encoding, has a name twice, or rows of unlike lengths.
    """
    path = pathlib.Path(path)
    names = column_names(path, separator=separator)
    if columns is None:
        columns = [FileColumn(name=name, kind="text") for name in names]
    columns = [column for column in columns if column.name in names]
    if not columns:
        return pd.DataFrame()
    if _is_parquet(path):
        table = _read_parquet(path, [column.name for column in columns])
    else:
        file = CsvFile.open(path, separator=separator)
        table = file.read(
            texts=[c.name for c in columns if c.kind == "text"],
            numbers={c.name: c.missing_texts for c in columns if c.kind == "number"},
            decimal=decimal,
        )
    if not table.num_rows:
        raise TableFileError(path, "has no rows")
    return _frame(table, columns, decimal)


def read_parts(
    path: pathlib.Path | str,
    columns: Sequence[FileColumn],
    *,
    separator: str | None = None,
    decimal: str = ".",
    rows: int = 65_536,
) -> Iterator[pd.DataFrame]:
    """Reads columns of a file part by part, so that it need not fit into memory.

    Args:
        path: As for `read_table`.
        columns: As for `read_table`.
        separator: As for `read_table`.
        decimal: As for `read_table`.
        rows: Of each part but the last.

    Yields:
        The parts in order, each as `read_table` would return it.

    Raises:
        TableFileError: As `read_table`; damage may show after some parts.
    """
    path = pathlib.Path(path)
    names = column_names(path, separator=separator)
    columns = [column for column in columns if column.name in names]
    if not columns:
        yield pd.DataFrame()
        return
    if _is_parquet(path):
        tables = _parquet_tables(path, [column.name for column in columns], rows)
    else:
        tables = CsvFile.open(path, separator=separator).batches(
            texts=[c.name for c in columns if c.kind == "text"],
            numbers={c.name: c.missing_texts for c in columns if c.kind == "number"},
            decimal=decimal,
        )
    empty = True
    for part in _frames_of(
        (_frame(table, columns, decimal) for table in tables if table.num_rows), rows
    ):
        empty = False
        yield part
    if empty:
        raise TableFileError(path, "has no rows")


def _frames_of(frames: Iterable[pd.DataFrame], rows: int) -> Iterator[pd.DataFrame]:
    """The same rows in frames of as many rows, the last of fewer."""
    waiting: list[pd.DataFrame] = []
    for frame in frames:
        waiting.append(frame)
        while sum(map(len, waiting)) >= rows:
            together = _joined(waiting)
            yield together.iloc[:rows].reset_index(drop=True)
            waiting = [together.iloc[rows:]]
    if sum(map(len, waiting)):
        yield _joined(waiting).reset_index(drop=True)


def _joined(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Frames as one; categoricals of unlike categories as one, too."""
    frames = [frame for frame in frames if len(frame)]
    joined = {
        name: (
            union_categoricals([frame[name] for frame in frames])
            if all(isinstance(f[name].dtype, pd.CategoricalDtype) for f in frames)
            else pd.concat([frame[name] for frame in frames], ignore_index=True)
        )
        for name in frames[0].columns
    }
    return pd.DataFrame(joined)


def _frame(
    table: pa.Table, columns: Sequence[FileColumn], decimal: str
) -> pd.DataFrame:
    """An Arrow table as a data frame, columns in the order asked for."""
    frame = (
        table.select([column.name for column in columns])
        .unify_dictionaries()
        .to_pandas(
            strings_to_categorical=True,
            ignore_metadata=True,  # an index that pandas stored is a column like others
            split_blocks=True,
            self_destruct=True,  # frees each column once it is copied
        )
    )
    for column in columns:
        values = frame[column.name]
        if column.kind == "number" and isinstance(values.dtype, pd.CategoricalDtype):
            frame[column.name] = numbers_and_texts(values, decimal)
    return frame


def feature_file_columns(
    contract: Contract, institution: str
) -> tuple[FileColumn, ...]:
    """What to read to score rows: the features, under the file's names."""
    return _file_columns(contract.features, contract.format_of(institution))


def file_columns(contract: Contract, institution: str) -> tuple[FileColumn, ...]:
    """What to read from an institution's file, under the file's names."""
    form = contract.format_of(institution)
    is_text = isinstance(contract.positive, str) or contract.label in form.codes
    label = FileColumn(
        name=form.source_name(contract.label), kind="text" if is_text else "number"
    )
    return (*_file_columns(contract.columns, form), label)


def _file_columns(
    contract_columns: Sequence[Column], form: InstitutionFormat
) -> tuple[FileColumn, ...]:
    columns = []
    for column in contract_columns:
        is_number = isinstance(column, NumericColumn)
        texts = tuple(v for v in column.missing_values if isinstance(v, str))
        columns.append(
            FileColumn(
                name=form.source_name(column.name),
                kind="number" if is_number else "text",
                missing_texts=texts if is_number else (),
            )
        )
    return tuple(columns)


def read_contract_table(
    path: pathlib.Path | str, contract: Contract, *, institution: str
) -> pd.DataFrame:
    """Reads an institution's file and validates it.

    Args:
        path: A file as `read_table` reads it.
        contract: Says which columns to read, and how the institution's differ.
        institution: Whose file it is.

    Returns:
        As `Contract.validate` returns it.

    Raises:
        TableFileError: If the file can't be read.
        ContractError: If the table breaks the contract; names the file.
    """
    form = contract.format_of(institution)
    names = column_names(path, separator=form.separator)
    table = read_table(
        path,
        file_columns(contract, institution),
        separator=form.separator,
        decimal=form.decimal,
    )
    try:
        return contract.validate(table, institution=institution, other_columns=names)
    except ContractError as error:
        raise ContractError(
            institution, contract.name, error.faults, source=str(path)
        ) from None


def _is_parquet(path: pathlib.Path) -> bool:
    if path.name.lower().endswith(PARQUET_ENDINGS):
        return True
    if path.name.lower().endswith(CSV_ENDINGS):
        return False
    endings = ", ".join((*CSV_ENDINGS, *PARQUET_ENDINGS))
    raise TableFileError(path, f"must end in one of {endings}")


def _parquet_file(path: pathlib.Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise TableFileError(path, f"can't be read as Parquet: {error}") from error


def _read_parquet(path: pathlib.Path, names: Sequence[str]) -> pa.Table:
    try:
        with _parquet_file(path) as file:
            table = file.read(columns=list(names), use_pandas_metadata=False)
    except (OSError, pa.ArrowException) as error:
        raise TableFileError(path, f"can't be read as Parquet: {error}") from error
    return _without_decimals(table)


def _parquet_tables(
    path: pathlib.Path, names: Sequence[str], rows: int
) -> Iterator[pa.Table]:
    try:
        with _parquet_file(path) as file:
            for batch in file.iter_batches(batch_size=rows, columns=list(names)):
                yield _without_decimals(pa.Table.from_batches([batch]))
    except (OSError, pa.ArrowException) as error:
        raise TableFileError(path, f"can't be read as Parquet: {error}") from error


def _without_decimals(table: pa.Table) -> pa.Table:
    for i, field in enumerate(table.schema):
        if pa.types.is_decimal(field.type):
            table = table.set_column(i, field.name, table[i].cast(pa.float64()))
    return table
