"""Rows by file and groups of institutions: the same rounds as of dense tables."""

import contextlib
import functools

import numpy as np
import pytest
import tensorflow_federated as tff

from tests.algorithms.conftest import build_model
from tests.algorithms.learning import assert_same_weights, train
from tests.runtime.in_process_test import Refusing, installed
from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.algorithms.fed_sgd import build_fed_sgd
from tff_finance.algorithms.scaffold import build_scaffold
from tff_finance.algorithms.single_site import build_single_site
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.institutions.examples import InMemory, InMemoryGroups, dense_examples
from tff_finance.institutions.shards import ShardFiles
from tff_finance.institutions.state import InstitutionStateFiles
from tff_finance.runtime.in_process import InProcessContext

sgd = tff.learning.optimizers.build_sgdm

pytestmark = pytest.mark.usefixtures("tff_context")


@pytest.fixture(scope="module")
def here():
    """In this process; keeps what it has traced."""
    return InProcessContext(Refusing())


@pytest.fixture(params=["tff", "in_process"])
def runtime(request, here):
    context = contextlib.nullcontext()
    if request.param == "in_process":
        context = installed(here)
    with context:
        yield request.param


def examples_of(tables):
    return [dense_examples(x, y, institution=n) for n, (x, y) in tables.items()]


def rounds(process, data, *, seed=5, number=3):
    state = process.initialize()
    hparams = process.get_hparams(state)
    hparams["client_work"]["seed"] = seed
    state = process.set_hparams(state, hparams)
    metrics = []
    for _ in range(number):
        output = process.next(state, data)
        state = output.state
        metrics.append(output.metrics["client_work"])
    return process.get_model_weights(state), metrics


def built_once(build):
    """Of a store, a process knows no more than the form of its elements."""
    built = {}

    @functools.wraps(build)
    def once(*, store=None, **options):
        form = None if store is None else (type(store), store.grouped)
        key = (form, *sorted(options.items()))
        if key not in built:
            built[key] = build(store=store, **options)
        return built[key]

    return once


@built_once
def fed_avg(*, shuffle=True, rate=0.3, **options):
    return build_fed_avg(
        build_model(4),
        client_optimizer=sgd(rate, 0.5),
        batches=LocalEpochs(epochs=2, batch_size=8, shuffle=shuffle),
        **options,
    )


@built_once
def fed_sgd(**options):
    return build_fed_sgd(build_model(4), server_optimizer=sgd(0.5), **options)


def test_one_shard_is_the_table(runtime, tables, tmp_path):
    del runtime
    store = ShardFiles(tmp_path)
    in_memory = [InMemory().client_dataset(e) for e in examples_of(tables)]
    by_file = [store.client_dataset(e) for e in examples_of(tables)]
    expected, expected_metrics = rounds(fed_avg(), in_memory)
    found, metrics = rounds(fed_avg(store=store), by_file)
    assert_same_weights(found, expected, atol=1e-6)
    np.testing.assert_allclose(
        [m["loss"] for m in metrics], [m["loss"] for m in expected_metrics], rtol=1e-5
    )
    assert metrics[0]["num_examples"] == expected_metrics[0]["num_examples"] == 110


@pytest.mark.parametrize("build", [functools.partial(fed_avg, shuffle=False), fed_sgd])
def test_shards_of_whole_batches_are_the_table(runtime, tables, tmp_path, build):
    """In the table's order, shards make no difference."""
    del runtime
    store = ShardFiles(tmp_path, rows_per_shard=16)
    in_memory = [InMemory().client_dataset(e) for e in examples_of(tables)]
    by_file = [store.client_dataset(e) for e in examples_of(tables)]
    expected, _ = rounds(build(), in_memory)
    found, metrics = rounds(build(store=store), by_file)
    assert_same_weights(found, expected, atol=1e-6)
    assert metrics[0]["num_examples"] == 110


def test_every_row_of_every_shard_counts_once_an_epoch(tables, tmp_path):
    """With one step of all rows of a shard, shuffling can't hide a row."""
    x, y = tables["bank_b"]
    store = ShardFiles(tmp_path, rows_per_shard=20)  # 20, 20, 10
    process = fed_avg(store=store)
    found, metrics = rounds(
        process,
        [store.client_dataset(dense_examples(x, y, institution="bank_b"))],
        number=1,
    )
    del found
    assert metrics[0]["num_examples"] == 50
    # Before any step, the loss of all rows is the mean over batches of any size.
    _, metrics = rounds(
        fed_avg(rate=0.0, store=store),
        [store.client_dataset(dense_examples(x, y, institution="bank_b"))],
        number=1,
    )
    _, expected = rounds(
        fed_avg(rate=0.0),
        [InMemory().client_dataset(dense_examples(x, y, institution="bank_b"))],
        number=1,
    )
    np.testing.assert_allclose(metrics[0]["loss"], expected[0]["loss"], rtol=1e-6)


def test_shards_and_their_rows_have_a_new_order_in_every_round(tables, tmp_path):
    x, y = tables["bank_b"]
    store = ShardFiles(tmp_path, rows_per_shard=8)
    process = fed_avg(store=store)
    data = [store.client_dataset(dense_examples(x, y, institution="bank_b"))]
    first, again, other = (
        rounds(process, data, seed=seed, number=1)[0] for seed in (5, 5, 6)
    )
    assert_same_weights(first, again, atol=0)
    with pytest.raises(AssertionError):
        assert_same_weights(first, other, atol=1e-4)


