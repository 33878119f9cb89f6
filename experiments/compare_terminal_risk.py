"""Compares three runs of experiments.compare: terminal risk own, pooled, federated.

Each run is one of the presets fraud_own, fraud_pooled and fraud with the same seeds
and methods. Test payments are scored by all of them, so that differences between arms
have paired intervals, over resampled cards. Prints them, and writes
terminal_risk.json and fraud_arms.png to --output_dir. docs/fraud.md has the result.
"""

import pathlib
from typing import TYPE_CHECKING

from absl import flags

from experiments import command_line, study_files
from tff_finance.records import files
from tff_finance.records.comparison_config import TERMINAL_RISKS, ComparisonConfig

if TYPE_CHECKING:
    from tff_finance.evaluation.arms import TestPayments

_RUNS = {
    arm: flags.DEFINE_string(arm, None, f"Output folder of the run of arm {arm!r}.")
    for arm in TERMINAL_RISKS
}
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Where the payments are.")
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Folder for terminal_risk.json and fraud_arms.png."
)
_RESAMPLES = flags.DEFINE_integer(
    "resamples", 1000, "Of the bootstrap over test cards.", lower_bound=100
)


def main() -> None:
    """Compares the arms."""
    output = command_line.output_directory(_OUTPUT_DIR.value)
    folders = {arm: pathlib.Path(flag.value) for arm, flag in _RUNS.items()}
    configs = {arm: _config(arm, folder) for arm, folder in folders.items()}
    config = configs["own"]
    _check_alike(configs)

    from tff_finance.evaluation.arms import compare_arms
    from tff_finance.evaluation.study_parts import finished_scores
    from tff_finance.records.run_folder import RunFolder
    from tff_finance.report.arms_console import print_arms
    from tff_finance.report.arms_figure import draw_arms

    scores = {
        seed: {
            arm: {
                method: finished_scores(
                    RunFolder(directory=folder), seed=seed, method=method
                )
                for method in config.methods
            }
            for arm, folder in folders.items()
        }
        for seed in config.seeds
    }
    pairs = [
        ((arm, method), (reference, method))
        for arm, reference in (
            ("federated", "own"),
            ("pooled", "own"),
            ("federated", "pooled"),
        )
        for method in config.methods
    ]
    if {"fed_avg", "centralized"} <= set(config.methods):
        pairs += [
            ((arm, "fed_avg"), ("pooled", "centralized")) for arm in TERMINAL_RISKS
        ]
    result = compare_arms(
        scores, _test_payments(config), pairs, resamples=_RESAMPLES.value
    )
    result = {
        "schema": 1,
        "experiment": "terminal_risk",
        "seeds": list(config.seeds),
        "preparations": {arm: each.preparation for arm, each in configs.items()},
        **result,
    }
    files.write_json(output / "terminal_risk.json", result)
    draw_arms(result, output / "fraud_arms.png")
    print_arms(result)
    command_line.report_progress(
        f"Wrote {output / 'terminal_risk.json'} and fraud_arms.png."
    )


def _config(arm: str, folder: pathlib.Path) -> ComparisonConfig:
    """The configuration of a run; ends the program if it is none of this arm."""
    record = study_files.read_study(folder / "record").record
    if not record.config.get("preparation"):
        command_line.usage_error(
            f"--{arm}: {folder} must be a run of experiments.compare on raw payments"
        )
    config = ComparisonConfig.from_mapping(record.config)
    if f"terminal risk {arm}" not in config.preparation:
        command_line.usage_error(
            f"--{arm}: {folder} must be a run with --terminal_risk={arm}, its "
            f"preparation was: {config.preparation}"
        )
    return config


def _check_alike(configs: dict[str, ComparisonConfig]) -> None:
    """Ends the program if runs differ in more than whose payments risk is from."""
    settings = {
        arm: config.to_mapping() | {"preparation": ""}
        for arm, config in configs.items()
    }
    for arm, of_arm in settings.items():
        for name, value in of_arm.items():
            if value != settings["own"][name]:
                command_line.usage_error(
                    f"--{arm}: must be a run like --own, but {name} is {value}, not "
                    f"{settings['own'][name]}"
                )


def _test_payments(config: ComparisonConfig) -> "TestPayments":
    """Labels, cards and days of the test payments that all arms have scored."""
    import numpy as np

    from experiments import comparison_data
    from tff_finance.datasets.handbook_protocol import DAY_COLUMN
    from tff_finance.evaluation.arms import TestPayments
    from tff_finance.institutions.partition import parse_partition
    from tff_finance.institutions.split import parse_split
    from tff_finance.preprocessing.handbook_preparation import HandbookPreparation

    split = parse_split(config.split)
    data = comparison_data.public_data(
        config.dataset,
        pathlib.Path(_DATA_DIR.value),
        partition=parse_partition(config.partition),
        split=split,
        clusters=config.clusters,
        # Test rows are the same in all arms; own terminal risk takes no computation.
        preparation=HandbookPreparation.for_split(split, terminal_risk="own"),
    )
    banks = data.source.institutions(config.seeds[0])

    def column(name: str) -> np.ndarray:
        return np.concatenate([bank.test[name].to_numpy() for bank in banks])

    return TestPayments(
        institutions=[bank.name for bank in banks],
        labels=column(data.contract.label),
        cards=column(config.clusters),
        days=column(DAY_COLUMN),
    )


if __name__ == "__main__":
    flags.mark_flags_as_required([*TERMINAL_RISKS, "data_dir", "output_dir"])
    command_line.run(main)
