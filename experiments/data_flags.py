"""Flags of every binary that trains on real tables: which rows, and for what task.

Either a public table that is dealt out to institutions (--dataset, --data_dir,
--partition), or one file per institution (--contract, --table for each).
"""

import contextlib
import pathlib
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from absl import flags

from experiments import command_line, training_flags
from experiments.dataset_names import DATASETS
from tff_finance import checks
from tff_finance.records.comparison_config import (
    CLASS_WEIGHTS,
    MIN_RESAMPLES,
    PAYMENT_TABLES,
    TERMINAL_RISKS,
    ComparisonConfig,
)
from tff_finance.records.contribution_config import ContributionConfig
from tff_finance.records.training_config import TASK_TRAINING

if TYPE_CHECKING:
    from experiments.comparison_data import ComparisonData
    from tff_finance.institutions.split import Split
    from tff_finance.preprocessing.handbook_preparation import HandbookPreparation

_RAW_PAYMENTS = "handbook_fraud"
_HANDBOOK_PAYMENTS = ("TX_TIME_DAYS", "CUSTOMER_ID", "TX_AMOUNT")

_TASK = flags.DEFINE_enum(
    "task", None, list(TASK_TRAINING), "Business task: model, settings and metrics."
)
_DATASET = flags.DEFINE_enum("dataset", None, DATASETS, "A public table.")
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Where the public table is, or where a download goes."
)
_PARTITION = flags.DEFINE_string(
    "partition",
    None,
    "Who gets which row of the public table, such as column:job or random:5; see "
    "docs/partitions.md.",
)
_CONTRACT = flags.DEFINE_string(
    "contract", None, "TOML file that says what the institutions' tables look like."
)
_TABLE = flags.DEFINE_multi_string(
    "table",
    None,
    "NAME=FILE of an institution's own table, CSV or Parquet; once for each.",
)
_SPLIT = flags.DEFINE_string(
    "split",
    "shuffled:0.6,0.2,0.2",
    "Each institution's rows into train, validation and test; see docs/partitions.md.",
)
_CLUSTERS = flags.DEFINE_string(
    "clusters",
    "",
    "Column whose equal values belong together, such as a customer's number: such "
    "rows stay in one table of a shuffled split, and intervals resample them together.",
)
_CLASS_WEIGHTS = flags.DEFINE_enum(
    "class_weights",
    "none",
    CLASS_WEIGHTS,
    "balanced: both classes weigh the same in the loss; scores are corrected for it.",
)
_TERMINAL_RISK = flags.DEFINE_enum(
    "terminal_risk",
    "federated",
    TERMINAL_RISKS,
    f"Of {_RAW_PAYMENTS}: a terminal's risk from each bank's own payments, from all "
    "banks' pooled, or from counts summed over banks; see docs/fraud.md.",
)
_SECURE_COUNTS = flags.DEFINE_bool(
    "secure_counts",
    False,
    "Sums federated counts by TFF's secure sum, simulated, instead of a plain sum.",
)
_PAYMENTS = flags.DEFINE_list(
    "payments",
    None,
    "Columns of day number, card and amount, if rows are payments: the task fraud is "
    "then judged by alerts and cards a day as well. Known of the Handbook's tables.",
)
_PAYMENT_FLAGS = (_TERMINAL_RISK, _SECURE_COUNTS)
_RESAMPLES = flags.DEFINE_integer(
    "resamples",
    1000,
    "Of the bootstrap over test rows.",
    lower_bound=MIN_RESAMPLES,
)


def given() -> list[str]:
    """Names of the flags that were given and say which rows, and for what task."""
    asking = (_TASK, _DATASET, _DATA_DIR, _PARTITION, _CONTRACT, _TABLE)
    return [flag.name for flag in asking if flag.present]


def task() -> str:
    """The task that is asked for."""
    return _TASK.value


