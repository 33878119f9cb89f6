"""Training settings by name, wherever in the configuration they stand.

`TrainingConfig` has parts that are configurations themselves; flags, and whoever
searches, name a setting without the part that it is in.
"""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any

from tff_finance.records.config import Config
from tff_finance.records.training_config import TrainingConfig

# Fields of a part that have flags of another name, since the whole has them as well.
_RENAMED = {
    ("dp_sgd", field): f"dp_{field}"
    for field in ("batch_size", "local_epochs", "rounds", "learning_rate")
} | {
    ("institution_privacy", "target_epsilon"): "institution_epsilon",
    ("institution_privacy", "delta"): "institution_delta",
    ("institution_privacy", "cohort"): "branch_cohort",
    ("institution_privacy", "rounds"): "branch_rounds",
    ("institution_privacy", "passes"): "branch_passes",
    ("institution_privacy", "l2_clip_norm"): "branch_clip_norm",
    ("institution_privacy", "batch_size"): "branch_batch_size",
    ("institution_privacy", "local_epochs"): "branch_local_epochs",
    ("institution_privacy", "learning_rate"): "branch_learning_rate",
    ("secure_aggregation", "l2_clip_norm"): "secure_clip_norm",
    ("secure_aggregation", "largest_weight"): "secure_largest_weight",
}


def setting_kinds() -> dict[str, type]:
    """Settings whose values are numbers, texts or lists of whole numbers.

    Returns:
        By name: int, float, str, or tuple for lists of whole numbers.
    """
    return _kinds(TrainingConfig)


def with_settings(config: Config, settings: Mapping[str, Any]) -> Config:
    """The configuration of a study with other training settings.

    Args:
        config: Any study's.
        settings: By name.

    Returns:
        The configuration.

    Raises:
        ValueError: If there is no setting of a name, or if settings make no sense,
            alone or together.
    """
    training = replace_settings(config.training, settings)
    return dataclasses.replace(config, training=training)


def replace_settings(
    training: TrainingConfig, settings: Mapping[str, Any]
) -> TrainingConfig:
    """As `with_settings`, of the training alone."""
    if missing := [name for name in settings if name not in _places(training)]:
        raise ValueError(f"`settings` has {missing}, which no training has.")
    return _replace(training, settings)


def _replace(part: Any, settings: Mapping[str, Any], of: str = "") -> Any:
    values = {}
    for field in dataclasses.fields(part):
        value, name = getattr(part, field.name), _name(of, field.name)
        if dataclasses.is_dataclass(value):
            values[field.name] = _replace(value, settings, field.name)
        elif name in settings:
            values[field.name] = settings[name]
    return dataclasses.replace(part, **values)


def _places(part: Any, of: str = "") -> set[str]:
    """Names of all settings of a part and of the parts in it."""
    names = set()
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        if dataclasses.is_dataclass(value):
            names |= _places(value, field.name)
        else:
            names.add(_name(of, field.name))
    return names


def _kinds(part: type, of: str = "") -> dict[str, type]:
    kinds = {}
    for field, hint in typing.get_type_hints(part).items():
        if dataclasses.is_dataclass(hint):
            kinds |= _kinds(typing.cast("type", hint), field)
        elif kind := _kind(hint):
            kinds[_name(of, field)] = kind
    return kinds


def setting_name(path: str) -> str:
    """The name of the setting at a place in `TrainingConfig`.

    Args:
        path: Such as "rounds", or "dp_sgd.rounds" of a part.

    Returns:
        The name, such as "dp_rounds".
    """
    part, _, field = path.rpartition(".")
    return _name(part, field)


def _name(part: str, field: str) -> str:
    """The name of a setting in a part, which is that of its flag."""
    return _RENAMED.get((part, field), field)


def _kind(hint: Any) -> type | None:
    if isinstance(hint, types.UnionType):  # such as a rate that may be left open
        kinds = [arg for arg in typing.get_args(hint) if arg is not type(None)]
        return _kind(kinds[0]) if len(kinds) == 1 else None
    if hint == tuple[int, ...]:
        return tuple
    return hint if hint in {int, float, str} else None
