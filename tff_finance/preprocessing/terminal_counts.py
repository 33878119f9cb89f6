"""Terminals' counts summed over banks: a warning that crosses the border alone.

Each bank counts its payments and frauds by terminal and period, as
`datasets.terminal_counts` does, lays them out as an array that has the same shape at
all banks, and a TFF computation adds the arrays. The sum equals the counts of the
pooled payments, so it gives the same terminal risk. Payments, cards and amounts stay
at their bank, and so do a bank's own counts if the sum is secure.

What the sum still reveals, to the server and to every bank that gets it: how many
payments and frauds a terminal had in each period, over all banks. A bank may
subtract its own. Between two banks that leaves the other's counts as they are. A
terminal that only one bank's cards use has that bank's counts in the sum, whatever the
number of banks. Many counts are 1, which says that some card paid there in those
three hours; whose card it was, and how much, isn't in the sum. Nothing is noised.
"""

import collections
import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_finance import checks
from tff_finance.datasets.terminal_counts import TerminalCounts
from tff_finance.runtime import local

COUNT_BITS = 16
"""A bank's count in one cell is below 2 to this; 32,767 banks' sums fit into int32."""

PLAIN = "federated_sum"
SECURE = "federated_secure_sum_bitwidth"


@dataclasses.dataclass(frozen=True, kw_only=True)
class SummedCounts:
    """Counts over all banks, and how they came about.

    Attributes:
        counts: The sum.
        aggregation: The operator of TFF that summed, `PLAIN` or `SECURE`.
    """

    counts: TerminalCounts
    aggregation: str


def federated_terminal_counts(
    banks: Sequence[TerminalCounts],
    *,
    terminals: int,
    periods: range,
    secure: bool = False,
) -> SummedCounts:
    """Sums the banks' counts without an exchange of payments.

    Args:
        banks: One bank's counts each, with periods of the same length.
        terminals: Terminals of the market, numbered from 0; public.
        periods: The periods that are summed, for example `needed_periods`; public.
            Counts of other periods are not sent.
        secure: Sums by TFF's secure sum, which runs in a context of its own:
            simulated, every bank's counts are added up in the clear. False: by a plain
            sum in the context that is installed.

    Returns:
        Counts equal to those of the pooled payments in `periods`.

    Raises:
        ValueError: If there is no bank, lengths of periods differ, a terminal is
            beyond `terminals`, or a count doesn't fit into `COUNT_BITS`.
    """
    period_seconds = _common_period(banks)
    cells = [_cells(bank.within(periods), terminals, periods) for bank in banks]
    computation = build_terminal_counts_sum(
        terminals=terminals, periods=len(periods), secure=secure
    )
    if secure:
        with local.execution_context(secure_sums=True):
            total = computation(cells)
    else:
        total = computation(cells)
    return SummedCounts(
        counts=TerminalCounts.from_array(
            np.asarray(total),
            period_seconds=period_seconds,
            first_period=periods.start,
        ),
        aggregation=SECURE if secure else PLAIN,
    )


def exchanged_types(
    *, terminals: int, periods: int
) -> tuple[list[tff.Type], list[tff.Type]]:
    """Types of what each bank receives, and of what it sends: the sum, its counts."""
    computation = build_terminal_counts_sum(
        terminals=terminals, periods=periods, secure=False
    )
    array_type = computation.type_signature.result.member
    return [array_type], [array_type]


@functools.cache  # traced once for all arms and seeds
def build_terminal_counts_sum(
    *, terminals: int, periods: int, secure: bool
) -> tff.Computation:
    """Builds the sum of arrays of counts.

    Args:
        terminals: Terminals of the market.
        periods: Number of periods.
        secure: Whether the server learns the sum only, by
            `tff.federated_secure_sum_bitwidth` with `COUNT_BITS`.

    Returns:
        `{<cells=int32[n, 2], counts=int32[n, 2]>*}@CLIENTS ->
        int32[terminals, periods, 2]@SERVER`: from each bank's terminals and periods
        with a payment, and their payments and frauds, to the sums. A bank sends
        int32[terminals, periods, 2], where the cells without a payment are 0.
    """
    checks.check_at_least("terminals", terminals, 1)
    checks.check_at_least("periods", periods, 1)
    cells_type = tff.SequenceType(
        tff.to_type(
            collections.OrderedDict(
                cells=(np.int32, [None, 2]), counts=(np.int32, [None, 2])
            )
        )
    )

    @tff.tensorflow.computation(cells_type)
    def lay_out(dataset: Any) -> Any:
        element = dataset.get_single_element()
        return tf.scatter_nd(
            element["cells"], element["counts"], [terminals, periods, 2]
        )

    @tff.federated_computation(tff.FederatedType(cells_type, tff.CLIENTS))
    def add_up(banks: Any) -> Any:
        arrays = tff.federated_map(lay_out, banks)
        if secure:
            return tff.federated_secure_sum_bitwidth(arrays, COUNT_BITS)
        return tff.federated_sum(arrays)

    return add_up


def _common_period(banks: Sequence[TerminalCounts]) -> int:
    lengths = {bank.period_seconds for bank in banks}
    if len(lengths) != 1:
        raise ValueError(
            "`banks` must be at least one bank's counts, all with the same "
            f"`period_seconds`; got {len(banks)} with {sorted(lengths)}."
        )
    return lengths.pop()


def _cells(counts: TerminalCounts, terminals: int, periods: range) -> tf.data.Dataset:
    """One bank's counts where there are any, as one element."""
    numbers = counts.terminals
    if numbers.size and not 0 <= numbers.min() <= numbers.max() < terminals:
        raise ValueError(
            f"`terminals` must be enough for numbers {numbers.min()} to "
            f"{numbers.max()}, got {terminals}."
        )
    values = np.stack([counts.payments, counts.frauds], axis=1)
    # A secure sum can't tell a count that is too large from a smaller one.
    if values.size and not 0 <= values.min() <= values.max() < 2**COUNT_BITS:
        raise ValueError(
            f"Counts of a terminal and period must be 0 to {2**COUNT_BITS - 1:,}, got "
            f"{values.min():,} to {values.max():,}: shorter periods have smaller ones."
        )
    cells = np.stack([numbers, counts.periods - periods.start], axis=1)
    return tf.data.Dataset.from_tensors(
        collections.OrderedDict(
            cells=cells.astype(np.int32), counts=values.astype(np.int32)
        )
    )
