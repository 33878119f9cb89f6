"""The training whose models are attacked, and whose copies are shadow models.

Rounds are fixed: no validation chooses one, so that no row but a member has a part in
the model, and private training, whose losses may not be seen, goes the same way.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff
from numpy.typing import NDArray

from tff_finance import checks
from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.algorithms.single_site import build_single_site
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.client_work.poisson_batches import PoissonBatches
from tff_finance.client_work.private_gradient import build_private_gradient
from tff_finance.evaluation.attacks.lira import Logits, TrainModels
from tff_finance.evaluation.scorers import keras_scorer
from tff_finance.institutions.examples import Examples, client_dataset, dense_examples
from tff_finance.tasks import keras_models

BuildKerasModel = Callable[[int | None], tf.keras.Model]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordPrivacy:
    """Record-level differential privacy by DP-SGD.

    Attributes:
        l2_clip_norm: Of a record's gradient.
        noise_multiplier: Standard deviation of the noise over it.
    """

    l2_clip_norm: float
    noise_multiplier: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class TargetTraining:
    """How targets and their shadows are trained, the same for both.

    Attributes:
        rounds: Of FedAvg, one local epoch each; epochs of institutions alone.
        batch_size: Rows of a step, with privacy in expectation.
        learning_rate: Of plain SGD at the institutions.
        alone: Whether each institution has a model of its own.
        privacy: None for none.
    """

    rounds: int
    batch_size: int
    learning_rate: float
    alone: bool = False
    privacy: RecordPrivacy | None = None

    def __post_init__(self) -> None:
        """Refuses numbers that make no training."""
        checks.check_at_least("rounds", self.rounds, 1)
        checks.check_at_least("batch_size", self.batch_size, 1)
        checks.check_positive("learning_rate", self.learning_rate)


def build_target_training(
    build_keras_model: BuildKerasModel, training: TargetTraining
) -> TrainModels:
    """Builds the training procedure, once for targets and shadows.

    Must be used in an execution context (`runtime.in_process`).

    Args:
        build_keras_model: The model, from a seed.
        training: How.

    Returns:
        The procedure. Its seed is that of the initialisation and, without privacy,
        of the order of batches.
    """
    process = _build_process(build_keras_model, training)

    def fitted(tables: Sequence[Examples], seed: int) -> Logits:
        weights = keras_models.initial_weights(lambda: build_keras_model(seed))
        state = process.set_model_weights(process.initialize(), weights)
        hparams = process.get_hparams(state)
        hparams["client_work"]["seed"] = seed
        state = process.set_hparams(state, hparams)
        data = [client_dataset(table) for table in tables]
        for _ in range(training.rounds):
            state = process.next(state, data).state
        return _logits(build_keras_model, process.get_model_weights(state))

    def train(tables: Sequence[tuple[NDArray, NDArray]], seed: int) -> list[Logits]:
        examples = [
            dense_examples(x, y, institution=f"institution_{number}")
            for number, (x, y) in enumerate(tables)
        ]
        if training.alone:
            return [fitted([one], seed) for one in examples]
        return [fitted(examples, seed)] * len(examples)

    return train


def _build_process(
    build_keras_model: BuildKerasModel, training: TargetTraining
) -> tff.learning.templates.LearningProcess:
    model = keras_models.functional_model(lambda: build_keras_model(0))
    optimizer = tff.learning.optimizers.build_sgdm(training.learning_rate)
    options: dict[str, Any] = {
        "batches": LocalEpochs(epochs=1, batch_size=training.batch_size)
    }
    if training.privacy:
        options = {
            "batches": PoissonBatches(epochs=1, batch_size=training.batch_size),
            "gradient_estimator": build_private_gradient(
                model,
                l2_clip_norm=training.privacy.l2_clip_norm,
                noise_multiplier=training.privacy.noise_multiplier,
                keras_model=build_keras_model(0),
            ),
        }
    if training.alone:
        return build_single_site(model, optimizer=optimizer, **options)
    return build_fed_avg(model, client_optimizer=optimizer, **options)


def _logits(
    build_keras_model: BuildKerasModel, weights: tff.learning.models.ModelWeights
) -> Logits:
    scorer = keras_scorer(lambda: build_keras_model(None), weights)
    return lambda x: np.asarray(scorer(x), np.float64)