@pytest.mark.parametrize("weighting", ["NUM_EXAMPLES", "UNIFORM"])
@pytest.mark.parametrize("build", [fed_avg, fed_sgd])
def test_groups_are_their_institutions(runtime, tables, tmp_path, build, weighting):
    """Also with members that have no rows, or an update that isn't finite."""
    del runtime
    x, y = tables["bank_b"]
    broken = dense_examples(x.copy(), y, institution="broken")
    broken["x"][-1, 0] = np.nan
    empty = dense_examples(x[:0], y[:0], institution="empty")
    alone = ShardFiles(tmp_path / "alone", rows_per_shard=16)
    groups = ShardFiles(tmp_path / "groups", rows_per_shard=16, grouped=True)
    everybody = [*examples_of(tables), empty, broken]
    in_groups = [groups.client_dataset(e) for e in everybody]
    options = {"weighting": tff.learning.ClientWeighting[weighting]}
    expected, expected_metrics = rounds(
        build(store=alone, **options), [alone.client_dataset(e) for e in everybody]
    )
    found, metrics = rounds(build(store=groups, **options), groups.groups(in_groups, 2))
    assert_same_weights(found, expected, atol=1e-6)
    for one, other in zip(metrics, expected_metrics, strict=True):
        np.testing.assert_allclose(one.pop("loss"), other.pop("loss"), rtol=1e-6)
        assert one == other


@pytest.mark.parametrize(
    "build", [fed_avg, functools.partial(fed_avg, shuffle=False), fed_sgd]
)
def test_groups_in_memory_are_their_institutions(runtime, tables, build):
    """Members of other sizes, without rows, with an update that isn't finite."""
    del runtime
    x, y = tables["bank_b"]
    broken = dense_examples(x.copy(), y, institution="broken")
    broken["x"][-1, 0] = np.nan
    empty = dense_examples(x[:0], y[:0], institution="empty")
    everybody = [*examples_of(tables), empty, broken]
    store = InMemoryGroups()
    in_groups = [store.client_dataset(e) for e in everybody]
    expected, expected_metrics = rounds(
        build(), [InMemory().client_dataset(e) for e in everybody]
    )
    found, metrics = rounds(build(store=store), store.groups(in_groups, 3))
    assert_same_weights(found, expected, atol=1e-6)
    for one, other in zip(metrics, expected_metrics, strict=True):
        np.testing.assert_allclose(one.pop("loss"), other.pop("loss"), rtol=1e-6)
        assert one == other


@pytest.mark.parametrize("in_memory", [False, True])
def test_groups_keep_their_institutions_state(here, tables, tmp_path, in_memory):
    """And the server's variate is that of the institutions, not of the groups."""

    def run(folder, store, data):
        process = build_scaffold(
            build_model(4),
            client_learning_rate=0.3,
            batches=LocalEpochs(epochs=2, batch_size=8),
            num_institutions=3,
            state_files=InstitutionStateFiles(str(tmp_path / folder)),
            store=store,
        )
        state, _ = train(process, data, 3)
        return process.get_model_weights(state), state.client_work["shared"]

    alone = InMemory() if in_memory else ShardFiles(tmp_path / "a")
    groups = InMemoryGroups() if in_memory else ShardFiles(tmp_path / "b", grouped=True)
    datasets = [groups.client_dataset(e) for e in examples_of(tables)]
    with installed(here):
        weights, shared = run("groups", groups, groups.groups(datasets, 2))
        expected, expected_shared = run(
            "alone", alone, [alone.client_dataset(e) for e in examples_of(tables)]
        )
    assert_same_weights(weights, expected, atol=1e-6)
    for one, other in zip(shared, expected_shared, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    for name in tables:
        assert len(list((tmp_path / "groups" / name).iterdir())) == 3


def test_an_aggregator_that_would_see_groups_is_refused(tmp_path):
    with pytest.raises(ValueError, match="take a group's mean for an institution's"):
        fed_avg(
            store=ShardFiles(tmp_path, grouped=True),
            aggregator=tff.learning.robust_aggregator(),
        )


def test_a_single_site_reads_its_files(runtime, tables, tmp_path):
    del runtime
    store = ShardFiles(tmp_path, rows_per_shard=16)
    x, y = tables["bank_b"]
    examples = dense_examples(x, y, institution="bank_b")

    def build(store):
        return build_single_site(
            build_model(4),
            optimizer=sgd(0.3, 0.5),
            batches=LocalEpochs(epochs=2, batch_size=16, shuffle=False),
            store=store,
        )

    weights = []
    for one in (store, InMemory()):
        process = build(one)
        state = process.initialize()
        for _ in range(2):
            state = process.next(state, [one.client_dataset(examples)]).state
        weights.append(process.get_model_weights(state))
    assert_same_weights(*weights, atol=1e-6)


def test_a_shard_of_another_size_fails_the_round(runtime, tables, tmp_path):
    del runtime
    store = ShardFiles(tmp_path)
    data = [store.client_dataset(e) for e in examples_of(tables)]
    (path,) = (tmp_path / "table_000001").iterdir()
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(Exception, match=r"(?i)split|sizes"):
        rounds(fed_avg(store=store), data)
