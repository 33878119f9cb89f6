"""Rows by customers: none is lost but those beyond the bound, none is another's."""

import numpy as np
import pytest
import tensorflow_federated as tff
from hypothesis import given, settings
from hypothesis import strategies as st

from tff_finance.institutions.customers import CustomersInMemory, customer_examples


def packed(customers, most_rows, secret=b"s"):
    """Rows that say whose they are: x is [row number, customer]."""
    customers = np.asarray(customers, int)
    x = np.stack([np.arange(len(customers)), customers], axis=1).astype(float)
    return customer_examples(
        x,
        customers % 2,
        customers,
        institution="bank_a",
        most_rows=most_rows,
        secret=secret,
    )


@settings(max_examples=50, deadline=None)
@given(
    customers=st.lists(st.integers(0, 6), max_size=40),
    most_rows=st.integers(1, 5),
    secret=st.binary(max_size=64),
)
def test_every_customer_has_rows_of_their_own(customers, most_rows, secret):
    examples = packed(customers, most_rows, secret)
    names = list(dict.fromkeys(customers))
    counts = [customers.count(name) for name in names]
    rows = examples["customer_rows"]
    assert rows.dtype == np.int32
    assert rows.shape == (len(names), most_rows)
    for name, count, mine in zip(names, counts, rows, strict=True):
        kept = mine[: min(count, most_rows)]
        assert (mine[len(kept) :] == -1).all()
        assert (examples["x"][kept, 1] == name).all()
        assert (examples["y"][kept, 0] == name % 2).all()
        assert len(np.unique(examples["x"][kept, 0])) == len(kept)
    assert sorted(rows[rows >= 0]) == list(range(len(examples["x"])))


def test_which_rows_are_kept_is_drawn():
    kept = [packed([7] * 30, 2, bytes([i % 256, i // 256]))["x"] for i in range(300)]
    kept = [rows[:, 0] for rows in kept]
    counts = np.bincount(np.concatenate(kept).astype(int), minlength=30)
    assert counts.sum() == 600
    assert counts.min() > 0
    assert counts.max() < 20 + 6 * np.sqrt(20)


def test_each_secret_is_new_unless_it_is_given():
    kept = {tuple(packed([7] * 60, 10, None)["x"][:, 0]) for _ in range(5)}
    assert len(kept) == 5
    kept = {tuple(packed([7] * 60, 10)["x"][:, 0]) for _ in range(5)}
    assert len(kept) == 1


def rows_by_customer(customers, most_rows, secret):
    """Places among the customer's own rows, of those that are kept."""
    customers = np.asarray(customers, int)
    own = np.zeros(len(customers), int)
    for name in np.unique(customers):
        own[customers == name] = np.arange((customers == name).sum())
    x = np.stack([own, customers], axis=1).astype(float)
    examples = customer_examples(
        x,
        customers % 2,
        customers,
        institution="bank_a",
        most_rows=most_rows,
        secret=secret,
    )
    found = {}
    for mine in examples["customer_rows"]:
        rows = examples["x"][mine[mine >= 0]]
        found[int(rows[0, 1])] = rows[:, 0].tolist()
    return found


@settings(max_examples=50, deadline=None)
@given(
    customers=st.lists(st.integers(0, 4), max_size=40),
    places=st.lists(st.integers(0, 40), min_size=1, max_size=8),
    newcomer=st.sampled_from([-1, 2**40]),
    most_rows=st.integers(1, 5),
    secret=st.binary(max_size=64),
)
def test_one_customer_more_leaves_the_rows_of_the_others(
    customers, places, newcomer, most_rows, secret
):
    before = rows_by_customer(customers, most_rows, secret)
    more = list(customers)
    for place in places:
        more.insert(min(place, len(more)), newcomer)
    after = rows_by_customer(more, most_rows, secret)
    assert len(after.pop(newcomer)) == min(len(places), most_rows)
    assert after == before


def test_the_store_describes_the_element():
    store = CustomersInMemory(3)
    dataset = store.client_dataset(packed([1, 1, 2], 3))
    found = tff.types.tensorflow_to_type(dataset.element_spec)
    assert store.element_type(2).is_assignable_from(found)
    assert not CustomersInMemory(4).element_type(2).is_assignable_from(found)


def test_bad_customers_are_refused():
    arguments = {"institution": "a"}
    with pytest.raises(ValueError, match=r"`customers` must be .* each of 3 rows"):
        customer_examples(
            np.zeros([3, 1]), np.zeros(3), np.zeros(2), most_rows=1, **arguments
        )
    with pytest.raises(ValueError, match="`most_rows` must be at least 1"):
        customer_examples(
            np.zeros([3, 1]), np.zeros(3), np.zeros(3), most_rows=0, **arguments
        )
    with pytest.raises(ValueError, match=r"1 of 3 rows of 'a' have no value"):
        customer_examples(
            np.zeros([3, 1]),
            np.zeros(3),
            np.array(["x", None, "x"], object),
            most_rows=1,
            **arguments,
        )
