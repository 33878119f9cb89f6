"""Methods that end in a model for each institution: limits, choices, traffic."""

import dataclasses

import numpy as np
import pytest
import sklearn.metrics

from tests.evaluation.method_contract import assert_keeps_the_contract
from tff_finance.evaluation.method_suite import build_methods
from tff_finance.evaluation.methods import GLOBAL
from tff_finance.institutions.examples import InMemory, dense_examples
from tff_finance.metrics.validation import validation_result
from tff_finance.preprocessing.consortium import TrainingExamples
from tff_finance.records.personalization_config import PersonalizationConfig
from tff_finance.records.run_folder import RunFolder
from tff_finance.records.training_config import TrainingConfig
from tff_finance.runtime import in_process
from tff_finance.training.folder import TrainingFolder

FEATURES = 3
BANKS = ("bank_a", "bank_b")
TRAINING = TrainingConfig(
    hidden_units=(4,), batch_size=16, client_learning_rate=0.5, rounds=15, max_epochs=4
)


@pytest.fixture(scope="module", autouse=True)
def context(uncompiled):
    del uncompiled
    with in_process.execution_context():
        yield


def institution(name, sign, rows=60, validated_by=None):
    """Labels follow the first feature upwards or downwards."""
    rng = np.random.default_rng(3)

    def examples(number, sign):
        x = rng.normal(size=(number, FEATURES))
        return dense_examples(x, sign * x[:, 0] > 0, institution=name)

    return TrainingExamples(
        institution=name,
        train=examples(rows, sign),
        validation=examples(rows // 2, validated_by or sign),
    )


@pytest.fixture(scope="module")
def unlike():
    """Banks whose customers follow opposite rules."""
    return [institution("bank_a", 1, rows=120), institution("bank_b", -1)]


@pytest.fixture(scope="module")
def misled():
    """Banks of which training takes what they are validated by ever farther away."""
    return [institution(name, 1, validated_by=-1) for name in BANKS]


@pytest.fixture(scope="module")
def fed_avg(unlike):
    (method,) = build_methods(("fed_avg",), FEATURES, TRAINING, store=InMemory())
    return method.fit(unlike, seed=4)


@pytest.fixture
def fit(tmp_path):
    def fit(institutions, name, *, training=TRAINING, folder=None, **settings):
        personalization = PersonalizationConfig(**settings)
        (method,) = build_methods(
            (name,),
            FEATURES,
            dataclasses.replace(training, personalization=personalization),
            store=InMemory(),
            num_institutions=len(institutions),
            state_directory=tmp_path,
        )
        return method.fit(institutions, seed=4, folder=folder)

    return fit


def scores(fitted, institutions):
    """Of each bank's validation rows, by the model that it would use."""
    return {
        i.institution: fitted.scorers.get(i.institution, fitted.scorers.get(GLOBAL))(
            i.validation["x"]
        )
        for i in institutions
    }


def own_losses(fitted, institutions):
    logits = scores(fitted, institutions)
    return {
        i.institution: float(
            np.mean(
                np.logaddexp(0, logits[i.institution])
                - i.validation["y"][:, 0] * logits[i.institution]
            )
        )
        for i in institutions
    }


def assert_same_scores(actual, expected, institutions, *, atol=0.0):
    found, wanted = scores(actual, institutions), scores(expected, institutions)
    for name in BANKS:
        np.testing.assert_allclose(found[name], wanted[name], atol=atol, rtol=0)


def test_fine_tuning_of_no_epochs_is_fed_avg(unlike, fit, fed_avg):
    tuned = fit(unlike, "fine_tuned", fine_tuning_epochs=0)
    assert_same_scores(tuned, fed_avg, unlike)
    (run,), (expected,) = tuned.runs, fed_avg.runs
    assert run.bytes_up == expected.bytes_up
    assert [p.validation_loss for p in tuned.curves] == [
        p.validation_loss for p in fed_avg.curves
    ]


def test_fine_tuning_is_training_at_the_bank_from_the_global_weights(
    unlike, fit, fed_avg
):
    tuned = fit(unlike, "fine_tuned", fine_tuning_epochs=5)
    assert_keeps_the_contract("fine_tuned", tuned, unlike, seed=4)
    before, after = (own_losses(f, unlike) for f in (fed_avg, tuned))
    for run in tuned.runs[1:]:
        curve = [p for p in tuned.curves if p.model == run.model]
        assert run.rounds == len(curve) == 5
        best = min(p.validation_loss for p in curve)
        # The model kept is the one that was best.
        assert after[run.model] == pytest.approx(best, rel=1e-5)
        assert best < before[run.model]
        assert curve[run.best_round - 1].validation_loss == best
        assert run.bytes_down == run.bytes_up == run.exchanges == 0
    # Opposite rules: what one global model can't know.
    assert after["bank_b"] < before["bank_b"] - 0.2


def test_fine_tuning_that_only_does_harm_keeps_the_global_model(misled, fit):
    """FedAvg keeps its first round; every epoch from there on is worse."""
    tuned = fit(misled, "fine_tuned", fine_tuning_epochs=3)
    shared, *own = tuned.runs
    assert shared.best_round == 1
    assert [run.best_round for run in own] == [0, 0]
    curves = {n: [p for p in tuned.curves if p.model == n] for n in (GLOBAL, *BANKS)}
    losses = own_losses(tuned, misled)
    for name in BANKS:
        assert losses[name] < min(p.validation_loss for p in curves[name])
    mean = np.mean(list(losses.values()))
    assert mean == pytest.approx(curves[GLOBAL][0].validation_loss, rel=1e-5)


def test_fed_per_without_local_layers_is_fed_avg(unlike, fit, fed_avg):
    ours = fit(unlike, "fed_per", local_layers=0)
    assert_same_scores(ours, fed_avg, unlike)
    assert [p.validation_loss for p in ours.curves] == [
        p.validation_loss for p in fed_avg.curves
    ]
    (run,), (expected,) = ours.runs, fed_avg.runs
    assert (run.bytes_up, run.validation_bytes_down) == (
        expected.bytes_up,
        expected.validation_bytes_down,
    )


def test_fed_per_of_local_layers_only_is_training_alone(unlike, fit):
    """But for the round kept, which is best for all together: here the last one."""
    training = dataclasses.replace(TRAINING, client_learning_rate=0.05, rounds=4)
    ours = fit(unlike, "fed_per", local_layers=2, training=training)
    alone = fit(unlike, "local", training=training)
    assert {run.best_round for run in (*alone.runs, *ours.runs)} == {4}
    assert_same_scores(ours, alone, unlike, atol=1e-5)


def test_fed_per_keeps_the_heads_that_go_with_its_trunk(misled, fit):
    """Those of the best round, though later ones are there."""
    ours = fit(misled, "fed_per")
    (run,) = ours.runs
    assert run.best_round == 1 < run.rounds
    mean = np.mean(list(own_losses(ours, misled).values()))
    assert mean == pytest.approx(ours.curves[0].validation_loss, rel=1e-5)


def test_fed_per_trains_opposite_rules_and_sends_the_trunk_only(unlike, fit, fed_avg):
    ours = fit(unlike, "fed_per")
    assert_keeps_the_contract("fed_per", ours, unlike, seed=4)
    losses = own_losses(ours, unlike)
    assert max(losses.values()) < 0.5 < own_losses(fed_avg, unlike)["bank_b"]
    (run,), (whole,) = ours.runs, fed_avg.runs
    head_bytes = 4 * (4 + 1)
    exchanges = 2 * 15
    assert whole.bytes_up - run.bytes_up == exchanges * head_bytes
    assert whole.bytes_down - run.bytes_down == exchanges * head_bytes
    assert (
        whole.validation_bytes_down - run.validation_bytes_down
        == exchanges * head_bytes
    )
    assert whole.validation_bytes_up == run.validation_bytes_up


def test_fed_per_that_was_killed_ends_with_the_same_models(
    misled, fit, tmp_path, monkeypatch
):
    """Its best round lies before the checkpoint that it goes on from."""
    expected = fit(misled, "fed_per")
    run = RunFolder(directory=tmp_path / "run", checkpoint_seconds=0)
    folder = TrainingFolder(run=run, part="seed_4/fed_per")
    calls = iter(range(5))

    def killed(sums):
        next(calls)
        return validation_result(sums)

    with monkeypatch.context() as patch:
        patch.setattr("tff_finance.evaluation.methods.validation_result", killed)
        with pytest.raises(StopIteration):
            fit(misled, "fed_per", folder=folder)
    again = fit(misled, "fed_per", folder=folder)
    assert again.runs[0].best_round == 1
    assert again.curves == expected.curves
    assert_same_scores(again, expected, misled)


def test_fed_per_of_a_second_seed_begins_anew(unlike, tmp_path):
    (method,) = build_methods(
        ("fed_per",),
        FEATURES,
        TRAINING,
        store=InMemory(),
        num_institutions=2,
        state_directory=tmp_path,
    )
    first = method.fit(unlike, seed=4)
    other = method.fit(unlike, seed=5)
    again = method.fit(unlike, seed=4)
    assert first.curves == again.curves
    assert_same_scores(first, again, unlike)
    assert other.curves[0].validation_loss != first.curves[0].validation_loss


def test_fed_pers_curve_has_the_auc_of_trunk_and_heads(fit, unlike):
    training = dataclasses.replace(TRAINING, validation_auc=True)
    plain, judged = (fit(unlike, "fed_per", training=t) for t in (TRAINING, training))
    best = min(judged.curves, key=lambda row: row.validation_loss)
    y = np.concatenate([i.validation["y"][:, 0] for i in unlike])
    logits = np.concatenate([*scores(judged, unlike).values()])
    expected = sklearn.metrics.roc_auc_score(y, logits)
    assert best.validation_auc == pytest.approx(expected, abs=0.01)
    # The counts behind it are no traffic.
    [of_plain], [of_judged] = plain.runs, judged.runs
    assert of_judged.validation_bytes_up == of_plain.validation_bytes_up
