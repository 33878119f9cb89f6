"""`summary.json`: the public extract of a run record."""

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from tff_finance.evaluation import reach
from tff_finance.evaluation.attack_summary import summarize_attacks
from tff_finance.evaluation.contribution_summary import summarize_contribution
from tff_finance.evaluation.intervals import summarize, too_few_rows
from tff_finance.evaluation.multiple_comparisons import simultaneous
from tff_finance.evaluation.privacy_summary import summarize_privacy
from tff_finance.evaluation.row_summary import Cell, RowIntervals
from tff_finance.records.method_names import WITHOUT_GLOBAL_NETWORK
from tff_finance.records.run_record import DIFFERENT_TARGETS, RunRecord
from tff_finance.records.run_rows import MetricRow
from tff_finance.records.stopped_by import at_maximum

SCHEMA_VERSION = 1
LOCAL = "local"
GLOBAL = "global"
CENTRALIZED = "centralized"
FED_AVG = "fed_avg"
# What other methods with one network for all are compared with.
_REFERENCES = (CENTRALIZED, FED_AVG)

_PER_INSTITUTION = ("institution_bytes_down", "institution_bytes_up")

# Averages over rows, of which a mean over institutions is one of the same kind.
# Ranking metrics are none: their means would look like pooled values.
_ROW_AVERAGES = ("accuracy", "log_loss", "brier")


def build_summary(record: RunRecord) -> dict[str, Any]:
    """Summarizes a run as DESIGN.md lays `summary.json` out.

    Beyond it: `own_mean` and `others_mean` (means over institutions of metrics
    that are averages over rows), `to_centralized` (paired differences on all
    rows), `to_99_percent` (rounds and bytes, those of validation included, until
    validation accuracy reaches 99 % of centralized training's; their median
    counts a seed that never does as later than all others), `to_fed_avg` (paired
    differences of the other federated methods on all rows),
    `to_99_percent_of_fed_avg` (rounds and bytes, and `bytes_up` of updates alone,
    until validation AUC reaches 99 % of FedAvg's, if curves have it), `scenario`,
    `preprocessing`, and for each method `runs`, `runs_stopped_at_maximum`,
    `non_finite_updates` and `privacy` (as `summarize_privacy` makes it; None if
    nothing is promised). Seconds are those of a seed's training, mean over seeds.
    An AUC has `bounds` by seed: what scores tied within histogram bins can hide.
    Each gain that has an interval also has it `simultaneous`ly with the same
    metric's gains of all methods at all institutions.

    Where the record has intervals over test rows, as of real tables, these stand
    as `ci95`, with the keys of `across_seeds` beside it, and nothing is called
    `simultaneous`; what was not bootstrapped has a mean, its spread over seeds,
    and no interval. `to_local` is `to_centralized` for the mean local model.
    `contribution` is null unless it was asked for; see `summarize_contribution`.

    `attacks` is there if the record has any, see `summarize_attacks`.

    Args:
        record: A finished run.

    Returns:
        The content of `summary.json`.
    """
    tables = _Tables(record)
    summary = {
        "schema": SCHEMA_VERSION,
        "experiment": record.experiment,
        "config": record.config,
        "seeds": list(record.config["seeds"]),
        "versions": record.versions,
        "scenario": record.scenario,
        "preprocessing": record.preprocessing,
        "institutions": tables.institutions(),
        "methods": {method: tables.method(method) for method in tables.methods},
        "gain": tables.gain(),
        "to_centralized": tables.on_all_rows(CENTRALIZED),
        "to_local": tables.on_all_rows(LOCAL),
        "to_99_percent": tables.to_99_percent(),
        "contribution": tables.contribution(),
        "to_fed_avg": tables.to_fed_avg(),
        "to_99_percent_of_fed_avg": tables.to_99_percent_of_fed_avg(),
    }
    if record.attacks:
        summary["attacks"] = summarize_attacks(record.attacks, summary["seeds"])
    return summary


