"""Default of credit card clients, Taiwan 2005: UCI data set 350.

Source: Yeh & Lien, "The comparisons of data mining techniques for the predictive
accuracy of probability of default of credit card clients", Expert Systems with
Applications 36 (2009) 2473-2480. Licence: CC BY 4.0. See data/taiwan.md.
"""

import io
import zipfile
from collections.abc import Sequence

import pandas as pd

from tff_finance.datasets.public_file import PublicFile
from tff_finance.datasets.public_table import Edition, PublicTable

LABEL = "default payment next month"
_WORKBOOK = "default of credit card clients.xls"
_ADDRESS = (
    "https://archive.ics.uci.edu/static/public/350/default+of+credit+card+clients.zip"
)


def _read_archive(contents: Sequence[bytes]) -> pd.DataFrame:
    with zipfile.ZipFile(io.BytesIO(contents[0])) as archive:
        return _read_workbook([archive.read(_WORKBOOK)])


def _read_workbook(contents: Sequence[bytes]) -> pd.DataFrame:
    # The first header row holds X1 to X23 and Y, the second the names.
    table = pd.read_excel(io.BytesIO(contents[0]), header=1, engine="xlrd")
    return table.astype("int64")


def _read_csv(contents: Sequence[bytes]) -> pd.DataFrame:
    table = pd.read_csv(io.BytesIO(contents[0]))
    # Amounts stand there as 20000.0, and the label with dots.
    return table.rename(columns={"default.payment.next.month": LABEL}).astype("int64")


TAIWAN = PublicTable(
    name="taiwan",
    title="Default of credit card clients, Taiwan 2005 (UCI 350)",
    contract="taiwan",
    folder="default_credit",
    editions=(
        Edition(
            files=(
                PublicFile(
                    name="default+of+credit+card+clients.zip",
                    sha256=(
                        "56c885f84457f6680f8438f02bfcdac9579323d8a94465ee5f26e32baa727602"
                    ),
                    size=5_539_494,
                    description="the official archive of UCI",
                    address=_ADDRESS,
                ),
            ),
            read=_read_archive,
        ),
        Edition(
            files=(
                PublicFile(
                    name=_WORKBOOK,
                    sha256=(
                        "30c6be3abd8dcfd3e6096c828bad8c2f011238620f5369220bd60cfc82700933"
                    ),
                    size=5_539_328,
                    description="the workbook of UCI's official archive",
                ),
            ),
            read=_read_workbook,
        ),
        Edition(
            files=(
                PublicFile(
                    name="UCI_Credit_Card.csv",
                    sha256=(
                        "a0f0ab49d6326671d6cd83be5c88dcf18007025fe9a53ecd699119c871176ca1"
                    ),
                    size=2_862_995,
                    description="Kaggle's CSV of the same values",
                ),
            ),
            read=_read_csv,
        ),
    ),
    how_to_get=f"Take the archive from {_ADDRESS}; see data/taiwan.md.",
)
