"""What privacy costs and what it buys: the same training at several epsilons.

At each epsilon FedAvg by DP-SGD, record level, with noise calibrated for each bank;
besides, the same training without clipping and noise, and FedAvg as it is trained
where nobody asks for privacy, with early stopping. All are judged on the same test
rows, and attacked with the same rows of training and test: by a threshold on the loss,
which the entropy of `attacks.threshold` is a monotone function of for two classes.
"""

import dataclasses
import pathlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tff_finance.datasets.contract import Contract
from tff_finance.evaluation import promises
from tff_finance.evaluation.attacks.membership import (
    FALSE_POSITIVE_RATES,
    membership_metrics,
)
from tff_finance.evaluation.attacks.threshold import (
    MembershipScores,
    threshold_scores,
)
from tff_finance.evaluation.bootstrap import (
    Comparison,
    PairedDifference,
    bootstrap_comparisons,
)
from tff_finance.evaluation.method_suite import build_methods
from tff_finance.evaluation.methods import GLOBAL, Method
from tff_finance.evaluation.privacy_summary import summarize_privacy
from tff_finance.evaluation.row_metrics import ROW_METRICS
from tff_finance.evaluation.run_storage import example_store
from tff_finance.evaluation.test_scores import TestScores
from tff_finance.institutions.examples import ExampleStore
from tff_finance.institutions.institution import Institution
from tff_finance.metrics.values import Undefined
from tff_finance.preprocessing.consortium import Consortium, encode_consortium
from tff_finance.records import files
from tff_finance.records.config import StudyConfig
from tff_finance.records.run_folder import RunFolder
from tff_finance.tasks.task import Task
from tff_finance.training.folder import TrainingFolder

WITHOUT = "without"
"""The same training without clipping and noise: an infinite epsilon."""
FED_AVG = "fed_avg"
"""FedAvg with early stopping on validation rows, its own batches and rate."""

_METRICS = {name: ROW_METRICS[name] for name in ("accuracy", "auc", "log_loss")}
_ATTACK_METRICS = ("auc", *FALSE_POSITIVE_RATES)
_ATTACK_RESAMPLES = 200
_STREAM = 2  # keeps resamples apart from what else a seed decides
_ALL = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrontierData:
    """The tables that models are trained on and attacked with.

    Attributes:
        contract: The columns that all institutions agreed on.
        institutions: Their tables under a seed; test rows are of the law of training
            rows, or an attack would tell the one law from the other.
        task: Gives the model.
        resamples: Of the bootstrap over test rows.
    """

    contract: Contract
    institutions: Callable[[int], Sequence[Institution]]
    task: Task
    resamples: int = 1000


def level_name(epsilon: float) -> str:
    """The name of an epsilon's level in results."""
    return f"epsilon_{epsilon:g}"


