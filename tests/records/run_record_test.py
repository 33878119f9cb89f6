"""Run records: what is written is what is read."""

import dataclasses
import math
import typing

import pytest

from tff_finance.records import files, run_record
from tff_finance.records.coalition_row import CoalitionRow, join_members
from tff_finance.records.config import CaseStudyConfig
from tff_finance.records.method_names import METHODS
from tff_finance.records.privacy_row import PrivacyRow
from tff_finance.records.run_record import RunRecord
from tff_finance.records.run_rows import (
    CurveRow,
    FeatureRow,
    HistogramRow,
    InstitutionRow,
    MetricRow,
    RunRow,
)
from tff_finance.records.training_config import TrainingConfig


def metric(value, **options):
    defaults = {
        "seed": 0,
        "method": "local",
        "model": "NA",
        "scope": "own",
        "institution": "NA",
        "metric": "auc",
    }
    return MetricRow(**defaults | options, value=value)


def privacy_row(**options):
    defaults = {
        "seed": 7,
        "method": "fed_avg_dp_sgd",
        "model": "global",
        "institution": "007",
        "unit": "record",
        "neighbouring": "add_or_remove_one",
        "population": 2**40,
        "epsilon": 0.1 + 0.2,
        "delta": 1e-5 / 3,
        "accountant": "pld",
        "against": "server,institutions,outsiders",
        "mechanism": "poisson_sampled_gaussian",
        "noise_multiplier": 1.0,
        "sampling_probability": 1.0,
        "steps": 12,
        "not_covered": 'preprocessing: sums (agreed),\nthen\nevaluation: "curves"',
    }
    return PrivacyRow(**defaults | options)


def coalition(value, **options):
    defaults = {
        "seed": 0,
        "method": "fed_avg",
        "scope": "own",
        "institution": "NA",
        "metric": "auc",
        "reason": "",
        "rounds": 3,
        "stopped_by": "patience",
        "seconds": 0.5,
    }
    return CoalitionRow(**defaults | options, value=value)


def record(**options):
    config = CaseStudyConfig(
        scenario="market",
        heterogeneity=0.1,
        seeds=(0, 7),
        methods=METHODS,
        training=TrainingConfig(),
    )
    run = RunRow(
        seed=0,
        method="local",
        model="NA",
        rounds=12,
        exchanges=3,
        best_round=7,
        stopped_by="max_rounds",
        seconds=1.0,
        bytes_down=0,
        bytes_up=2**40,
        validation_bytes_down=0,
        validation_bytes_up=3,
        source="nothing leaves the institution",
    )
    defaults = {
        "experiment": "bank_case_study",
        "config": config.to_mapping(),
        "scenario": {"name": "market", "banks": [{"name": "NA", "train_rows": 3}]},
        "preprocessing": {"bytes_down": 8, "bytes_up": 16, "source": "by hand"},
        "versions": {"python": "3.11"},
        # Names that look like something else to a reader of CSV.
        "institutions": tuple(
            InstitutionRow(
                seed=0,
                institution=name,
                train_rows=10,
                validation_rows=5,
                test_rows=3,
                test_positives=1,
                positive_rate=0.1 + 0.2,
            )
            for name in ("NA", "007", "Müller, Söhne & Co.", "1e5", "None")
        ),
        "metrics": (
            metric(0.1 + 0.2),
            metric(1.0, metric="accuracy"),
            metric(None, reason="All 3 rows are negative."),
            metric(None, reason="None"),
            metric(0.5, model="global", scope="pooled", institution=""),
        ),
        "curves": (
            CurveRow(
                seed=0,
                method="local",
                model="007",
                round=1,
                training_loss=2.0,
                validation_loss=1 / 3,
                validation_accuracy=1.0,
            ),
            CurveRow(
                seed=0,
                method="local",
                model="007",
                round=2,
                training_loss=None,
                validation_loss=None,
                validation_accuracy=None,
                non_finite_updates=1,
            ),
        ),
        "runs": (run,),
        "histograms": (
            HistogramRow(
                seed=7,
                method="local",
                model="1e5",
                institution="None",
                bin=4095,
                negatives=0,
                positives=2**40,
            ),
        ),
        "features": (
            FeatureRow(seed=7, institution="007", feature="housing=own", mean=-1 / 3),
        ),
        "privacy": (
            privacy_row(),
            privacy_row(institution="NA", target_epsilon=8.0, l2_clip_norm=0.5),
            privacy_row(
                across_epsilon=0.1 + 0.3, across_delta=1e-6, across_accountant="pld"
            ),
        ),
        "coalitions": (
            coalition(0.1 + 0.2, members=join_members(["NA"])),
            coalition(None, members=join_members(["007", "1e5"]), reason="None"),
        ),
    }
    return RunRecord(**defaults | options)


ROW_FIELDS = (
    "institutions",
    "metrics",
    "curves",
    "runs",
    "histograms",
    "features",
    "privacy",
    "coalitions",
)


def test_round_trip(tmp_path):
    record().write(tmp_path)
    assert RunRecord.read(tmp_path) == record()


def test_members_of_coalitions_survive(tmp_path):
    record().write(tmp_path)
    one, two = RunRecord.read(tmp_path).coalitions
    assert (one.coalition, two.coalition) == ({"NA"}, {"007", "1e5"})


