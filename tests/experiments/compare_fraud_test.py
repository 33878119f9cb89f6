"""The Handbook's payments through the binaries: arms, traffic, and what is refused."""

import json

import pytest

from tests.experiments.quick_call import ROOT, full_call, quick_call

PRESETS = ROOT / "experiments" / "presets"


def preset(name):
    lines = (PRESETS / f"{name}.flags").read_text().splitlines()
    return [line for line in lines if line.startswith("--")]


def test_presets_differ_in_the_arm_only():
    arms = {"fraud": "federated", "fraud_own": "own", "fraud_pooled": "pooled"}
    flags = {name: preset(name) for name in arms}
    for name, arm in arms.items():
        assert f"--terminal_risk={arm}" in flags[name]
        others = [flag for flag in flags[name] if "terminal_risk" not in flag]
        assert others == [f for f in flags["fraud"] if "terminal_risk" not in f]


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (
            ["--dataset=taiwan", "--partition=random:2", "--terminal_risk=own"],
            "--terminal_risk must be given with --dataset=handbook_fraud only",
        ),
        (
            ["--dataset=handbook_fraud", "--partition=column:home_region"],
            "must be `periods:TX_TIME_DAYS:FROM..TO,FROM..TO,FROM..TO`",
        ),
    ],
)
def test_usage_errors_are_one_line(tmp_path, flags, named):
    result = quick_call(
        "experiments.compare",
        "--task=fraud",
        "--data_dir=x",
        f"--output_dir={tmp_path}",
        *flags,
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert named in result.stderr


@pytest.mark.parametrize(
    "table",
    [
        preset("fraud_own"),
        [*preset("fraud"), "--terminal_risk=pooled"],
        ["--task=fraud", "--dataset=handbook_features", "--partition=random:2"],
    ],
)
def test_customers_in_features_of_others_are_not_protected(tmp_path, table):
    result = quick_call(
        "experiments.compare",
        *table,
        "--clusters=CUSTOMER_ID",
        "--methods=fed_avg_dp_sgd",
        "--privacy_unit=customer",
        "--data_dir=x",
        f"--output_dir={tmp_path}",
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert "features of each customer's own rows" in result.stderr


def test_federated_arm_from_the_preset(tmp_path, public_data):
    """One round of one method: what is recorded, and no other arm's run."""
    result = full_call(
        "experiments.compare",
        *preset("fraud"),
        "--methods=fed_avg",
        "--rounds=1",
        "--seeds=1",
        "--resamples=100",
        f"--data_dir={public_data}",
        f"--output_dir={tmp_path}",
    )
    assert result.returncode == 0, result.stderr
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert "terminal risk federated (federated_sum" in summary["config"]["preparation"]
    # 10,000 terminals, 520 periods, two counts of 4 bytes.
    features = summary["preprocessing"]["features"]
    assert features["bytes_down"] == features["bytes_up"] == 10_000 * 520 * 2 * 4
    banks = summary["institutions"]
    assert list(banks) == [f"region_{number}" for number in range(1, 6)]
    assert sum(bank["train_rows"] for bank in banks.values()) == 67_240
    assert sum(bank["test_rows"] for bank in banks.values()) == 58_264
    refused = quick_call(
        "experiments.compare_terminal_risk",
        *(f"--{arm}={tmp_path}" for arm in ("own", "pooled", "federated")),
        f"--data_dir={public_data}",
        f"--output_dir={tmp_path / 'arms'}",
    )
    assert refused.returncode == 2
    assert "--own: " in refused.stderr
    assert "with --terminal_risk=own" in refused.stderr
