"""Methods behind one interface: what each may see, returns and says it cost."""

import dataclasses

import numpy as np
import pytest
import sklearn.metrics
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from tests.evaluation.method_contract import assert_keeps_the_contract
from tff_finance.evaluation.gradient_boosting import GradientBoosting
from tff_finance.evaluation.method_suite import build_methods
from tff_finance.evaluation.references import pooled, upload_run
from tff_finance.evaluation.scorers import boosting_scorer, keras_scorer
from tff_finance.institutions.examples import InMemory, dense_examples
from tff_finance.preprocessing.consortium import TrainingExamples
from tff_finance.records.asynchronous_config import AsynchronousConfig
from tff_finance.records.method_names import INSTITUTION_PRIVATE_METHODS, METHODS
from tff_finance.records.participation import ParticipationConfig
from tff_finance.records.robustness import RobustnessConfig
from tff_finance.records.training_config import TrainingConfig
from tff_finance.runtime import in_process
from tff_finance.tasks import keras_models
from tff_finance.tasks.marketing import MARKETING
from tff_finance.tasks.risk import build_risk_model

FEATURES = 3
TRAINING = TrainingConfig(
    hidden_units=(2,),
    batch_size=16,
    rounds=3,
    fed_sgd_rounds=3,
    max_epochs=2,
    asynchronous=AsynchronousConfig(fed_buff_rounds=3),
    validation_auc=True,
    top_k_share=0.4,
)
# Which the files of their families fit, and hold to the contract.
ELSEWHERE = (
    *("fine_tuned", "fed_per", "fed_md"),
    *("fed_avg_dp_sgd", "fed_avg_poisson", "fed_avg_secure"),
    *(*INSTITUTION_PRIVATE_METHODS, "fed_avg_branches"),
)
HERE = tuple(name for name in METHODS if name not in ELSEWHERE)
MODEL_BYTES = 4 * (FEATURES * 2 + 2 + 2 + 1)


def institution(name, train_rows, validation_rows, seed):
    rng = np.random.default_rng(seed)

    def examples(rows):
        x = rng.normal(size=(rows, FEATURES))
        return dense_examples(x, x[:, 0] > 0, institution=name)

    return TrainingExamples(
        institution=name,
        train=examples(train_rows),
        validation=examples(validation_rows),
    )


@pytest.fixture(scope="module")
def institutions():
    return [institution("bank_a", 40, 10, 1), institution("bank_b", 25, 7, 2)]


@pytest.fixture(scope="module", autouse=True)
def context(uncompiled):
    """Rounds run in this process: several times faster."""
    del uncompiled
    with in_process.execution_context():
        yield


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    methods = build_methods(
        HERE,
        FEATURES,
        TRAINING,
        store=InMemory(),
        num_institutions=2,
        state_directory=tmp_path_factory.mktemp("institution_state"),
    )
    return {method.name: method for method in methods}


@pytest.fixture(scope="module")
def fitted(built, institutions):
    return {name: method.fit(institutions, seed=6) for name, method in built.items()}


@pytest.mark.parametrize("name", HERE)
def test_keeps_the_contract(name, fitted, institutions):
    assert_keeps_the_contract(name, fitted[name], institutions, seed=6)


def test_traffic_of_federated_methods(fitted):
    """Two banks; every round validates in FedAvg, only the last in FedSGD."""
    for name, downlink_extra, validations in (("fed_avg", 12, 3), ("fed_sgd", 8, 1)):
        (run,) = fitted[name].runs
        assert run.rounds == 3
        assert run.bytes_down == 2 * 3 * (MODEL_BYTES + downlink_extra)
        assert run.bytes_up == 2 * 3 * (MODEL_BYTES + 44)
        assert run.validation_bytes_down == 2 * validations * MODEL_BYTES
        assert run.validation_bytes_up == 2 * validations * 24
        assert run.source == "type signature"
        curve = fitted[name].curves
        assert [row.round for row in curve] == [1, 2, 3]
        assert sum(row.validation_loss is not None for row in curve) == validations
        # The counts behind it are no traffic.
        assert [row.validation_auc is not None for row in curve] == [
            row.validation_loss is not None for row in curve
        ]
        assert run.institution_bytes_down == MODEL_BYTES + downlink_extra
        assert run.institution_bytes_up == MODEL_BYTES + 44


