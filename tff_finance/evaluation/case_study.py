"""The bank case study: scenario, methods and seeds in, run record out."""

import dataclasses
import importlib.metadata
import platform
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import tensorflow as tf
import tensorflow_federated as tff

from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.algorithms.fed_sgd import build_fed_sgd
from tff_finance.algorithms.single_site import build_single_site
from tff_finance.client_work import weights as weights_lib
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.datasets.credit_contract import CREDIT_CONTRACT
from tff_finance.datasets.scenarios import SCENARIOS, Scenario
from tff_finance.evaluation.gradient_boosting import GradientBoosting
from tff_finance.evaluation.judging import Judgement, judge
from tff_finance.evaluation.methods import (
    Centralized,
    Federated,
    Fitted,
    Learner,
    Local,
    Method,
)
from tff_finance.institutions.examples import examples_type
from tff_finance.institutions.institution import Institution, split_at_random
from tff_finance.metrics.validation import build_federated_validation
from tff_finance.preprocessing.consortium import encode_consortium
from tff_finance.records.config import CaseStudyConfig, TrainingConfig
from tff_finance.records.run_record import InstitutionRow, RunRecord
from tff_finance.tasks import keras_models
from tff_finance.tasks.risk import build_risk_model
from tff_finance.training.loop import StoppingRule

EXPERIMENT = "bank_case_study"
# A FedSGD round is a single step: validating each would double its cost.
FED_SGD_VALIDATE_EVERY = 5

_PACKAGES = (
    "tff-finance",
    "tensorflow",
    "tensorflow-federated",
    "numpy",
    "pandas",
    "scikit-learn",
)


def run_case_study(
    config: CaseStudyConfig, *, report_progress: Callable[[str], None]
) -> RunRecord:
    """Trains and judges every method under every seed.

    Must be called in an execution context (`runtime.local`).

    Args:
        config: What to run.
        report_progress: Takes a line whenever a method is done.

    Returns:
        The record of the run.
    """
    scenario = dataclasses.replace(
        SCENARIOS[config.scenario], heterogeneity=config.heterogeneity
    )
    methods: dict[int, list[Method]] = {}
    institution_rows: list[InstitutionRow] = []
    fitted: list[Fitted] = []
    judgements: list[Judgement] = []
    for seed in config.seeds:
        institutions = draw_institutions(scenario, seed)
        institution_rows += [_institution_row(i, seed) for i in institutions]
        consortium = encode_consortium(institutions, CREDIT_CONTRACT)
        width = len(consortium.encoder.feature_names)
        if width not in methods:
            methods[width] = build_methods(config.methods, width, config.training)
        for method in methods[width]:
            start = time.monotonic()
            result = method.fit(consortium.training, seed=seed)
            judgement = judge(
                result.scorers, consortium.test, seed=seed, method=method.name
            )
            fitted.append(result)
            judgements.append(judgement)
            seconds = time.monotonic() - start
            report_progress(_progress_line(seed, method.name, result, seconds))
    return RunRecord(
        experiment=EXPERIMENT,
        config=config.to_mapping(),
        versions=package_versions(),
        institutions=tuple(institution_rows),
        metrics=tuple(row for j in judgements for row in j.metrics),
        curves=tuple(row for f in fitted for row in f.curves),
        runs=tuple(row for f in fitted for row in f.runs),
        histograms=tuple(row for j in judgements for row in j.histograms),
    )


def draw_institutions(scenario: Scenario, seed: int) -> list[Institution]:
    """Draws the banks' customers and splits them, all from one seed."""
    population_rng, *split_rngs = np.random.default_rng(seed).spawn(
        1 + len(scenario.banks)
    )
    tables = scenario.draw(population_rng)
    return [
        split_at_random(
            bank.name,
            CREDIT_CONTRACT.validate(tables[bank.name], institution=bank.name),
            validation_rows=bank.validation_rows,
            test_rows=bank.test_rows,
            rng=rng,
        )
        for bank, rng in zip(scenario.banks, split_rngs, strict=True)
    ]


