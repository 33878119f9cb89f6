"""Tables that are written part by part, and appear when they are whole."""

import contextlib
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Literal

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from tff_finance.records import files

ENDINGS = (".csv", ".parquet")
ColumnType = Literal["text", "integer", "number"]
_TYPES = {"text": pa.string(), "integer": pa.int64(), "number": pa.float64()}


@contextlib.contextmanager
def growing_table(
    path: pathlib.Path, columns: Mapping[str, ColumnType]
) -> Iterator[Callable[[pd.DataFrame], None]]:
    """A CSV or Parquet file to append to.

    Args:
        path: Ends in .csv or .parquet; folders above it are made.
        columns: Types by name, in order.

    Yields:
        Takes rows that have these columns. The file is there, whole, when the block
        ends well, and else as it was before.

    Raises:
        OSError: If it can't be written; names `path`.
    """
    schema = pa.schema([(name, _TYPES[kind]) for name, kind in columns.items()])
    with files.replacing(path) as temporary:
        if path.suffix == ".parquet":
            writer = pq.ParquetWriter(temporary, schema)
        else:
            writer = pa_csv.CSVWriter(temporary, schema)
        with writer:

            def append(rows: pd.DataFrame) -> None:
                table = pa.Table.from_pandas(rows, schema=schema, preserve_index=False)
                writer.write_table(table)

            yield append
