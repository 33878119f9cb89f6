"""Several workers give what one machine gives, and see their own clients only."""

import collections
import dataclasses

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests.algorithms.conftest import NUM_FEATURES, build_model
from tests.runtime import in_process_test
from tests.runtime.conftest import NAMES, SIZES
from tests.runtime.in_process_test import (
    BATCHES,
    PROCESSES,
    ROUNDS,
    assert_close,
    clients,
    fed_avg,
    leaves,
    plain_fed_avg,
    rounds,
    sgd,
)
from tests.runtime.local_test import living_workers
from tff_finance import checks
from tff_finance.algorithms.fed_sgd import build_fed_sgd
from tff_finance.algorithms.scaffold import build_scaffold
from tff_finance.algorithms.single_site import build_single_site
from tff_finance.client_work.weights import weights_type
from tff_finance.datasets.credit_contract import CREDIT_CONTRACT
from tff_finance.datasets.scenarios import SCENARIOS
from tff_finance.evaluation.case_study import draw_institutions
from tff_finance.institutions.examples import (
    dense_examples,
    examples_type,
)
from tff_finance.institutions.shards import ShardFiles
from tff_finance.institutions.state import InstitutionStateFiles
from tff_finance.metrics.validation import build_federated_validation
from tff_finance.preprocessing.consortium import encode_consortium
from tff_finance.preprocessing.label_counts import federated_label_counts
from tff_finance.runtime import in_process, worker_process, workers
from tff_finance.runtime.split_rounds import NotOnWorkersError
from tff_finance.runtime.worker_list import WorkerAddress


@pytest.fixture
def nameless(addresses):
    return [dataclasses.replace(address, institutions=()) for address in addresses]


@pytest.mark.parametrize(
    "name", ["fed_avg", "robust", "adaptively clipped", "compressed", "fed_sgd"]
)
def test_learning_processes_do_the_same_at_two_workers(name, addresses):
    process, data = PROCESSES[name](), clients(SIZES)
    with in_process.execution_context():
        expected = rounds(process, data)
    with workers.execution_context(addresses):
        assert_close(rounds(process, data), expected)
    moved = leaves(process.get_model_weights(expected[-1].state).trainable)
    start = leaves(expected[1].trainable)
    assert max(np.abs(m - s).max() for m, s in zip(moved, start, strict=True)) > 0.01


def test_validation_counts_every_row_once(addresses):
    model = build_model(4)
    validation = build_federated_validation(
        model,
        weights_type=weights_type(model),
        element_type=examples_type(NUM_FEATURES),
    )
    data = clients(SIZES)
    with in_process.execution_context():
        process = plain_fed_avg()
        weights = process.get_model_weights(process.initialize())
        expected = validation(weights, data)
    with workers.execution_context(addresses):
        result = validation(weights, data)
    assert result["rows"] == sum(SIZES)
    assert_close(result, expected)


@tff.tensorflow.computation(tff.SequenceType(np.int32))
def total(dataset):
    return dataset.reduce(np.int32(0), lambda a, b: a + b)


@tff.federated_computation(tff.FederatedType(tff.SequenceType(np.int32), tff.CLIENTS))
def sum_of_totals(data):
    return tff.federated_sum(tff.federated_map(total, data))


