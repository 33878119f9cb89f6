"""Finds or downloads a public table, checks it, and says what is there.

A file is recognised by its SHA-256. What the tables are, and where they come from,
stands in data/README.md.
"""

import pathlib

from absl import flags

from experiments import command_line
from experiments.dataset_names import DATASETS

_DATASET = flags.DEFINE_enum("dataset", None, DATASETS, "Which table.")
_DATA_DIR = flags.DEFINE_string(
    "data_dir",
    None,
    "Where to look, and where a download goes, into the table's own folder in it.",
)


def main() -> None:
    """Prints the files of the table, its size and its positives."""
    if not _DATA_DIR.value:
        command_line.usage_error(
            "flag --data_dir: must name a folder, got an empty text"
        )

    from tff_finance.datasets import public

    table = public.TABLES[_DATASET.value]
    found = table.fetch(pathlib.Path(_DATA_DIR.value))
    print(table.title)
    for file, path in zip(found.edition.files, found.paths, strict=True):
        print(f"  {path}: {file.description}; SHA-256 as expected")
    rows = found.read()
    contract = public.contract(table.name)
    positives = int((rows[contract.label] == contract.positive).sum())
    print(
        f"  {len(rows):,} rows, {rows.shape[1]} columns; {contract.label_meaning}: "
        f"{positives:,} ({positives / len(rows):.2%})"
    )


if __name__ == "__main__":
    flags.mark_flags_as_required(["dataset", "data_dir"])
    command_line.run(main)
