"""Contestants that are TFF learning processes: ours, and TFF's own FedAvg."""

import collections
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from benchmarks.workloads import (
    HIDDEN_UNITS,
    LEARNING_RATE,
    Problem,
    Weights,
    Workload,
)
from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.institutions.examples import client_dataset, dense_examples
from tff_finance.tasks.keras_models import functional_model
from tff_finance.tasks.risk import build_risk_model


class LearningProcessRounds:
    """Rounds of any learning process over one dataset per institution."""

    def __init__(
        self,
        process: tff.learning.templates.LearningProcess,
        datasets: Sequence[Any],
        weights: Weights,
    ) -> None:
        self._process = process
        self._datasets = datasets
        initial = tff.learning.models.ModelWeights(tuple(weights), ())
        self._state = process.set_model_weights(process.initialize(), initial)

    @property
    def weights(self) -> Weights:
        """The global weights after the last round."""
        trained = self._process.get_model_weights(self._state).trainable
        w1, b1, w2, b2 = (np.asarray(w) for w in trained)
        return w1, b1, w2, b2

    def next_round(self, cohort: Sequence[int]) -> None:
        """Calls `process.next` on the cohort's datasets."""
        data = [self._datasets[i] for i in cohort]
        self._state = self._process.next(self._state, data).state


def dense_fed_avg(workload: Workload, problem: Problem) -> LearningProcessRounds:
    """This package's FedAvg; the caller's execution context decides where it runs."""
    process = build_fed_avg(
        _model(workload),
        client_optimizer=tff.learning.optimizers.build_sgdm(LEARNING_RATE),
        batches=LocalEpochs(epochs=1, batch_size=workload.batch_size, shuffle=False),
    )
    datasets = [
        client_dataset(dense_examples(x, y, institution=f"institution_{number}"))
        for number, (x, y) in enumerate(zip(problem.x, problem.y, strict=True))
    ]
    return LearningProcessRounds(process, datasets, problem.weights)


def stock_fed_avg(workload: Workload, problem: Problem) -> LearningProcessRounds:
    """TFF's weighted FedAvg on `tf.data` batches of the same rows."""
    process = tff.learning.algorithms.build_weighted_fed_avg(
        _model(workload),
        client_optimizer_fn=tff.learning.optimizers.build_sgdm(LEARNING_RATE),
        server_optimizer_fn=tff.learning.optimizers.build_sgdm(1.0),
    )
    datasets = [
        tf.data.Dataset.from_tensor_slices(
            collections.OrderedDict(x=x, y=y.reshape(-1, 1))
        ).batch(workload.batch_size)
        for x, y in zip(problem.x, problem.y, strict=True)
    ]
    return LearningProcessRounds(process, datasets, problem.weights)


def _model(workload: Workload) -> tff.learning.models.FunctionalModel:
    return functional_model(
        lambda: build_risk_model(workload.features, hidden_units=(HIDDEN_UNITS,))
    )
