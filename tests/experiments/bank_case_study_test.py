"""The binary: quick refusals, and one small run from end to end."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid

import psutil
import pytest

from tests.experiments.quick_call import ROOT, full_call, quick_call
from tff_finance.datasets.scenarios import SCENARIOS
from tff_finance.evaluation.summary import build_summary
from tff_finance.records import files
from tff_finance.records.method_names import DEFAULT_METHODS
from tff_finance.records.run_folder import RunFolder
from tff_finance.records.run_record import RunRecord

MODULE = "experiments.bank_case_study"


def call(*arguments):
    """Calls the binary, which must spare TensorFlow: exit code, output and errors."""
    done = quick_call(MODULE, *arguments)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def usage():
    code, output, errors = call("--help")
    assert (code, errors) == (0, "")
    return output


@pytest.mark.parametrize(
    "flag",
    [
        "output_dir",
        "scenario",
        "seeds",
        "first_seed",
        "rounds",
        "heterogeneity",
        "methods",
        "fed_sgd_rounds",
        "hidden_units",
        "weighting",
        "server_optimizer",
        "proximal_mu",
        "plateau_rates",
        "contribution",
        "coalitions",
        "runtime",
        "workers",
        "on_worker_failure",
        "shared_storage",
        "insecure_network",
    ],
)
def test_help_prints_the_flags_without_tensorflow(usage, flag):
    assert f"--{flag}" in usage or f"--[no]{flag}" in usage


def test_help_says_what_the_binary_is_for(usage):
    assert "Three banks train a joint credit-risk model" in usage


def test_choices_of_scenario_are_the_scenarios(usage):
    assert f"<{'|'.join(SCENARIOS)}>" in usage


@pytest.mark.parametrize(
    ("arguments", "culprit"),
    [
        (["--rouns=3"], "rouns"),
        (["--scenario=paradise"], "--scenario=paradise"),
        (["--methods=local,fed_magic"], "fed_magic"),
        (["--methods="], "methods"),
        (["--heterogeneity=1.01"], "heterogeneity"),
        (["--heterogeneity=much"], "--heterogeneity=much"),
        (["--seeds=0"], "--seeds=0"),
        (["--first_seed=2147483647", "--seeds=2"], "seeds"),
        (["--rounds=0"], "rounds"),
        (["--hidden_units=8,0"], "hidden_units"),
        (["--client_optimizer=adam", "--methods=scaffold"], "client_optimizer"),
        (["--server_learning_rate=0"], "server_learning_rate"),
        (["--plateau_rates=bank"], "plateau_rates"),
        (["--most_rows_per_customer=4"], "`privacy_unit` customer"),
        (["--contribution=local"], "--contribution=local"),
        (["--coalitions=all"], "--coalitions needs --contribution"),
        (["--contribution=fed_avg", "--coalitions=some"], "--coalitions=some"),
        (["--cohort_size=2", "--participation_rate=0.5"], "participation_rate"),
        (["--cohort_size=4"], "cohort_size"),
        (["--attack=scale"], "hostile_institution"),
        (
            ["--attack=scale", "--hostile_institution=bank_z", "--methods=fed_avg"],
            "bank_z",
        ),
        (["--methods=dp_fed_avg"], "--branches=1000"),
        (["--methods=fed_avg_secure", "--runtime=tff"], "no secure sums"),
        (["stray"], "'stray'"),
    ],
)
def test_bad_flag_gets_one_line_and_exit_code_2(tmp_path, arguments, culprit):
    code, output, errors = call(f"--output_dir={tmp_path / 'results'}", *arguments)
    assert code == 2
    assert output == ""
    assert errors.startswith("bank_case_study: error: ")
    assert errors.count("\n") == 1
    assert errors.endswith("\n")
    assert culprit in errors
    assert not (tmp_path / "results").exists()


def test_missing_output_dir_gets_one_line_and_exit_code_2():
    code, _, errors = call("--seeds=1")
    assert code == 2
    assert errors.startswith("bank_case_study: error: ")
    assert "--output_dir" in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize("below", ["", "deeper"])
def test_output_dir_that_is_a_file_fails_before_tensorflow(tmp_path, below):
    path = tmp_path / "file"
    path.write_text("mine")
    code, _, errors = call(f"--output_dir={path / below}")
    assert code == 1
    assert errors.startswith("bank_case_study: error: --output_dir: can't write to ")
    assert errors.count("\n") == 1
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    "preset",
    [
        path
        for path in sorted((ROOT / "experiments" / "presets").glob("*.flags"))
        if "--scenario=" in path.read_text()
    ],
    ids=lambda path: path.stem,
)
def test_preset_is_understood(preset, tmp_path):
    """Up to the output folder, which can't be made."""
    (tmp_path / "file").touch()
    code, _, errors = call(f"--flagfile={preset}", f"--output_dir={tmp_path / 'file'}")
    assert code == 1
    assert "can't write" in errors


