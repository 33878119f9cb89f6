"""What `summary.json` says of contributions, from the values of coalitions."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tff_finance.evaluation.contribution import (
    EMPTY_AUC,
    Coalition,
    leave_one_out,
    shapley_values,
)
from tff_finance.records.coalition_row import CoalitionRow
from tff_finance.records.stopped_by import at_maximum

Summarize = Callable[[Sequence[float | None], str, str], dict[str, Any]]
"""Takes values by seed, why one is undefined, and whose test rows they are of."""

Contribute = Callable[[Sequence[str], Mapping[Coalition, float]], dict[str, float]]


def summarize_contribution(
    rows: Sequence[CoalitionRow],
    institutions: Sequence[str],
    seeds: Sequence[int],
    *,
    summarize: Summarize,
) -> dict[str, Any]:
    """Contributions under each seed, and over seeds.

    Args:
        rows: Of a record; at least one.
        institutions: Names of all, in order.
        seeds: In order.
        summarize: Puts the values of several seeds together.

    Returns:
        `method`, `metric`, `empty_coalition` (its value); `runs` and
        `runs_stopped_at_maximum` of the coalitions' trainings; `coalitions`, values
        by members, whose names "/" joins; `leave_one_out`; and `shapley`, null
        unless all coalitions were trained. Values are on test rows, all of them in
        `pooled`, or an institution's in `own`; contributions are by who contributes
        below that.
    """
    contributions = _Contributions(rows, institutions, seeds, summarize)
    trained = {(row.seed, row.members): row.stopped_by for row in rows}
    members = list(dict.fromkeys(row.members for row in rows))
    exact = len(members) == 2 ** len(institutions) - 1
    return {
        "method": rows[0].method,
        "metric": rows[0].metric,
        "empty_coalition": EMPTY_AUC,
        "runs": len(trained),
        "runs_stopped_at_maximum": sum(map(at_maximum, trained.values())),
        "coalitions": {
            names: contributions.on_all_and_own(
                lambda whose, names=names: contributions.value(names, whose)
            )
            for names in members
        },
        "leave_one_out": contributions.on_all_and_own(
            lambda whose: contributions.contribution(leave_one_out, whose)
        ),
        "shapley": contributions.on_all_and_own(
            lambda whose: contributions.contribution(shapley_values, whose)
        )
        if exact
        else None,
    }


class _Contributions:
    """The values of coalitions by seed, and contributions made from them."""

    def __init__(
        self,
        rows: Sequence[CoalitionRow],
        institutions: Sequence[str],
        seeds: Sequence[int],
        summarize: Summarize,
    ) -> None:
        self._institutions = institutions
        self._seeds = seeds
        self._summarize = summarize
        self._values = {
            (row.seed, row.institution, row.members): row.value for row in rows
        }
        self._coalitions = {row.members: row.coalition for row in rows}
        self._reasons = {row.institution: row.reason for row in rows if row.reason}

    def on_all_and_own(self, of_rows: Callable[[str], Any]) -> dict[str, Any]:
        """What there is to say of all test rows, and of each institution's."""
        return {
            "pooled": of_rows(""),
            "own": {name: of_rows(name) for name in self._institutions},
        }

    def value(self, members: str, whose: str) -> dict[str, Any]:
        """Of a coalition's model, over seeds."""
        values = [self._values.get((seed, whose, members)) for seed in self._seeds]
        return self._over_seeds(values, whose)

    def contribution(self, contribute: Contribute, whose: str) -> dict[str, Any]:
        """Of each institution, over seeds."""
        by_seed = [self._contributed(contribute, seed, whose) for seed in self._seeds]
        return {
            name: self._over_seeds([values.get(name) for values in by_seed], whose)
            for name in self._institutions
        }

    def _contributed(
        self, contribute: Contribute, seed: int, whose: str
    ) -> dict[str, float]:
        """By institution; nothing if a value is undefined."""
        values = {frozenset[str](): EMPTY_AUC}
        for members, coalition in self._coalitions.items():
            value = self._values.get((seed, whose, members))
            if value is None:
                return {}
            values[coalition] = value
        return contribute(self._institutions, values)

    def _over_seeds(self, values: Sequence[float | None], whose: str) -> dict[str, Any]:
        return self._summarize(values, self._reasons.get(whose, ""), whose)
