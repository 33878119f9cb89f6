"""The binary: a small run from end to end, and flags that make no sense."""

import json

import pytest

from tests.experiments.quick_call import full_call, quick_call

SMALL = (
    "--scenario=scarce_labels",
    "--seeds=1",
    "--epsilons=8",
    "--rows=40",
    "--rounds=2",
    "--hidden_units=4",
    "--shadows=2",
    "--overfitted_rounds=2",
    "--matching_steps=20",
    "--updates=3",
    "--matched_updates=1",
    "--inverted_rows=1,4",
    "--summed_institutions=1,3",
    "--first_layer_units=8",
    "--canary_runs=8",
    "--canary_epsilons=2",
)


def test_a_small_run(tmp_path):
    result = full_call("experiments.attack_models", f"--output_dir={tmp_path}", *SMALL)
    assert result.returncode == 0, result.stderr
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (tmp_path / "record" / "attacks.csv").exists()
    attacks = summary["attacks"]
    inverted = [
        one
        for one in attacks["inversion"]
        if one["metric"] == "features_recovered"
        and (one["institutions"], one["batch_size"]) == (1, 1)
        and one["method"] == "first_layer"
        and one["target"] == "gradient"
    ]
    by_protection = {one["protection"]: one["mean"] for one in inverted}
    assert set(by_protection) == {"none", "little_noise", "record_dp"}
    assert by_protection["none"] >= 0.95 > by_protection["record_dp"]
    assert by_protection["little_noise"] > 0.8
    found = {
        (one["target"], one["model"], one["method"]) for one in attacks["membership"]
    }
    assert len(found) == 2 * 2 * 3
    assert {one["protection"] for one in attacks["canary"]} == {
        "record_dp",
        "missing_noise",
        "missing_sampling",
    }
    sampled = {
        (one["batch_size"], one["mean"])
        for one in attacks["canary"]
        if one["metric"] == "sampling_probability"
    }
    assert sampled == {(64, 1.0), (8, 0.125)}
    claims = {
        (one["delta"], one["unit"], one["neighbouring"], one["accountant"])
        for kind in attacks.values()
        for one in kind
        if one["epsilon"] is not None
    }
    assert claims == {(1e-5, "record", "add_or_remove_one", "rdp")}
    # 8 runs show next to nothing, and the summary says so.
    assert all(
        one["mean"] is None
        for one in attacks["canary"]
        if one["metric"] == "refutable_noise_share"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--shadows=3",), "`shadows` must be 0 or even"),
        (("--epsilons=0",), "`epsilons` must be positive"),
        (("--canary_epsilons=0",), "`canary.epsilons` must be positive"),
        (("--inverted_rows=1,b",), "--inverted_rows must be whole numbers"),
        (("--client_optimizer=adam",), "--client_optimizer can't be given"),
        (("--heterogeneity=3",), "`heterogeneity` must be between"),
        (("--dataset=taiwan",), "--task must be given"),
    ],
)
def test_flags_that_make_no_sense(arguments, message, tmp_path):
    result = quick_call(
        "experiments.attack_models", f"--output_dir={tmp_path}", *arguments
    )
    assert result.returncode == 2
    assert message in result.stderr


@pytest.mark.parametrize("binary", ["attack_models", "privacy_frontier"])
@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--split=row_order:0.75,0.05,0.2", "--split: must be shuffled"),
        ("--split=time:age:0.75,0.05,0.2", "--split: must be shuffled"),
        ("--clusters=job", "records that are independent"),
        ("--dataset=handbook_fraud", "records that are independent"),
        ("--dataset=handbook_features", "records that are independent"),
        ("--payments=day,card,amount", "--payments"),
    ],
)
def test_training_and_test_rows_must_be_of_one_law(binary, flag, message, tmp_path):
    arguments = [
        "--task=marketing",
        "--dataset=bank_marketing",
        f"--data_dir={tmp_path}",
        "--partition=random:3",
        f"--output_dir={tmp_path}",
        flag,
    ]
    result = quick_call(f"experiments.{binary}", *arguments)
    assert result.returncode == 2
    assert message in result.stderr
