"""What a search minimizes: validation rows' loss, blind to test rows."""

import dataclasses
import re

import numpy as np
import pytest

from tests.evaluation.comparison_test import CONTRACT, SOURCE
from tff_finance import checks
from tff_finance.evaluation.built_methods import BuiltMethods
from tff_finance.evaluation.comparison import run_comparison
from tff_finance.evaluation.trials import UnusableSettingsError
from tff_finance.evaluation.tuning import case_study_loss, comparison_loss
from tff_finance.evaluation.validation_loss import ValidationLoss, validation_loss
from tff_finance.institutions.examples import dense_examples
from tff_finance.preprocessing.consortium import TrainingExamples
from tff_finance.records.asynchronous_config import AsynchronousConfig
from tff_finance.records.comparison_config import ComparisonConfig
from tff_finance.records.config import CaseStudyConfig
from tff_finance.records.training_config import TrainingConfig
from tff_finance.runtime import in_process
from tff_finance.runtime.crew import WorkerFailedError
from tff_finance.runtime.graph_import import NotInProcessError
from tff_finance.tasks.risk import RISK
from tff_finance.training.loop import TrainingDivergedError

SEEDS = (1000, 1001)
TRAINING = TrainingConfig(hidden_units=(2,), batch_size=30, rounds=3)


class Forbidden:
    """Test rows that fail whoever looks at them, in whatever way."""

    def __getattribute__(self, name):
        raise AssertionError(f"somebody looked at test rows: {name}")

    def __len__(self):
        raise AssertionError("somebody counted test rows")

    def __getitem__(self, key):
        raise AssertionError(f"somebody looked at test rows: {key}")

    def __iter__(self):
        raise AssertionError("somebody went through test rows")


def config(**options):
    defaults = {
        "task": "risk",
        "dataset": "d",
        "files": (),
        "contract": "c",
        "contract_sha256": "",
        "split": "shuffled:0.5,0.2,0.3",
        "seeds": SEEDS,
        "methods": ("fed_avg",),
        "training": TRAINING,
    }
    return ComparisonConfig(**defaults | options)


def with_test(test):
    return lambda seed: [
        dataclasses.replace(i, test=test(i)) for i in SOURCE.institutions(seed)
    ]


def loss_of(institutions, **options):
    return ValidationLoss(
        config(**options),
        contract=CONTRACT,
        institutions=institutions,
        task=RISK,
        balanced=False,
        context=in_process.execution_context,
        report_progress=lambda _: None,
    )


@pytest.fixture(scope="module")
def losses():
    """With test rows as they are."""
    return list(loss_of(SOURCE.institutions)({"local_epochs": 2}))


def test_the_loss_is_that_of_the_weights_that_a_study_keeps(losses):
    """As its curve has it."""
    training = dataclasses.replace(TRAINING, local_epochs=2)
    asked = config(training=training, resamples=100)
    record = run_comparison(
        asked, SOURCE, CONTRACT, scenario={}, report_progress=lambda _: None
    )
    for seed, loss in zip(SEEDS, losses, strict=True):
        curve = [row.validation_loss for row in record.curves if row.seed == seed]
        assert loss == pytest.approx(min(curve), rel=1e-5)


def test_there_is_a_loss_for_each_seed(losses):
    assert len(set(losses)) == len(SEEDS)
    assert all(0.3 < loss < 0.8 for loss in losses)  # a coin's is 0.69


@pytest.mark.parametrize(
    "test",
    [
        lambda _: Forbidden(),
        lambda i: i.test.assign(x=np.nan, z=np.nan, bad=np.nan),
    ],
    ids=["forbidden", "nan"],
)
def test_test_rows_are_never_read(losses, test):
    assert list(loss_of(with_test(test))({"local_epochs": 2})) == losses


def test_the_test_rows_that_nobody_may_read_would_be_noticed():
    (institution, *_) = with_test(lambda _: Forbidden())(1000)
    for look in (
        len,
        list,
        lambda t: t["x"],
        lambda t: t.index,
    ):
        with pytest.raises(AssertionError, match="somebody"):
            look(institution.test)


def test_validation_rows_are_what_counts(losses):
    def spoilt(seed):
        return [
            dataclasses.replace(i, validation=i.validation.assign(x=0.0))
            for i in SOURCE.institutions(seed)
        ]

    assert list(loss_of(spoilt)({"local_epochs": 2})) != losses


def test_settings_that_make_no_sense_together_are_unusable():
    loss = loss_of(SOURCE.institutions)
    with pytest.raises(UnusableSettingsError, match="`plateau_patience`"):
        next(loss({"plateau_patience": 99, "plateau_rates": ("client",)}))


