"""Coalitions in small: blind to whoever isn't in them, and trained once."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from tff_finance import checks
from tff_finance.datasets.contract import CategoricalColumn, Contract, NumericColumn
from tff_finance.evaluation import built_methods
from tff_finance.evaluation import coalitions as coalitions_lib
from tff_finance.evaluation.comparison import run_comparison
from tff_finance.evaluation.gradient_boosting import GradientBoosting
from tff_finance.evaluation.summary import build_summary
from tff_finance.institutions.institution import Institution
from tff_finance.records.comparison_config import ComparisonConfig
from tff_finance.records.contribution_config import ContributionConfig
from tff_finance.records.run_folder import RunFolder
from tff_finance.records.run_record import RunRecord
from tff_finance.records.training_config import TrainingConfig
from tff_finance.runtime import in_process

CONTRACT = Contract(
    name="c",
    columns=(
        NumericColumn(name="x", unit="1", description="d", minimum=-99, maximum=99),
        CategoricalColumn(name="home", description="d", categories=("rent", "own")),
    ),
    label="bad",
    label_meaning="it went badly",
)
# Each is somewhere else and sees one kind of home alone, so that encoders differ.
BANKS = {"a": (0.0, "rent"), "b": (3.0, "own"), "c": (-2.0, "rent")}


build_methods = built_methods.build_methods


def build_boosting(names, *arguments, **options):
    """Stands in for all methods: to trace theirs takes most of a test's time."""
    del arguments, options
    return [GradientBoosting(name=name) for name in names]


@pytest.fixture(scope="module", autouse=True)
def context():
    with (
        in_process.execution_context(),
        pytest.MonkeyPatch.context() as monkeypatch,
    ):
        monkeypatch.setattr(built_methods, "build_methods", build_boosting)
        yield


def table(seed, rows, middle, home):
    rng = np.random.default_rng(seed)
    x = rng.normal(middle, 2.0, size=rows)
    bad = rng.random(rows) < 1 / (1 + np.exp(-x))
    return pd.DataFrame({"x": x, "home": home, "bad": bad * 1})


class Source:
    """Institutions' tables; some of `spoilt` have rows of quite other customers."""

    def __init__(self, *spoilt, labels=None):
        self.spoilt = spoilt
        self.labels = labels

    def institutions(self, seed):
        return [self.institution(name, seed) for name in BANKS]

    def institution(self, name, seed):
        middle, home = BANKS[name]
        train, validation, test = (
            table([seed, number, ord(name)], rows, middle, home)
            for number, rows in enumerate((90, 40, 60))
        )
        if name in self.spoilt:
            train, validation = (
                rows.assign(bad=1 - rows["bad"], x=rows["x"] + 20.0, home="own")
                for rows in (train, validation)
            )
        if self.labels is not None and name == "a":
            train = train.assign(bad=self.labels)
        return Institution(name=name, train=train, validation=validation, test=test)


def config(**options):
    defaults = {
        "task": "risk",
        "dataset": "d",
        "files": (),
        "contract": "c",
        "contract_sha256": "",
        "split": "shuffled:0.5,0.2,0.3",
        "resamples": 100,
        "seeds": (0,),
        "methods": ("fed_avg",),
        "training": TrainingConfig(hidden_units=(2,), batch_size=30, rounds=3),
        "contribution": ContributionConfig(),
    }
    return ComparisonConfig(**defaults | options)


def run(source=None, folder=None, lines=None, **options):
    return run_comparison(
        config(**options),
        source or Source(),
        CONTRACT,
        scenario={},
        report_progress=(lines if lines is not None else []).append,
        folder=folder,
    )


@pytest.fixture(scope="module")
def record():
    return run()


def values(record):
    return {
        (row.members, row.scope, row.institution): row.value
        for row in record.coalitions
    }


def test_every_coalition_is_judged_on_all_rows_and_on_own_ones(record):
    members = ["a/b/c", "a/b", "a/c", "b/c", "a", "b", "c"]
    assert list(dict.fromkeys(row.members for row in record.coalitions)) == members
    cells = {("pooled", ""), ("own", "a"), ("own", "b"), ("own", "c")}
    assert set(values(record)) == {
        (of, scope, name) for of in members for scope, name in cells
    }
    assert {row.rounds for row in record.coalitions} == {100}
    assert {row.metric for row in record.coalitions} == {"auc"}