def build_methods(
    names: tuple[str, ...], num_features: int, training: TrainingConfig
) -> list[Method]:
    """Builds the methods; local and centralized share their computations."""

    def build_keras_model(seed: int | None) -> tf.keras.Model:
        return build_risk_model(
            num_features, hidden_units=training.hidden_units, seed=seed
        )

    model = keras_models.functional_model(lambda: build_keras_model(0))
    validation = build_federated_validation(
        model,
        weights_type=weights_lib.weights_type(model),
        element_type=examples_type(num_features),
    )
    single_site = build_single_site(
        model,
        optimizer=_sgd(training.client_learning_rate),
        batches=LocalEpochs(epochs=1, batch_size=training.batch_size),
    )

    def learner(
        process: tff.learning.templates.LearningProcess, stopping: StoppingRule
    ) -> Learner:
        return Learner(
            process=process,
            build_keras_model=build_keras_model,
            validation=validation,
            stopping=stopping,
        )

    def build(name: str) -> Method:
        epochs = StoppingRule(
            max_rounds=training.max_epochs, patience=training.patience
        )
        match name:
            case "local":
                return Local(name=name, learner=learner(single_site, epochs))
            case "centralized":
                return Centralized(name=name, learner=learner(single_site, epochs))
            case "fed_avg":
                return Federated(
                    name=name,
                    learner=learner(
                        _fed_avg(model, training),
                        StoppingRule(
                            max_rounds=training.rounds, patience=training.patience
                        ),
                    ),
                )
            case "fed_sgd":
                return Federated(
                    name=name,
                    learner=learner(
                        _fed_sgd(model, training),
                        StoppingRule(
                            max_rounds=training.fed_sgd_rounds,
                            patience=training.fed_sgd_patience,
                            validate_every=FED_SGD_VALIDATE_EVERY,
                        ),
                    ),
                )
            case "gradient_boosting":
                return GradientBoosting(name=name)
            case _:
                raise ValueError(f"`names` has no method {name!r}.")

    return [build(name) for name in names]


def package_versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {"python": platform.python_version()} | versions


def _fed_avg(
    model: tff.learning.models.FunctionalModel, training: TrainingConfig
) -> tff.learning.templates.LearningProcess:
    return build_fed_avg(
        model,
        client_optimizer=_sgd(training.client_learning_rate),
        batches=LocalEpochs(
            epochs=training.local_epochs, batch_size=training.batch_size
        ),
        weighting=_weighting(training),
    )


def _fed_sgd(
    model: tff.learning.models.FunctionalModel, training: TrainingConfig
) -> tff.learning.templates.LearningProcess:
    return build_fed_sgd(
        model,
        server_optimizer=_sgd(training.fed_sgd_learning_rate),
        weighting=_weighting(training),
    )


def _sgd(learning_rate: float) -> tff.learning.optimizers.Optimizer:
    return tff.learning.optimizers.build_sgdm(learning_rate)


def _weighting(training: TrainingConfig) -> tff.learning.ClientWeighting:
    if training.weighting == "uniform":
        return tff.learning.ClientWeighting.UNIFORM
    return tff.learning.ClientWeighting.NUM_EXAMPLES


def _institution_row(institution: Institution, seed: int) -> InstitutionRow:
    label = CREDIT_CONTRACT.label
    everything = pd.concat(
        [
            institution.train[label],
            institution.validation[label],
            institution.test[label],
        ]
    )
    return InstitutionRow(
        seed=seed,
        institution=institution.name,
        train_rows=len(institution.train),
        validation_rows=len(institution.validation),
        test_rows=len(institution.test),
        test_positives=int(institution.test[label].sum()),
        positive_rate=float(everything.mean()),
    )


def _progress_line(seed: int, method: str, fitted: Fitted, seconds: float) -> str:
    rounds = max(run.rounds for run in fitted.runs)
    return f"seed {seed}  {method:<17} {rounds:>4} rounds  {seconds:5.1f} s"
