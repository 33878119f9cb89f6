"""What every learning process here keeps to, whatever its algorithm."""

import itertools
import pathlib

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests.algorithms.learning import assert_same_weights, largest_move, train
from tests.runtime.in_process_test import Refusing, installed
from tff_finance.aggregation.coordinate_wise import (
    build_median_factory,
    build_trimmed_mean_factory,
)
from tff_finance.aggregation.geometric_median import build_geometric_median_factory
from tff_finance.aggregation.rejecting import RejectingFactory
from tff_finance.aggregation.sparse_sum import SparseSumFactory
from tff_finance.aggregation.stochastic_quantization import build_quantized_mean
from tff_finance.aggregation.tff_quantization import build_tff_quantized_mean
from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.algorithms.fed_buff import build_fed_buff
from tff_finance.algorithms.fed_per import build_fed_per
from tff_finance.algorithms.fed_prox import build_fed_prox
from tff_finance.algorithms.fed_sgd import build_fed_sgd
from tff_finance.algorithms.scaffold import build_scaffold
from tff_finance.algorithms.server_optimizers import build_server_optimizer
from tff_finance.algorithms.single_site import build_single_site
from tff_finance.client_work.arrivals import ArrivalStore
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.client_work.error_feedback import build_top_k
from tff_finance.institutions.examples import InMemory, dense_examples
from tff_finance.institutions.shards import ShardFiles
from tff_finance.institutions.state import InstitutionStateFiles
from tff_finance.privacy.institution_level import (
    AdaptiveClipping,
    FixedClipping,
    TreeClipping,
)
from tff_finance.records.method_names import METHODS
from tff_finance.runtime.in_process import InProcessContext
from tff_finance.runtime.programs import map_reduce_form
from tff_finance.training.checkpoints import Checkpoints

ROUNDS = 3
SEED = 11
BATCHES = LocalEpochs(epochs=2, batch_size=16)
sgd = tff.learning.optimizers.build_sgdm
UNIFORM = tff.learning.ClientWeighting.UNIFORM

pytestmark = pytest.mark.usefixtures("tff_context")


def of_server_optimizer(name):
    def build(model, store, files):
        del files
        return build_fed_avg(
            model,
            client_optimizer=sgd(0.3),
            server_optimizer=build_server_optimizer(name),
            batches=BATCHES,
            store=store,
        )

    return build


def of_aggregator(aggregator, **options):
    """FedAvg; `options` beside it from where institutions' state lies."""

    def build(model, store, files):
        return build_fed_avg(
            model,
            client_optimizer=sgd(0.3),
            batches=BATCHES,
            aggregator=aggregator,
            store=store,
            state_files=files,
            **options,
        )

    return build


def same_seed():
    """No source for privacy: so that rounds can be compared."""
    return tf.constant([2**60 + 1, 7], tf.int64)