def processes_marked(marker):
    """Living processes that inherited the marker; a zombie has no environment."""
    marked = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("TFF_FINANCE_TEST") == marker:
                marked.append(process.name())
    return marked


SMALL = (
    "--first_seed=0",
    "--seeds=2",
    "--rounds=3",
    "--fed_sgd_rounds=10",
    "--max_epochs=2",
    "--hidden_units=4",
)


def start(folder, output_dir, *arguments, marker=""):
    """Starts the binary, printing into files in the folder.

    A worker that outlives the run would hold a pipe open.
    """
    folder.mkdir(exist_ok=True)
    with (
        (folder / "stdout").open("w") as stdout,
        (folder / "stderr").open("w") as stderr,
    ):
        return subprocess.Popen(
            # Jobs in the background of a shell ignore it, and so their children.
            [
                *("env", "--default-signal=SIGINT", sys.executable, "-m", MODULE),
                f"--output_dir={output_dir}",
                *arguments,
            ],
            cwd=ROOT,
            env=os.environ | {"TFF_FINANCE_TEST": marker, "COLUMNS": "120"},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
        )


def run_in_files(*arguments, **options):
    """Runs the binary to its end; the exit code."""
    return start(*arguments, **options).wait(timeout=300)


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory):
    """A small run of all methods; its folder, and what it printed."""
    directory = tmp_path_factory.mktemp("run")
    marker = uuid.uuid4().hex
    code = run_in_files(directory, directory / "results", *SMALL, marker=marker)
    left_over = processes_marked(marker)
    assert code == 0, (directory / "stderr").read_text()
    return directory, left_over


def test_no_worker_survives_the_run(finished_run):
    _, left_over = finished_run
    assert left_over == []


def test_run_writes_summary_and_record(finished_run):
    directory, _ = finished_run
    results = directory / "results"
    assert {path.name for path in results.iterdir()} == {
        "summary.json",
        "record",
        "checkpoints",
        "metrics",
        "tensorboard",
        ".lock",
    }
    summary = json.loads((results / "summary.json").read_text())
    assert list(summary["methods"]) == list(DEFAULT_METHODS)
    assert summary["seeds"] == [0, 1]
    assert summary["config"]["scenario"] == "market"
    assert summary["config"]["training"]["rounds"] == 3
    assert summary["config"]["training"]["hidden_units"] == [4]
    for method in summary["methods"].values():
        accuracy = method["pooled"]["accuracy"]
        assert 0.3 < accuracy["mean"] < 1
        assert accuracy["ci95"][0] <= accuracy["mean"] <= accuracy["ci95"][1]
    assert summary["methods"]["fed_avg"]["communication"]["rounds"] == 3
    assert summary["methods"]["fed_sgd"]["communication"]["rounds"] == 10
    # The summary is an extract: the record alone gives it again.
    assert build_summary(RunRecord.read(results / "record")) == summary


