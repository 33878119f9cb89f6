"""Tables of a comparison: a public one that is dealt out, or institutions' own."""

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from experiments import command_line
from tff_finance.datasets import public, reading
from tff_finance.datasets.contract import Contract, ContractError
from tff_finance.datasets.contract_file import (
    ContractFileError,
    contract_to_mapping,
    load_contract,
)
from tff_finance.datasets.csv_files import TableFileError
from tff_finance.datasets.left_out import LeftOut, columns_left_out
from tff_finance.institutions.partition import Partition
from tff_finance.institutions.split import Split
from tff_finance.institutions.table_source import (
    AsItIs,
    DealtTable,
    OwnTables,
)
from tff_finance.records import files
from tff_finance.records.comparison_config import OWN_TABLES, DataFile

if TYPE_CHECKING:  # it brings TensorFlow, which few tables need so early
    from tff_finance.preprocessing.handbook_preparation import HandbookPreparation


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ComparisonData:
    """The rows of a comparison, and what results say of them.

    Attributes:
        source: Makes the institutions under a seed.
        contract: That their tables satisfy.
        dataset: Name of the public table, or `OWN_TABLES`.
        title: What the table is, in a line.
        files: Where the rows come from.
        left_out: Columns that no model sees, by institution ("" for all).
        preparation: What is done to the raw public table; None for nothing.
    """

    source: DealtTable | OwnTables
    contract: Contract
    dataset: str
    title: str
    files: tuple[DataFile, ...]
    left_out: Mapping[str, LeftOut]
    preparation: "HandbookPreparation | None" = None

    @property
    def contract_sha256(self) -> str:
        """Checksum of the contract's content."""
        text = json.dumps(contract_to_mapping(self.contract), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def scenario(self) -> dict[str, Any]:
        """What the record says of the data."""
        return {
            "description": self.title,
            "label_meaning": self.contract.label_meaning,
            "protected_features": [
                column.name for column in self.contract.features if column.protected
            ],
            "left_out": {
                name: {
                    "forbidden": list(columns.forbidden),
                    "unlisted": list(columns.unlisted),
                }
                for name, columns in self.left_out.items()
            },
        }

    def exchanged_types(self) -> tuple[Sequence[Any], Sequence[Any]]:
        """TFF types of what the preparation has each institution receive and send."""
        return self.preparation.exchanged_types() if self.preparation else ((), ())

    def notes(self) -> list[str]:
        """What a user must know about the columns before believing a model."""
        notes = []
        for name, columns in self.left_out.items():
            of = f"{name}: " if name else ""
            if columns.forbidden:
                notes.append(
                    f"{of}left out, since the contract forbids them: "
                    f"{', '.join(columns.forbidden)}."
                )
            if columns.unlisted:
                notes.append(
                    f"{of}left out, since the contract doesn't name them: "
                    f"{', '.join(columns.unlisted)}."
                )
        if protected := self.scenario["protected_features"]:
            notes.append(
                f"Protected attributes are among the features: {', '.join(protected)}. "
                'Where law forbids that, say use = "audit" in the contract.'
            )
        return notes


def public_data(
    name: str,
    data_dir: pathlib.Path,
    *,
    partition: Partition,
    split: Split,
    clusters: str,
    preparation: "HandbookPreparation | None" = None,
) -> ComparisonData:
    """Finds or downloads a public table.

    Args:
        name: One of `public.TABLES`.
        data_dir: Where to look.
        partition: Who gets which row.
        split: Into train, validation and test.
        clusters: Column whose equal values stay together, or "".
        preparation: What is done to the raw table; None for nothing.

    Returns:
        The data.
    """
    found = public.TABLES[name].fetch(data_dir)
    contract = public.contract(name)
    table = found.read()
    source = DealtTable(
        table=table,
        contract=contract,
        partition=partition,
        split=split,
        clusters=clusters,
        preparation=preparation or AsItIs(),
    )
    return ComparisonData(
        source=source,
        contract=contract,
        dataset=name,
        title=public.TABLES[name].title,
        files=tuple(
            DataFile(name=path.name, sha256=file.sha256)
            for file, path in zip(found.edition.files, found.paths, strict=True)
        ),
        left_out={"": columns_left_out(contract, table.columns, institution="")},
        preparation=preparation,
    )


def own_data(
    contract_file: pathlib.Path,
    tables: Sequence[tuple[str, pathlib.Path]],
    *,
    split: Split,
    clusters: str,
) -> ComparisonData:
    """Reads and validates institutions' own files; fails with all faults of all.

    Args:
        contract_file: The contract's TOML file.
        tables: Name and file of each institution.
        split: Into train, validation and test.
        clusters: Column whose equal values stay together, or "".

    Returns:
        The data.
    """
    try:
        contract = load_contract(contract_file)
    except ContractFileError as error:
        command_line.failure(f"--contract: {error}")
    valid, left_out, faults = {}, {}, []
    for name, path in tables:
        try:
            valid[name] = reading.read_contract_table(path, contract, institution=name)
            form = contract.format_of(name)
            columns = reading.column_names(path, separator=form.separator)
            left_out[name] = columns_left_out(contract, columns, institution=name)
        except (ContractError, TableFileError) as error:
            faults.append(str(error))
    if faults:
        command_line.failure("--table: " + "\n".join(faults))
    return ComparisonData(
        source=OwnTables(
            tables=valid, contract=contract, split=split, clusters=clusters
        ),
        contract=contract,
        dataset=OWN_TABLES,
        title=f"Institutions' own tables under contract {contract.name!r}",
        files=tuple(
            DataFile(name=path.name, sha256=files.sha256(path), institution=name)
            for name, path in tables
        ),
        left_out=left_out,
    )


def check_institutions(names: Collection[str]) -> None:
    """Refuses names that can't name an institution, whose state has a folder."""
    for name in names:
        if name in {"", ".", ".."} or "/" in name:
            command_line.usage_error(
                f"--table: {name!r} can't name an institution; write NAME=FILE, the "
                "name without '/'."
            )
    if len(names) > len(set(names)):
        command_line.usage_error("--table: each institution must have one file.")
