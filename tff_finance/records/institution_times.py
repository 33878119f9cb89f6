"""Files of how long institutions take: CSV, or TOML for outages as well.

institution,seconds,upload_seconds        [bank_a]
bank_a,60,2                               seconds = 60
bank_b,600,2                              outages = [[100, 200]]
"""

import dataclasses
import pathlib
import sys
from typing import Any

import pandas as pd

from tff_finance.records.asynchronous_config import InstitutionTimes

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pyright: ignore[reportMissingImports]

_NAME = "institution"
_COLUMNS = tuple(field.name for field in dataclasses.fields(InstitutionTimes))


def read_institution_times(path: pathlib.Path) -> tuple[InstitutionTimes, ...]:
    """Reads a file.

    Args:
        path: CSV with columns `institution`, `seconds` and, if wanted,
            `download_seconds` and `upload_seconds`; or, ending in .toml, a table for
            each institution with these keys and `outages`, a list of intervals.

    Returns:
        The institutions' times, in the file's order.

    Raises:
        ValueError: If the file can't be read, or what it says makes no sense.
    """
    read = _read_toml if path.suffix == ".toml" else _read_csv
    try:
        times = tuple(_times(row) for row in read(path))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path} has no institutions' times: {error}") from error
    names = [of.institution for of in times]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"{path} must name institutions, each once; got {names}.")
    return times


def _read_csv(path: pathlib.Path) -> list[dict[str, Any]]:
    table = pd.read_csv(path, dtype={_NAME: str}, keep_default_na=False)
    return [{str(k): v for k, v in row.items()} for row in table.to_dict("records")]


def _read_toml(path: pathlib.Path) -> list[dict[str, Any]]:
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    return [{_NAME: name} | dict(of) for name, of in content.items()]


def _times(row: dict[str, Any]) -> InstitutionTimes:
    unknown = sorted(set(row) - set(_COLUMNS))
    missing = sorted({_NAME, "seconds"} - set(row))
    if unknown or missing:
        raise ValueError(
            f"it must have {', '.join(_COLUMNS)} or some of these; it lacks "
            f"{missing}, and {unknown} is unknown."
        )
    values = dict(row)
    intervals = values.pop("outages", ())
    name = str(values.pop(_NAME))
    return InstitutionTimes(
        institution=name,
        outages=tuple((float(start), float(end)) for start, end in intervals),
        **{key: float(value) for key, value in values.items()},
    )
