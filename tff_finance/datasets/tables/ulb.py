"""Card payments of two days with anonymous features, ULB and Worldline. Smoke tests.

Either a documented subset, in which fraud is 29 times more frequent than in reality,
or the full table: average precision of the two can't be compared, and
`Edition.files` says which one was read.

Source: Dal Pozzolo, Caelen, Johnson & Bontempi, "Calibrating Probability with
Undersampling for Unbalanced Classification", IEEE SSCI 2015,
https://doi.org/10.1109/SSCI.2015.33. Licence: ODbL 1.0 / DbCL 1.0. See data/ulb.md.
"""

import io
from collections.abc import Sequence

import pandas as pd

from tff_finance.datasets.public_file import PublicFile
from tff_finance.datasets.public_table import Edition, PublicTable

_ADDRESS = "https://storage.googleapis.com/download.tensorflow.org/data/creditcard.csv"


def _read_csv(contents: Sequence[bytes]) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(contents[0]), float_precision="round_trip")


ULB = PublicTable(
    name="ulb",
    title="Card fraud with anonymous features (ULB); smoke tests only",
    contract="ulb",
    folder="creditcard_ulb",
    editions=(
        Edition(
            files=(
                PublicFile(
                    name="creditcard_subset.csv",
                    sha256=(
                        "71f6fe49e063d889363f960a6cf13fb95861a740431dae3c32d824d0d77180c7"
                    ),
                    size=5_192_106,
                    description="derived: all frauds and 9,333 genuine payments",
                ),
            ),
            read=_read_csv,
        ),
        Edition(
            files=(
                PublicFile(
                    name="creditcard.csv",
                    sha256=(
                        "76274b691b16a6c49d3f159c883398e03ccd6d1ee12d9d8ee38f4b4b98551a89"
                    ),
                    size=150_828_752,
                    description="the official full table",
                    address=_ADDRESS,
                ),
            ),
            read=_read_csv,
        ),
    ),
    how_to_get=f"Take the full table from {_ADDRESS}; see data/ulb.md.",
)
