"""The case study in small: deterministic, and blind to test rows."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from tff_finance import checks
from tff_finance.datasets import scenarios
from tff_finance.datasets.credit_contract import CREDIT_CONTRACT
from tff_finance.evaluation import built_methods, case_study
from tff_finance.evaluation import methods as methods_lib
from tff_finance.evaluation.summary import build_summary
from tff_finance.institutions.examples import InMemory
from tff_finance.preprocessing.consortium import encode_consortium
from tff_finance.records.config import CaseStudyConfig
from tff_finance.records.method_names import DEFAULT_METHODS, STATEFUL_METHODS
from tff_finance.records.run_folder import RunFolder
from tff_finance.records.run_record import RunRecord
from tff_finance.records.training_config import TrainingConfig

TRAINING = TrainingConfig(
    hidden_units=(4,),
    batch_size=64,
    rounds=3,
    fed_sgd_rounds=12,
    max_epochs=3,
)
LABEL = CREDIT_CONTRACT.label

pytestmark = pytest.mark.usefixtures("tff_context")


def small(scenario):
    """A scenario with few rows and everything else as published."""
    banks = tuple(
        dataclasses.replace(
            bank, train_rows=150 + 40 * number, validation_rows=60, test_rows=80
        )
        for number, bank in enumerate(scenario.banks)
    )
    return dataclasses.replace(scenario, banks=banks)


@pytest.fixture(autouse=True)
def small_scenarios(monkeypatch):
    for name, scenario in list(scenarios.SCENARIOS.items()):
        monkeypatch.setitem(scenarios.SCENARIOS, name, small(scenario))


def config(**options):
    defaults = {
        "scenario": "scarce_labels",
        "heterogeneity": 0.3,
        "seeds": (0, 1),
        "methods": DEFAULT_METHODS,
        "training": TRAINING,
    }
    return CaseStudyConfig(**defaults | options)


def run(**options):
    lines = []
    return case_study.run_case_study(config(**options), report_progress=lines.append)


build_methods = built_methods.build_methods
_built = {}


def build_once(names, num_features, training, *, store, **options):
    """To trace methods takes most of a test's time; these keep nothing."""
    if not isinstance(store, InMemory) or set(names) & set(STATEFUL_METHODS):
        return build_methods(names, num_features, training, store=store, **options)
    options.pop("state_directory", None)
    key = (names, num_features, training, *sorted(options.items(), key=str))
    if key not in _built:
        _built[key] = build_methods(
            names, num_features, training, store=store, **options
        )
    return _built[key]


@pytest.fixture(scope="module", autouse=True)
def methods_are_built_once():
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(built_methods, "build_methods", build_once)
        yield


@pytest.fixture(scope="module")
def record(tff_context):
    """One run that several tests look at."""
    del tff_context
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name, scenario in list(scenarios.SCENARIOS.items()):
            monkeypatch.setitem(scenarios.SCENARIOS, name, small(scenario))
        return run()


def without_seconds(runs):
    return [dataclasses.replace(row, seconds=0.0) for row in runs]


def test_same_config_and_seed_give_the_same_numbers(record, monkeypatch):
    """Also from newly built processes, and for each seed by itself."""
    monkeypatch.setattr(built_methods, "build_methods", build_methods)
    again = run(seeds=(1,))
    for kind in ("institutions", "metrics", "curves", "histograms"):
        expected = [row for row in getattr(record, kind) if row.seed == 1]
        assert list(getattr(again, kind)) == expected, kind
        assert expected
    assert without_seconds(again.runs) == without_seconds(
        [row for row in record.runs if row.seed == 1]
    )


def test_another_seed_redraws_everything(record):
    first, second = (
        [
            dataclasses.replace(row, seed=0)
            for row in record.metrics
            if row.seed == seed and row.metric == "log_loss"
        ]
        for seed in (0, 1)
    )
    assert len(first) == len(second)
    assert not set(first) & set(second)


def test_record_is_complete(record):
    assert record.experiment == "bank_case_study"
    assert record.config == config().to_mapping()
    assert {row.method for row in record.metrics} == set(DEFAULT_METHODS)
    assert {row.method for row in record.runs} == set(DEFAULT_METHODS)
    assert {row.method for row in record.curves} == set(DEFAULT_METHODS) - {
        "gradient_boosting"
    }
    assert len(record.institutions) == 2 * 3
    for row in record.institutions:
        assert row.test_rows == 80
        assert 0 < row.test_positives < 80
    versions = record.versions
    assert {"python", "tensorflow", "tensorflow-federated", "numpy"} <= set(versions)