def test_traffic_of_fed_buff_is_of_whom_the_clock_let_begin_and_arrive(fitted):
    """Three buffers of two; at the end one bank was at work again."""
    (run,) = fitted["fed_buff"].runs
    (plain,) = fitted["fed_avg"].runs
    down, up = (total // (2 * 3) for total in (plain.bytes_down, plain.bytes_up))
    assert run.bytes_up == 6 * up
    assert run.bytes_down == 7 * down
    assert all(row.simulated_seconds for row in fitted["fed_buff"].curves)
    assert fitted["fed_avg"].curves[0].simulated_seconds is None


def test_equally_fast_banks_and_a_buffer_of_all_are_fed_avg(fitted, institutions):
    clock = AsynchronousConfig(institution_seconds="equal(60)", fed_buff_rounds=3)
    curves = [
        fit(institutions, name, asynchronous=clock).curves
        for name in ("fed_avg", "fed_buff")
    ]
    for one, other, untimed in zip(*curves, fitted["fed_avg"].curves, strict=True):
        assert dataclasses.replace(other, method="fed_avg") == one
        assert one.validation_loss == untimed.validation_loss
        assert one.simulated_seconds == 60 * one.round


def test_outages_cost_time_and_nothing_else_in_fed_avg(fitted, institutions):
    clock = AsynchronousConfig(
        institution_seconds="equal(60)", outage_rate=0.01, outage_seconds=30.0
    )
    curve = fit(institutions, "fed_avg", asynchronous=clock).curves
    expected = fitted["fed_avg"].curves
    assert [p.validation_loss for p in curve] == [p.validation_loss for p in expected]
    assert curve[-1].simulated_seconds > 180
    assert sum(p.lost_updates for p in curve) > 0


def test_traffic_of_scaffold_has_the_variates(fitted):
    """In both directions as large as the model, with two numbers beside it."""
    ((plain,), (run,)) = (fitted[name].runs for name in ("fed_avg", "scaffold"))
    assert run.bytes_down - plain.bytes_down == 2 * 3 * (MODEL_BYTES + 8)
    assert run.bytes_up - plain.bytes_up == 2 * 3 * (MODEL_BYTES + 8)
    for name in ("fed_prox", "fed_avgm", "fed_adagrad", "fed_adam", "fed_yogi"):
        (other,) = fitted[name].runs
        assert other.bytes_up == plain.bytes_up
        # Down goes the local optimizer's rate, not the server's.
        assert other.bytes_down == plain.bytes_down


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        # Tensors of 6, 2, 2 and 1 coordinates; padded to 8, 2, 2 and 1, 4 bits each,
        # with two numbers beside.
        ("fed_avg_quantized", 4 + 1 + 1 + 1 + 4 * 8),
        # 5 of 11 coordinates, and 5 positions of 4 bits.
        ("fed_avg_top_k", 5 * 4 + 3),
        # 8 bits each in words of 28, with two numbers beside.
        ("fed_avg_tff_compressed", 4 * (2 + 1 + 1 + 1) + 4 * 8),
    ],
)
def test_traffic_of_compressed_methods_is_what_they_encode(fitted, name, payload):
    (run,) = fitted[name].runs
    assert run.institution_bytes_up == payload + 44
    assert run.bytes_up == 2 * 3 * (payload + 44)
    assert run.source == "encoding"


def test_federated_methods_differ(fitted, institutions):
    x = institutions[0].train["x"]
    # Of two institutions nothing can be trimmed, and small updates aren't clipped.
    alike = {"fed_avg_trimmed_mean", "fed_avg_clipping"}
    names = [
        name
        for name in HERE
        if name.startswith(("fed_", "scaffold")) and name not in alike
    ]
    scores = {name: fitted[name].scorers["global"](x) for name in names}
    for number, name in enumerate(names):
        for other in names[:number]:
            assert np.abs(scores[name] - scores[other]).max() > 1e-5, (name, other)


def fit(institutions, name, **settings):
    (method,) = build_methods(
        (name,),
        FEATURES,
        dataclasses.replace(TRAINING, **settings),
        store=InMemory(),
    )
    return method.fit(institutions, seed=6)


def test_methods_of_a_server_optimizer_are_fed_avg_with_it(fitted, institutions):
    found = fit(institutions, "fed_avg", server_optimizer="adam")
    expected = fitted["fed_adam"]
    assert [p.validation_loss for p in found.curves] == [
        p.validation_loss for p in expected.curves
    ]
    faster = fit(institutions, "fed_adam", server_learning_rate=0.3)
    assert faster.curves[0].server_learning_rate == 0.3
    assert expected.curves[0].server_learning_rate == 0.03
    assert faster.curves[-1].validation_loss != expected.curves[-1].validation_loss


def test_fed_sgd_takes_the_server_optimizer_too(fitted, institutions):
    default = fitted["fed_sgd"].curves[0]
    assert default.server_learning_rate == 1.0
    found = fit(institutions, "fed_sgd", server_optimizer="adam")
    assert found.curves[0].server_learning_rate == 0.03
    assert (
        found.curves[-1].validation_loss != fitted["fed_sgd"].curves[-1].validation_loss
    )


