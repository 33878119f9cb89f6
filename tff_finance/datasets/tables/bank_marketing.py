"""Telephone campaigns of a Portuguese bank, 2008-2010: UCI data set 222.

The larger table of the two, `bank-additional-full.csv`; they overlap and aren't to be
mixed.

Source: Moro, Cortez & Rita, "A data-driven approach to predict the success of bank
telemarketing", Decision Support Systems 62 (2014) 22-31,
https://doi.org/10.1016/j.dss.2014.03.001. Licence: CC BY 4.0. See
data/bank_marketing.md.
"""

import io
import zipfile
from collections.abc import Sequence

import pandas as pd

from tff_finance.datasets.public_file import PublicFile
from tff_finance.datasets.public_table import Edition, PublicTable

_INNER = "bank-additional.zip"
_TABLE = "bank-additional-full.csv"
_ADDRESS = "https://archive.ics.uci.edu/static/public/222/bank+marketing.zip"


def _read_archive(contents: Sequence[bytes]) -> pd.DataFrame:
    with zipfile.ZipFile(io.BytesIO(contents[0])) as archive:
        return _read_inner([archive.read(_INNER)])


def _read_inner(contents: Sequence[bytes]) -> pd.DataFrame:
    with zipfile.ZipFile(io.BytesIO(contents[0])) as archive:
        return _read_csv([archive.read(f"bank-additional/{_TABLE}")])


def _read_csv(contents: Sequence[bytes]) -> pd.DataFrame:
    # "unknown" is a code; no field is empty.
    return pd.read_csv(io.BytesIO(contents[0]), sep=";", keep_default_na=False)


BANK_MARKETING = PublicTable(
    name="bank_marketing",
    title="Term deposits sold by telephone, Portugal 2008-2010 (UCI 222)",
    contract="bank_marketing",
    folder="bank_marketing",
    editions=(
        Edition(
            files=(
                PublicFile(
                    name="bank+marketing.zip",
                    sha256=(
                        "e0bf5f5de5b846e2f18e9d90606637267d46dfa260e0f17bb12e605db5efbeb4"
                    ),
                    size=1_023_843,
                    description="the official archive of UCI",
                    address=_ADDRESS,
                ),
            ),
            read=_read_archive,
        ),
        Edition(
            files=(
                PublicFile(
                    name=_INNER,
                    sha256=(
                        "a607b5edab6c6c75ce09c39142a77702c38123bd5aa7ae89a63503bbe17d65cd"
                    ),
                    size=444_572,
                    description="the archive in UCI's official archive",
                ),
            ),
            read=_read_inner,
        ),
        Edition(
            files=(
                PublicFile(
                    name=_TABLE,
                    sha256=(
                        "74adfc578bf77a7ff4bb1ba4a9f8709d9e3c6907342959c2c8416847e0afb4d8"
                    ),
                    size=5_834_924,
                    description="the table of UCI's official archive",
                ),
            ),
            read=_read_csv,
        ),
    ),
    how_to_get=f"Take the archive from {_ADDRESS}; see data/bank_marketing.md.",
)