def test_summary_of_a_real_run_is_json(record):
    summary = build_summary(record)
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert set(summary["to_99_percent"]) == {"fed_avg", "fed_sgd"}


def test_seeds_share_traced_computations(monkeypatch):
    built = []
    build_methods = built_methods.build_methods

    def counting(*arguments, **options):
        built.append(arguments)
        return build_methods(*arguments, **options)

    monkeypatch.setattr(built_methods, "build_methods", counting)
    record = run(seeds=(0, 1, 2), methods=("gradient_boosting",))
    assert {row.seed for row in record.runs} == {0, 1, 2}
    assert len({arguments[1] for arguments in built}) == len(built)


def test_on_tffs_runtime_rows_come_by_file(tmp_path, monkeypatch):
    """From the run's own folder while it runs; the results are the same."""
    seen = []
    training = methods_lib.train

    def spying(*arguments, **options):
        seen.append(len(list(tmp_path.glob("checkpoints/scratch/table_*/shard_*"))))
        return training(*arguments, **options)

    monkeypatch.setattr(methods_lib, "train", spying)
    folder = RunFolder(directory=tmp_path)
    methods = ("fed_avg", "centralized")
    asked = config(seeds=(0,), methods=methods, runtime="tff")
    with folder.claim(config=asked.to_mapping(), versions={}):
        by_file = case_study.run_case_study(
            asked, report_progress=lambda _: None, folder=folder
        )
    assert seen == [6, 4]  # of each bank; of the pool and each bank's validation
    assert not (tmp_path / "checkpoints" / "scratch").exists()
    in_memory = run(seeds=(0,), methods=methods)
    assert [row.round for row in by_file.curves] == [r.round for r in in_memory.curves]
    np.testing.assert_allclose(
        [row.training_loss for row in by_file.curves],
        [row.training_loss for row in in_memory.curves],
        rtol=1e-5,
    )


def test_a_seed_draws_tables_that_only_it_draws():
    scenario = small(scenarios.SCENARIOS["market"])
    first, again, other = (
        case_study.draw_institutions(scenario, seed) for seed in (1, 1, 2)
    )
    for left, right, stranger, bank in zip(
        first, again, other, scenario.banks, strict=True
    ):
        assert left.name == bank.name
        sizes = (len(left.train), len(left.validation), len(left.test))
        assert sizes == (bank.train_rows, bank.validation_rows, bank.test_rows)
        assert left.train.equals(right.train)
        assert left.test.equals(right.test)
        assert not left.train.equals(stranger.train)


def test_progress_is_told_for_every_seed_and_method():
    lines = []
    case_study.run_case_study(
        config(methods=("gradient_boosting",)), report_progress=lines.append
    )
    assert ["gradient_boosting" in line for line in lines] == [True, True]
    assert lines[0].startswith("seed 0")
    assert lines[1].startswith("seed 1")


def spoil_test_rows(institution):
    """Labels flipped, features those of quite other customers."""
    rng = np.random.default_rng(5)
    test = institution.test
    test = test.iloc[rng.permutation(len(test))].reset_index(drop=True)
    spoilt = test.assign(
        **{LABEL: 1 - test[LABEL]},
        age=90.0,
        annual_income=4e6,
        loan_to_value=np.nan,
        housing="own",
        debt_to_income=3.0,
    )
    CREDIT_CONTRACT.validate(spoilt, institution=institution.name)
    return dataclasses.replace(institution, test=spoilt)


def test_nothing_before_the_final_evaluation_reads_test_rows():
    """Trained models, curves and rounds are the same to the last bit."""
    scenario = small(scenarios.SCENARIOS["scarce_labels"])
    institutions = case_study.draw_institutions(scenario, 0)
    clean, spoilt = (
        encode_consortium(version, CREDIT_CONTRACT)
        for version in (institutions, [spoil_test_rows(i) for i in institutions])
    )
    for name, rows in spoilt.test.items():
        assert not np.array_equal(rows["x"], clean.test[name]["x"])
    probes = clean.training[0].validation["x"]
    width = len(clean.encoder.feature_names)
    methods = built_methods.build_methods(
        DEFAULT_METHODS, width, TRAINING, store=InMemory()
    )
    for method in methods:
        left, right = (
            method.fit(consortium.training, seed=0) for consortium in (clean, spoilt)
        )
        assert left.curves == right.curves
        assert without_seconds(left.runs) == without_seconds(right.runs)
        assert list(left.scorers) == list(right.scorers)
        for name, scorer in left.scorers.items():
            np.testing.assert_array_equal(scorer(probes), right.scorers[name](probes))