def test_run_prints_the_table_and_its_progress(finished_run):
    directory, _ = finished_run
    output = (directory / "stdout").read_text()
    for label in ("local", "FedAvg", "FedSGD", "centralized", "gradient boosting"):
        assert label in output
    for word in ("own", "other banks", "all", "market", "synthetic", "bank_a"):
        assert word in output
    errors = (directory / "stderr").read_text()
    for seed in (0, 1):
        for method in DEFAULT_METHODS:
            assert f"seed {seed}  {method}" in errors
    assert "Traceback" not in errors


def test_metrics_of_every_round_are_released(finished_run):
    directory, _ = finished_run
    metrics = directory / "results" / "metrics"
    names = {path.relative_to(metrics).as_posix() for path in metrics.rglob("*.csv")}
    models = {"local": ("bank_a", "bank_b", "bank_c")}
    assert names == {
        f"seed_{seed}/{method}/{model}.csv"
        for seed in (0, 1)
        for method in ("local", "fed_avg", "fed_sgd", "centralized")
        for model in models.get(method, ("global",))
    }
    record = RunRecord.read(directory / "results" / "record")
    table = files.read_csv(metrics / "seed_1" / "fed_sgd" / "global.csv")
    curve = [row for row in record.curves if (row.seed, row.method) == (1, "fed_sgd")]
    assert list(table["round"]) == [row.round for row in curve]
    assert list(table["training_loss"]) == [row.training_loss for row in curve]
    events = list((directory / "results" / "tensorboard").rglob("events.*"))
    assert len(events) == len(names)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ("--seeds=3", "config.seeds was [0, 1] and is now [0, 1, 2]"),
        ("--rounds=4", "config.training.rounds was 3 and is now 4"),
        ("--methods=local", "config.methods"),
    ],
)
def test_a_run_of_other_settings_is_refused(finished_run, changed, named):
    directory, _ = finished_run
    before = (directory / "results" / "summary.json").read_bytes()
    code, output, errors = call(
        f"--output_dir={directory / 'results'}", *SMALL, changed
    )
    assert (code, output) == (2, "")
    assert errors.count("\n") == 1
    assert named in errors
    assert "--restart" in errors
    assert (directory / "results" / "summary.json").read_bytes() == before


def test_a_folder_in_use_is_refused(tmp_path):
    with RunFolder(directory=tmp_path).claim(config={}, versions={}):
        code, _, errors = call(f"--output_dir={tmp_path}")
    assert code == 1
    assert "another process is running" in errors
    assert errors.count("\n") == 1


def test_finished_parts_are_not_run_again(finished_run):
    directory, _ = finished_run
    before = RunRecord.read(directory / "results" / "record")
    again = full_call(MODULE, f"--output_dir={directory / 'results'}", *SMALL)
    assert again.returncode == 0
    errors = again.stderr
    assert errors.count("was finished before") == 2 * len(DEFAULT_METHODS)
    assert " rounds " not in errors
    # Seconds included: nothing was measured anew.
    assert RunRecord.read(directory / "results" / "record") == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_cleanly(tmp_path, number):
    marker = uuid.uuid4().hex
    process = start(tmp_path, tmp_path / "results", *SMALL, marker=marker)
    table = tmp_path / "results" / "metrics" / "seed_0" / "local" / "bank_a.csv"
    deadline = time.monotonic() + 120
    while not table.exists() and time.monotonic() < deadline:
        assert process.poll() is None, (tmp_path / "stderr").read_text()
        time.sleep(0.1)
    process.send_signal(number)
    assert process.wait(timeout=60) == 1
    assert processes_marked(marker) == []
    errors = (tmp_path / "stderr").read_text()
    assert "bank_case_study: error: " in errors
    assert "Traceback" not in errors


def test_seconds_that_are_no_number_are_refused(tmp_path):
    code, _, errors = call(f"--output_dir={tmp_path}", "--checkpoint_seconds=nan")
    assert code == 2
    assert "flag --checkpoint_seconds" in errors
    assert errors.count("\n") == 1
