"""The folder of a trained model: its parts, and a header that names their checksums.

    saved_model/     the network: a Keras SavedModel, encoded rows to logits
    contract.json    columns, units, codes, and institutions' formats
    encoder.json     means, deviations and categories: raw rows to encoded ones
    reference.json   the encoded customer against whom scores are explained
    model.json       task, algorithm, data, settings, metrics, versions, checksums

Whoever has the folder can score rows; no row is in it.
"""

import pathlib
from collections.abc import Mapping
from typing import Any

from tff_finance import checks
from tff_finance.records import files

SCHEMA_VERSION = 1
HEADER = "model.json"
NETWORK = "saved_model"
CONTRACT = "contract.json"
ENCODER = "encoder.json"
REFERENCE = "reference.json"
_KIND = "tff_finance model"


class UnreadableModelError(checks.RunFailedError):
    """A folder that holds no model, or a damaged one."""


def write_header(directory: pathlib.Path, about: Mapping[str, Any]) -> None:
    """Writes `model.json` over all files that are in the folder.

    Args:
        directory: Has all other parts.
        about: What the model is; added to kind, schema and checksums.
    """
    header = {
        "kind": _KIND,
        "schema": SCHEMA_VERSION,
        **about,
        "sha256": {name: files.sha256(directory / name) for name in _parts(directory)},
    }
    files.write_json(directory / HEADER, header)


def read_header(directory: pathlib.Path) -> dict[str, Any]:
    """Reads `model.json` and checks that every part is as it was written.

    Args:
        directory: The model's folder.

    Returns:
        What `write_header` wrote.

    Raises:
        UnreadableModelError: If the folder holds no model, one of a newer schema,
            or a part that is missing, has changed, or was added.
    """
    try:
        return _header(directory)
    except files.UNREADABLE as error:
        raise UnreadableModelError(why_unreadable(directory, error)) from error


def why_unreadable(directory: pathlib.Path, error: Exception) -> str:
    """What to say about a folder whose parts can't be read."""
    hint = ""
    if not (directory / HEADER).exists() and (directory / "model" / HEADER).exists():
        hint = f"; did you mean {directory / 'model'}?"
    reason = files.what_is_wrong(error).rstrip(".")
    return f"{directory} holds no model that can be read: {reason}{hint}"


def _header(directory: pathlib.Path) -> dict[str, Any]:
    header = files.read_json(directory / HEADER)
    if not isinstance(header, dict) or header.get("kind") != _KIND:
        raise ValueError(f"its {HEADER} is not that of a model")
    if header["schema"] != SCHEMA_VERSION:
        raise ValueError(
            f"its schema is {header['schema']}; this version of tff_finance reads "
            f"{SCHEMA_VERSION}"
        )
    _check_unchanged(directory, header["sha256"])
    return header


def _check_unchanged(directory: pathlib.Path, expected: Mapping[str, str]) -> None:
    found = set(_parts(directory))
    if missing := sorted(set(expected) - found):
        raise ValueError(f"{', '.join(missing)} is missing")
    if added := sorted(found - set(expected)):
        raise ValueError(f"{', '.join(added)} is no part of the model that was saved")
    for name, digest in expected.items():
        if files.sha256(directory / name) != digest:
            raise ValueError(
                f"{name} has changed since it was written: its SHA-256 is not the one "
                f"in {HEADER}. Restore it, or train again"
            )


def _parts(directory: pathlib.Path) -> list[str]:
    """All files but the header, by their names below the folder."""
    return sorted(
        path.relative_to(directory).as_posix()
        for path in directory.rglob("*")
        if path.is_file() and path != directory / HEADER
    )
