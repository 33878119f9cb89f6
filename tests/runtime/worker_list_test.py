"""Every institution has one worker, and no row leaves unprotected by mistake."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tff_finance.runtime.worker_list import (
    FailurePolicy,
    WorkerAddress,
    check_network,
    parse_workers,
    shares,
    with_owners,
)

BANKS = ("bank_a", "bank_b", "bank_c", "bank_d", "bank_e")


def test_addresses_are_read():
    assert parse_workers(["localhost:8001", "[::1]:8002", "10.0.0.7:80"]) == (
        WorkerAddress(host="localhost", port=8001),
        WorkerAddress(host="[::1]", port=8002),
        WorkerAddress(host="10.0.0.7", port=80),
    )
    (worker,) = parse_workers(["node-1.bank.example:9000=bank_a+bank_b"])
    assert worker.institutions == ("bank_a", "bank_b")
    assert worker.target == "node-1.bank.example:9000"
    assert str(worker) == "node-1.bank.example:9000 (bank_a, bank_b)"


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [""],
        ["localhost"],
        ["localhost:"],
        ["localhost:0"],
        ["localhost:65536"],
        ["localhost:http"],
        [":8001"],
        ["::1:8001"],
        ["localhost:8001="],
        ["localhost:8001=bank_a++bank_b"],
        ["localhost:8001", "localhost:8001"],
        ["localhost:8001=bank_a", "localhost:8002"],
        ["localhost:8001=bank_a", "localhost:8002=bank_a"],
        ["localhost:8001=bank_a+bank_a"],
    ],
)
def test_others_are_refused(entries):
    with pytest.raises(ValueError, match="`workers`"):
        parse_workers(entries)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.0.1", True),
        ("[::1]", True),
        ("10.0.0.7", False),
        ("0.0.0.0", False),
        ("[fe80::1]", False),
        ("localhost.bank.example", False),
        ("node1", False),
    ],
)
def test_other_machines_are_refused(host, loopback):
    here = WorkerAddress(host="localhost", port=1)
    worker = WorkerAddress(host=host, port=2)
    if loopback:
        check_network([here, worker])
    else:
        with pytest.raises(ValueError, match="insecure_network") as raised:
            check_network([here, worker])
        assert worker.target in str(raised.value)
        assert here.target not in str(raised.value)


@given(st.lists(st.integers()), st.integers(1, 10))
def test_shares_are_those_of_tff(items, parts):
    """All items in order; as even as they can be, the first ones larger."""
    dealt = shares(items, parts)
    assert [item for share in dealt for item in share] == items
    sizes = [len(share) for share in dealt]
    assert len(sizes) == parts
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] - sizes[-1] <= 1


def test_institutions_are_dealt_out_in_order():
    owners = with_owners(parse_workers(["localhost:1", "localhost:2"]), BANKS)
    assert [worker.institutions for worker in owners] == [BANKS[:3], BANKS[3:]]


def test_owners_that_are_given_stay():
    given_owners = parse_workers(
        ["localhost:1=bank_e+bank_b", "localhost:2=bank_a+bank_d+bank_c"]
    )
    assert with_owners(given_owners, BANKS) == given_owners


@pytest.mark.parametrize(
    ("entries", "culprit"),
    [
        (["localhost:1=bank_a+bank_b", "localhost:2=bank_c+bank_d"], "bank_e"),
        (["localhost:1=bank_a+bank_b+bank_c+bank_d+bank_e+bank_x"], "bank_x"),
        ([f"localhost:{n}" for n in range(1, 7)], "6 for 5 institutions"),
    ],
)
def test_institutions_without_a_worker_are_refused(entries, culprit):
    with pytest.raises(ValueError, match=culprit):
        with_owners(parse_workers(entries), BANKS)


def test_shared_storage_is_for_retries():
    FailurePolicy(on_failure="retry", shared_storage=True)
    for on_failure in ("fail", "skip"):
        with pytest.raises(ValueError, match="`shared_storage`"):
            FailurePolicy(on_failure=on_failure, shared_storage=True)


@pytest.mark.parametrize(
    "option", ["retry_seconds", "probe_every", "probe_timeout", "start_seconds"]
)
def test_times_are_positive(option):
    with pytest.raises(ValueError, match=f"`{option}` must be positive"):
        dataclasses.replace(FailurePolicy(), **{option: 0.0})


def test_other_policies_are_refused():
    with pytest.raises(ValueError, match="`on_worker_failure`"):
        FailurePolicy(on_failure="panic")
