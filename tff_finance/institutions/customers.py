"""Rows that belong to customers: the unit that privacy protects as a whole.

Somebody with fifty payments is hardly hidden by what hides one payment.
"""

import collections
import dataclasses
import hashlib
import secrets

import numpy as np
import pandas as pd
import tensorflow as tf
import tensorflow_federated as tff

from tff_finance import checks
from tff_finance.institutions.examples import (
    Examples,
    client_dataset,
    dense_examples,
    examples_type,
)


def customer_examples(
    x: np.ndarray,
    y: np.ndarray,
    customers: np.ndarray,
    *,
    institution: str,
    most_rows: int,
    secret: bytes | None = None,
) -> Examples:
    """Packs encoded rows with the customers whose they are.

    Of a customer with too many rows, which of them are kept follows from the secret and
    from that customer alone: whoever else comes or goes changes nothing of it, so that
    one customer more is one unit more, whoever knows the secret.

    Args:
        x: Features, real[n, features].
        y: Labels 0 or 1, real[n] or real[n, 1].
        customers: Whose row it is, any[n].
        institution: Name of the institution.
        most_rows: Of a customer. Of one who has more, that many are drawn and the
            others left out; who has less waits for nobody, but takes as long.
        secret: That draws follow from, at most 64 bytes; None for a new one of the
            operating system.

    Returns:
        What `dense_examples` gives of the rows that are kept, and
        `customer_rows=int32[customers, most_rows]`, row numbers, then -1.

    Raises:
        ValueError: As `dense_examples`; if `customers` is not [n] or lacks a value,
            or `most_rows` below 1.
    """
    checks.check_at_least("most_rows", most_rows, 1)
    if customers.shape != (len(x),):
        raise ValueError(
            f"`customers` must be [n], one for each of {len(x)} rows, got shape "
            f"{customers.shape} from {institution!r}."
        )
    numbers, names = pd.factorize(customers)
    if missing := int((numbers < 0).sum()):
        raise ValueError(
            f"`customers` must say whose each row is, {missing} of {len(x)} rows of "
            f"{institution!r} have no value."
        )
    secret = secrets.token_bytes(32) if secret is None else secret
    by_customer = np.argsort(numbers, kind="stable")
    counts = np.bincount(numbers, minlength=len(names))
    ends = np.cumsum(counts)
    for number in np.flatnonzero(counts > most_rows):
        mine = slice(ends[number] - counts[number], ends[number])
        rng = _rng_of(names[number], secret)
        by_customer[mine] = rng.permutation(by_customer[mine])
    place = np.arange(len(x)) - np.repeat(ends - counts, counts)
    kept = place < most_rows
    customer_rows = np.full([len(counts), most_rows], -1, np.int32)
    customer_rows[numbers[by_customer][kept], place[kept]] = np.arange(kept.sum())
    rows = by_customer[kept]
    examples = dense_examples(x[rows], y[rows], institution=institution)
    return collections.OrderedDict(examples, customer_rows=customer_rows)


def _rng_of(customer: object, secret: bytes) -> np.random.Generator:
    digest = hashlib.blake2b(str(customer).encode(), digest_size=16, key=secret)
    return np.random.default_rng(int.from_bytes(digest.digest(), "big"))


@dataclasses.dataclass(frozen=True)
class CustomersInMemory:
    """Elements of `customer_examples`; an `ExampleStore`.

    Attributes:
        most_rows: Of a customer, as for `customer_examples`.
    """

    most_rows: int
    grouped = False

    def element_type(self, num_features: int) -> tff.Type:
        """Rows, and each customer's row numbers."""
        rows = examples_type(num_features)
        return tff.to_type(
            collections.OrderedDict(
                x=rows["x"],
                y=rows["y"],
                institution=rows["institution"],
                customer_rows=(np.int32, [None, self.most_rows]),
            )
        )

    def client_dataset(self, examples: Examples) -> tf.data.Dataset:
        """A client's dataset: one element, the whole table."""
        return client_dataset(examples)