TOP_K_MEAN = tff.aggregators.MeanFactory(SparseSumFactory(0.4))
CLIPPING = {"l2_clip_norm": 0.5, "noise_multiplier": 0.0, "expected_updates": 2}
BUILDERS = {
    "fed_avg": of_server_optimizer("sgd"),
    "fed_prox": lambda model, store, files: build_fed_prox(
        model, mu=0.5, client_optimizer=sgd(0.3), batches=BATCHES, store=store
    ),
    "fed_per": lambda model, store, files: build_fed_per(
        model,
        num_local=1,
        client_optimizer=sgd(0.3),
        batches=BATCHES,
        state_files=files,
        store=store,
    ),
    "fed_buff": lambda model, store, files: build_fed_buff(
        model, client_optimizer=sgd(0.3), batches=BATCHES, store=store
    ),
    "fed_sgd": lambda model, store, files: build_fed_sgd(
        model, server_optimizer=sgd(0.5, momentum=0.5), store=store
    ),
    "scaffold": lambda model, store, files: build_scaffold(
        model,
        client_learning_rate=0.3,
        batches=BATCHES,
        num_institutions=3,
        state_files=files,
        store=store,
    ),
    "fed_avg_top_k": of_aggregator(TOP_K_MEAN, update_rule=build_top_k(0.4)),
    "dp_fed_avg": of_aggregator(
        FixedClipping(**CLIPPING).aggregator(seed_source=same_seed), weighting=UNIFORM
    ),
    "dp_ftrl": of_aggregator(
        TreeClipping(**CLIPPING, restart_every=2).aggregator(seed_source=same_seed),
        weighting=UNIFORM,
    ),
    # With a norm that stays: what moves it is counted over all, with and without rows.
    "dp_fed_avg_adaptive": of_aggregator(
        AdaptiveClipping(
            initial_l2_clip_norm=0.5,
            noise_multiplier=0.0,
            expected_updates=2,
            learning_rate=0.0,
        ).aggregator(seed_source=same_seed),
        weighting=UNIFORM,
    ),
    "fed_avgm": of_server_optimizer("momentum"),
    "fed_adam": of_server_optimizer("adam"),
    "fed_adagrad": of_server_optimizer("adagrad"),
    "fed_yogi": of_server_optimizer("yogi"),
    "fed_avg_median": of_aggregator(build_median_factory()),
    "fed_avg_trimmed_mean": of_aggregator(build_trimmed_mean_factory(0.2)),
    "fed_avg_geometric_median": of_aggregator(build_geometric_median_factory()),
    "fed_avg_rejecting": of_aggregator(
        RejectingFactory(tff.aggregators.MeanFactory(), median_multiple=2.0)
    ),
    "fed_avg_quantized": of_aggregator(build_quantized_mean(12)),
    "fed_avg_tff_compressed": of_aggregator(build_tff_quantized_mean()),
    "single_site": lambda model, store, files: build_single_site(
        model, optimizer=sgd(0.2, momentum=0.9), batches=BATCHES, store=store
    ),
}


# Methods that are trained by the process of another name.
TRAINED_AS = {
    "local": "single_site",
    "centralized": "single_site",
    "fine_tuned": "fed_avg",
    "fed_avg_branches": "fed_avg",
}
# Why a method isn't held to this, and the tests that it is held to instead.
WITHOUT_CASE = {
    "gradient_boosting": ("no learning process", "evaluation/methods_test.py"),
    "fed_md": ("no learning process", "evaluation/fed_md_test.py"),
    "fed_avg_clipping": (
        "TFF's quantiles count institutions without rows as well",
        "algorithms/aggregated_fed_avg_test.py",
    ),
    "fed_avg_dp_sgd": (
        "no loss, no shards, noise by number of rows",
        "evaluation/private_methods_test.py",
    ),
    "fed_avg_poisson": ("the same", "evaluation/private_methods_test.py"),
    "fed_avg_secure": (
        "TFF's own runtime has no secure sums",
        "evaluation/secure_methods_test.py",
    ),
    "dp_fed_avg_distributed": (
        "the same",
        "evaluation/institution_private_methods_test.py",
    ),
}
TESTS = pathlib.Path(__file__).parent.parent


def test_every_method_has_a_case_or_a_reason_why_not():
    cases = {*BUILDERS} - {"single_site"}
    assert not cases & {*TRAINED_AS, *WITHOUT_CASE}
    assert {*METHODS} == cases | {*TRAINED_AS, *WITHOUT_CASE}
    assert {*TRAINED_AS.values()} <= {*BUILDERS}
    for name, (_, file) in WITHOUT_CASE.items():
        assert f'"{name}"' in (TESTS / file).read_text()


# Whose update of a single institution is that institution's: with server SGD of rate
# 1, it trains as if it were alone.
MEANS_OF_ONE = (
    "fed_avg",
    "fed_avg_median",
    "fed_avg_trimmed_mean",
    "fed_avg_geometric_median",
)


# A single site has no other institutions to go on with.
among_others = pytest.mark.parametrize(
    "name", [name for name in BUILDERS if name != "single_site"], indirect=True
)


# The others differ from these behind the clients' work alone, and client_data_test has
# the files of a single site. By its place in the list pytest finds a case that it has
# built: each has its place in BUILDERS.
by_reader = pytest.mark.parametrize(
    "name", [*BUILDERS][: [*BUILDERS].index("fed_avg_top_k") + 1], indirect=True
)


