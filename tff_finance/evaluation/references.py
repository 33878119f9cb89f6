"""What federated learning is compared with: each institution alone, all rows pooled."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tff_finance.evaluation.methods import GLOBAL, Fitted, Learner, curve_rows
from tff_finance.institutions.examples import Examples, dense_examples
from tff_finance.preprocessing.consortium import TrainingExamples
from tff_finance.records.run_rows import RunRow
from tff_finance.training.folder import TrainingFolder
from tff_finance.training.loop import Trained


@dataclasses.dataclass(frozen=True, kw_only=True)
class Centralized:
    """All rows pooled at one site: what federated learning is measured against."""

    name: str
    learner: Learner

    def fit(
        self,
        institutions: Sequence[TrainingExamples],
        *,
        seed: int,
        folder: TrainingFolder | None = None,
    ) -> Fitted:
        """Trains one model on the pooled rows."""
        trained = self.learner.train(
            [pooled([i.train for i in institutions])],
            [i.validation for i in institutions],
            seed=seed,
            label=f"seed {seed} {self.name}",
            model=GLOBAL,
            folder=folder,
        )
        return Fitted(
            scorers={GLOBAL: self.learner.scorer(trained.weights)},
            curves=curve_rows(trained, seed, self.name, GLOBAL),
            runs=(
                upload_run(
                    [table for i in institutions for table in (i.train, i.validation)],
                    seed=seed,
                    method=self.name,
                    rounds=trained.rounds,
                    best_round=trained.best_round,
                    stopped_by=trained.stopped_by,
                    seconds=trained.seconds,
                ),
            ),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Local:
    """Every institution alone, stopped by its own validation rows."""

    name: str
    learner: Learner

    def fit(
        self,
        institutions: Sequence[TrainingExamples],
        *,
        seed: int,
        folder: TrainingFolder | None = None,
    ) -> Fitted:
        """Trains one model per institution."""
        scorers, curves, runs = {}, [], []
        for i in institutions:
            trained = self.learner.train(
                [i.train],
                [i.validation],
                seed=seed,
                label=f"seed {seed} {self.name} {i.institution}",
                model=i.institution,
                folder=folder,
            )
            scorers[i.institution] = self.learner.scorer(trained.weights)
            curves += curve_rows(trained, seed, self.name, i.institution)
            runs.append(
                local_run(trained, seed=seed, method=self.name, model=i.institution)
            )
        return Fitted(scorers=scorers, curves=tuple(curves), runs=tuple(runs))


def pooled(tables: Sequence[Examples]) -> Examples:
    """All rows as one table; only references that pool may call this."""
    return dense_examples(
        np.concatenate([t["x"] for t in tables]),
        np.concatenate([t["y"] for t in tables]),
        institution="pooled",
    )


def local_run(trained: Trained, *, seed: int, method: str, model: str) -> RunRow:
    """A run of an institution alone, in which nothing was exchanged."""
    return RunRow(
        seed=seed,
        method=method,
        model=model,
        rounds=trained.rounds,
        exchanges=0,
        best_round=trained.best_round,
        stopped_by=trained.stopped_by,
        seconds=trained.seconds,
        bytes_down=0,
        bytes_up=0,
        validation_bytes_down=0,
        validation_bytes_up=0,
        source="nothing but the sums that fit the shared encoder",
    )


def upload_run(
    tables: Sequence[Examples],
    *,
    seed: int,
    method: str,
    rounds: int,
    best_round: int,
    stopped_by: str,
    seconds: float,
) -> RunRow:
    """A run for which every institution uploaded its encoded tables once."""
    values = sum(table["x"].size + table["y"].size for table in tables)
    return RunRow(
        seed=seed,
        method=method,
        model=GLOBAL,
        rounds=rounds,
        exchanges=1,
        best_round=best_round,
        stopped_by=stopped_by,
        seconds=seconds,
        bytes_down=0,
        bytes_up=values * np.dtype(np.float32).itemsize,
        validation_bytes_down=0,
        validation_bytes_up=0,
        source="encoded rows, uploaded once",
    )
