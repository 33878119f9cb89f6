"""Keeps the model of a run: saves it with all that scoring needs."""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from tff_finance.evaluation.feature_means import mean_customer
from tff_finance.evaluation.judging import judge
from tff_finance.evaluation.methods import GLOBAL, Fitted
from tff_finance.evaluation.privacy_summary import summarize_privacy
from tff_finance.evaluation.reason_codes import REFERENCE
from tff_finance.evaluation.saved_model import save_model
from tff_finance.evaluation.scorers import KerasScorer
from tff_finance.evaluation.study import Keep
from tff_finance.evaluation.targets import targets_of
from tff_finance.preprocessing.consortium import Consortium
from tff_finance.records.comparison_config import ComparisonConfig
from tff_finance.records.method_names import WITHOUT_GLOBAL_NETWORK
from tff_finance.records.privacy_row import PrivacyRow
from tff_finance.records.run_rows import MetricRow
from tff_finance.records.versions import result_versions
from tff_finance.tasks.catalogue import TASKS


def model_keeper(directory: pathlib.Path, config: ComparisonConfig) -> Keep:
    """Builds what saves the global network of a run of one method and one seed.

    Args:
        directory: The model's folder.
        config: What was asked for.

    Returns:
        Takes what the method learnt, and what it promises.

    Raises:
        ValueError: If the run has several methods or seeds, or a method without a
            global network.
    """
    if len(config.methods) != 1 or len(config.seeds) != 1:
        raise ValueError(
            "`config` must have one method and one seed, got "
            f"{config.methods} and {config.seeds}."
        )
    (method,) = config.methods
    if reason := WITHOUT_GLOBAL_NETWORK.get(method):
        raise ValueError(f"`config` has method {method!r}, which {reason}.")

    def keep(
        name: str,
        fitted: Fitted,
        consortium: Consortium,
        privacy: Sequence[PrivacyRow],
    ) -> None:
        scorer = fitted.scorers[GLOBAL]
        assert isinstance(scorer, KerasScorer), name
        (run,) = fitted.runs
        save_model(
            directory,
            scorer.model,
            encoder=consortium.encoder,
            reference=np.asarray(mean_customer(consortium.training)),
            about={
                "task": config.task,
                "algorithm": name,
                "label_meaning": consortium.encoder.contract.label_meaning,
                "output": "logit of label 1 of encoded rows",
                "config": _config(config, private=bool(privacy)),
                "institutions": {
                    i.institution: {
                        "train_rows": len(i.train["x"]),
                        "validation_rows": len(i.validation["x"]),
                    }
                    for i in consortium.training
                },
                "training": {
                    "rounds": run.rounds,
                    "best_round": run.best_round,
                    "stopped_by": run.stopped_by,
                },
                "privacy": summarize_privacy(privacy),
                "validation": _validation(fitted, consortium, config),
                "reference": REFERENCE,
                "versions": result_versions(),
            },
        )

    return keep


def _config(config: ComparisonConfig, *, private: bool) -> dict[str, Any]:
    """What was asked for; of a private model without checksums of its tables."""
    mapping = config.to_mapping()
    if private:  # whoever knows all rows but one could test for that one by them
        for file in mapping["files"]:
            del file["sha256"]
    return mapping


def _validation(
    fitted: Fitted, consortium: Consortium, config: ComparisonConfig
) -> dict[str, Any]:
    """Metrics on validation rows, of all institutions and of each alone."""
    rows = {i.institution: i.validation for i in consortium.training}
    judgement = judge(
        fitted.scorers,
        rows,
        seed=config.seeds[0],
        method=config.methods[0],
        judged_by=TASKS[config.task].metrics,
        targets=targets_of(consortium.encoder.contract, rows),
    )
    return {
        "pooled": _values(judgement.metrics, "pooled", ""),
        "own": {name: _values(judgement.metrics, "own", name) for name in rows},
    }


def _values(
    rows: tuple[MetricRow, ...], scope: str, institution: str
) -> dict[str, float | None]:
    return {
        row.metric: row.value
        for row in rows
        if (row.scope, row.institution) == (scope, institution)
    }
