"""What binaries that report share: records and sweeps, refused in one line."""

import pathlib

import pandas as pd

from experiments import command_line
from tff_finance.evaluation.summary import build_summary
from tff_finance.records import files
from tff_finance.records.run_record import RunRecord, UnreadableRecordError
from tff_finance.report import styles
from tff_finance.report.catalogue import Words
from tff_finance.report.content import Study
from tff_finance.report.sweep_section import COLUMNS


def read_study(folder: pathlib.Path, *, key: str = "") -> Study:
    """Reads a record and summarizes it; fails in one line if it can't be."""
    if not (folder / "run.json").is_file():
        below = folder / "record"
        hint = f"; did you mean {below}?" if (below / "run.json").is_file() else ""
        command_line.failure(f"--record: {folder} has no run.json{hint}")
    try:
        record = RunRecord.read(folder)
        return Study(key=key, record=record, summary=build_summary(record))
    except UnreadableRecordError as error:
        command_line.failure(f"--record: {error}")
    except files.UNREADABLE as error:
        command_line.failure(
            f"--record: {folder} can't be summarized: {files.what_is_wrong(error)}"
        )


def read_sweep(name: str) -> pd.DataFrame:
    """Reads a sweep's table; fails in one line if it is none."""
    path = pathlib.Path(name)
    try:
        table = files.read_csv(path, text_columns=("method", "rows"))
        missing = [column for column in COLUMNS if column not in table.columns]
        if missing or table.empty:
            raise ValueError(f"no rows or columns {', '.join(missing or COLUMNS)}")
        numbers = ["heterogeneity", "accuracy", "ci95_low", "ci95_high"]
        return table.astype(dict.fromkeys(numbers, float))
    except files.UNREADABLE as error:
        command_line.failure(
            f"--sweep: {path} is no sweep that can be read: "
            f"{files.what_is_wrong(error)}"
        )


def warn_of_missing_font(words: Words) -> None:
    """Says that PNG files will be in English, and what to install against it."""
    if not styles.has_glyphs(words):
        command_line.report_progress(
            "warning: PNG files get English words: this machine has no font with "
            f"Chinese glyphs; install one, such as {styles.FONT_PACKAGE} on Debian."
        )
