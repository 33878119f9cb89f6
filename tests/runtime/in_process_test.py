"""Execution in this process gives what TFF's runtime gives, for any computation."""

import collections
import contextlib
import functools
import itertools

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests.algorithms.conftest import NUM_FEATURES, build_model
from tests.runtime.local_test import living_workers
from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.algorithms.fed_sgd import build_fed_sgd
from tff_finance.algorithms.scaffold import build_scaffold
from tff_finance.algorithms.single_site import build_single_site
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.client_work.gradient_estimator import build_mean_gradient
from tff_finance.client_work.weights import weights_type
from tff_finance.institutions.examples import (
    client_dataset,
    dense_examples,
    examples_type,
)
from tff_finance.institutions.state import InstitutionStateFiles
from tff_finance.metrics.validation import build_federated_validation
from tff_finance.runtime import in_process, programs

ROUNDS = 3
BATCHES = LocalEpochs(epochs=2, batch_size=16)
sgd = tff.learning.optimizers.build_sgdm

pytestmark = pytest.mark.usefixtures("tff_context")


class Refusing(tff.framework.SyncContext):
    """Fails where a computation would leave this process."""

    def invoke(self, comp, arg):
        del arg
        raise AssertionError(f"not in this process: {comp.type_signature}")


@contextlib.contextmanager
def installed(context):
    with tff.framework.get_context_stack().install(context):
        yield


def here():
    """A context in which nothing may leave this process."""
    return installed(in_process.InProcessContext(Refusing()))


def clients(sizes=(37, 50, 23, 1)):
    rng = np.random.default_rng(7)
    weights = rng.normal(size=NUM_FEATURES)
    data = []
    for number, rows in enumerate(sizes):
        x = rng.normal(size=(rows, NUM_FEATURES)).astype(np.float32)
        y = (x @ weights + rng.normal(size=rows) > 0).astype(np.float32)
        data.append(client_dataset(dense_examples(x, y, institution=f"bank {number}")))
    return data


def leaves(value):
    return [np.asarray(leaf) for leaf in tf.nest.flatten(value)]