def test_fed_prox_at_zero_is_fed_avg(fitted, institutions):
    found = fit(institutions, "fed_prox", proximal_mu=0.0)
    assert [p.validation_loss for p in found.curves] == [
        p.validation_loss for p in fitted["fed_avg"].curves
    ]


def test_each_seed_begins_without_institution_state(built, fitted, institutions):
    method = built["scaffold"]
    other = method.fit(institutions, seed=7)
    again = method.fit(institutions, seed=6)
    assert again.curves == fitted["scaffold"].curves
    assert other.curves[0].training_loss != again.curves[0].training_loss


def test_rates_are_reduced_where_a_method_has_them(institutions):
    """With steps so large that the loss rises."""
    settings = {
        "client_learning_rate": 300.0,
        "plateau_rates": ("client", "server"),
        "plateau_patience": 1,
        "rounds": 6,
        "max_epochs": 6,
    }
    curve = fit(institutions, "fed_avg", **settings).curves
    assert curve[0].client_learning_rate == 300.0
    assert curve[-1].client_learning_rate < 300.0
    assert curve[-1].server_learning_rate == curve[-1].client_learning_rate / 300
    curve = fit(institutions, "centralized", **settings).curves
    assert curve[-1].client_learning_rate < 300.0
    assert curve[-1].server_learning_rate is None
    curve = fit(institutions, "fed_sgd", **settings | {"fed_sgd_learning_rate": 9.0})
    assert {p.server_learning_rate for p in curve.curves} == {9.0}


def test_scaffold_says_what_it_lacks():
    with pytest.raises(ValueError, match="`num_institutions` and `state_directory`"):
        build_methods(("scaffold",), FEATURES, TRAINING, store=InMemory())
    adam = dataclasses.replace(TRAINING, client_optimizer="adam")
    with pytest.raises(ValueError, match="`client_optimizer` must be sgd"):
        build_methods(("scaffold",), FEATURES, adam, store=InMemory())


def test_traffic_of_references(fitted):
    rows = 40 + 10 + 25 + 7
    (run,) = fitted["centralized"].runs
    assert run.bytes_up == rows * (FEATURES + 1) * 4
    assert run.bytes_down == run.validation_bytes_up == run.validation_bytes_down == 0
    assert run.source == "encoded rows, uploaded once"
    (run,) = fitted["gradient_boosting"].runs  # which reads no validation rows
    assert run.bytes_up == (40 + 25) * (FEATURES + 1) * 4
    for run in fitted["local"].runs:
        assert run.exchanges == run.bytes_down == run.bytes_up == 0
        assert run.validation_bytes_up == run.validation_bytes_down == 0


def test_upload_counts_every_row_once(institutions):
    tables = [institutions[0].train, institutions[0].validation]
    run = upload_run(
        tables,
        seed=1,
        method="centralized",
        rounds=9,
        best_round=5,
        stopped_by="patience",
        seconds=2.0,
    )
    assert run.bytes_up == (40 + 10) * 4 * 4
    assert (run.exchanges, run.rounds, run.best_round) == (1, 9, 5)


def test_pooled_rows(institutions):
    rows = pooled([i.train for i in institutions])
    assert rows["x"].shape == (65, FEATURES)
    np.testing.assert_array_equal(rows["x"][40:], institutions[1].train["x"])
    np.testing.assert_array_equal(rows["y"][:40], institutions[0].train["y"])


def test_local_model_is_the_same_whoever_else_takes_part(built, fitted, institutions):
    together = fitted["local"]
    alone = built["local"].fit(institutions[1:], seed=6)
    x = institutions[0].train["x"]
    np.testing.assert_array_equal(
        together.scorers["bank_b"](x), alone.scorers["bank_b"](x)
    )
    # Its own validation rows alone decide when it stops.
    own = tuple(row for row in together.curves if row.model == "bank_b")
    assert own == alone.curves
    other = together.scorers["bank_a"](x)
    assert np.abs(other - together.scorers["bank_b"](x)).max() > 1e-3


def test_gradient_boosting_is_scikit_learn_on_pooled_rows(institutions):
    result = GradientBoosting(name="gradient_boosting").fit(institutions, seed=6)
    x = np.concatenate([i.train["x"] for i in institutions])
    y = np.concatenate([i.train["y"][:, 0] for i in institutions])
    with threadpool_limits(1, user_api="openmp"):  # else slow on a busy machine
        expected = HistGradientBoostingClassifier(random_state=6).fit(x, y)
    np.testing.assert_array_equal(
        result.scorers["global"](x), expected.decision_function(x)
    )
    assert result.curves == ()
    assert result.runs[0].rounds == expected.n_iter_


def test_scorers_are_log_odds(institutions):
    x, y = institutions[0].train["x"], institutions[0].train["y"][:, 0]
    with threadpool_limits(1, user_api="openmp"):
        boosting = HistGradientBoostingClassifier().fit(x, y)
    probability = 1 / (1 + np.exp(-boosting_scorer(boosting)(x)))
    np.testing.assert_allclose(probability, boosting.predict_proba(x)[:, 1], rtol=1e-9)


