"""Training settings by name, wherever in the configuration they stand.

`TrainingConfig` has parts that are configurations themselves; flags, and whoever
searches, name a setting without the part that it is in.
"""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any

from tff_finance.records.config import Config, TrainingConfig


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


def _replace(part: Any, settings: Mapping[str, Any]) -> Any:
    values = {}
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        if dataclasses.is_dataclass(value):
            values[field.name] = _replace(value, settings)
        elif field.name in settings:
            values[field.name] = settings[field.name]
    return dataclasses.replace(part, **values)


def _places(part: Any) -> set[str]:
    """Names of all settings of a part and of the parts in it."""
    names = set()
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        names |= _places(value) if dataclasses.is_dataclass(value) else {field.name}
    return names


def _kinds(part: type) -> dict[str, type]:
    kinds = {}
    for name, hint in typing.get_type_hints(part).items():
        if dataclasses.is_dataclass(hint):
            kinds |= _kinds(typing.cast("type", hint))
        elif kind := _kind(hint):
            kinds[name] = kind
    return kinds


def _kind(hint: Any) -> type | None:
    if isinstance(hint, types.UnionType):  # such as a rate that may be left open
        kinds = [arg for arg in typing.get_args(hint) if arg is not type(None)]
        return _kind(kinds[0]) if len(kinds) == 1 else None
    if hint == tuple[int, ...]:
        return tuple
    return hint if hint in {int, float, str} else None