def assert_close(left, right):
    tf.nest.assert_same_structure(left, right)
    for a, b in zip(leaves(left), leaves(right), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def rounds(process, data):
    """States and metrics of a few rounds, beginning with the initial state."""
    state = process.initialize()
    hparams = process.get_hparams(state)
    hparams["client_work"]["seed"] = 11
    state = process.set_hparams(state, hparams)
    outputs = [state, process.get_model_weights(state)]
    for _ in range(ROUNDS):
        output = process.next(state, data)
        outputs.append(output)
        state = output.state
    return outputs


def fed_avg(**options):
    return build_fed_avg(
        build_model(4), client_optimizer=sgd(0.1, 0.9), batches=BATCHES, **options
    )


@functools.cache
def plain_fed_avg():
    """Built once; it keeps nothing."""
    return fed_avg()


# With others, learning_process_contract_test compares the two runtimes.
PROCESSES = {
    "fed_avg": plain_fed_avg,
    "fed_avg, full batches only": lambda: build_fed_avg(
        build_model(4),
        client_optimizer=sgd(0.1),
        batches=LocalEpochs(epochs=3, batch_size=1, shuffle=False),
    ),
    "fed_avg, one batch, larger than XLA's limit": lambda: build_fed_avg(
        build_model(4),
        client_optimizer=sgd(0.1),
        batches=LocalEpochs(epochs=3, batch_size=2000),
    ),
    "robust": lambda: fed_avg(aggregator=tff.learning.robust_aggregator()),
    "adaptively clipped": lambda: fed_avg(
        weighting=tff.learning.ClientWeighting.UNIFORM,
        aggregator=tff.aggregators.UnweightedMeanFactory(
            tff.aggregators.clipping_factory(
                tff.aggregators.PrivateQuantileEstimationProcess.no_noise(
                    initial_estimate=0.1, target_quantile=0.5, learning_rate=0.5
                ),
                tff.aggregators.SumFactory(),
            )
        ),
    ),
    "compressed": lambda: fed_avg(aggregator=tff.learning.compression_aggregator()),
    "fed_sgd": lambda: build_fed_sgd(build_model(4), server_optimizer=sgd(0.5)),
}


@pytest.mark.parametrize("name", PROCESSES)
def test_learning_processes_do_the_same_here(name):
    process, data = PROCESSES[name](), clients()
    expected = rounds(process, data)
    with here():
        assert_close(rounds(process, data), expected)
    moved = leaves(process.get_model_weights(expected[-1].state).trainable)
    start = leaves(expected[1].trainable)
    assert max(np.abs(m - s).max() for m, s in zip(moved, start, strict=True)) > 0.01


def test_a_single_site_does_the_same_here():
    process = build_single_site(
        build_model(4), optimizer=sgd(0.1, 0.9), batches=BATCHES
    )
    data = clients((50,))
    expected = rounds(process, data)
    with here():
        assert_close(rounds(process, data), expected)
        with pytest.raises(tf.errors.InvalidArgumentError, match="takes one client"):
            process.next(process.initialize(), clients())


def test_stateful_aggregation_changes_its_state():
    """Else the comparison above would not show that state is carried here."""
    process = PROCESSES["adaptively clipped"]()
    with here():
        outputs = rounds(process, clients())
    first, last = outputs[2].state.aggregator, outputs[-1].state.aggregator
    assert any(
        not np.array_equal(a, b)
        for a, b in zip(leaves(first), leaves(last), strict=True)
    )


def test_institution_state_is_read_before_it_is_written(tmp_path):
    def build(folder):
        return build_scaffold(
            build_model(4),
            client_learning_rate=0.1,
            batches=BATCHES,
            num_institutions=2,
            state_files=InstitutionStateFiles(str(folder)),
        )

    data = clients((37, 50))
    expected = rounds(build(tmp_path / "worker"), data)
    with here():
        assert_close(rounds(build(tmp_path / "here"), data), expected)
    written = sorted(
        p.relative_to(tmp_path / "here") for p in tmp_path.rglob("here/*/*")
    )
    assert len(written) == 2 * ROUNDS
    for path in written:
        mine, theirs = (
            tf.io.parse_tensor((tmp_path / name / path).read_bytes(), tf.float32)
            for name in ("here", "worker")
        )
        np.testing.assert_allclose(mine, theirs, atol=1e-5)


def test_same_seed_same_numbers_to_the_last_bit():
    with here():
        first, second = (rounds(fed_avg(), clients()) for _ in range(2))
    for a, b in zip(leaves(first), leaves(second), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_round_without_clients_leaves_the_model():
    process = plain_fed_avg()
    with here():
        state = process.initialize()
        after = process.next(state, []).state
        for a, b in zip(
            leaves(process.get_model_weights(after)),
            leaves(process.get_model_weights(state)),
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)


def test_validation_is_a_round_that_keeps_no_state():
    model = build_model(4)
    validation = build_federated_validation(
        model,
        weights_type=weights_type(model),
        element_type=examples_type(NUM_FEATURES),
    )
    process, data = plain_fed_avg(), clients()
    weights = process.get_model_weights(process.initialize())
    expected = validation(weights, data)
    with here():
        assert_close(validation(weights, data), expected)


@tff.tensorflow.computation(tff.SequenceType(np.int32))
def total(dataset):
    return dataset.reduce(np.int32(0), lambda a, b: a + b)


@tff.federated_computation(tff.FederatedType(tff.SequenceType(np.int32), tff.CLIENTS))
def sum_of_totals(data):
    return tff.federated_sum(tff.federated_map(total, data))


def test_datasets_alone_need_no_state():
    data = [tf.data.Dataset.range(n, output_type=tf.int32) for n in (3, 5, 0)]
    with here():
        assert sum_of_totals(data) == 3 + 10


def test_plain_computations_keep_their_containers():
    @tff.tensorflow.computation(collections.OrderedDict(b=np.int32, a=(np.str_, [2])))
    def swap(value):
        return collections.OrderedDict(
            a=tf.strings.upper(value["a"]), b=(value["b"], value["b"] + 1)
        )

    with here():
        result = swap(collections.OrderedDict(b=4, a=["x", "y"]))
    assert list(result) == ["a", "b"]
    assert result["a"].tolist() == [b"X", b"Y"]
    assert result["b"] == (4, 5)


class Counting(tff.framework.SyncContext):
    """Counts what TFF's runtime takes over, and has it run there."""

    def __init__(self):
        self.calls = 0
        self._context = tff.framework.get_context_stack().current

    def invoke(self, comp, arg):
        self.calls += 1
        return self._context.invoke(comp, arg)


@tff.federated_computation(tff.FederatedType(np.int32, tff.CLIENTS))
def sum_of_numbers(numbers):
    return tff.federated_sum(numbers)


def test_the_rest_runs_in_tffs_runtime_and_says_so(caplog):
    elsewhere = Counting()
    with (
        installed(in_process.InProcessContext(elsewhere)),
        caplog.at_level("WARNING", logger=in_process.__name__),
    ):
        assert sum_of_numbers([1, 2, 3]) == 6
        assert sum_of_numbers([4]) == 4
    assert elsewhere.calls == 2
    assert caplog.text.count("TFF's own runtime runs") == 1  # once is enough
    assert "something else than one dataset" in caplog.text


@tff.tensorflow.computation(np.int32)
def with_a_variable(x):
    variable = tf.Variable(3)
    return variable + x


def test_variables_are_initialized_in_tffs_runtime():
    elsewhere = Counting()
    with installed(in_process.InProcessContext(elsewhere)):
        assert with_a_variable(4) == 7
    assert elsewhere.calls == 1


def test_what_xla_cannot_compile_runs_in_tffs_runtime(caplog):
    """An estimator may have been written without XLA in mind."""
    model = build_model()
    mean_gradient = build_mean_gradient(model)

    def by_way_of_text(trainable, non_trainable, x, y):
        estimate = mean_gradient(trainable, non_trainable, x, y)
        text = tf.strings.as_string(estimate.loss)
        return estimate._replace(loss=tf.strings.to_number(text))

    process = build_fed_avg(
        model,
        client_optimizer=sgd(0.1),
        batches=BATCHES,
        gradient_estimator=by_way_of_text,
    )
    elsewhere = Counting()
    with installed(in_process.InProcessContext(elsewhere)):
        state = process.initialize()
        for _ in range(2):
            state, metrics = process.next(state, clients())
    assert elsewhere.calls == 2
    assert 0.1 < metrics["client_work"]["loss"] < 1
    assert caplog.text.count("TFF's own runtime runs") == 1
    assert "AsString" in caplog.text


def test_errors_of_a_computation_are_passed_on():
    @tff.tensorflow.computation(np.int32)
    def refuse(x):
        with tf.control_dependencies([tf.debugging.assert_equal(x, 0)]):
            return tf.identity(x)

    with here(), pytest.raises(tf.errors.InvalidArgumentError):
        refuse(1)


def test_the_training_loop_is_marked_for_xla():
    """Without the mark all is right, and ten times slower."""
    form = tff.backends.mapreduce.get_map_reduce_form_for_computation(
        plain_fed_avg().next, programs.as_traced()
    )
    graph = tf.compat.v1.GraphDef()
    proto = tff.framework.ConcreteComputation.get_proto(form.work)
    proto.tensorflow.graph_def.Unpack(graph)
    marked = [f for f in graph.library.function if f.attr["_XlaMustCompile"].b]
    assert any("While" in n.op for f in marked for n in f.node_def)


def test_the_context_starts_no_worker():
    before = living_workers()
    with in_process.execution_context():
        process = plain_fed_avg()
        process.next(process.initialize(), clients())
        assert living_workers() == before
        assert sum_of_numbers([1, 2]) == 3
        assert len(living_workers() - before) == 1
    assert living_workers() == before


def test_noise_is_fresh_in_every_round():
    """Also where rounds and processes begin alike: no seed may be frozen in."""
    process = build_fed_sgd(
        build_model(4),
        server_optimizer=sgd(1.0),
        weighting=tff.learning.ClientWeighting.UNIFORM,
        aggregator=tff.aggregators.DifferentiallyPrivateFactory.gaussian_fixed(
            1.0, clients_per_round=4, clip=1.0
        ),
    )
    ends = []
    for _ in range(2):
        with here():
            state = process.initialize()
            for _ in range(3):
                after = process.next(state, clients()).state
                weights = process.get_model_weights(after).trainable
                ends.append(np.concatenate([np.ravel(w) for w in weights]))
    for one, other in itertools.combinations(ends, 2):
        # Each has noise of standard deviation 1 / 4 in every weight.
        assert 0.15 < np.std(one - other) / np.sqrt(2) < 0.4


def test_lists_of_several_elements_go_to_tffs_runtime():
    elsewhere = Counting()
    with installed(in_process.InProcessContext(elsewhere)):
        assert sum_of_totals([[1, 2], [3]]) == 6
        assert elsewhere.calls == 1


def test_features_in_another_order_are_refused():
    """By position they would fit, and train on labels as features."""
    pair = collections.OrderedDict(x=np.float32, y=np.float32)

    @tff.tensorflow.computation(tff.SequenceType(tff.to_type(pair)))
    def first_x(dataset):
        return dataset.get_single_element()["x"]

    @tff.federated_computation(
        tff.FederatedType(tff.SequenceType(tff.to_type(pair)), tff.CLIENTS)
    )
    def sum_of_x(data):
        return tff.federated_sum(tff.federated_map(first_x, data))

    def dataset(*names):
        values = {"x": np.float32(2), "y": np.float32(5)}
        return tf.data.Dataset.from_tensors(
            collections.OrderedDict((name, values[name]) for name in names)
        )

    with here():
        assert sum_of_x([dataset("x", "y")]) == 2
        with pytest.raises(TypeError):
            sum_of_x([dataset("y", "x")])


def test_computations_of_the_same_id_are_not_mixed_up():
    """Ids are used again when an object is gone."""

    def build(number):
        @tff.tensorflow.computation
        def constant():
            return tf.constant(number)

        return constant

    with here():
        assert [build(number)() for number in range(50)] == list(range(50))


def test_tensorflow_does_not_warn_of_retracing(caplog, monkeypatch):
    """First rounds of several computations are no retraces of one."""
    monkeypatch.setattr(tf.get_logger(), "propagate", True)
    data = [tf.data.Dataset.range(3, output_type=tf.int32)]
    with here():
        for _ in range(6):
            fed_avg()  # traces what clients do

            @tff.tensorflow.computation
            def two():
                return tf.constant(2)

            @tff.federated_computation(sum_of_totals.type_signature.parameter)
            def another_sum(data):
                return sum_of_totals(data)

            assert another_sum(data) + two() == 3 + 2
    assert "retracing" not in caplog.text
