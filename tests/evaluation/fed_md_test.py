"""FedMD as a method: models of different kinds, what each keeps, traffic."""

import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingClassifier

from tests.evaluation.method_contract import assert_keeps_the_contract
from tff_finance import checks
from tff_finance.evaluation.fed_md_participants import (
    BoostingParticipant,
    NetworkParticipant,
)
from tff_finance.evaluation.method_suite import build_methods
from tff_finance.institutions.examples import InMemory, dense_examples
from tff_finance.preprocessing.consortium import TrainingExamples
from tff_finance.records.personalization_config import PersonalizationConfig
from tff_finance.records.training_config import TrainingConfig
from tff_finance.runtime import in_process
from tff_finance.training.loop import TrainingDivergedError

FEATURES = 3
ROWS = 50
ROUNDS = 4
SETTINGS = PersonalizationConfig(
    fed_md_models=("4", "gradient_boosting", "3,2"),
    fed_md_rounds=ROUNDS,
    fed_md_reference_rows=ROWS,
)
TRAINING = TrainingConfig(
    batch_size=16, max_epochs=4, client_learning_rate=0.2, personalization=SETTINGS
)


@pytest.fixture(scope="module", autouse=True)
def context(uncompiled):
    del uncompiled
    with in_process.execution_context():
        yield


def institution(name, low, high):
    """Sees customers of one range of the second feature only."""
    rng = np.random.default_rng(len(name) + low)

    def examples(rows):
        x = rng.normal(size=(rows, FEATURES))
        x[:, 1] = rng.uniform(low, high, rows)
        return dense_examples(x, x[:, 0] * x[:, 1] > 0, institution=name)

    return TrainingExamples(
        institution=name, train=examples(80), validation=examples(40)
    )


@pytest.fixture(scope="module")
def institutions():
    return [
        institution("bank_a", -2, 0),
        institution("bank_b", 0, 2),
        institution("bank_c", -2, 2),
    ]


def fit(institutions, name="fed_md", **settings):
    training = dataclasses.replace(
        TRAINING, personalization=dataclasses.replace(SETTINGS, **settings)
    )
    (method,) = build_methods((name,), FEATURES, training, store=InMemory())
    return method.fit(institutions, seed=4)


@pytest.fixture(scope="module")
def fitted(institutions):
    return fit(institutions)


def own_loss(scorer, rows):
    logits = scorer(rows["x"])
    return np.mean(np.logaddexp(0, logits) - rows["y"][:, 0] * logits)


def test_keeps_the_contract(fitted, institutions):
    assert_keeps_the_contract("fed_md", fitted, institutions, seed=4)


def test_each_institution_has_a_model_of_its_own_kind(fitted):
    scorers = list(fitted.scorers.values())
    assert [layer.units for layer in scorers[0].model.layers] == [4, 1]
    assert not hasattr(scorers[1], "model")
    assert [layer.units for layer in scorers[2].model.layers] == [3, 2, 1]


def test_more_institutions_than_kinds_take_turns(institutions):
    fitted = fit(institutions, fed_md_models=("4", "5"), fed_md_rounds=1)
    widths = [s.model.layers[0].units for s in fitted.scorers.values()]
    assert widths == [4, 5, 4]


def test_each_keeps_the_round_that_is_best_on_its_own_validation_rows(
    fitted, institutions
):
    for i, run in zip(institutions, fitted.runs, strict=True):
        assert run.model == i.institution
        curve = [p for p in fitted.curves if p.model == i.institution]
        assert [p.round for p in curve] == [1, 2, 3, 4]
        kept = own_loss(fitted.scorers[i.institution], i.validation)
        best = min(p.validation_loss for p in curve)
        if run.best_round:
            assert curve[run.best_round - 1].validation_loss == best
            assert kept == pytest.approx(best)
        else:
            assert kept <= best


def test_before_any_exchange_a_network_is_the_local_one(institutions):
    """With steps so large that whatever follows is worse."""
    training = dataclasses.replace(
        TRAINING,
        personalization=dataclasses.replace(
            SETTINGS, fed_md_models=("4",), fed_md_rounds=1, fed_md_digest_epochs=30
        ),
        hidden_units=(4,),
    )
    flat = [  # a bank whose rule the others contradict
        dataclasses.replace(
            i,
            train=dict(i.train, y=np.zeros_like(i.train["y"])),
            validation=dict(i.validation, y=np.zeros_like(i.validation["y"])),
        )
        if number == 0
        else i
        for number, i in enumerate(institutions)
    ]
    fed_md, local = build_methods(
        ("fed_md", "local"), FEATURES, training, store=InMemory()
    )
    ours, alone = (method.fit(flat, seed=4) for method in (fed_md, local))
    assert ours.runs[0].best_round == 0
    x = flat[0].validation["x"]
    np.testing.assert_array_equal(ours.scorers["bank_a"](x), alone.scorers["bank_a"](x))


