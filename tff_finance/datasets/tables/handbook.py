"""Simulated card payments of the Fraud Detection Handbook, raw and with features.

The publisher keeps daily pickles, for which no checksums are published: a pickle runs
code when it is read, so these are neither downloaded nor read here. Both tables are
the same values as CSV files; data/handbook_fraud.md tells how to make them.

Source: Le Borgne, Siblini, Lebichot & Bontempi, "Reproducible Machine Learning for
Credit Card Fraud Detection - Practical Handbook", Université Libre de Bruxelles 2022,
https://fraud-detection-handbook.github.io/fraud-detection-handbook/.
"""

import io
from collections.abc import Sequence

import pandas as pd

from tff_finance.datasets.public_file import PublicFile
from tff_finance.datasets.public_table import Edition, PublicTable

_FOLDER = "fraud_simulated"
_HOW_TO_GET = (
    "Make the CSV files from the pickles of "
    "https://github.com/Fraud-Detection-Handbook as data/handbook_fraud.md shows."
)
_MONTHS = {
    "2018-04": (
        16_264_595,
        "bbadd596bd5817f8f5c0cf29785710966912d2b269cc12d4c9b9cf56491af92f",
    ),
    "2018-05": (
        17_116_486,
        "dfd59dbaefeb3f1dc0a45a687289e92bb59339f57e6577d72ec90d9b6185a70c",
    ),
    "2018-06": (
        16_568_872,
        "bbb31089082ddc793b675c99998010506b5b1d767815e6523abb3dbd7a016bb2",
    ),
    "2018-07": (
        17_544_527,
        "a4d4b4771db4617079e1b4984ebec273e234246b0a9321064ce720dbb758b306",
    ),
    "2018-08": (
        17_973_256,
        "b2608e3bcef0298e397de5ce7c17f9455f100ea7f6361fad59f7b66df1c86cab",
    ),
    "2018-09": (
        17_446_557,
        "b753525bfb4ab90e3984ee775f4d9c3663658a3faffac1800cb9e0733c86a585",
    ),
}


def _read_csvs(contents: Sequence[bytes]) -> pd.DataFrame:
    tables = [
        pd.read_csv(
            io.BytesIO(content),
            parse_dates=["TX_DATETIME"],
            float_precision="round_trip",
        )
        for content in contents
    ]
    return pd.concat(tables, ignore_index=True)


def payments_table(months: Sequence[str] = tuple(_MONTHS)) -> PublicTable:
    """The raw payments of some months.

    Args:
        months: As "2018-04", which is the first; the last is "2018-09".

    Returns:
        Table "handbook_fraud" of these months only, by time.

    Raises:
        ValueError: If there is no such month.
    """
    unknown = [month for month in months if month not in _MONTHS]
    if unknown or not months:
        raise ValueError(
            f"`months` must be some of {', '.join(_MONTHS)}; got {', '.join(months)}."
        )
    return PublicTable(
        name="handbook_fraud",
        title="Simulated card payments of the Fraud Detection Handbook",
        contract="handbook_fraud",
        folder=_FOLDER,
        editions=(
            Edition(
                files=tuple(
                    PublicFile(
                        name=f"transactions-{month}.csv",
                        sha256=_MONTHS[month][1],
                        size=_MONTHS[month][0],
                        description="derived: the month's daily pickles as CSV",
                    )
                    for month in sorted(months)
                ),
                read=_read_csvs,
            ),
        ),
        how_to_get=_HOW_TO_GET,
    )


HANDBOOK_FRAUD = payments_table()

HANDBOOK_FEATURES = PublicTable(
    name="handbook_features",
    title="The Handbook's payments of three weeks with its 14 pooled features",
    contract="handbook_fraud",
    folder=_FOLDER,
    editions=(
        Edition(
            files=(
                PublicFile(
                    name="features-2018-07-25_2018-08-14.csv",
                    sha256=(
                        "02649583babdc5b8080405504052aa42e656d823e915271a7e395b01c093ccf7"
                    ),
                    size=29_678_181,
                    description="derived: three weeks of transformed pickles as CSV",
                ),
            ),
            read=_read_csvs,
        ),
    ),
    how_to_get=_HOW_TO_GET,
)
