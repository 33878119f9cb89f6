"""Public tables by name: find or download their files, load them raw.

What a table holds, its traps and its licence stand in data/NAME.md.
"""

import pathlib

import pandas as pd

from tff_finance import checks
from tff_finance.datasets.contract import Contract
from tff_finance.datasets.contract_file import load_contract
from tff_finance.datasets.public_table import PublicTable
from tff_finance.datasets.tables import (
    bank_marketing,
    german,
    handbook,
    sba,
    taiwan,
    ulb,
)

TABLES: dict[str, PublicTable] = {
    table.name: table
    for table in (
        taiwan.TAIWAN,
        sba.SBA,
        bank_marketing.BANK_MARKETING,
        handbook.HANDBOOK_FRAUD,
        handbook.HANDBOOK_FEATURES,
        german.GERMAN,
        ulb.ULB,
    )
}
_CONTRACTS = pathlib.Path(__file__).parent / "contracts"


def load(name: str, data_dir: pathlib.Path) -> pd.DataFrame:
    """Loads a public table as it is, downloading it first where that is possible.

    Args:
        name: One of `TABLES`.
        data_dir: Folder with its files, or with a folder of them as in data/README.md.
            A file is recognised by its checksum, whatever its name.

    Returns:
        All columns and rows, in the order of the file, values as published.

    Raises:
        ValueError: If there is no such table.
        PublicFileError: If it isn't there and can't be downloaded, or if a file of
            its name isn't it.
        DownloadError: If the download fails.
    """
    checks.check_one_of("name", name, TABLES)
    return TABLES[name].fetch(data_dir).read()


def contract(name: str) -> Contract:
    """The contract of a public table.

    That of the payments is of their features: `payment_features` adds them.

    Args:
        name: One of `TABLES`.

    Returns:
        What `contracts/` in this folder holds for it.

    Raises:
        ValueError: If there is no such table.
    """
    checks.check_one_of("name", name, TABLES)
    return load_contract(_CONTRACTS / f"{TABLES[name].contract}.toml")