def check(varied: Mapping[str, Any] = MappingProxyType({})) -> None:
    """Refuses flags that don't go together, before anything is imported.

    Args:
        varied: As of `training_flags.training`.
    """
    if _TASK.value is None:
        command_line.usage_error("--task must be given with tables")
    own = {"contract": _CONTRACT.value, "table": _TABLE.value}
    public = {
        "dataset": _DATASET.value,
        "data_dir": _DATA_DIR.value,
        "partition": _PARTITION.value,
    }
    kinds = [any(kind.values()) for kind in (own, public)]
    if all(kinds):
        given = [name for name, value in (own | public).items() if value]
        command_line.usage_error(
            "give either --dataset, --data_dir and --partition, or --contract and "
            f"--table; got --{', --'.join(given)}"
        )
    asked = own if kinds[0] else public
    if missing := [name for name, value in asked.items() if not value]:
        either = "" if any(kinds) else " (or --contract and --table for own files)"
        command_line.usage_error(f"--{', --'.join(missing)} must be given{either}")
    payments_only = [flag.name for flag in _PAYMENT_FLAGS if flag.present]
    if payments_only and _DATASET.value != _RAW_PAYMENTS:
        command_line.usage_error(
            f"--{', --'.join(payments_only)} must be given with --dataset="
            f"{_RAW_PAYMENTS} only"
        )
    try:
        training = training_flags.training(TASK_TRAINING[_TASK.value], varied)
        training.dp_sgd.check_own_features(_DATASET.value not in PAYMENT_TABLES)
    except ValueError as error:
        command_line.usage_error(error)


def check_one_law() -> None:
    """Refuses rows of which an attack could tell training and test rows by their law.

    Without any model: what it finds would say nothing about what a model remembers.
    """
    if (
        _CLUSTERS.value
        or _CLASS_WEIGHTS.value != "none"
        or _DATASET.value in PAYMENT_TABLES
        or _PAYMENTS.value
    ):
        command_line.usage_error(
            "--clusters, --class_weights, --payments and public tables of payments "
            "can't be attacked: attacks are for records that are independent"
        )
    if not _SPLIT.value.startswith("shuffled:"):
        command_line.usage_error(
            "flag --split: must be shuffled, or an attack tells the law of test rows "
            f"from that of training rows; got {_SPLIT.value!r}"
        )


def data() -> "ComparisonData":
    """The data that the flags ask for; ends the program if there are none."""
    from experiments import comparison_data
    from tff_finance.institutions.partition import parse_partition
    from tff_finance.institutions.split import parse_split

    try:
        split = parse_split(_SPLIT.value)
        partition = parse_partition(_PARTITION.value) if _PARTITION.value else None
    except ValueError as error:
        command_line.usage_error(error)
    if partition:
        return comparison_data.public_data(
            _DATASET.value,
            pathlib.Path(_DATA_DIR.value),
            partition=partition,
            split=split,
            clusters=_CLUSTERS.value,
            preparation=_preparation(split),
        )
    pairs = [given.partition("=") for given in _TABLE.value]
    comparison_data.check_institutions([name for name, _, _ in pairs])
    return comparison_data.own_data(
        pathlib.Path(_CONTRACT.value),
        [(name, pathlib.Path(path)) for name, _, path in pairs],
        split=split,
        clusters=_CLUSTERS.value,
    )


def _preparation(split: "Split") -> "HandbookPreparation | None":
    """What makes a table of features of raw payments; None for other tables."""
    if _DATASET.value != _RAW_PAYMENTS:
        return None
    from tff_finance.datasets.handbook_protocol import DAY_COLUMN
    from tff_finance.institutions.day_periods import day_periods

    try:
        day_periods(split, DAY_COLUMN)  # before the import of TensorFlow
        from tff_finance.preprocessing.handbook_preparation import HandbookPreparation

        return HandbookPreparation.for_split(
            split, terminal_risk=_TERMINAL_RISK.value, secure=_SECURE_COUNTS.value
        )
    except ValueError as error:
        command_line.usage_error(error)


