"""Where institutions' tables come from: a table dealt out, or files of their own.

A source gives the institutions under a seed. The rows are always the same; the
seed decides the partition, as far as it leaves something to chance, and the split.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Protocol

import numpy as np
import pandas as pd

from tff_finance.datasets.contract import Contract
from tff_finance.institutions.grouped_partition import ByBands, ByColumn
from tff_finance.institutions.institution import Institution
from tff_finance.institutions.partition import Partition, deal
from tff_finance.institutions.split import ShuffledSplit, Split, split_table
from tff_finance.institutions.units import present


class Preparation(Protocol):
    """What a raw table needs before it satisfies its contract.

    Each step may add columns and keeps the order of rows and their index.
    """

    def __str__(self) -> str:
        """What it does, for results to name; empty for nothing."""
        ...

    def before_dealing(self, table: pd.DataFrame) -> pd.DataFrame:
        """Adds columns that the partition, or every institution, needs."""
        ...

    def at_institutions(
        self, dealt: Mapping[str, pd.DataFrame]
    ) -> Mapping[str, pd.DataFrame]:
        """Adds columns that depend on who holds which rows, by institution.

        May leave out rows that are for nothing but the columns of others. Called in
        an execution context if something is exchanged for them.
        """
        ...


class AsItIs:
    """No preparation."""

    def __str__(self) -> str:
        """Nothing to name."""
        return ""

    def before_dealing(self, table: pd.DataFrame) -> pd.DataFrame:
        """Returns the table."""
        return table

    def at_institutions(
        self, dealt: Mapping[str, pd.DataFrame]
    ) -> Mapping[str, pd.DataFrame]:
        """Returns the tables."""
        return dealt


class TableSource(Protocol):
    """Institutions' tables under a seed."""

    def institutions(self, seed: int) -> list[Institution]:
        """The institutions, their tables as `Contract.validate` returns them."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class DealtTable:
    """One table, dealt out to institutions.

    Attributes:
        table: All rows, raw.
        contract: What each institution's rows satisfy after preparation.
        partition: Who gets which row.
        split: Each institution's rows into train, validation and test.
        clusters: Column whose equal values stay together; empty if rows are
            independent.
        preparation: What is done to the raw table.
    """

    table: pd.DataFrame
    contract: Contract
    partition: Partition
    split: Split
    clusters: str = ""
    preparation: Preparation = dataclasses.field(default_factory=AsItIs)

    def institutions(self, seed: int) -> list[Institution]:
        """Deals, prepares, validates and splits.

        Args:
            seed: Decides what partition and split leave to chance.

        Returns:
            The institutions in the partition's order. Beyond what
            `Contract.validate` returns, tables have the column of clusters.

        Raises:
            ContractError: If prepared rows break the contract.
            ValueError: If partition or split can't be made.
        """
        deal_rng, split_rng = np.random.default_rng(seed).spawn(2)
        if isinstance(self.partition, ByColumn | ByBands):
            dealt = self._dealt_without_chance
        else:
            dealt = self._deal(deal_rng)
        split_rngs = split_rng.spawn(len(dealt))
        return [
            self._split(name, *tables, rng)
            for (name, tables), rng in zip(dealt.items(), split_rngs, strict=True)
        ]

    @functools.cached_property
    def _prepared(self) -> pd.DataFrame:
        return self.preparation.before_dealing(self.table.reset_index(drop=True))

    @functools.cached_property
    def _dealt_without_chance(self) -> dict[str, tuple[pd.DataFrame, pd.DataFrame]]:
        """The same under every seed: prepared and validated once."""
        return self._deal(np.random.default_rng(0))

    def _deal(
        self, rng: np.random.Generator
    ) -> dict[str, tuple[pd.DataFrame, pd.DataFrame]]:
        """Each institution's raw and valid rows."""
        dealt = deal(
            self._prepared,
            self.partition,
            rng=rng,
            label=self.contract.label,
            clusters=self.clusters or None,
        )
        return {
            name: (rows, self._valid(name, rows))
            for name, rows in self.preparation.at_institutions(dealt).items()
        }

    def _valid(self, name: str, rows: pd.DataFrame) -> pd.DataFrame:
        valid = self.contract.validate(rows, institution=name)
        if self.clusters and self.clusters not in valid.columns:
            return valid.assign(**{self.clusters: rows[self.clusters]})
        return valid

    def _split(
        self,
        name: str,
        rows: pd.DataFrame,
        valid: pd.DataFrame,
        rng: np.random.Generator,
    ) -> Institution:
        raw = split_table(
            name,
            rows,
            self.split,
            rng=rng,
            label=self.contract.label,
            clusters=_kept_together(self.split, self.clusters),
        )
        return Institution(
            name=name,
            train=valid.loc[raw.train.index],
            validation=valid.loc[raw.validation.index],
            test=valid.loc[raw.test.index],
            clusters=self.clusters,
        )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class OwnTables:
    """Each institution's own table.

    Attributes:
        tables: As `Contract.validate` returns them, by institution.
        contract: That they satisfy.
        split: Each institution's rows into train, validation and test; by columns
            of the contract.
        clusters: As for `DealtTable`; a column of the contract.
    """

    tables: Mapping[str, pd.DataFrame]
    contract: Contract
    split: Split
    clusters: str = ""

    def institutions(self, seed: int) -> list[Institution]:
        """Splits each table.

        Args:
            seed: Decides what the split leaves to chance.

        Returns:
            The institutions, in the order of the tables.

        Raises:
            ValueError: If the split can't be made, or a table hasn't the column of
                clusters.
        """
        if self.clusters:  # intervals need them, though a split by time does not
            for name, table in self.tables.items():
                _check_clusters(name, table, self.clusters)
        rngs = np.random.default_rng(seed).spawn(len(self.tables))
        return [
            dataclasses.replace(
                split_table(
                    name,
                    table,
                    self.split,
                    rng=rng,
                    label=self.contract.label,
                    clusters=_kept_together(self.split, self.clusters),
                ),
                clusters=self.clusters,
            )
            for (name, table), rng in zip(self.tables.items(), rngs, strict=True)
        ]


def _check_clusters(name: str, table: pd.DataFrame, clusters: str) -> None:
    if clusters not in table.columns:
        columns = ", ".join(map(str, table.columns))
        raise ValueError(
            f"{name!r}: `clusters` must be a column that the contract names, at least "
            f'with use = "audit"; got {clusters!r}, there are {columns}.'
        )
    try:
        present(table, clusters, "clusters")
    except ValueError as error:
        raise ValueError(f"{name!r}: {error}") from error


def _kept_together(split: Split, clusters: str) -> str | None:
    """The column whose equal values stay in one table; None for splits by time."""
    return clusters if clusters and isinstance(split, ShuffledSplit) else None