def test_keras_scorer_has_the_given_weights(institutions):
    weights = keras_models.initial_weights(
        lambda: build_risk_model(FEATURES, hidden_units=(), seed=4)
    )
    scorer = keras_scorer(lambda: build_risk_model(FEATURES, hidden_units=()), weights)
    x = institutions[0].train["x"]
    kernel, bias = weights.trainable
    np.testing.assert_allclose(scorer(x), (x @ kernel + bias)[:, 0], rtol=1e-5)


def test_validation_and_scores_agree_under_class_weights(fitted, institutions):
    """Both are of the real world, though the loss is of another."""
    weight = 9.0
    names = ("fed_avg", "fed_sgd", "centralized")
    methods = build_methods(
        names,
        FEATURES,
        dataclasses.replace(TRAINING, fed_sgd_validate_every=1),
        store=InMemory(),
        task=MARKETING,
        positive_weight=weight,
    )
    x = np.concatenate([i.validation["x"] for i in institutions])
    y = np.concatenate([i.validation["y"][:, 0] for i in institutions])
    for method in methods:
        result = method.fit(institutions, seed=6)
        scores = result.scorers["global"](x)
        losses = [row.validation_loss for row in result.curves]
        assert min(losses) == pytest.approx(
            sklearn.metrics.log_loss(y, 1 / (1 + np.exp(-scores))), rel=1e-5
        )
        # Weighted steps are other steps.
        other = fitted[method.name].scorers["global"](x)
        assert np.std(scores + np.log(weight) - other) > 1e-3


def test_unknown_method_is_refused():
    with pytest.raises(ValueError, match="`names` has no method 'magic'"):
        build_methods(("magic",), FEATURES, TRAINING, store=InMemory())


def test_robust_methods_in_their_limits(fitted, institutions):
    """Trimming nothing is FedAvg with uniform weights, and so is a median of two."""
    uniform = losses(fit(institutions, "fed_avg", weighting="uniform"))
    for name in ("fed_avg_median", "fed_avg_trimmed_mean"):
        assert losses(fitted[name]) == pytest.approx(uniform, rel=1e-5)
    # The first round only measures.
    generous = RobustnessConfig(rejection_multiple=1e6)
    found = fit(institutions, "fed_avg_rejecting", robustness=generous)
    assert losses(found)[1] != losses(found)[0]
    rejected = [point.rejected_updates for point in found.curves]
    assert rejected == [2, 0, 0]


def losses(result):
    return [point.validation_loss for point in result.curves]


def test_an_attack_is_on_the_named_institution(fitted, institutions):
    def attacked(name, **settings):
        config = RobustnessConfig(
            attack="scale", hostile_institution="bank_b", **settings
        )
        return losses(fit(institutions, name, robustness=config))

    plain = losses(fitted["fed_avg"])
    assert attacked("fed_avg", attack_factor=1.0) == pytest.approx(plain, rel=1e-6)
    assert np.abs(np.subtract(attacked("fed_avg"), plain)).max() > 0.1
    # bank_a has most of the rows, which the geometric median goes by.
    found = np.subtract(
        attacked("fed_avg_geometric_median"), losses(fitted["fed_avg_geometric_median"])
    )
    assert np.abs(found).max() < 0.1


def test_cohorts_pay_for_those_who_took_part(fitted, institutions):
    """One bank of two, and in some rounds none reports."""
    settings = ParticipationConfig(cohort_size=1, dropout_rate=0.5)
    found = fit(institutions, "fed_avg", participation=settings, rounds=8, patience=8)
    (run,), ((of_all,)) = found.runs, fitted["fed_avg"].runs
    down, up = (of_all.bytes_down // 6, of_all.bytes_up // 6)
    attended = [point.training_loss is not None for point in found.curves]
    assert 0 < sum(attended) < 8
    assert run.bytes_down == 8 * down
    assert run.bytes_up == sum(attended) * up
    assert run.dropouts == run.skipped_rounds == 8 - sum(attended)
    assert run.exchanges == run.rounds == 8
    # All validate, whoever trained; nobody does where the model didn't move.
    assert run.validation_bytes_up == 2 * sum(attended) * 24
    # References know no cohorts.
    alone = fit(institutions, "centralized", participation=settings)
    assert losses(alone) == losses(fitted["centralized"])


def test_settings_that_a_method_has_no_room_for_are_refused(institutions):
    attack = RobustnessConfig(attack="random", hostile_institution="bank_a")
    with pytest.raises(ValueError, match=r"attack settings .* got \['fed_prox'\]"):
        fit(institutions, "fed_prox", robustness=attack)
