"""Feature contracts as TOML files: reading them, with all faults named at once.

The format is described in docs/contracts.md. A contract turns into a mapping of
the same form and back, which JSON can hold beside a trained model.
"""

import pathlib
import sys
from collections.abc import Mapping
from typing import Any, cast

import pydantic

from tff_finance.datasets.columns import Column, NumericColumn
from tff_finance.datasets.contract import Contract
from tff_finance.datasets.contract_tables import (
    CategoricalTable,
    ContractTable,
    FileTable,
    ForbiddenTable,
    InstitutionTable,
    LabelTable,
    NumericTable,
    Table,
)
from tff_finance.datasets.institution_format import InstitutionFormat
from tff_finance.datasets.near_misses import did_you_mean
from tff_finance.records import files

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pyright: ignore[reportMissingImports]


class ContractFileError(ValueError):
    """A contract that can't be used; the message lists all faults.

    Attributes:
        faults: One line per key at fault.
    """

    def __init__(self, source: str, faults: list[str]) -> None:
        """Keeps the faults and joins them into one message."""
        self.faults = tuple(faults)
        super().__init__(f"Contract {source} can't be used:\n  " + "\n  ".join(faults))


def load_contract(path: pathlib.Path | str) -> Contract:
    """Reads a contract from a TOML file.

    Args:
        path: The file.

    Returns:
        The contract.

    Raises:
        ContractFileError: Names the file and lists every key at fault, with
            what was expected, what came, and what may have been meant.
        OSError: If the file can't be read; names it.
    """
    path = pathlib.Path(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ContractFileError(str(path), [f"is not UTF-8: {error}"]) from error
    except tomllib.TOMLDecodeError as error:
        raise ContractFileError(str(path), [f"is no TOML: {error}"]) from error
    return contract_from_mapping(content, source=str(path))


def contract_from_mapping(content: Mapping[str, Any], *, source: str) -> Contract:
    """Builds a contract from what a TOML file holds.

    Args:
        content: Tables as dictionaries, arrays as lists.
        source: Where the content is from; begins the message of an error.

    Returns:
        The contract.

    Raises:
        ContractFileError: Lists every key at fault.
    """
    try:
        return ContractTable.model_validate(dict(content)).contract()
    except pydantic.ValidationError as error:
        raise ContractFileError(source, _faults(error, content)) from error
    except ValueError as error:
        raise ContractFileError(source, str(error).splitlines()) from error


def read_json_contract(path: pathlib.Path) -> Contract:
    """Reads a contract that was written as JSON from `contract_to_mapping`.

    Args:
        path: The file.

    Returns:
        The contract.

    Raises:
        ContractFileError: If the file holds no contract.
        OSError: If it can't be read.
    """
    try:
        content = files.read_json(path)
    except ValueError as error:
        raise ContractFileError(str(path), [f"is no JSON: {error}"]) from error
    return contract_from_mapping(content, source=str(path))


def contract_to_mapping(contract: Contract) -> dict[str, Any]:
    """The contract as `contract_from_mapping` reads it; JSON can hold it."""
    return {
        "name": contract.name,
        "label": {
            "column": contract.label,
            "meaning": contract.label_meaning,
            "positive": contract.positive,
            "negative": contract.negative,
        },
        "columns": [_column_mapping(column) for column in contract.columns],
        "forbidden": [
            {"name": name, "reason": reason}
            for name, reason in contract.forbidden.items()
        ],
        "institutions": {
            name: _format_mapping(form) for name, form in contract.formats.items()
        },
    }


def _column_mapping(column: Column) -> dict[str, Any]:
    mapping: dict[str, Any] = {
        "name": column.name,
        "kind": column.kind,
        "description": column.description,
    }
    if isinstance(column, NumericColumn):
        mapping |= {
            "unit": column.unit,
            "minimum": column.minimum,
            "maximum": column.maximum,
            "transform": column.transform,
            "missing": "indicator" if column.allow_missing else "refuse",
        }
    else:
        mapping |= {
            "categories": list(column.categories),
            "missing": "category" if column.allow_missing else "refuse",
        }
    return mapping | {
        "missing_values": list(column.missing_values),
        "protected": column.protected,
        "use": column.use,
    }


def _format_mapping(form: InstitutionFormat) -> dict[str, Any]:
    file: dict[str, Any] = {"decimal": form.decimal}
    if form.separator is not None:
        file["separator"] = form.separator
    mapping = {
        "rename": dict(form.rename),
        "factor": dict(form.factor),
        "codes": {name: dict(codes) for name, codes in form.codes.items()},
        "file": file,
    }
    # Only where there is one: the contracts of earlier runs keep their checksums.
    return mapping | (
        {"label_meaning": form.label_meaning} if form.label_meaning else {}
    )


def _faults(error: pydantic.ValidationError, content: Mapping[str, Any]) -> list[str]:
    """Pydantic's errors in words, one line per key at fault."""
    expected: dict[str, str] = {}  # what each of several allowed types expects
    faults: dict[str, str] = {}
    for each in error.errors(include_url=False):
        where, table = _place(each["loc"], content)
        kind, value = each["type"], each["input"]
        if kind == "extra_forbidden":
            known = list(table.model_fields)
            hint = did_you_mean(str(each["loc"][-1]), known)
            faults[where] = "unknown key" + (hint or f", known are {', '.join(known)}")
        elif kind == "missing":
            faults[where] = "is missing"
        elif kind in {"union_tag_not_found", "union_tag_invalid"}:
            got = repr(value["kind"]) if "kind" in value else "nothing"
            faults[f"{where}.kind"] = f"expected 'numeric' or 'categorical', got {got}"
        elif kind == "value_error":
            faults[where] = each["msg"].removeprefix("Value error, ")
        else:
            text = _EXPECTED.get(kind) or each["msg"].removeprefix("Input should be ")
            before = f"{expected[where]} or " if where in expected else ""
            expected[where] = before + text
            faults[where] = f"expected {expected[where]}, got {_shown(value)}"
    return [f"{where}: {text}" if where else text for where, text in faults.items()]


def _place(
    loc: tuple[int | str, ...], content: Mapping[str, Any]
) -> tuple[str, type[Table]]:
    """Where in the file pydantic's location is, and the keys known there."""
    table: type[Table] = ContractTable
    where, here = "", cast(Any, content)
    for depth, part in enumerate(loc):
        if depth == _TAG_DEPTH and loc[0] == "columns":
            table = NumericTable if part == "numeric" else CategoricalTable
            continue
        if not isinstance(here, Mapping | list):
            break  # the rest names one of several allowed types
        if isinstance(part, int):
            here = here[part]
            name = here.get("name") if isinstance(here, Mapping) else None
            where += f"[{part + 1}]" + (f" {name!r}" if isinstance(name, str) else "")
        else:
            here = here.get(part) if isinstance(here, Mapping) else None
            where += f".{part}" if where else str(part)
            table = _TABLES.get(part, table) if depth in {0, _TAG_DEPTH} else table
    return where, table


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)


# In ("columns", 0, "numeric", "unit") the third part is no key but the kind.
_TAG_DEPTH = 2
_TABLES: dict[str | int, type[Table]] = {
    "label": LabelTable,
    "forbidden": ForbiddenTable,
    "institutions": InstitutionTable,
    "file": FileTable,
}
_EXPECTED = {
    "string_type": "a text",
    "float_type": "a number",
    "int_type": "an integer",
    "bool_type": "true or false",
    "list_type": "an array",
    "dict_type": "a table",
    "model_type": "a table",
    "string_too_long": "a single character",
    "string_too_short": "a single character",
}
