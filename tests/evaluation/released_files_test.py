"""What a private run hands on: every file, column and key is in the ledger, or public.

A new file, column or key fails here until somebody says what of rows it tells.
"""

import json
from typing import Any

import pandas as pd
import pytest

from tests.evaluation.comparison_test import CONTRACT, SOURCE, config
from tff_finance.evaluation import promises
from tff_finance.evaluation.comparison import run_comparison
from tff_finance.evaluation.model_keeper import model_keeper
from tff_finance.evaluation.promises import (
    ENCODER,
    LABEL_COUNTS,
    MODEL_REFERENCE,
    MODEL_VALIDATION,
    ROW_COUNTS,
    TABLE_CHECKSUMS,
    TEST_RESULTS,
    VALIDATION_SHOWN,
)
from tff_finance.evaluation.summary import build_summary
from tff_finance.records.comparison_config import DataFile
from tff_finance.records.dp_sgd_config import DpSgdConfig
from tff_finance.records.training_config import TrainingConfig
from tff_finance.runtime import in_process

PUBLIC = "names, settings, and what follows from noised updates"
EMPTY = "nothing, of a private method"
CHECKSUM = "5" * 64


def told(by, *names):
    return dict.fromkeys(names, by)


NAMES = told(PUBLIC, "seed", "method", "model", "institution")
ON_TEST_ROWS = told(TEST_RESULTS, "value", "reason", "low", "high")
RELEASED: dict[str, Any] = {
    "record/run.json": {
        **told(PUBLIC, "schema", "experiment", "scenario", "preprocessing"),
        **told(PUBLIC, "versions", "sha256"),
        "config": TABLE_CHECKSUMS,
    },
    "record/institutions.csv": {
        **told(PUBLIC, "seed", "institution", "target"),
        **told(ROW_COUNTS, "train_rows", "validation_rows", "test_rows"),
        **told(TEST_RESULTS, "test_positives", "positive_rate"),
    },
    "record/metrics.csv": NAMES | ON_TEST_ROWS | told(PUBLIC, "scope", "metric"),
    "record/curves.csv": {
        **told(PUBLIC, "seed", "method", "model", "round"),
        **told(PUBLIC, "client_learning_rate", "server_learning_rate"),
        **told(VALIDATION_SHOWN, "validation_loss", "validation_accuracy"),
        "validation_auc": VALIDATION_SHOWN,
        **told(EMPTY, "training_loss", "non_finite_updates", "rejected_updates"),
        **told(EMPTY, "simulated_seconds", "mean_staleness"),
        **told(EMPTY, "late_updates", "lost_updates"),
    },
    "record/runs.csv": {
        # Rounds and traffic are fixed before; running times are not hidden.
        **told(PUBLIC, "seed", "method", "model", "rounds", "exchanges", "seconds"),
        **told(PUBLIC, "best_round", "stopped_by", "source"),
        **told(PUBLIC, "bytes_down", "bytes_up"),
        **told(PUBLIC, "validation_bytes_down", "validation_bytes_up"),
        **told(PUBLIC, "institution_bytes_down", "institution_bytes_up"),
        **told(EMPTY, "dropouts", "skipped_rounds"),
    },
    "record/score_histograms.csv.gz": {
        **NAMES,
        **told(TEST_RESULTS, "bin", "negatives", "positives"),
    },
    "record/features.csv": {
        **told(PUBLIC, "seed", "institution", "feature"),
        "mean": TEST_RESULTS,
    },
    "record/bootstraps.csv": {
        **told(PUBLIC, "seed", "method", "reference", "scope", "institution"),
        **told(PUBLIC, "metric", "resamples"),
        **ON_TEST_ROWS,
        **told(TEST_RESULTS, "rows", "positives", "units"),
    },
    # The number of units is public, and their guarantee follows from it.
    "record/privacy.csv": PUBLIC,
    "record/coalitions.csv": EMPTY,
    "record/attacks.csv": EMPTY,
    "model/model.json": {
        **told(PUBLIC, "kind", "schema", "task", "algorithm", "label_meaning"),
        **told(PUBLIC, "output", "config", "training", "privacy", "reference"),
        **told(PUBLIC, "versions", "sha256"),
        "institutions": ROW_COUNTS,
        "validation": MODEL_VALIDATION,
        "reference_logit": MODEL_REFERENCE,
    },
    "model/contract.json": PUBLIC,
    "model/encoder.json": ENCODER,
    "model/reference.json": MODEL_REFERENCE,
    # Its last layer corrects for class weights.
    "model/saved_model": LABEL_COUNTS,
}