def description(data: "ComparisonData") -> str:
    """Which rows they are and who has them, in a line, for results to name."""
    dealt = f", partition {_PARTITION.value}" if _PARTITION.value else ""
    return f"{data.title}{dealt}, split {_SPLIT.value}"


def config(
    data: "ComparisonData",
    runtime: str,
    *,
    seeds: tuple[int, ...],
    methods: tuple[str, ...],
    contribution: ContributionConfig | None = None,
    train_rows: Mapping[str, int] | None = None,
    varied: Mapping[str, Any] = MappingProxyType({}),
) -> ComparisonConfig:
    """The configuration that the flags ask for; a usage error if there is none.

    Args:
        data: Its tables.
        runtime: As in the configuration, likewise what follows.
        seeds: Repetitions.
        methods: To train.
        contribution: Whose models show what institutions contribute.
        train_rows: As `institutions` gives them, so that what doesn't suit these is
            refused before anything is trained; None refuses it later.
        varied: As of `training_flags.training`.

    Returns:
        The configuration.
    """
    try:
        study = ComparisonConfig(
            task=_TASK.value,
            dataset=data.dataset,
            files=data.files,
            contract=data.contract.name,
            contract_sha256=data.contract_sha256,
            partition=_PARTITION.value or "",
            split=_SPLIT.value,
            preparation=str(data.preparation) if data.preparation else "",
            clusters=_CLUSTERS.value,
            class_weights=_CLASS_WEIGHTS.value,
            resamples=_RESAMPLES.value,
            payments=_payments(),
            seeds=seeds,
            methods=methods,
            training=training_flags.training(TASK_TRAINING[_TASK.value], varied),
            runtime=runtime,
            contribution=contribution,
        )
        features = {column.name for column in data.contract.features}
        study.training.dp_sgd.check_customers_no_feature(study.clusters in features)
        if train_rows is not None:
            study.check_suits_institutions(train_rows)
    except ValueError as error:
        command_line.usage_error(error)
    if train_rows is not None:
        _check_nothing_pools(data, study, train_rows)
    return study


def _check_nothing_pools(
    data: "ComparisonData", study: ComparisonConfig, institutions: Collection[str]
) -> None:
    """Refuses what pools labels of different things, saying which methods don't."""
    from tff_finance.evaluation.targets import check_nothing_pools, pooling, targets_of

    asked = {
        "payments": study.payments,
        "class_weights": study.class_weights != "none",
        "contribution": study.contribution,
    }
    methods = pooling(study.methods)
    try:
        check_nothing_pools(targets_of(data.contract, institutions), asked | methods)
    except checks.RunFailedError as error:
        pooled = {name for names in methods.values() for name in names}
        others = [name for name in study.methods if name not in pooled]
        hint = f" Others than these: --methods={','.join(others)}."
        command_line.usage_error(f"{error}{hint if pooled and others else ''}")


def _payments() -> tuple[str, ...]:
    """Columns of day, card and amount, if rows are payments."""
    if _PAYMENTS.value is not None:
        return tuple(_PAYMENTS.value)
    handbook = (_DATASET.value or "").startswith("handbook")
    return _HANDBOOK_PAYMENTS if handbook and _TASK.value == "fraud" else ()


def institutions(data: "ComparisonData", seed: int) -> dict[str, int]:
    """Deals and splits once, so that what can't be done is said at once.

    Args:
        data: Its tables.
        seed: Of dealing and splitting.

    Returns:
        Each institution's number of training rows, by name.
    """
    from tff_finance.datasets.contract import ContractError

    try:
        with _preparing(data):
            parties = data.source.institutions(seed)
    except ContractError as error:
        command_line.failure(error)
    except ValueError as error:
        command_line.usage_error(error)
    return {institution.name: len(institution.train) for institution in parties}


def _preparing(data: "ComparisonData") -> contextlib.AbstractContextManager[None]:
    """Where a preparation's computations run; a table without one needs none."""
    if not data.preparation:
        return contextlib.nullcontext()
    from tff_finance.runtime import in_process

    return in_process.execution_context()