def test_everybodys_model_is_the_methods_model(record):
    found = values(record)
    for row in record.metrics:
        if row.metric == "auc" and row.scope != "others":
            assert found["a/b/c", row.scope, row.institution] == row.value


@pytest.mark.parametrize("outsider", ["a", "b"])
def test_a_coalition_knows_nothing_of_who_is_not_in_it(record, outsider):
    spoilt, honest = values(run(Source(outsider))), values(record)
    for cell, value in spoilt.items():
        assert (value == honest[cell]) == (outsider not in cell[0].split("/")), cell


def test_leave_one_out_trains_no_more_than_it_needs(record):
    few = run(contribution=ContributionConfig(coalitions="leave_one_out"))
    assert values(few) == {
        cell: value for cell, value in values(record).items() if cell[0].count("/") > 0
    }
    contribution = build_summary_of(few)
    assert contribution["shapley"] is None
    exact = build_summary_of(record)
    assert contribution["leave_one_out"] == exact["leave_one_out"]


def build_summary_of(record):
    return build_summary(record)["contribution"]


def test_scaffold_and_class_weights_of_each_coalition(tmp_path, monkeypatch):
    """State, step sizes and weights are those of so many institutions."""
    monkeypatch.setattr(built_methods, "build_methods", build_methods)
    monkeypatch.delitem(BANKS, "c")
    record = run(
        folder=RunFolder(directory=tmp_path),
        methods=("scaffold",),
        class_weights="balanced",
        contribution=ContributionConfig(method="scaffold"),
    )
    found = values(record)
    for row in record.metrics:
        if row.metric == "auc" and row.scope != "others":
            assert found["a/b", row.scope, row.institution] == row.value
    assert found["a", "pooled", ""] != found["b", "pooled", ""]
    assert {row.rounds for row in record.coalitions} == {3}


def test_a_killed_run_goes_on_with_the_coalitions_that_are_done(
    record, tmp_path, monkeypatch
):
    judge, judged = coalitions_lib.judge, []

    def dying(*arguments, **options):
        judged.append(options)
        if len(judged) == 4:
            raise KeyboardInterrupt
        return judge(*arguments, **options)

    monkeypatch.setattr(coalitions_lib, "judge", dying)
    folder, lines = RunFolder(directory=tmp_path), []
    with pytest.raises(KeyboardInterrupt):
        run(folder=folder)
    resumed = run(folder=folder, lines=lines)
    assert len(judged) == 4 + 4
    done = [line.endswith("was finished before") for line in lines if " of " in line]
    assert done == [True] * 3 + [False] * 4
    assert values(resumed) == values(record)
    again = run(folder=folder)
    assert len(judged) == 8
    assert values(again) == values(record)
    assert values(RunRecord.read(tmp_path / "record")) == values(record)


def test_a_coalition_that_can_not_train_is_named():
    with pytest.raises(
        checks.RunFailedError, match=r"seed 0 the coalition of a can't train: .*class"
    ):
        run(Source(labels=0), class_weights="balanced")


def test_a_coalition_that_settings_do_not_suit_is_named(monkeypatch):
    def build(names, *arguments, num_institutions, **options):
        if num_institutions == 2:
            raise ValueError("`local_layers` suits none")
        return build_boosting(names, *arguments, **options)

    monkeypatch.setattr(built_methods, "build_methods", build)
    with pytest.raises(
        checks.RunFailedError, match="coalition of a, b can't train: `local_layers`"
    ):
        run()


def test_classes_that_cannot_be_balanced_end_the_run(monkeypatch):
    for name in "cb":  # put back in the order in which they were
        monkeypatch.delitem(BANKS, name)
    with pytest.raises(checks.RunFailedError, match="need rows of both classes"):
        run(Source(labels=0), class_weights="balanced", contribution=None)


def test_nothing_is_trained_unless_asked_for(record):
    bare = run(contribution=None)
    assert bare.coalitions == ()
    assert bare.metrics == record.metrics
    assert build_summary(bare)["contribution"] is None


def test_too_many_institutions_are_refused(monkeypatch):
    monkeypatch.setattr(
        Source,
        "institutions",
        lambda self, seed: [
            dataclasses.replace(self.institution("a", seed), name=name)
            for name in "abcdefg"
        ],
    )
    with pytest.raises(ValueError, match="at most 6 institutions"):
        run()
