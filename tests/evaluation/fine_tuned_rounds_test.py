"""Rounds of FedAvg, then epochs at each bank from its weights on, by NumPy."""

import numpy as np
import pytest

from tests.algorithms import numpy_logistic
from tff_finance.evaluation.method_suite import build_methods
from tff_finance.evaluation.methods import GLOBAL
from tff_finance.institutions.examples import InMemory, dense_examples
from tff_finance.preprocessing.consortium import TrainingExamples
from tff_finance.records.personalization_config import PersonalizationConfig
from tff_finance.records.training_config import TrainingConfig
from tff_finance.runtime import in_process

FEATURES, SEED, ROUNDS, EPOCHS = 3, 4, 3, 3
RATE, TUNING_RATE, LOCAL_EPOCHS = 0.4, 0.15, 2
# All rows are one batch, so that their order makes no difference.
TRAINING = TrainingConfig(
    hidden_units=(),
    batch_size=64,
    client_learning_rate=RATE,
    local_epochs=LOCAL_EPOCHS,
    rounds=ROUNDS,
    personalization=PersonalizationConfig(
        fine_tuning_epochs=EPOCHS, fine_tuning_learning_rate=TUNING_RATE
    ),
)
RULES = {"bank_a": (60, [2, 1, 0]), "bank_b": (30, [-1, 1, 1])}


@pytest.fixture(scope="module", autouse=True)
def context(uncompiled):
    del uncompiled
    with in_process.execution_context():
        yield


def institution(name, rows, rule):
    rng = np.random.default_rng(rows)

    def examples(rows):
        x = rng.normal(size=(rows, FEATURES))
        return dense_examples(x, x @ rule > 0, institution=name)

    return TrainingExamples(
        institution=name, train=examples(rows), validation=examples(20)
    )


def rows_of(*examples):
    return (
        np.concatenate([e["x"] for e in examples]),
        np.concatenate([e["y"][:, 0] for e in examples]),
    )


def steps(w, examples, rate, number):
    rows = number * [slice(None)]
    return numpy_logistic.local_steps(w, *rows_of(examples), rate=rate, steps=rows)[0]


def test_rounds_and_epochs_equal_numpy():
    banks = [institution(name, *of) for name, of in RULES.items()]
    (method,) = build_methods(("fine_tuned",), FEATURES, TRAINING, store=InMemory())
    fitted = method.fit(banks, seed=SEED)

    def losses_of(model):
        return [row.validation_loss for row in fitted.curves if row.model == model]

    w = numpy_logistic.vector(method.learner.initial_weights(SEED))
    everyones, losses, weights = rows_of(*(b.validation for b in banks)), [], []
    for _ in range(ROUNDS):
        ends = [steps(w, bank.train, RATE, LOCAL_EPOCHS) for bank in banks]
        w = np.average(ends, axis=0, weights=[rows for rows, _ in RULES.values()])
        weights.append(w)
        losses.append(numpy_logistic.loss(w, *everyones))
    assert losses_of(GLOBAL) == pytest.approx(losses, rel=1e-5)
    for bank in banks:
        w, losses = weights[np.argmin(losses_of(GLOBAL))], []
        own = rows_of(bank.validation)
        before = numpy_logistic.loss(w, *own)
        for _ in range(EPOCHS):
            w = steps(w, bank.train, TUNING_RATE, 1)
            losses.append(numpy_logistic.loss(w, *own))
        assert losses_of(bank.institution) == pytest.approx(losses, rel=1e-5)
        assert max(losses) < before  # each epoch is one for the better
        logits = fitted.scorers[bank.institution](own[0])
        np.testing.assert_allclose(logits, own[0] @ w[:-1] + w[-1], atol=1e-5)