def test_traffic_is_that_of_scores_and_of_the_table_once(fitted):
    for run in fitted.runs:
        assert run.rounds == run.exchanges == ROUNDS
        assert run.bytes_down == ROWS * FEATURES * 4 + ROUNDS * ROWS * 4
        moments = 8 * (1 + FEATURES + FEATURES**2)
        assert run.bytes_up == moments + ROUNDS * (ROWS * 4 + 4)
        assert run.validation_bytes_up == run.validation_bytes_down == 0


def test_rounds_end_where_nobody_becomes_better(institutions):
    """One bank, its own consensus, which its validation rows contradict."""
    last = institutions[2]
    opposite = dict(last.validation, y=1 - last.validation["y"])
    misled = dataclasses.replace(last, validation=opposite)
    training = dataclasses.replace(TRAINING, patience=2)
    (method,) = build_methods(("fed_md",), FEATURES, training, store=InMemory())
    (run,) = method.fit([misled], seed=4).runs
    assert (run.best_round, run.rounds, run.stopped_by) == (0, 2, "patience")


def test_the_seed_decides_all(fitted, institutions):
    again = fit(institutions)
    assert again.curves == fitted.curves


def test_boosting_digests_soft_labels(institutions):
    """A pair of weighted rows is one with the consensus as its label."""
    own = institutions[0].train
    rng = np.random.default_rng(0)
    reference = rng.normal(size=(400, FEATURES)).astype(np.float32)
    participant = BoostingParticipant(own, reference, seed=1)
    expected = HistGradientBoostingClassifier(random_state=1).fit(
        own["x"], own["y"][:, 0]
    )
    before = participant.scorer()
    np.testing.assert_array_equal(
        before(reference), expected.decision_function(reference)
    )
    agreed = expit(2 * reference[:, 2])
    loss = participant.learn(agreed)
    # What isn't in the labels of its own rows has been learnt from the consensus.
    old, new = (
        np.abs(expit(scorer(reference)) - agreed).mean()
        for scorer in (before, participant.scorer())
    )
    assert new < 0.5 * old
    assert loss == pytest.approx(own_loss(participant.scorer(), own))


def test_boosting_of_one_class_says_so(institutions):
    own = institutions[0].train
    one = dict(own, y=np.ones_like(own["y"]))
    with pytest.raises(checks.RunFailedError, match="'bank_a' has rows of one class"):
        BoostingParticipant(one, own["x"], seed=1)


def test_an_institution_without_validation_rows_is_refused(institutions):
    first, *others = institutions
    none = {k: v[:0] if k != "institution" else v for k, v in first.validation.items()}
    without = dataclasses.replace(first, validation=none)
    kinds = ("gradient_boosting",)
    with pytest.raises(checks.RunFailedError, match="'bank_a' has no validation rows"):
        fit([without, *others], fed_md_models=kinds)


def breaking(names):
    """Networks of these institutions break as soon as they learn from others."""
    learn = NetworkParticipant.learn

    def learn_or_break(self, consensus):
        loss = learn(self, consensus)
        if self._name.item().decode() not in names:
            return loss
        weights = self._learner.process.get_model_weights(self._state)
        nothing = tf.nest.map_structure(lambda w: np.full_like(w, np.nan), weights)
        self._state = self._learner.process.set_model_weights(self._state, nothing)
        return math.nan

    return learn_or_break


def test_a_model_that_breaks_breaks_no_other(institutions, monkeypatch):
    monkeypatch.setattr(NetworkParticipant, "learn", breaking({"bank_a"}))
    found = fit(institutions, fed_md_rounds=2)
    losses = {
        name: [p.validation_loss for p in found.curves if p.model == name]
        for name in found.scorers
    }
    assert losses["bank_a"] == [None, None]
    assert all(None not in losses[name] for name in ("bank_b", "bank_c"))
    left_out = [(p.model, p.round) for p in found.curves if p.non_finite_updates]
    assert left_out == [("bank_a", 2)]
    assert np.isfinite(found.scorers["bank_a"](institutions[0].validation["x"])).all()
    (run, *_) = found.runs
    assert run.best_round == 0


def test_without_anybodys_scores_training_has_diverged(institutions, monkeypatch):
    names = {i.institution for i in institutions}
    monkeypatch.setattr(NetworkParticipant, "learn", breaking(names))
    with pytest.raises(TrainingDivergedError, match=r"nobody's scores .* in round 2"):
        fit(institutions, fed_md_models=("4",))
