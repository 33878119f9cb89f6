"""Gradient boosting on pooled rows: another model class, untuned, for comparison."""

import dataclasses
import time
from collections.abc import Sequence

from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from tff_finance.evaluation.methods import GLOBAL, Fitted
from tff_finance.evaluation.references import pooled, upload_run
from tff_finance.evaluation.scorers import boosting_scorer
from tff_finance.preprocessing.consortium import TrainingExamples
from tff_finance.training.folder import TrainingFolder


@dataclasses.dataclass(frozen=True, kw_only=True)
class GradientBoosting:
    """scikit-learn's histogram gradient boosting with its defaults."""

    name: str

    def fit(
        self,
        institutions: Sequence[TrainingExamples],
        *,
        seed: int,
        folder: TrainingFolder | None = None,
    ) -> Fitted:
        """Fits one model to the pooled training rows; too fast to be resumed."""
        del folder
        start = time.monotonic()
        rows = pooled([i.train for i in institutions])
        model = HistGradientBoostingClassifier(random_state=seed)
        # On a busy machine OpenMP's threads wait for each other: one is much faster.
        with threadpool_limits(1, user_api="openmp"):
            model.fit(rows["x"], rows["y"][:, 0])
        run = upload_run(
            [i.train for i in institutions],
            seed=seed,
            method=self.name,
            rounds=int(model.n_iter_),
            best_round=int(model.n_iter_),
            stopped_by="max_rounds",
            seconds=time.monotonic() - start,
        )
        return Fitted(scorers={GLOBAL: boosting_scorer(model)}, curves=(), runs=(run,))
