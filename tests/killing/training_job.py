"""Training with institution state, whose outcome goes to outcome.npz."""

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_finance.algorithms.scaffold import build_scaffold
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.institutions.examples import client_dataset, dense_examples
from tff_finance.institutions.state import InstitutionStateFiles
from tff_finance.metrics.validation import ValidationResult
from tff_finance.runtime import local
from tff_finance.tasks import keras_models
from tff_finance.training.checkpoints import Checkpoints
from tff_finance.training.loop import train
from tff_finance.training.progress import StoppingRule

ROUNDS = 60
BANKS = ("bank_a", "bank_b", "bank_c")


def keras_model():
    return tf.keras.Sequential(
        [tf.keras.Input([4]), tf.keras.layers.Dense(1, kernel_initializer="ones")]
    )


def client_data():
    rng = np.random.default_rng(3)
    for name in BANKS:
        x = rng.normal(size=(60, 4)).astype(np.float32)
        y = (x @ rng.normal(size=4) > rng.normal()).astype(np.float32)
        yield client_dataset(dense_examples(x, y, institution=name))


def validation(started):
    """Falls for ever, so that the last weights are the best."""

    def validate(weights):
        started()
        norm = float(np.linalg.norm(weights.trainable[0]))
        return ValidationResult(loss=np.exp(-norm), accuracy=0.5, rows=1)

    return validate


def main(folder, started):
    files = InstitutionStateFiles(str(folder / "institution_state"))
    process = build_scaffold(
        keras_models.functional_model(keras_model),
        client_learning_rate=0.3,
        batches=LocalEpochs(epochs=1, batch_size=20),
        num_institutions=len(BANKS),
        state_files=files,
        server_optimizer=tff.learning.optimizers.build_sgdm(1.0, 0.5),
    )
    with local.execution_context():
        trained = train(
            process,
            list(client_data()),
            initial_weights=keras_models.initial_weights(keras_model),
            seed=7,
            validate=validation(started),
            stopping=StoppingRule(max_rounds=ROUNDS, patience=ROUNDS),
            label="killed",
            checkpoints=Checkpoints.in_folder(folder / "state", every_seconds=0.1),
            institution_state=files,
        )
    np.savez(
        folder / "outcome.npz",
        *trained.weights.trainable,
        losses=[point.training_loss for point in trained.curve],
        best_round=trained.best_round,
        institution_state=files.fingerprint(ROUNDS),
    )
