"""Columns of a table that no model sees, and why: for users to be told."""

import dataclasses
from collections.abc import Collection

from tff_finance.datasets.contract import Contract


@dataclasses.dataclass(frozen=True, kw_only=True)
class LeftOut:
    """Columns of one institution's table beyond the contract.

    Attributes:
        forbidden: That the contract forbids.
        unlisted: That the contract doesn't name.
    """

    forbidden: tuple[str, ...]
    unlisted: tuple[str, ...]


def columns_left_out(
    contract: Contract, names: Collection[str], *, institution: str
) -> LeftOut:
    """Sorts out a table's columns that the contract doesn't use.

    Args:
        contract: The contract.
        names: All columns of the table, under the institution's names.
        institution: Whose table it is.

    Returns:
        Their names in the table's order.
    """
    used = {column.name for column in contract.columns} | {contract.label}
    rename = contract.format_of(institution).rename
    others = [name for name in map(str, names) if rename.get(name, name) not in used]
    return LeftOut(
        forbidden=tuple(name for name in others if name in contract.forbidden),
        unlisted=tuple(name for name in others if name not in contract.forbidden),
    )
