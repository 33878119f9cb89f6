"""Contestants that are TFF learning processes: ours, and TFF's own FedAvg."""

import collections
import os
import pathlib
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
from tff_finance.institutions.examples import (
    ExampleStore,
    GroupStore,
    InMemory,
    InMemoryGroups,
    dense_examples,
)
from tff_finance.institutions.shards import ShardFiles
from tff_finance.tasks.keras_models import functional_model
from tff_finance.tasks.risk import build_risk_model

# Clients of a round on TFF's runtime that don't yet cost more than their training.
_FEW_CLIENTS = 4


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


class GroupedRounds(LearningProcessRounds):
    """Rounds in which each client stands for some of the cohort's institutions."""

    def __init__(self, *arguments: Any, store: GroupStore, clients: int) -> None:
        super().__init__(*arguments)
        self._store = store
        self._clients = clients
        self._last: tuple[Sequence[int], list[Any]] = ((), [])

    def next_round(self, cohort: Sequence[int]) -> None:
        """Calls `process.next` on groups of the cohort's datasets."""
        if cohort != self._last[0]:  # else as in the round before
            data = [self._datasets[i] for i in cohort]
            size = -(-len(data) // self._clients)
            self._last = (cohort, self._store.groups(data, size))
        self._state = self._process.next(self._state, self._last[1]).state


def fed_avg_in_memory(
    workload: Workload, problem: Problem, *, grouped: bool = True
) -> LearningProcessRounds:
    """This package's FedAvg; many institutions in a group for each processor."""
    if not grouped or workload.cohort_size <= _FEW_CLIENTS:
        store = InMemory()
        arguments = _arguments(workload, problem, store)
        return LearningProcessRounds(*arguments)
    store = InMemoryGroups()
    processors = len(os.sched_getaffinity(0))
    return GroupedRounds(
        *_arguments(workload, problem, store), store=store, clients=processors
    )


def fed_avg_by_file(
    workload: Workload, problem: Problem, directory: pathlib.Path
) -> LearningProcessRounds:
    """The same on rows by file; many institutions in a few groups."""
    grouped = workload.cohort_size > _FEW_CLIENTS
    store = ShardFiles(directory, grouped=grouped)
    arguments = _arguments(workload, problem, store)
    if grouped:
        return GroupedRounds(*arguments, store=store, clients=_FEW_CLIENTS)
    return LearningProcessRounds(*arguments)


def _arguments(workload: Workload, problem: Problem, store: ExampleStore) -> Any:
    return _fed_avg(workload, store), _datasets(problem, store), problem.weights


def _fed_avg(
    workload: Workload, store: ExampleStore
) -> tff.learning.templates.LearningProcess:
    return build_fed_avg(
        _model(workload),
        client_optimizer=tff.learning.optimizers.build_sgdm(LEARNING_RATE),
        batches=LocalEpochs(epochs=1, batch_size=workload.batch_size, shuffle=False),
        store=store,
    )


def _datasets(problem: Problem, store: ExampleStore) -> list[tf.data.Dataset]:
    return [
        store.client_dataset(dense_examples(x, y, institution=f"institution_{number}"))
        for number, (x, y) in enumerate(zip(problem.x, problem.y, strict=True))
    ]


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
