"""All attacks on the institutions of a study, seed by seed."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tff_finance.datasets.contract import Contract
from tff_finance.evaluation.attacks.attacked_data import AttackedData
from tff_finance.evaluation.attacks.canary_study import audit_by_canaries
from tff_finance.evaluation.attacks.inversion_study import attack_updates
from tff_finance.evaluation.attacks.membership_study import attack_membership
from tff_finance.evaluation.record_rows import institution_row, traffic_once
from tff_finance.institutions.institution import Institution
from tff_finance.preprocessing.consortium import encode_consortium
from tff_finance.preprocessing.statistics import exchanged_types
from tff_finance.records.attack_config import AttackConfig
from tff_finance.records.attack_rows import AttackRow
from tff_finance.records.run_record import RunRecord, join_rows
from tff_finance.records.versions import result_versions
from tff_finance.tasks.task import Task

EXPERIMENT = "attack_models"


def run_attacks(
    config: AttackConfig,
    institutions: Callable[[int], Sequence[Institution]],
    contract: Contract,
    task: Task,
    *,
    scenario: Mapping[str, Any],
    report_progress: Callable[[str], None],
) -> RunRecord:
    """Attacks models and updates of the institutions under every seed.

    Must be called in an execution context (`runtime.in_process`).

    Args:
        config: What to attack.
        institutions: Their tables under a seed, satisfying the contract.
        contract: The columns that all agreed on.
        task: Gives the model.
        scenario: What the data are; the record holds it.
        report_progress: Takes a line for each thing attacked.

    Returns:
        The record: institutions, and what attacks achieved.
    """
    header = RunRecord(
        experiment=EXPERIMENT,
        config=config.to_mapping(),
        scenario=dict(scenario),
        preprocessing=traffic_once(exchanged_types(contract)),
        versions=result_versions(),
        institutions=(),
        metrics=(),
        curves=(),
        runs=(),
        histograms=(),
    )
    records = []
    for seed in config.seeds:
        parties = institutions(seed)
        data = AttackedData(
            consortium=encode_consortium(parties, contract), task=task, seed=seed
        )
        records.append(
            dataclasses.replace(
                header,
                institutions=tuple(institution_row(i, contract, seed) for i in parties),
                attacks=tuple(_attacks(data, config, report_progress)),
            )
        )
    return join_rows(records)


def _attacks(
    data: AttackedData, config: AttackConfig, report_progress: Callable[[str], None]
) -> list[AttackRow]:
    rows: list[AttackRow] = []
    for target, membership in (
        ("standard", config.standard),
        ("overfitted", config.overfitted),
    ):
        rows += attack_membership(
            data,
            membership,
            target=target,
            epsilons=config.epsilons,
            l2_clip_norm=config.l2_clip_norm,
            report_progress=report_progress,
        )
    rows += attack_updates(data, config, report_progress=report_progress)
    rows += audit_by_canaries(data, config, report_progress=report_progress)
    return rows