def train(directory, method):
    asked = config(
        methods=(method,),
        class_weights="balanced",
        files=(DataFile(name="loans.csv", sha256=CHECKSUM),),
        training=TrainingConfig(
            hidden_units=(),
            rounds=2,
            dp_sgd=DpSgdConfig(noise_multiplier=3.0, batch_size=64, rounds=2),
        ),
    )
    with in_process.execution_context():
        record = run_comparison(
            asked,
            SOURCE,
            CONTRACT,
            scenario={"description": "made"},
            report_progress=lambda _: None,
            keep=model_keeper(directory / "model", asked),
        )
    record.write(directory / "record")
    return record


@pytest.fixture(scope="module")
def private(uncompiled, tmp_path_factory):
    del uncompiled
    directory = tmp_path_factory.mktemp("private")
    return directory, train(directory, "fed_avg_dp_sgd")


@pytest.fixture(scope="module")
def plain(uncompiled, tmp_path_factory):
    del uncompiled
    directory = tmp_path_factory.mktemp("plain")
    return directory, train(directory, "fed_avg")


def header(directory):
    return json.loads((directory / "model" / "model.json").read_text())


def content_of(path) -> Any:
    """A table, or what JSON holds; nothing of other files."""
    if path.name.endswith((".csv", ".csv.gz")):
        return pd.read_csv(path)
    return json.loads(path.read_text()) if path.suffix == ".json" else None


def test_every_file_is_accounted_for(private):
    directory, _ = private
    files = {
        path.relative_to(directory).as_posix()
        for part in ("record", "model")
        for path in (directory / part).iterdir()
    }
    assert files == set(RELEASED)


@pytest.mark.parametrize("name", RELEASED)
def test_what_a_file_tells_of_rows_is_in_the_ledger(private, name):
    directory, record = private
    known = RELEASED[name]
    content = content_of(directory / name)
    if isinstance(known, dict):
        assert set(content) == set(known)
        for column in (column for column, by in known.items() if by == EMPTY):
            assert not content[column].fillna(0).any(), column
    elif known == EMPTY:
        assert not len(content)
    parts = known.values() if isinstance(known, dict) else [known]
    for entry in {part for part in parts if isinstance(part, promises.Entry)}:
        line = f"{entry.stage}: {entry.what} ({entry.reason})"
        assert [row.institution for row in record.privacy] == ["a", "b"]
        for row in record.privacy:
            assert row.not_covered_lines.count(line) == 1


def test_a_model_carries_its_guarantee(private):
    directory, record = private
    found = header(directory)["privacy"]
    assert found == build_summary(record)["methods"]["fed_avg_dp_sgd"]["privacy"]
    assert found["epsilon"] == max(row.epsilon for row in record.privacy)
    assert (found["unit"], found["neighbouring"]) == ("record", "add_or_remove_one")
    assert found["delta"] == 1e-5
    assert any("beside the model" in line for line in found["not_covered"])


def test_a_private_model_has_no_checksum_of_its_tables(private):
    """By one of a whole table a row is known to whoever knows all others."""
    directory, record = private
    assert record.config["files"][0]["sha256"] == CHECKSUM
    assert header(directory)["config"]["files"] == [
        {"name": "loans.csv", "institution": ""}
    ]
    for path in (directory / "model").rglob("*.json"):
        assert CHECKSUM not in path.read_text()


def test_a_plain_model_promises_nothing_whatever_its_settings(plain):
    directory, record = plain
    assert record.privacy == ()
    found = header(directory)
    assert found["privacy"] is None
    assert found["config"] == record.config


def test_entries_are_of_what_was_done(private):
    """Neither tables that seeds draw nor models that nobody keeps are entered."""
    besides = promises.released_besides(label_counts=False, feature_counts=False)
    assert not {TABLE_CHECKSUMS, MODEL_VALIDATION, LABEL_COUNTS} & set(besides)
    _, record = private
    assert not any("attack" in row.not_covered for row in record.privacy)