class Case:
    """One learning process, its clients, and where their state lies."""

    def __init__(self, name, model, tables, folder, store):
        self.files = InstitutionStateFiles(str(folder / "institution_state"))
        self.process = BUILDERS[name](model, store, self.files)
        self.store, self.model = store, model
        self.arrivals = ArrivalStore(model, store) if name == "fed_buff" else None
        self.tables = dict(itertools.islice(tables.items(), self.most_clients(name)))
        self.context = InProcessContext(Refusing())

    @staticmethod
    def most_clients(name):
        return 1 if name == "single_site" else 3

    def client(self, x, y, name):
        return self.store.client_dataset(dense_examples(x, y, institution=name))

    def clients(self, *names):
        return [self.client(*self.tables[name], name) for name in names or self.tables]

    def begin(self):
        """The initial state with a seed; no institution has state."""
        self.files.drop_after(0)
        state = self.process.initialize()
        hparams = self.process.get_hparams(state)
        hparams["client_work"]["seed"] = SEED
        return self.process.set_hparams(state, hparams)

    def rounds(self, data, number=ROUNDS, state=None):
        """States after each round, from the beginning or `state`; last metrics."""
        states, metrics = [self.begin() if state is None else state], None
        for _ in range(number):
            output = self.process.next(states[-1], self.arriving(states[-1], data))
            states.append(output.state)
            metrics = output.metrics.get("client_work", output.metrics)
        return states, metrics

    def arriving(self, state, data):
        """The data as the process takes it: of FedBuff, from two rounds ago."""
        if not self.arrivals:
            return data
        return [
            self.arrivals.arrival(
                rows,
                start_weights=self.process.get_model_weights(state).trainable,
                staleness=2,
                local_round=int(state.client_work["round"]),
            )
            for rows in data
        ]

    def in_process(self):
        return installed(self.context)


def assert_same(actual, expected, *, atol=0.0):
    tf.nest.assert_same_structure(actual, expected)
    for one, other in zip(
        tf.nest.flatten(actual), tf.nest.flatten(expected), strict=True
    ):
        if np.asarray(one).dtype.kind in "SUO":  # text, such as an event's name
            assert np.array_equal(one, other)
        else:
            np.testing.assert_allclose(one, other, atol=atol, rtol=atol)


