"""The search's binary: quick refusals, and one small search that goes on."""

import pandas as pd
import pytest

from tests.experiments.quick_call import full_call, quick_call

RATE = "--search=client_learning_rate=0.01:1:log"


def call(*arguments, before="", module="tune", imported=False):
    """Exit code, output and errors; unless it may be, TensorFlow isn't imported."""
    if not imported:
        done = quick_call(f"experiments.{module}", *arguments, before=before)
    else:
        done = full_call(f"experiments.{module}", *arguments)
    return done.returncode, done.stdout, done.stderr


def test_help_names_the_flags_of_all_parts():
    code, output, errors = call("--help")
    assert (code, errors) == (0, "")
    for flag in (
        "search",
        "method",
        "trials",
        "reported_seeds",
        "scenario",
        "dataset",
        "rounds",
        "runtime",
        "restart",
    ):
        assert f"--{flag}" in output or f"--[no]{flag}" in output
    assert "by validation rows alone" in output


@pytest.mark.parametrize(
    ("arguments", "culprit"),
    [
        ([], "--search"),
        (["--search=epochs=1,2"], "flag --search: 'epochs=1,2': epochs is no setting"),
        (["--search=client_learning_rate=1:0.1"], "must begin below its end"),
        ([RATE, RATE], "client_learning_rate is given twice"),
        ([RATE, "--client_learning_rate=1"], "can't be both given and searched"),
        ([RATE, "--method=gradient_boosting"], "gradient_boosting"),
        (["--search=proximal_mu=0:1"], "`proximal_mu` makes no difference to fed_avg"),
        ([RATE, "--trials=0"], "trials"),
        ([RATE, "--first_seed=99", "--seeds=3"], "[100, 101]"),
        ([RATE, "--prune", "--seeds=1"], "`prune` needs two"),
        ([RATE, "--scenario=market", "--task=risk"], "give either"),
        ([RATE, "--dataset=taiwan"], "--task must be given"),
        ([RATE, "--task=risk"], "--dataset"),
        ([RATE, "--rounds=0"], "rounds"),
        (["--search=client_optimizer=sgd,adam", "stray"], "'stray'"),
    ],
)
def test_a_bad_flag_gets_one_line_and_exit_code_2(tmp_path, arguments, culprit):
    code, output, errors = call(f"--output_dir={tmp_path / 'out'}", *arguments)
    assert (code, output) == (2, ""), errors
    assert errors.startswith("tune: error: ")
    assert errors.count("\n") == 1
    assert culprit in errors
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--search=branches=200,500", "--method=dp_ftrl"],
        [
            "--search=outage_rate=1e-6:1e-4:log",
            "--search=outage_seconds=10:100",
            "--institution_seconds=equal(60)",
        ],
        [
            "--search=outage_rate=1e-6:1e-4:log",
            "--outage_seconds=60",
            "--institution_seconds=equal(60)",
        ],
    ],
)
def test_what_makes_sense_with_searched_values_only_is_taken(tmp_path, arguments):
    """Up to the folder, which can't be made."""
    (tmp_path / "file").touch()
    code, _, errors = call(f"--output_dir={tmp_path / 'file'}", *arguments)
    assert code == 1, errors
    assert "can't write" in errors


def test_without_optuna_it_says_what_to_install(tmp_path):
    code, _, errors = call(
        f"--output_dir={tmp_path}", RATE, before="sys.modules['optuna'] = None"
    )
    assert code == 1
    assert errors.count("\n") == 1
    assert "extra `tune`, or `optuna>=4,<5`" in errors


def without_seconds(path):
    return pd.read_csv(path, dtype=str).drop(columns="seconds")


def test_a_search_goes_on_and_its_result_is_taken(tmp_path):
    small = (
        "--search=client_learning_rate=0.05:1:log",
        "--search=hidden_units=2,3x2",
        "--scenario=scarce_labels",
        "--seeds=1",
        "--rounds=2",
        "--batch_size=64",
    )
    out = tmp_path / "out"
    code, _, errors = call(f"--output_dir={out}", *small, "--trials=1", imported=True)
    assert code == 0, errors
    assert "seed 1000: bank_a 100 training" in errors
    assert "trial 1 of 1" in errors
    first = without_seconds(out / "trials.csv")

    code, output, errors = call(
        f"--output_dir={out}", *small, "--trials=2", imported=True
    )
    assert code == 0, errors
    assert "trial 1 of 2" not in errors
    assert "trial 2 of 2" in errors
    trials = without_seconds(out / "trials.csv")
    pd.testing.assert_frame_equal(trials.head(1), first)
    assert list(trials.columns) == [
        "trial",
        "state",
        "loss",
        "reason",
        "client_learning_rate",
        "hidden_units",
        "loss_1000",
    ]
    assert output.startswith("Best of 2 trials")

    best = trials.loc[trials["loss"].astype(float).idxmin()]
    flags = (out / "best.flags").read_text().splitlines()
    assert f"--client_learning_rate={best['client_learning_rate']}" in flags
    assert {"--rounds=2", "--batch_size=64"} <= set(flags)

    for module in ("bank_case_study", "compare"):
        code, _, errors = call(
            f"--output_dir={tmp_path / 'x'}",
            f"--flagfile={out / 'best.flags'}",
            "--seeds=0",
            module=module,
        )
        assert code == 2
        assert "--seeds=0" in errors  # and nothing else is wrong

    code, _, errors = call(f"--output_dir={out}", *small, "--sampler_seed=1")
    assert code == 2
    assert "config.sampler_seed was 0 and is now 1" in errors