@pytest.mark.parametrize("number", [0, 1, 2, 5])
def test_clients_without_names_are_dealt_out_in_order(nameless, number):
    """Also fewer clients than workers, and none."""
    data = [tf.data.Dataset.range(n + 1, output_type=tf.int32) for n in range(number)]
    with workers.execution_context(nameless):
        assert sum_of_totals(data) == sum(n * (n + 1) // 2 for n in range(number))


def recording(directory):
    """`{D*}@CLIENTS -> int32@SERVER`; each client leaves a file in the folder."""

    @tff.tensorflow.computation(tff.SequenceType(examples_type(NUM_FEATURES)))
    def leave_file(dataset):
        name = dataset.get_single_element()["institution"]
        path = tf.strings.join([str(directory), "/", name])
        with tf.control_dependencies([tf.io.write_file(path, "")]):
            return tf.constant(1)

    @tff.federated_computation(
        tff.FederatedType(tff.SequenceType(examples_type(NUM_FEATURES)), tff.CLIENTS)
    )
    def count(data):
        return tff.federated_sum(tff.federated_map(leave_file, data))

    return count


class Seen:
    """Stands in for a worker, and keeps what it is given."""

    def __init__(self, address):
        self.address = address


@pytest.mark.parametrize("dealt", [(0, 1), (1, 0)])
def test_clients_go_to_the_worker_that_owns_them(dealt):
    """Whatever their order in the list, and however many take part."""
    addresses = [
        WorkerAddress(host="localhost", port=1 + n, institutions=owned)
        for n, owned in enumerate([NAMES[3:], NAMES[:3]])
    ]
    seen = [Seen(address) for address in addresses]
    crew = collections.namedtuple("Crew", "workers")([seen[n] for n in dealt])
    context = workers.WorkersContext(crew, server=None)
    data = clients(SIZES)
    by_name = dict(zip(NAMES, data, strict=True))
    order = [4, 0, 3, 1]
    shares = context._shares([data[n] for n in order])
    assert {share.worker: list(share.data) for share in shares} == {
        seen[0]: [by_name["bank 4"], by_name["bank 3"]],
        seen[1]: [by_name["bank 0"], by_name["bank 1"]],
    }
    assert [share.worker for share in shares] == [seen[n] for n in dealt]
    assert [s.worker for s in context._shares([data[4]])] == [seen[0]]


def by_file(store):
    datasets = []
    for name, data in zip(NAMES, clients(SIZES), strict=True):
        table = data.get_single_element()
        examples = dense_examples(
            table["x"].numpy(), table["y"].numpy(), institution=name
        )
        datasets.append(store.client_dataset(examples))
    return datasets


@pytest.mark.parametrize("grouped", [False, True])
def test_workers_read_the_files_of_their_institutions(addresses, tmp_path, grouped):
    """Groups are of one worker's institutions."""
    store = ShardFiles(tmp_path, grouped=grouped)
    data = by_file(store)
    if grouped:
        sent = [*store.groups(data[:2], 2), *store.groups(data[2:], 2)]
    with in_process.execution_context():
        expected = rounds(plain_fed_avg(), clients(SIZES))
    with workers.execution_context(addresses):
        found = rounds(fed_avg(store=store), sent if grouped else data)
    assert_close(leaves(found[-1].state), leaves(expected[-1].state))


def test_a_group_of_two_workers_is_refused(addresses, tmp_path):
    store = ShardFiles(tmp_path, grouped=True)
    data = by_file(store)
    process = fed_avg(store=store)
    with workers.execution_context(addresses):
        state = process.initialize()
        with pytest.raises(checks.RunFailedError, match="'bank 1', 'bank 2'"):
            process.next(state, store.groups(data[1:], 2))


def test_every_institution_takes_part_once(addresses, tmp_path):
    with workers.execution_context(addresses):
        assert recording(tmp_path)(clients(SIZES)) == len(SIZES)
    assert {path.name for path in tmp_path.iterdir()} == set(NAMES)


def counted_shares(crew, monkeypatch):
    """Numbers of clients of each worker, call by call."""
    calls, run = [], crew.run

    def counting(computation, broadcast, shares):
        calls.append([len(share.data) for share in shares])
        return run(computation, broadcast, shares)

    monkeypatch.setattr(crew, "run", counting)
    return calls


def test_preprocessing_runs_at_the_owners(addresses, monkeypatch):
    """An encoder of one machine, and no raw row at another bank's worker."""
    institutions = draw_institutions(SCENARIOS["scarce_labels"], 0)
    first, second = addresses
    own = [
        dataclasses.replace(first, institutions=("bank_b",)),
        dataclasses.replace(second, institutions=("bank_a", "bank_c")),
    ]
    with in_process.execution_context():
        expected = encode_consortium(institutions, CREDIT_CONTRACT)
        expected_counts = federated_label_counts([i.train for i in expected.training])
    with workers.execution_context(own) as crew:
        calls = counted_shares(crew, monkeypatch)
        found = encode_consortium(institutions, CREDIT_CONTRACT)
        counts = federated_label_counts([i.train for i in found.training])
    assert calls == [[1, 2]] * 3
    assert counts == expected_counts
    for one, other in zip(found.training, expected.training, strict=True):
        np.testing.assert_allclose(one.train["x"], other.train["x"], atol=1e-5)


def test_institutions_of_no_worker_stay_in_this_process(addresses):
    """Such as the pooled rows of a reference: no worker may see them."""
    process = build_single_site(
        build_model(4), optimizer=sgd(0.1, 0.9), batches=BATCHES
    )
    pooled = clients((50,))
    with in_process.execution_context():
        expected = rounds(process, pooled)
    own = [dataclasses.replace(addresses[0], institutions=("bank 7",))]
    with workers.execution_context(own) as crew:
        crew.run = None
        result = rounds(process, pooled)
    for a, b in zip(leaves(result), leaves(expected), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_round_of_owned_and_other_institutions_is_refused(addresses):
    own = [dataclasses.replace(addresses[0], institutions=NAMES[:2])]
    process = plain_fed_avg()
    with workers.execution_context(own):
        state = process.initialize()
        with pytest.raises(checks.RunFailedError, match="'bank 2', 'bank 3', 'bank 4'"):
            process.next(state, clients(SIZES))


def test_institution_state_is_written_at_the_workers(addresses, tmp_path):
    def build(folder):
        return build_scaffold(
            build_model(4),
            client_learning_rate=0.1,
            batches=BATCHES,
            num_institutions=3,
            state_files=InstitutionStateFiles(str(folder)),
        )

    data = clients((37, 50, 23))
    with in_process.execution_context():
        expected = rounds(build(tmp_path / "here"), data)
    with workers.execution_context(addresses):
        assert_close(rounds(build(tmp_path / "workers"), data), expected)
    written = [
        sorted(p.relative_to(tmp_path / name) for p in (tmp_path / name).rglob("*/*"))
        for name in ("here", "workers")
    ]
    assert len(written[0]) == 3 * ROUNDS
    assert written[0] == written[1]


def test_same_seed_same_numbers_to_the_last_bit(addresses):
    with workers.execution_context(addresses):
        first, second = (rounds(plain_fed_avg(), clients(SIZES)) for _ in range(2))
    for a, b in zip(leaves(first), leaves(second), strict=True):
        np.testing.assert_array_equal(a, b)


def test_noise_is_added_once_however_many_workers(addresses):
    """At the coordinator, to the sum of all; at each worker, it would grow."""
    process = build_fed_sgd(
        build_model(4),
        server_optimizer=sgd(1.0),
        weighting=tff.learning.ClientWeighting.UNIFORM,
        aggregator=tff.aggregators.DifferentiallyPrivateFactory.gaussian_fixed(
            1.0, clients_per_round=4, clip=1.0
        ),
    )
    data, ends = clients(), []
    with workers.execution_context(addresses):
        for _ in range(40):
            after = process.next(process.initialize(), data).state
            weights = process.get_model_weights(after).trainable
            ends.append(np.concatenate([np.ravel(w) for w in weights]))
    # 40 samples of 29 weights; their deviation is 1/4 to 3 %, and sqrt(2)/4 with
    # noise at two workers.
    assert 0.22 < np.std(ends, axis=0).mean() < 0.28


def test_datasets_are_sent_once(addresses, monkeypatch):
    """And again when others take their place."""
    sent = []
    create_value = tff.framework.RemoteExecutor.create_value

    async def counted(self, value, type_spec=None):
        if isinstance(value, list):
            sent.append(len(value))
        return await create_value(self, value, type_spec)

    monkeypatch.setattr(tff.framework.RemoteExecutor, "create_value", counted)
    process = plain_fed_avg()
    with workers.execution_context(addresses):
        for _ in range(2):
            rounds(process, clients(SIZES))
    assert sorted(sent) == [2, 2, 3, 3]


def test_a_worker_holds_the_last_datasets_only(addresses):
    """Else sampled cohorts would fill its memory, with other rows every round."""
    data = clients((4,) * 5)
    process = plain_fed_avg()
    with workers.execution_context([addresses[1]]) as crew:
        state = process.initialize()
        for left_out in range(5):
            cohort = [d for n, d in enumerate(data) if n != left_out]
            state = process.next(state, cohort[2:]).state
        (worker,) = crew.workers
        held = [room._data for room in worker._session._rooms.values()]
        assert [len(values) for values in held] == [2]
        assert process.next(state, data[2:]).metrics["client_work"]["loss"] > 0


def test_no_worker_is_started_here(addresses):
    before = living_workers()
    with workers.execution_context(addresses):
        rounds(plain_fed_avg(), clients(SIZES))
        assert living_workers() == before


def test_plain_computations_run_in_this_process(addresses):
    with workers.execution_context(addresses) as crew:
        crew.run = None
        in_process_test.test_plain_computations_keep_their_containers()


@tff.federated_computation(tff.FederatedType(np.int32, tff.CLIENTS))
def secure_sum(numbers):
    return tff.federated_secure_sum_bitwidth(numbers, 8)


@tff.federated_computation(
    tff.FederatedType(np.int32, tff.SERVER), tff.FederatedType(np.int32, tff.CLIENTS)
)
def sum_after_sum(number, numbers):
    first = tff.federated_broadcast(tff.federated_sum(numbers))
    again = tff.federated_map(
        tff.tensorflow.computation(lambda a, b: a + b, [np.int32, np.int32]),
        (numbers, first),
    )
    return number, tff.federated_sum(again)


@tff.federated_computation(tff.FederatedType(np.int32, tff.CLIENTS))
def same_at_clients(numbers):
    return numbers


@pytest.mark.parametrize(
    ("computation", "arguments"),
    [
        (secure_sum, ([1, 2],)),
        (sum_after_sum, (0, [1, 2])),
        (same_at_clients, ([1, 2],)),
    ],
)
def test_what_cannot_be_split_says_so(nameless, computation, arguments):
    with (
        workers.execution_context(nameless),
        pytest.raises(NotOnWorkersError, match="can't be split over several workers"),
    ):
        computation(*arguments)


def test_clients_may_hold_other_things_than_datasets(nameless):
    @tff.federated_computation(tff.FederatedType(np.int32, tff.CLIENTS))
    def add(numbers):
        return tff.federated_sum(numbers)

    with workers.execution_context(nameless):
        assert add([1, 2, 3, 4, 5]) == 15


def test_errors_of_a_computation_are_passed_on(nameless):
    @tff.tensorflow.computation(tff.SequenceType(np.int32))
    def only_one(dataset):
        return dataset.get_single_element()

    @tff.federated_computation(
        tff.FederatedType(tff.SequenceType(np.int32), tff.CLIENTS)
    )
    def add(data):
        return tff.federated_sum(tff.federated_map(only_one, data))

    said = rf"Worker {nameless[1].target} .* can't do its part: .*more than one element"
    data = [tf.data.Dataset.range(n, output_type=tf.int32) for n in (1, 2)]
    with (
        workers.execution_context(nameless),
        pytest.raises(checks.RunFailedError, match=said),
    ):
        add(data)


def test_no_proxy_is_asked_for_what_is_on_this_machine(nameless, monkeypatch):
    """gRPC would; then rows of localhost's institutions went to another machine."""
    for name in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
    data = [tf.data.Dataset.range(n, output_type=tf.int32) for n in (3, 4)]
    with (
        worker_process.serving(worker_process.free_port()),
        workers.execution_context(nameless),
    ):
        assert sum_of_totals(data) == 3 + 6


def test_tensorflow_does_not_warn_of_retracing(nameless, caplog, monkeypatch):
    """Parts of several computations are no retraces of one."""
    monkeypatch.setattr(tf.get_logger(), "propagate", True)
    data = [tf.data.Dataset.range(n, output_type=tf.int32) for n in (3, 4)]
    with workers.execution_context(nameless):
        for _ in range(6):

            @tff.federated_computation(sum_of_totals.type_signature.parameter)
            def another_sum(data):
                return sum_of_totals(data)

            assert another_sum(data) == 3 + 6
    assert "retracing" not in caplog.text
