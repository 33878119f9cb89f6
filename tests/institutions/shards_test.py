"""Shards: what is written is what is read, and no more of it at a time than one."""

import collections
import gc
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tff_finance.institutions.examples import dense_examples
from tff_finance.institutions.rows import Shards, sum_over
from tff_finance.institutions.shards import ShardFiles, read_shard, write_shards

FEATURES = 3


def examples(rows, institution="bank_a", seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, FEATURES))
    return dense_examples(x, rng.random(rows) < 0.5, institution=institution)


def read_all(names):
    tables = [
        read_shard(file, rows, FEATURES)
        for file, rows in zip(names["files"], names["rows"], strict=True)
    ]
    x = np.concatenate([np.zeros([0, FEATURES]), *(x for x, _ in tables)])
    return x, np.concatenate([np.zeros([0, 1]), *(y for _, y in tables)])


@settings(deadline=None, max_examples=30)
@given(
    chunks=st.lists(st.integers(0, 40), min_size=1, max_size=5),
    rows_per_shard=st.integers(1, 50),
)
def test_all_rows_come_back_in_their_order(tmp_path_factory, chunks, rows_per_shard):
    directory = tmp_path_factory.mktemp("shards")
    parts = [examples(rows, seed=number) for number, rows in enumerate(chunks)]
    names = write_shards(parts, directory, rows_per_shard=rows_per_shard)
    x, y = read_all(names)
    np.testing.assert_array_equal(x, np.concatenate([part["x"] for part in parts]))
    np.testing.assert_array_equal(y, np.concatenate([part["y"] for part in parts]))
    assert all(names["rows"][:-1] == rows_per_shard)
    assert all(names["rows"] > 0)
    assert names["institution"].item() == b"bank_a"


def test_chunks_of_two_institutions_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"must be of one institution, got .*bank_a"):
        write_shards([examples(3), examples(3, "bank_b")], tmp_path)
    with pytest.raises(ValueError, match="must be of one institution"):
        write_shards([], tmp_path)


def test_files_are_deleted_with_their_dataset(tmp_path):
    store = ShardFiles(tmp_path)
    kept, dropped = store.client_dataset(examples(5)), store.client_dataset(examples(5))
    del dropped
    gc.collect()
    (folder,) = tmp_path.iterdir()
    (element,) = kept
    assert element["files"].numpy()[0].decode().startswith(str(folder))


def test_a_group_holds_its_members_and_no_files_that_are_not_theirs(tmp_path):
    store = ShardFiles(tmp_path, rows_per_shard=4, grouped=True)
    datasets = [
        store.client_dataset(examples(rows, f"bank_{rows}")) for rows in (10, 3, 4)
    ]
    first, second = store.groups(datasets, 2)
    (element,) = first
    np.testing.assert_array_equal(element["rows"], [[4, 4, 2], [3, 0, 0]])
    np.testing.assert_array_equal(element["institution"], [b"bank_10", b"bank_3"])
    member = Shards(element["files"][1], element["rows"][1], FEATURES)
    assert member.num_rows == 3
    assert member.num_shards == 1
    (element,) = second
    np.testing.assert_array_equal(element["institution"], [b"bank_4"])


def test_a_group_keeps_the_files_of_its_members(tmp_path):
    store = ShardFiles(tmp_path, grouped=True)
    (group,) = store.groups([store.client_dataset(examples(5))], 1)
    gc.collect()
    (element,) = group
    assert tf.io.gfile.exists(element["files"][0, 0].numpy())
    del group
    gc.collect()
    assert not list(tmp_path.iterdir())


def test_sums_are_over_all_shards(tmp_path):
    table = examples(50)
    names = write_shards([table], tmp_path, rows_per_shard=8)
    shards = Shards(tf.constant(names["files"]), tf.constant(names["rows"]), FEATURES)

    @tf.function
    def sums():
        return sum_over(
            shards,
            lambda part: collections.OrderedDict(
                x=tf.reduce_sum(part.x), y=tf.reduce_sum(part.y)
            ),
        )

    np.testing.assert_allclose(sums()["x"], table["x"].sum(), rtol=1e-4)
    assert sums()["y"] == table["y"].sum()


# Trains twice over: tables of one shard, to load what is loaded once; then a table
# that is many times the memory that may be added.
_TRAINING = """
import pathlib, sys, threading
import numpy as np, psutil, tensorflow_federated as tff
from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.institutions.examples import dense_examples
from tff_finance.institutions.shards import ShardFiles, write_shards
from tff_finance.runtime import in_process
from tff_finance.tasks.keras_models import functional_model
from tff_finance.tasks.risk import build_risk_model
import tensorflow as tf

ROWS, FEATURES = 8192, 40
directory = pathlib.Path(sys.argv[1])

def chunks(number):
    rng = np.random.default_rng(0)
    for _ in range(number):
        x = rng.standard_normal((ROWS, FEATURES), np.float32)
        yield dense_examples(x, x[:, 0] > 0, institution="bank")

def table(name, shards):
    names = write_shards(chunks(shards), directory / name, rows_per_shard=ROWS)
    return tf.data.Dataset.from_tensors(names)

process = build_fed_avg(
    functional_model(lambda: build_risk_model(FEATURES, seed=1)),
    client_optimizer=tff.learning.optimizers.build_sgdm(0.1),
    batches=LocalEpochs(epochs=1, batch_size=256),
    store=ShardFiles(directory),
)
small, large = table("small", 2), table("large", 300)
memory = psutil.Process().memory_info
with in_process.execution_context():
    state = process.initialize()
    for _ in range(3):
        state = process.next(state, [small]).state
    before, peak, done = memory().rss, [0], threading.Event()

    def watch():
        while not done.wait(0.01):
            peak[0] = max(peak[0], memory().rss)

    watching = threading.Thread(target=watch)
    watching.start()
    output = process.next(state, [large])
    done.set()
    watching.join()
    print(output.metrics["client_work"]["num_examples"], peak[0] - before)
"""


def test_a_table_of_any_size_trains_in_the_memory_of_a_few_shards(tmp_path):
    """400 MB of rows; TensorFlow's allocator may keep up to a tenth of it."""
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", _TRAINING, str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
    rows, grown = map(int, done.stdout.split()[-2:])
    assert rows == 300 * 8192
    assert sum(path.stat().st_size for path in tmp_path.rglob("shard_*")) > 400e6
    assert grown < 40e6
