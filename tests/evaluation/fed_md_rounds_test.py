"""Rounds of FedMD between two banks, by NumPy: scores, consensus, digest, revisit."""

import dataclasses

import numpy as np
import pytest
from scipy.special import expit

from tests.algorithms import numpy_logistic
from tff_finance.evaluation import fed_md
from tff_finance.evaluation.method_suite import build_methods
from tff_finance.institutions.examples import InMemory, dense_examples
from tff_finance.preprocessing.consortium import TrainingExamples
from tff_finance.records.personalization_config import PersonalizationConfig
from tff_finance.records.training_config import TrainingConfig
from tff_finance.runtime import in_process

FEATURES, SEED, ROUNDS, RATE = 3, 4, 3, 0.4
DIGEST_EPOCHS, REVISIT_EPOCHS = 3, 2
REFERENCE = np.random.default_rng(8).normal(size=(30, FEATURES)).astype(np.float32)
SETTINGS = PersonalizationConfig(
    fed_md_rounds=ROUNDS,
    fed_md_reference_rows=len(REFERENCE),
    fed_md_digest_epochs=DIGEST_EPOCHS,
    fed_md_revisit_epochs=REVISIT_EPOCHS,
)
# All rows are one batch, so that their order makes no difference.
TRAINING = TrainingConfig(
    hidden_units=(), batch_size=64, client_learning_rate=RATE, max_epochs=1
)


@pytest.fixture(scope="module", autouse=True)
def context(uncompiled):
    del uncompiled
    with in_process.execution_context():
        yield


@pytest.fixture(scope="module")
def institutions():
    """Two banks whose customers follow different rules."""
    rng = np.random.default_rng(1)

    def examples(name, rows, rule):
        x = rng.normal(size=(rows, FEATURES))
        return dense_examples(x, x @ rule > 0, institution=name)

    return [
        TrainingExamples(
            institution=name,
            train=examples(name, rows, rule),
            validation=examples(name, 20, rule),
        )
        for name, rows, rule in (("bank_a", 40, [2, 1, 0]), ("bank_b", 50, [-1, 1, 1]))
    ]


@pytest.fixture(scope="module")
def learner():
    """Of logistic regression, which the settings of FedMD can't name."""
    (local,) = build_methods(("local",), FEATURES, TRAINING, store=InMemory())
    return local.learner


def steps(w, x, y, number):
    """Gradient steps of whole tables, and the loss before the last one."""
    w, losses = numpy_logistic.local_steps(
        w, x, y, rate=RATE, steps=number * [slice(None)]
    )
    return w, losses[-1]


def rows_of(examples):
    return examples["x"], examples["y"][:, 0]


def rounds_in_numpy(w, institutions, *, consensus_of_round=lambda number: number):
    """By bank, weights and training losses after each round."""
    banks = {i.institution: rows_of(i.train) for i in institutions}
    weights = {name: steps(w, *rows, 1)[0] for name, rows in banks.items()}
    agreed, result = [], {name: [] for name in banks}
    for number in range(ROUNDS):
        scores = [expit(REFERENCE @ w[:-1] + w[-1]) for w in weights.values()]
        agreed.append(np.mean(scores, axis=0))
        consensus = agreed[consensus_of_round(number)]
        for name, rows in banks.items():
            digested, _ = steps(weights[name], REFERENCE, consensus, DIGEST_EPOCHS)
            weights[name], loss = steps(digested, *rows, REVISIT_EPOCHS)
            result[name].append((weights[name], loss))
    return result


def test_rounds_equal_numpy(institutions, learner, monkeypatch):
    monkeypatch.setattr(fed_md, "draw_reference_table", lambda *_, **__: REFERENCE)
    method = fed_md.FedMd(
        name="fed_md", learners=[learner], settings=SETTINGS, patience=ROUNDS
    )
    fitted = method.fit(institutions, seed=SEED)
    initial = numpy_logistic.vector(learner.initial_weights(SEED))
    expected = rounds_in_numpy(initial, institutions)
    # Or these numbers couldn't tell.
    reused = rounds_in_numpy(initial, institutions, consensus_of_round=lambda _: 0)
    for i in institutions:
        curve = [row for row in fitted.curves if row.model == i.institution]
        assert [row.round for row in curve] == [1, 2, 3]
        rows = rows_of(i.validation)
        losses = [numpy_logistic.loss(w, *rows) for w, _ in expected[i.institution]]
        of_reused = [numpy_logistic.loss(w, *rows) for w, _ in reused[i.institution]]
        assert losses[0] == of_reused[0]
        assert np.abs(np.subtract(losses, of_reused))[1:].min() > 3e-4
        assert [row.validation_loss for row in curve] == pytest.approx(losses, rel=1e-5)
        assert [row.training_loss for row in curve] == pytest.approx(
            [loss for _, loss in expected[i.institution]], rel=1e-5
        )


def test_banks_that_are_alike_agree_with_themselves(institutions, learner, monkeypatch):
    """The consensus of two equal banks is what each predicts: digesting is nothing."""
    monkeypatch.setattr(fed_md, "draw_reference_table", lambda *_, **__: REFERENCE)
    first = institutions[0]
    twins = [dataclasses.replace(first, institution=name) for name in ("one", "two")]
    method = fed_md.FedMd(
        name="fed_md", learners=[learner], settings=SETTINGS, patience=ROUNDS
    )
    fitted = method.fit(twins, seed=SEED)
    w, _ = steps(
        numpy_logistic.vector(learner.initial_weights(SEED)), *rows_of(first.train), 1
    )
    losses = []
    for _ in range(ROUNDS):
        w, _ = steps(w, *rows_of(first.train), REVISIT_EPOCHS)
        losses.append(numpy_logistic.loss(w, *rows_of(first.validation)))
    for name in ("one", "two"):
        curve = [row.validation_loss for row in fitted.curves if row.model == name]
        assert curve == pytest.approx(losses, rel=1e-5)
