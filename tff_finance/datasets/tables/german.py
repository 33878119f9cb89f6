"""German Credit Data (Statlog): UCI data set 144. Small; for smoke tests.

Source: Hofmann (1994), https://doi.org/10.24432/C5NC77. Licence: CC BY 4.0. The file
has no header; the column names here are ours, after its documentation. See
data/german.md.
"""

import io
import zipfile
from collections.abc import Sequence

import pandas as pd

from tff_finance.datasets.public_file import PublicFile
from tff_finance.datasets.public_table import Edition, PublicTable

COLUMNS = (
    "checking_account",
    "duration",
    "credit_history",
    "purpose",
    "credit_amount",
    "savings",
    "employment",
    "installment_rate",
    "personal_status_and_sex",
    "other_debtors",
    "residence_since",
    "property",
    "age",
    "other_installment_plans",
    "housing",
    "existing_credits",
    "job",
    "dependants",
    "telephone",
    "foreign_worker",
    "class",
)
_TABLE = "german.data"
_ADDRESS = (
    "https://archive.ics.uci.edu/static/public/144/statlog+german+credit+data.zip"
)


def _read_archive(contents: Sequence[bytes]) -> pd.DataFrame:
    with zipfile.ZipFile(io.BytesIO(contents[0])) as archive:
        return _read_table([archive.read(_TABLE)])


def _read_table(contents: Sequence[bytes]) -> pd.DataFrame:
    return pd.read_csv(
        io.BytesIO(contents[0]), sep=" ", header=None, names=list(COLUMNS)
    )


GERMAN = PublicTable(
    name="german",
    title="German credit (UCI 144); smoke tests only",
    contract="german",
    folder="german_credit",
    editions=(
        Edition(
            files=(
                PublicFile(
                    name=_TABLE,
                    sha256=(
                        "b21f3d81db8071257d5ff1deaeba1fd4303b62712e6fcc9715c7a86202cb5871"
                    ),
                    size=79_793,
                    description="the official table of UCI",
                ),
            ),
            read=_read_table,
        ),
        Edition(
            files=(
                PublicFile(
                    name="statlog+german+credit+data.zip",
                    sha256=(
                        "e12d9d5def6845c0622634a1cd2ab87fa470668c4298f1ec52a4e403376a435b"
                    ),
                    size=29_607,
                    description="the official archive of UCI",
                    address=_ADDRESS,
                ),
            ),
            read=_read_archive,
        ),
    ),
    how_to_get=f"Take the archive from {_ADDRESS}; see data/german.md.",
)
