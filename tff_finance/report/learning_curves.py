"""How training went, from a record's curves."""

import dataclasses
from collections.abc import Sequence

import pandas as pd

from tff_finance.records.run_record import RunRecord

_RUN = ["method", "model", "seed"]


def kept_values(record: RunRecord, column: str = "validation_accuracy") -> pd.DataFrame:
    """What validation says of the weights that would be kept after each round.

    Training keeps the weights with the best validation loss so far. A run that
    has stopped stays at the weights it kept.

    Args:
        record: Has curves.
        column: Of these: accuracy or AUC; rounds that lack it are left out.

    Returns:
        Columns `method`, `round`, `mean`, `low`, `high`: mean, least and greatest
        over seeds; for each seed the mean over the method's models.
    """
    curves = pd.DataFrame(record.curves).sort_values([*_RUN, "round"])
    best = curves.groupby(_RUN)["validation_loss"].cummin()
    kept = curves[column].astype(float).where(curves["validation_loss"] == best)
    curves["kept"] = kept
    curves["kept"] = curves.groupby(_RUN)["kept"].ffill()
    tables = []
    for method in dict.fromkeys(row.method for row in record.curves):
        rows = curves[curves["method"] == method]
        wide = rows.pivot_table(
            index="round", columns=["seed", "model"], values="kept"
        ).ffill()
        seeds = wide.T.groupby(level="seed").mean().T
        table = pd.DataFrame(
            {
                "method": method,
                "round": wide.index,
                "mean": seeds.mean(axis=1).to_numpy(),
                "low": seeds.min(axis=1).to_numpy(),
                "high": seeds.max(axis=1).to_numpy(),
            }
        )
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def of_exchanges(record: RunRecord) -> RunRecord:
    """The record with the curves only of what is trained by exchange, round by round.

    Args:
        record: Any. What banks make of a model alone, as by fine-tuning, has rounds of
            its own, in which nothing moves.

    Returns:
        The record with fewer curves.
    """
    exchanged = {(row.method, row.model) for row in record.runs if row.bytes_down}
    return dataclasses.replace(
        record,
        curves=tuple(
            row for row in record.curves if (row.method, row.model) in exchanged
        ),
    )


def losses(record: RunRecord) -> pd.DataFrame:
    """Training and validation loss by method, seed and round.

    Args:
        record: Has curves.

    Returns:
        Columns `method`, `seed`, `round`, `training_loss`, `validation_loss`; for
        each seed the mean over the method's models.
    """
    curves = pd.DataFrame(record.curves)
    return curves.groupby(["method", "seed", "round"], sort=False, as_index=False)[
        ["training_loss", "validation_loss"]
    ].mean()


def bytes_per_round(
    record: RunRecord, directions: Sequence[str] = ("bytes_down", "bytes_up")
) -> dict[str, float]:
    """Bytes of all banks in a round of each method, mean over seeds.

    Args:
        record: Has runs.
        directions: Columns of these that count.

    Returns:
        Bytes by method, without validation traffic; methods that move nothing round
        by round (alone, pooled) are left out, and of the others what a bank trains
        alone.
    """
    runs = pd.DataFrame(record.runs)
    runs = runs[runs["bytes_down"] > 0]
    volume = runs[list(directions)].sum(axis=1)
    # Where each bank has a run of its own, all of them together are a round's.
    of_seed = runs.assign(volume=volume).groupby(["method", "seed"], sort=False)
    per_round = of_seed["volume"].sum() / of_seed["rounds"].max()
    of_methods = per_round.groupby(level="method", sort=False)
    return {str(m): float(b) for m, b in of_methods.mean().items()}