def test_test_rows_decide_the_final_metrics(record, monkeypatch):
    """Shows that spoiling them would be seen."""
    draw = case_study.draw_institutions
    monkeypatch.setattr(
        case_study,
        "draw_institutions",
        lambda scenario, seed: [spoil_test_rows(i) for i in draw(scenario, seed)],
    )
    method = "gradient_boosting"
    spoilt = run(seeds=(0,), methods=(method,))
    expected = [r for r in record.metrics if r.seed == 0 and r.method == method]
    for left, right in zip(spoilt.metrics, expected, strict=True):
        if left.metric == "log_loss":
            assert left.value > right.value


def test_a_study_goes_on_after_the_parts_that_are_done(record, tmp_path):
    folder = RunFolder(directory=tmp_path)
    kept = case_study.run_case_study(
        config(), report_progress=lambda _: None, folder=folder
    )
    assert without_time(kept) == without_time(record)
    # As if killed in the second seed's third method.
    for name in DEFAULT_METHODS[2:]:
        shutil.rmtree(tmp_path / "checkpoints" / "seed_1" / name)
    lines = []
    again = case_study.run_case_study(
        config(), report_progress=lines.append, folder=folder
    )
    assert without_time(again) == without_time(record)
    assert RunRecord.read(tmp_path / "record") == again
    run_again = [line for line in lines if "was finished before" not in line]
    assert [line.split()[2] for line in run_again] == list(DEFAULT_METHODS[2:])
    assert len(lines) == 2 * len(DEFAULT_METHODS)


def test_institution_state_lies_with_the_runs_checkpoints(tmp_path):
    """And is taken up there, or not needed: the numbers are the same."""
    options = {"methods": ("scaffold", "fed_avg"), "seeds": (0, 1)}
    expected = run(**options)
    folder = RunFolder(directory=tmp_path, checkpoint_seconds=0)
    found = case_study.run_case_study(
        config(**options), report_progress=lambda _: None, folder=folder
    )
    assert without_time(found) == without_time(expected)
    banks = tmp_path / "checkpoints" / "institution_state" / "scaffold"
    assert {path.name for path in banks.iterdir()} == {"bank_a", "bank_b", "bank_c"}
    losses = {
        name: [row.validation_loss for row in found.curves if row.method == name]
        for name in options["methods"]
    }
    assert losses["scaffold"] != losses["fed_avg"]


def test_a_finished_seed_is_not_even_drawn(tmp_path, monkeypatch):
    options = {
        "report_progress": lambda _: None,
        "folder": RunFolder(directory=tmp_path),
    }
    study = config(seeds=(3,), methods=("gradient_boosting",))
    first = case_study.run_case_study(study, **options)

    def refuse(*_):
        raise AssertionError("drawn again")

    monkeypatch.setattr(case_study, "draw_institutions", refuse)
    assert case_study.run_case_study(study, **options) == first


def test_a_part_of_another_run_is_refused(tmp_path):
    """Such as one copied from another folder, with the same seed and method."""
    study = config(seeds=(3,), methods=("gradient_boosting",))
    other = dataclasses.replace(study, heterogeneity=0.25)
    for name, asked in (("mine", study), ("other", other)):
        case_study.run_case_study(
            asked,
            report_progress=lambda _: None,
            folder=RunFolder(directory=tmp_path / name),
        )
    part = "checkpoints/seed_3/gradient_boosting"
    shutil.rmtree(tmp_path / "mine" / part)
    shutil.copytree(tmp_path / "other" / part, tmp_path / "mine" / part)
    with pytest.raises(
        checks.RunFailedError,
        match=rf"{part}/record is a part of another run: config.heterogeneity was 0.25",
    ):
        case_study.run_case_study(
            study,
            report_progress=lambda _: None,
            folder=RunFolder(directory=tmp_path / "mine"),
        )


def test_a_finished_study_started_again_never_has_fewer_seeds(tmp_path, monkeypatch):
    folder = RunFolder(directory=tmp_path)
    study = config(seeds=(3, 4), methods=("gradient_boosting",))
    options = {"report_progress": lambda _: None, "folder": folder}
    first = case_study.run_case_study(study, **options)
    written = []
    monkeypatch.setattr(RunFolder, "write_record", lambda _, r: written.append(r))
    assert case_study.run_case_study(study, **options) == first
    assert written == [first]


def without_time(record):
    return dataclasses.replace(record, runs=tuple(without_seconds(record.runs)))