@pytest.fixture(scope="module", params=BUILDERS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def case(name, logistic_model, tables, tmp_path_factory):
    folder = tmp_path_factory.mktemp(name)
    return Case(name, logistic_model, tables, folder, InMemory())


@pytest.fixture(scope="module")
def alone(logistic_model, tables):
    """The weights of an institution that trains by itself, by FedAvg's local SGD."""
    process = build_single_site(logistic_model, optimizer=sgd(0.3), batches=BATCHES)
    state = process.initialize()
    hparams = process.get_hparams(state)
    hparams["client_work"]["seed"] = SEED
    state = process.set_hparams(state, hparams)
    x, y = tables["bank_a"]
    data = [InMemory().client_dataset(dense_examples(x, y, institution="bank_a"))]
    with installed(InProcessContext(Refusing())):
        state, _ = train(process, data, ROUNDS, state=state)
    return process.get_model_weights(state)


@pytest.fixture(scope="module")
def undisturbed(case):
    """States and last metrics of three rounds with all institutions."""
    with case.in_process():
        return case.rounds(case.clients())


def test_types(case):
    process = case.process
    state = process.initialize.type_signature.result
    parameter = process.next.type_signature.parameter
    result = process.next.type_signature.result
    assert state.is_equivalent_to(parameter[0])
    assert state.is_equivalent_to(result[0])
    assert state.placement is result[1].placement is tff.SERVER
    assert parameter[1].placement is tff.CLIENTS
    assert isinstance(parameter[1].member, tff.SequenceType)
    for get, put in (
        (process.get_model_weights, process.set_model_weights),
        (process.get_hparams, process.set_hparams),
    ):
        assert get.type_signature.parameter.is_equivalent_to(state.member)
        assert put.type_signature.parameter[0].is_equivalent_to(state.member)
        assert put.type_signature.parameter[1].is_equivalent_to(
            get.type_signature.result
        )
        assert put.type_signature.result.is_equivalent_to(state.member)
    assert "seed" in dir(process.get_hparams.type_signature.result["client_work"])


def test_splits_into_a_map_reduce_form_that_lets_no_row_out(case):
    form = map_reduce_form(case.process.next)
    assert isinstance(form.work.type_signature.parameter[0], tff.SequenceType)
    leaves = tff.structure.flatten(form.work.type_signature.result)
    assert leaves
    for leaf in leaves:
        assert isinstance(leaf, tff.TensorType)
        # Nothing is larger than the kernel.
        assert np.prod(leaf.shape) * leaf.dtype.itemsize <= 5 * 4


def test_trains(case, undisturbed):
    states, metrics = undisturbed
    weights = case.process.get_model_weights(states[-1])
    assert largest_move(weights, case.model) > 0.03
    assert np.isfinite(metrics["loss"])
    assert metrics["num_examples"] == sum(len(y) for _, y in case.tables.values())


def test_in_this_process_as_on_tffs_runtime(case, undisturbed):
    states, metrics = undisturbed
    expected, expected_metrics = case.rounds(case.clients())
    assert_same(states[-1], expected[-1], atol=1e-5)
    assert metrics["loss"] == pytest.approx(expected_metrics["loss"], rel=1e-5)


def test_goes_on_from_a_checkpoint(case, undisturbed, tmp_path):
    """To the last bit, whatever the rounds after it left at the institutions."""
    states, _ = undisturbed
    with case.in_process():
        again, _ = case.rounds(case.clients())
        assert_same(again[-1], states[-1])
        checkpoints = Checkpoints.in_folder(tmp_path, every_seconds=0)
        checkpoints.save(states[1], round_number=1)
        restored = checkpoints.restore(states[0])
        resumed, _ = case.rounds(case.clients(), ROUNDS - 1, state=restored)
    assert_same(resumed[-1], states[-1])


def test_one_institution(name, case, alone):
    with case.in_process():
        states, metrics = case.rounds(case.clients("bank_a"))
    weights = case.process.get_model_weights(states[-1])
    assert largest_move(weights, case.model) > 0.03
    assert np.isfinite(metrics["loss"])
    if name in MEANS_OF_ONE:
        assert_same_weights(weights, alone, atol=1e-6)


@among_others
def test_an_institution_without_rows_changes_nothing(case, undisturbed):
    states, _ = undisturbed
    x, y = case.tables["bank_a"]
    with case.in_process():
        data = [case.client(x[:0], y[:0], "empty"), *case.clients()]
        with_empty, metrics = case.rounds(data)
    assert_same(with_empty[-1], states[-1])
    assert metrics["num_institutions"] == 3  # with rows
    assert metrics["non_finite_updates"] == 0


@among_others
def test_an_update_that_is_not_finite_is_left_out(case):
    x, y = case.tables["bank_b"]
    examples = dense_examples(x.copy(), y, institution="bank_b")
    examples["x"][-1, 0] = np.nan
    with case.in_process():
        expected, _ = case.rounds(case.clients("bank_a", "bank_c"))
        bank_a, bank_c = case.clients("bank_a", "bank_c")
        broken = case.store.client_dataset(examples)
        states, metrics = case.rounds([bank_a, broken, bank_c])
    assert_same(states[-1], expected[-1], atol=1e-6)
    assert metrics["non_finite_updates"] == 1
    assert np.isfinite(metrics["loss"])


@among_others
def test_without_any_update_nothing_but_the_round_moves(case, undisturbed):
    states, _ = undisturbed
    x, y = case.tables["bank_a"]
    with case.in_process():
        nobody = [case.client(x[:0], y[:0], "empty")]
        after, _ = case.rounds(nobody, 1, state=states[-1])
    before = states[-1]
    assert_same(after[-1].finalizer, before.finalizer)
    assert_same(after[-1].global_model_weights, before.global_model_weights)
    work = dict(before.client_work)
    assert_same(dict(after[-1].client_work), work | {"round": work["round"] + 1})


@by_reader
def test_rows_by_file_are_rows_in_memory(
    name, undisturbed, logistic_model, tables, tmp_path
):
    states, metrics = undisturbed
    store = ShardFiles(tmp_path / "shards")
    by_file = Case(name, logistic_model, tables, tmp_path, store)
    with by_file.in_process():
        found, found_metrics = by_file.rounds(by_file.clients())
    assert_same(found[-1], states[-1], atol=1e-5)
    assert found_metrics["loss"] == pytest.approx(metrics["loss"], rel=1e-5)