def run_frontier(
    config: StudyConfig,
    data: FrontierData,
    epsilons: Sequence[float],
    *,
    folder: RunFolder,
    report_progress: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Trains, judges and attacks at every epsilon under every seed.

    Must be called in an execution context (`runtime.local`).

    Args:
        config: Seeds and training; its methods have no part in it.
        data: Of the banks.
        epsilons: Budgets per record.
        folder: Claimed by the caller; takes what is done, and gives what was.
        report_progress: Takes a line for each model.

    Returns:
        A result for each seed, as JSON holds it.

    Raises:
        RunFailedError: As methods raise it.
    """
    with example_store(config.runtime, folder) as store:
        runner = _Runner(
            config=config,
            data=data,
            epsilons=epsilons,
            store=store,
            folder=folder,
            report_progress=report_progress,
        )
        return [runner.run_seed(seed) for seed in config.seeds]


class _Runner:
    def __init__(
        self,
        *,
        config: StudyConfig,
        data: FrontierData,
        epsilons: Sequence[float],
        store: ExampleStore,
        folder: RunFolder,
        report_progress: Callable[[str], None],
    ) -> None:
        self._config = config
        self._data = data
        self._levels: dict[str, float | None] = {level_name(e): e for e in epsilons}
        self._levels |= {WITHOUT: None, FED_AVG: None}
        self._store = store
        self._folder = folder
        self._report_progress = report_progress
        # Built once for all seeds whose encoders have the same width.
        self._methods: dict[tuple[str, int], Method] = {}

    def run_seed(self, seed: int) -> dict[str, Any]:
        """All levels under one seed, then intervals over its test rows."""
        path = self._path(seed, "all", "result.json")
        if path.exists():
            return files.read_json(path)
        consortium = encode_consortium(
            self._data.institutions(seed), self._data.contract
        )
        levels = {level: self._level(level, consortium, seed) for level in self._levels}
        scores = {
            level: TestScores.read(self._path(seed, level, "scores.npz"))
            for level in self._levels
        }
        judged = _judge(scores, consortium, seed=seed, resamples=self._data.resamples)
        result = {
            "seed": seed,
            "levels": {level: levels[level] | judged[level] for level in self._levels},
        }
        files.write_json(path, result)
        return result

    def _level(self, level: str, consortium: Consortium, seed: int) -> dict[str, Any]:
        path = self._path(seed, level, "result.json")
        if path.exists():
            self._report_progress(f"seed {seed}  {level:<12} was finished before")
            return files.read_json(path)
        folder = TrainingFolder(run=self._folder, part=f"seed_{seed}/{level}")
        method = self._method(level, len(consortium.encoder.feature_names))
        fitted = method.fit(consortium.training, seed=seed, folder=folder)
        scorer = fitted.scorers[GLOBAL]
        scores = TestScores.of(fitted.scorers, consortium.test)
        scores.write(self._path(seed, level, "scores.npz"))
        rows = promises.privacy_rows(
            fitted.promises,
            promises.released_besides(
                label_counts=False,
                feature_counts=False,
                table_checksums=self._config.table_checksums,
                training_rows_attacked=True,
            ),
            seed=seed,
            method=method.name,
        )
        attacked = {
            i.institution: threshold_scores(
                member_logits=scorer(i.train["x"]),
                member_labels=i.train["y"][:, 0],
                other_logits=scores.own(i.institution),
                other_labels=consortium.test[i.institution]["y"][:, 0],
            )["loss"]
            for i in consortium.training
        }
        (run,) = fitted.runs
        result = {
            "epsilon": self._levels[level],
            "privacy": summarize_privacy(rows),
            "rounds": run.rounds,
            "stopped_by": run.stopped_by,
            "membership": _attack(attacked, seed=seed),
        }
        files.write_json(path, result)
        shutil.rmtree(self._folder.training(folder.part), ignore_errors=True)
        self._report_progress(f"seed {seed}  {level:<12} {run.rounds} rounds")
        return result

    def _method(self, level: str, width: int) -> Method:
        if (level, width) not in self._methods:
            training, epsilon = self._config.training, self._levels[level]
            name = {WITHOUT: "fed_avg_poisson", FED_AVG: "fed_avg"}.get(level)
            if epsilon is not None:
                name = "fed_avg_dp_sgd"
                dp_sgd = dataclasses.replace(training.dp_sgd, target_epsilon=epsilon)
                training = dataclasses.replace(training, dp_sgd=dp_sgd)
            assert name
            (self._methods[level, width],) = build_methods(
                (name,), width, training, store=self._store, task=self._data.task
            )
        return self._methods[level, width]

    def _path(self, seed: int, part: str, name: str) -> pathlib.Path:
        return self._folder.beside(f"seed_{seed}/{part}", name)


def _attack(attacked: Mapping[str, MembershipScores], *, seed: int) -> dict[str, Any]:
    """How well scores tell members, of each bank and of all of them."""
    generator = np.random.default_rng([seed, _STREAM])
    everybody = MembershipScores(
        *map(np.concatenate, zip(*attacked.values(), strict=True))
    )
    results = {}
    for name, scores in {_ALL: everybody, **attacked}.items():
        found = membership_metrics(
            *scores, generator=generator, resamples=_ATTACK_RESAMPLES
        )
        results[name] = {
            metric: {
                "value": found[metric].value,
                "low": found[metric].low,
                "high": found[metric].high,
                "reason": found[metric].reason,
            }
            for metric in _ATTACK_METRICS
        }
    return results


def _judge(
    scores: Mapping[str, TestScores],
    consortium: Consortium,
    *,
    seed: int,
    resamples: int,
) -> dict[str, dict[str, Any]]:
    """Values of each level, and differences to the two without privacy."""
    truth = np.concatenate([rows["y"] for rows in consortium.test.values()])
    alone = [Comparison(level, None) for level in scores]
    differences = [
        Comparison(level, reference)
        for level in scores
        for reference in (WITHOUT, FED_AVG)
        if level != reference
    ]

    def compare(
        labels: np.ndarray,
        logits: Mapping[str, np.ndarray],
        comparisons: Sequence[Comparison],
    ) -> dict[Comparison, dict[str, Any]]:
        found = bootstrap_comparisons(
            labels,
            logits,
            comparisons,
            generator=np.random.default_rng([seed, _STREAM]),
            metrics=_METRICS,
            resamples=resamples,
        )
        return {
            comparison: {name: _to_json(value) for name, value in metrics.items()}
            for comparison, metrics in found.items()
        }

    pooled = compare(
        truth, {n: s.pooled()[:, 0] for n, s in scores.items()}, alone + differences
    )
    own = {
        name: compare(rows["y"], {n: s.own(name) for n, s in scores.items()}, alone)
        for name, rows in consortium.test.items()
    }
    return {
        level: {
            "pooled": pooled[Comparison(level, None)],
            "own": {name: own[name][Comparison(level, None)] for name in own},
            "to_without": pooled.get(Comparison(level, WITHOUT)),
            "to_fed_avg": pooled.get(Comparison(level, FED_AVG)),
        }
        for level in scores
    }


def _to_json(found: PairedDifference) -> dict[str, float | None]:
    if isinstance(found.difference, Undefined):
        return {"value": None, "low": None, "high": None}
    low, high = (None, None) if isinstance(found.ci95, Undefined) else found.ci95
    return {"value": found.difference, "low": low, "high": high}