def compared_with_fed_avg(methods: Sequence[str]) -> list[str]:
    """The methods whose distance to FedAvg is of interest; none without FedAvg."""
    if FED_AVG not in methods:
        return []
    return [
        method
        for method in methods
        if method not in _REFERENCES and method not in WITHOUT_GLOBAL_NETWORK
    ]


class _Tables:
    """A record's rows as data frames, and the views that a summary needs."""

    def __init__(self, record: RunRecord) -> None:
        self._seeds = list(record.config["seeds"])
        self._institutions = pd.DataFrame(record.institutions)
        # Plain lists: grouping a data frame takes a millisecond, and there are hundreds
        # of cells, each looked up several times.
        self._cells: dict[tuple[str, str, str, str], list[MetricRow]] = {}
        for row in record.metrics:
            cell = (row.method, row.scope, row.institution, row.metric)
            self._cells.setdefault(cell, []).append(row)
        self._metric_names = list(dict.fromkeys(row.metric for row in record.metrics))
        self._few_rows = functools.cache(self._count_few_rows)
        targets = {row.target for row in record.institutions}
        self._different_targets = DIFFERENT_TARGETS if len(targets) > 1 else ""
        self._row_intervals = RowIntervals(record.bootstraps)
        self._privacy = record.privacy
        self._curves = pd.DataFrame(record.curves)
        self._runs = pd.DataFrame(record.runs)
        self._coalitions = record.coalitions
        self.methods = list(record.config["methods"])
        self._names = list(dict.fromkeys(self._institutions["institution"]))

    def institutions(self) -> dict[str, Any]:
        """Rows of each institution; positive rate as the mean over seeds."""
        return {
            str(name): {
                "train_rows": int(rows["train_rows"].iloc[0]),
                "validation_rows": int(rows["validation_rows"].iloc[0]),
                "test_rows": int(rows["test_rows"].iloc[0]),
                "positive_rate": float(rows["positive_rate"].mean()),
                "target": str(rows["target"].iloc[0]),
            }
            for name, rows in self._institutions.groupby("institution", sort=False)
        }

    def method(self, method: str) -> dict[str, Any]:
        """Everything about one method."""
        summary: dict[str, Any] = {"pooled": self._scope(method, "pooled", "")}
        for scope in ("own", "others"):
            summary[scope] = {
                name: self._scope(method, scope, name) for name in self._names
            }
            summary[f"{scope}_mean"] = {
                metric: self._over_seeds(
                    self._mean_over_institutions(method, scope, metric),
                    reason=self._different_targets
                    or _first(
                        self._reason(method, scope, name, metric)
                        for name in self._names
                    ),
                    few_rows=_first(
                        self._few_rows(scope, name) for name in self._names
                    ),
                )
                for metric in _ROW_AVERAGES
            }
        promised = [row for row in self._privacy if row.method == method]
        privacy = summarize_privacy(promised)
        return summary | self._effort(method) | {"privacy": privacy}

    def gain(self) -> dict[str, Any]:
        """Method minus local, paired by seed, on each institution's own rows."""
        if LOCAL not in self.methods:
            return {}
        methods = [method for method in self.methods if method != LOCAL]
        gain = {
            name: {
                method: self._difference(method, LOCAL, "own", name)
                for method in methods
            }
            for name in self._names
        }
        if not self._row_intervals:
            for metric in self._metric_names:
                _add_simultaneous(gain, metric)
        return gain

    def on_all_rows(self, reference: str) -> dict[str, Any]:
        """Method minus reference, paired by seed, on all rows."""
        if reference not in self.methods:
            return {}
        return {
            method: self._difference(method, reference, "pooled", "")
            for method in self.methods
            if method != reference
        }

    def to_99_percent(self) -> dict[str, Any]:
        """Rounds and bytes until a federated model is nearly as good."""
        return self._reach(CENTRALIZED, "validation_accuracy")

    def to_99_percent_of_fed_avg(self) -> dict[str, Any]:
        """The same by AUC, where curves have it."""
        return self._reach(FED_AVG, "validation_auc")

    def to_fed_avg(self) -> dict[str, Any]:
        """Other federated methods minus FedAvg, paired by seed, on all rows."""
        return {
            method: self._difference(method, FED_AVG, "pooled", "")
            for method in compared_with_fed_avg(self.methods)
        }

    def _reach(self, reference: str, column: str) -> dict[str, Any]:
        if reference not in self.methods or self._curves.empty:
            return {}
        curves, runs = self._curves, self._runs
        wanted = reach.targets(curves, runs, reference=reference, column=column)
        if not wanted:
            return {}
        return {
            method: reach.reach(
                curves, runs, method=method, column=column, wanted=wanted
            )
            for method in self.methods
            if self._is_federated(method)
            and bool((curves["method"].eq(method) & curves[column].notna()).any())
        }

    def contribution(self) -> dict[str, Any] | None:
        """What each institution contributes; None unless that was asked for."""
        if not self._coalitions:
            return None

        def summarize_values(
            values: Sequence[float | None], reason: str, institution: str
        ) -> dict[str, Any]:
            scope = "own" if institution else "pooled"
            few_rows = self._few_rows(scope, institution)
            return self._over_seeds(values, reason=reason, few_rows=few_rows)

        return summarize_contribution(
            self._coalitions, self._names, self._seeds, summarize=summarize_values
        )

    def _is_federated(self, method: str) -> bool:
        """Whether there is one training, and all institutions take part in it."""
        runs = self._runs[self._runs["method"] == method]
        return bool((runs["bytes_down"] > 0).all() and (runs["model"] == GLOBAL).all())

    def _per_seed(
        self, method: str, scope: str, institution: str, metric: str
    ) -> list[float | None]:
        """One value per seed; for `local` on all rows, the mean of its models."""
        values: dict[int, list[float | None]] = {}
        for row in self._cells[method, scope, institution, metric]:
            values.setdefault(row.seed, []).append(row.value)
        return [_mean(values.get(seed, ())) for seed in self._seeds]

    def _scope(self, method: str, scope: str, institution: str) -> dict[str, Any]:
        return {
            metric: self._over_seeds(
                self._per_seed(method, scope, institution, metric),
                reason=self._reason(method, scope, institution, metric),
                few_rows=self._few_rows(scope, institution),
                cell=Cell(method, "", scope, institution, metric),
            )
            | self._bounds(method, scope, institution, metric)
            for metric in self._metric_names
        }

    def _bounds(
        self, method: str, scope: str, institution: str, metric: str
    ) -> dict[str, Any]:
        """What ties within bins can hide, by seed; nothing if they hide nothing."""
        cells = self._cells[method, scope, institution, metric]
        if any(row.low is None for row in cells):
            return {}
        rows = pd.DataFrame(cells)
        means = rows.groupby("seed")[["low", "high"]].mean().reindex(self._seeds)
        return {"bounds": means.to_numpy().tolist()}

    def _mean_over_institutions(
        self, method: str, scope: str, metric: str
    ) -> list[float | None]:
        if self._different_targets:
            return [None] * len(self._seeds)
        columns = [self._per_seed(method, scope, n, metric) for n in self._names]
        return [
            None if any(v is None for v in values) else sum(values) / len(values)
            for values in zip(*columns, strict=True)
        ]

    def _difference(
        self, method: str, reference: str, scope: str, institution: str
    ) -> dict[str, Any]:
        differences = {}
        for metric in self._metric_names:
            pairs = zip(
                self._per_seed(method, scope, institution, metric),
                self._per_seed(reference, scope, institution, metric),
                strict=True,
            )
            differences[metric] = self._over_seeds(
                [None if a is None or b is None else a - b for a, b in pairs],
                reason=self._reason(method, scope, institution, metric)
                or self._reason(reference, scope, institution, metric),
                few_rows=self._few_rows(scope, institution),
                cell=Cell(method, reference, scope, institution, metric),
            )
        return differences

    def _over_seeds(
        self,
        values: Sequence[float | None],
        *,
        reason: str,
        few_rows: str,
        cell: Cell | None = None,
    ) -> dict[str, Any]:
        """A value or difference with the interval that suits the data."""
        if not self._row_intervals:
            return summarize(values, reason=reason, few_rows=few_rows)
        return self._row_intervals.summarize(
            dict(zip(self._seeds, values, strict=True)),
            cell,
            reason=reason,
            few_rows=few_rows,
        )

    def _reason(self, method: str, scope: str, institution: str, metric: str) -> str:
        rows = self._cells[method, scope, institution, metric]
        return _first(row.reason for row in rows)

    def _count_few_rows(self, scope: str, institution: str) -> str:
        """Why rows are too few for an interval; empty if they are not."""
        rows = self._institutions
        if scope == "own":
            rows = rows[rows["institution"] == institution]
        elif scope == "others":
            rows = rows[rows["institution"] != institution]
        per_seed = rows.groupby("seed")[["test_rows", "test_positives"]].sum()
        for total, positives in per_seed.itertuples(index=False):
            few = too_few_rows(total, positives)
            if few:
                return few
        return ""

    def _effort(self, method: str) -> dict[str, Any]:
        runs = self._runs[self._runs["method"] == method]
        if missing := sorted(set(self._seeds).difference(runs["seed"])):
            raise IndexError(f"no run of {method} under seeds {missing}")
        per_seed = runs.groupby("seed")
        total = per_seed[reach.TRAFFIC].sum()
        return {
            "communication": {  # means over seeds
                "rounds": round(float(per_seed["exchanges"].max().mean())),
                **{name: round(float(v)) for name, v in total.mean().items()},
                "source": str(runs["source"].iloc[0]),
                # Of one institution in one exchange.
                **{name: _known(runs[name]) for name in _PER_INSTITUTION},
            },
            "seconds": float(per_seed["seconds"].sum().mean()),
            # Whether training had ended by itself, and with everybody.
            "runs": len(runs),
            "runs_stopped_at_maximum": sum(map(at_maximum, runs["stopped_by"])),
            "runs_diverged": int((runs["stopped_by"] == "diverged").sum()),
            "non_finite_updates": self._left_out(method, "non_finite_updates"),
            "rejected_updates": self._left_out(method, "rejected_updates"),
            "dropouts": int(runs["dropouts"].sum()),
            "skipped_rounds": int(runs["skipped_rounds"].sum()),
        }

    def _left_out(self, method: str, column: str) -> int:
        if self._curves.empty:
            return 0
        curves = self._curves[self._curves["method"] == method]
        return int(curves[column].sum())


def _add_simultaneous(gain: dict[str, Any], metric: str) -> None:
    """Adds to a metric's gains what holds for all of them together."""
    cells = {
        (name, method): values[metric]
        for name, methods in gain.items()
        for method, values in methods.items()
    }
    together = simultaneous(
        {
            key: cell["values"] if cell.get("ci95") else None
            for key, cell in cells.items()
        },
        family=f"{metric} gain of every method at every institution",
    )
    for key, result in together.items():
        cells[key]["simultaneous"] = result


def _mean(values: Sequence[float | None]) -> float | None:
    """The mean; None if a value is undefined, or there is none."""
    defined = [value for value in values if value is not None]
    if not defined or len(defined) < len(values):
        return None
    return float(np.mean(defined))


def _known(values: pd.Series) -> int | None:
    """The mean of whole numbers; None if one is missing."""
    return None if values.isna().any() else round(float(values.mean()))


def _first(reasons: Iterable[str]) -> str:
    return next((reason for reason in reasons if reason), "")