def failing(error):
    class Failing:
        def fit(self, institutions, *, seed):
            raise error

    return lambda *_: [Failing()]


def test_settings_under_which_training_diverges_are_unusable(monkeypatch):
    diverged = failing(TrainingDivergedError("it diverged"))
    monkeypatch.setattr(BuiltMethods, "suiting", diverged)
    with pytest.raises(UnusableSettingsError, match="it diverged"):
        next(loss_of(SOURCE.institutions)({}))


@pytest.mark.parametrize(
    "error",
    [
        WorkerFailedError("a worker is lost"),
        NotInProcessError("a worker is lost"),
        ValueError("a worker is lost"),
        checks.RunFailedError("a worker is lost"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_says_nothing_about_the_settings_ends_the_search(monkeypatch, error):
    """So that the trial is run again, instead of being unusable for good."""
    monkeypatch.setattr(BuiltMethods, "suiting", failing(error))
    with pytest.raises(type(error), match="a worker is lost"):
        next(loss_of(SOURCE.institutions)({}))


ON_A_CLOCK = AsynchronousConfig(
    institution_seconds="equal(60)", outage_rate=1e-6, outage_seconds=1.0
)


@pytest.mark.parametrize(
    ("setting", "value", "training"),
    [
        ("cohort_size", 9, TRAINING),
        ("outage_rate", 1.0, dataclasses.replace(TRAINING, asynchronous=ON_A_CLOCK)),
        (
            "max_simulated_seconds",
            1.0,
            dataclasses.replace(TRAINING, asynchronous=ON_A_CLOCK),
        ),
    ],
)
def test_settings_that_do_not_fit_the_rows_are_unusable(setting, value, training):
    loss = loss_of(SOURCE.institutions, training=training)
    with pytest.raises(UnusableSettingsError, match=f"`{setting}`"):
        next(loss({setting: value}))


def test_institutions_that_can_not_be_made_end_the_run():
    def impossible(seed):
        raise ValueError(f"no rows under {seed}")

    with pytest.raises(checks.RunFailedError, match=r"seed 1000 .*under 1000"):
        next(loss_of(impossible)({}))


def test_rows_are_told_once():
    lines = []
    loss = comparison_loss(
        config(
            methods=("centralized",),
            seeds=(1000,),
            training=dataclasses.replace(TRAINING, max_epochs=2),
        ),
        SOURCE,
        CONTRACT,
        reported_seeds=(100,),
        context=in_process.execution_context,
        report_progress=lines.append,
    )
    assert list(loss({})) == list(loss({}))
    (line,) = lines
    rows = {i.name: len(i.train) for i in SOURCE.institutions(1000)}
    told = dict(re.findall(r"(\w+) (\d+) training", line))
    assert set(told) == set(rows)
    # Some of them are test rows under seed 100.
    assert all(0 < int(told[name]) < rows[name] for name in rows)


def test_the_case_study_is_drawn_for_the_seed():
    lines = []
    loss = case_study_loss(
        CaseStudyConfig(
            scenario="scarce_labels",
            heterogeneity=0.3,
            seeds=(1000,),
            methods=("local",),
            training=dataclasses.replace(TRAINING, max_epochs=1),
        ),
        context=in_process.execution_context,
        report_progress=lines.append,
    )
    assert len(list(loss({}))) == 1
    assert lines[0].startswith("seed 1000: bank_a 100 training")


def examples(name, *labels):
    y = np.array(labels, float)
    return TrainingExamples(
        institution=name,
        train={},
        validation=dense_examples(y[:, None], y, institution=name),
    )


def constant(logit):
    return lambda x: np.full(len(x), logit)


def test_by_hand():
    parties = [examples("a", 1.0), examples("b", 0.0, 0.0, 1.0)]
    two = np.log(3.0)  # a probability of 3/4
    shared = validation_loss({"global": constant(two)}, parties)
    assert shared == pytest.approx(
        -(np.log(3 / 4) + 2 * np.log(1 / 4) + np.log(3 / 4)) / 4
    )
    own = {"a": constant(two), "b": constant(-two)}
    assert validation_loss(own, parties) == pytest.approx(
        -(np.log(3 / 4) + 2 * np.log(3 / 4) + np.log(1 / 4)) / 4
    )


def test_extreme_scores_have_a_finite_loss():
    parties = [examples("a", 1.0, 0.0)]
    assert validation_loss({"global": constant(1e4)}, parties) == pytest.approx(5e3)
