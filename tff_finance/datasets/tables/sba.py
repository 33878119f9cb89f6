"""Loans backed by the U.S. Small Business Administration, with their lenders' names.

Source: Li, Mickel & Taylor, "Should This Loan be Approved or Denied?", Journal of
Statistics Education 26(1) (2018), https://doi.org/10.1080/10691898.2018.1434342.
See data/sba.md.
"""

import io
from collections.abc import Sequence

import pandas as pd

from tff_finance.datasets.public_file import PublicFile
from tff_finance.datasets.public_table import Edition, PublicTable

# Codes stay text: a missing value would turn 1 into 1.0.
_CODES = ("NAICS", "NewExist", "UrbanRural", "RevLineCr", "LowDoc")


def _read_csv(contents: Sequence[bytes]) -> pd.DataFrame:
    return pd.read_csv(
        io.BytesIO(contents[0]),
        encoding="utf-8-sig",
        dtype=dict.fromkeys(_CODES, str),
    )


SBA = PublicTable(
    name="sba",
    title="Small-business loans of the U.S. SBA in California, by lender",
    contract="sba",
    folder="sba_case",
    editions=(
        Edition(
            files=(
                PublicFile(
                    name="SBAcase.11.13.17.csv",
                    sha256=(
                        "9c6ba3e04189457d084f168a78b47eb8ed20d3fcb24ec540e3ec54ced79ce89f"
                    ),
                    size=387_329,
                    description="the article's table; CRLF or LF line ends",
                    any_line_ends=True,
                ),
            ),
            read=_read_csv,
        ),
    ),
    how_to_get=(
        "Take SBAcase.11.13.17.csv from the supplement of "
        "https://doi.org/10.1080/10691898.2018.1434342; see data/sba.md."
    ),
)
