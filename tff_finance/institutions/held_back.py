"""Tables without the rows that results will be reported on.

Under another seed a shuffled split puts a row into another table: whoever tunes
settings under one seed would see test rows of others. Those are taken out.
"""

import dataclasses
import functools

import pandas as pd

from tff_finance.institutions.institution import Institution
from tff_finance.institutions.table_source import DealtTable, OwnTables, TableSource


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class WithoutReportedTestRows:
    """A source whose training and validation rows are test rows under no given seed.

    Attributes:
        source: The source.
        reported_seeds: Whose test rows are taken out; their values aren't read.
    """

    source: DealtTable | OwnTables
    reported_seeds: tuple[int, ...]

    def institutions(self, seed: int) -> list[Institution]:
        """The source's institutions, with fewer rows for training and validation.

        Args:
            seed: As for the source.

        Returns:
            The institutions. With a split that leaves nothing to chance, which has
            the same test rows under every seed, they are the source's.

        Raises:
            ValueError: As the source, or if an institution has no row left to train
                or to validate on.
        """
        return [
            self._without(institution, self._held[self._whose(institution)])
            for institution in self._source.institutions(seed)
        ]

    @functools.cached_property
    def _source(self) -> TableSource:
        """The source, each of whose rows has an index of its own."""
        if isinstance(self.source, DealtTable):
            return self.source
        tables = {
            name: table.reset_index(drop=True)
            for name, table in self.source.tables.items()
        }
        return dataclasses.replace(self.source, tables=tables)

    @functools.cached_property
    def _held(self) -> dict[str, pd.Index]:
        """Indices of rows that are test rows under a reported seed."""
        found: dict[str, pd.Index] = {}
        for seed in self.reported_seeds:
            for institution in self._source.institutions(seed):
                whose, rows = self._whose(institution), institution.test.index
                found[whose] = found[whose].union(rows) if whose in found else rows
        return found

    def _whose(self, institution: Institution) -> str:
        """Whose table an index is of: a table that is dealt out has but one."""
        return "" if isinstance(self.source, DealtTable) else institution.name

    def _without(self, institution: Institution, held: pd.Index) -> Institution:
        train, validation = (
            rows.loc[~rows.index.isin(held)]
            for rows in (institution.train, institution.validation)
        )
        if not (len(train) and len(validation)):
            raise ValueError(
                f"{institution.name!r} has no row left to train or to validate on: of "
                f"{len(institution.train)} and {len(institution.validation)} rows, "
                f"{len(train)} and {len(validation)} are test rows under none of "
                f"{len(self.reported_seeds)} seeds that results are reported for. "
                "Report on fewer seeds, or split by time."
            )
        return dataclasses.replace(institution, train=train, validation=validation)