def test_types_survive(tmp_path):
    record().write(tmp_path)
    read = RunRecord.read(tmp_path)
    for row in (row for name in ROW_FIELDS for row in getattr(read, name)):
        for field in dataclasses.fields(row):
            kinds = typing.get_args(field.type) or (field.type,)
            assert type(getattr(row, field.name)) in kinds, (row, field.name)


def test_undefined_metrics_alone_survive(tmp_path):
    """A column of nothing has no type of its own."""
    undefined = record(metrics=(metric(None, reason="The table has no rows."),))
    undefined.write(tmp_path)
    assert RunRecord.read(tmp_path) == undefined


@pytest.mark.parametrize("name", ROW_FIELDS)
def test_no_rows_of_a_kind_survive(tmp_path, name):
    """As without curves, when gradient boosting is the only method."""
    lacking = record(**{name: ()})
    lacking.write(tmp_path)
    assert RunRecord.read(tmp_path) == lacking


def test_a_record_from_before_feature_rows_is_read(tmp_path):
    record().write(tmp_path)
    (tmp_path / "features.csv").unlink()
    header = files.read_json(tmp_path / "run.json")
    del header["sha256"]  # nor had it checksums
    files.write_json(tmp_path / "run.json", header)
    assert RunRecord.read(tmp_path) == record(features=())


def test_a_record_from_before_privacy_rows_is_read(tmp_path):
    record(privacy=()).write(tmp_path)
    (tmp_path / "privacy.csv").unlink()
    header = files.read_json(tmp_path / "run.json")
    del header["sha256"]["privacy.csv"]
    files.write_json(tmp_path / "run.json", header)
    assert RunRecord.read(tmp_path) == record(privacy=())


def test_privacy_row_says_line_by_line_what_is_not_covered(tmp_path):
    record().write(tmp_path)
    row = RunRecord.read(tmp_path).privacy[0]
    assert row.not_covered_lines == (
        "preprocessing: sums (agreed),",
        "then",
        'evaluation: "curves"',
    )
    assert row.adversaries == ("server", "institutions", "outsiders")
    assert privacy_row(not_covered="").not_covered_lines == ()


def test_privacy_row_is_against_somebody_known():
    with pytest.raises(ValueError, match=r"`against` must be one of server, .* 'moon'"):
        privacy_row(against="server,moon")
    with pytest.raises(ValueError, match="`epsilon` must be at least 0, got inf"):
        privacy_row(epsilon=math.inf)
    with pytest.raises(ValueError, match="`across_epsilon`"):
        privacy_row(across_epsilon=math.nan)


def test_config_comes_back(tmp_path):
    record().write(tmp_path)
    config = CaseStudyConfig.from_mapping(RunRecord.read(tmp_path).config)
    assert config.to_mapping() == record().config


def test_files_are_the_documented_ones(tmp_path):
    record().write(tmp_path / "record")
    assert {path.name for path in (tmp_path / "record").iterdir()} == {
        "run.json",
        "institutions.csv",
        "metrics.csv",
        "curves.csv",
        "attacks.csv",
        "bootstraps.csv",
        "coalitions.csv",
        "features.csv",
        "privacy.csv",
        "runs.csv",
        "score_histograms.csv.gz",
    }
    assert files.read_json(tmp_path / "record" / "run.json")["schema"] == 1


def test_newer_schema_is_refused(tmp_path):
    record().write(tmp_path)
    header = files.read_json(tmp_path / "run.json")
    files.write_json(
        tmp_path / "run.json", header | {"schema": run_record.SCHEMA_VERSION + 1}
    )
    with pytest.raises(
        run_record.UnreadableRecordError, match=r"schema 2; .* up to 1: update"
    ):
        RunRecord.read(tmp_path)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_metric_is_finite_or_none(value):
    with pytest.raises(ValueError, match="`value` of auc must be finite or None, got"):
        metric(value)


def test_undefined_metric_has_a_reason():
    with pytest.raises(ValueError, match="`reason` must say why auc is undefined"):
        metric(None)


def test_joined_rows_keep_their_order():
    first, second = record(), record(metrics=(metric(0.25),))
    joined = run_record.join_rows([first, second])
    assert joined.metrics == first.metrics + second.metrics
    assert joined.runs == first.runs * 2
    assert joined.config == first.config


def test_a_record_half_overwritten_is_no_record(tmp_path, monkeypatch):
    record().write(tmp_path)

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write_csv", full_disk)
    with pytest.raises(OSError, match="No space left"):
        record().write(tmp_path)
    with pytest.raises(run_record.UnreadableRecordError, match="No such file"):
        RunRecord.read(tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "institutions.csv",
        "metrics.csv",
        "curves.csv",
        "runs.csv",
        "features.csv",
        "privacy.csv",
        "score_histograms.csv.gz",
    ],
)
def test_a_file_changed_since_is_refused(tmp_path, name):
    """Cut at the end of a line, a table reads well."""
    record().write(tmp_path)
    path = tmp_path / name
    content = path.read_bytes()
    path.write_bytes(content[: content.rfind(b"\n", 0, -1) + 1])
    with pytest.raises(run_record.UnreadableRecordError, match=f"{name} has changed"):
        RunRecord.read(tmp_path)
