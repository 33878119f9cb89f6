"""Saved models: a network with all that turns raw rows into its scores."""

import dataclasses
import math
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tff_finance.datasets.contract_file import contract_to_mapping, read_json_contract
from tff_finance.evaluation.scorers import KerasScorer
from tff_finance.preprocessing.encoder import (
    Encoder,
    encoder_from_mapping,
    encoder_to_mapping,
)
from tff_finance.records import files, model_folder
from tff_finance.tasks.prior_correction import PriorCorrection

# What the reference's logit may differ by on another machine or version.
_LOGIT_TOLERANCE = 1e-4


@dataclasses.dataclass(frozen=True, kw_only=True)
class SavedModel:
    """A model that scores raw rows.

    Attributes:
        network: `float32[n, features] -> float32[n, 1]`, logits, corrected for
            class weights.
        encoder: Turns validated rows into features; has the contract.
        reference: The encoded customer against whom scores are explained,
            float64[features].
        header: Task, algorithm, settings, data and versions.
    """

    network: tf.keras.Model
    encoder: Encoder
    reference: np.ndarray
    header: Mapping[str, Any]

    @property
    def scorer(self) -> KerasScorer:
        """Scores encoded rows, as the evaluation does."""
        return KerasScorer(self.network)


def save_model(
    directory: pathlib.Path,
    network: tf.keras.Model,
    *,
    encoder: Encoder,
    reference: np.ndarray,
    about: Mapping[str, Any],
) -> None:
    """Saves a model whole or not at all.

    Args:
        directory: Its folder; replaced if it is there.
        network: Encoded rows to logits; may end in a `PriorCorrection`.
        encoder: That the network was trained with.
        reference: As in `SavedModel`.
        about: For `model.json`; at least `task` and `versions`.

    Raises:
        ValueError: If `reference` is not of the encoder's width, or not finite.
        OSError: If the folder can't be written.
    """
    names = encoder.feature_names
    if reference.shape != (len(names),) or not np.isfinite(reference).all():
        raise ValueError(
            f"`reference` must be {len(names)} finite numbers, got {reference!r}."
        )
    plain = _of_keras_layers_alone(network)
    with files.replacing_folder(directory) as folder:
        plain.save(
            folder / model_folder.NETWORK, save_format="tf", include_optimizer=False
        )
        files.write_json(
            folder / model_folder.CONTRACT, contract_to_mapping(encoder.contract)
        )
        files.write_json(folder / model_folder.ENCODER, encoder_to_mapping(encoder))
        content = dict(zip(names, reference.tolist(), strict=True))
        files.write_json(folder / model_folder.REFERENCE, content)
        logit = _logit(plain, reference)
        model_folder.write_header(folder, {**about, "reference_logit": logit})


def load_model(directory: pathlib.Path) -> SavedModel:
    """Loads what `save_model` saved.

    Args:
        directory: The model's folder.

    Returns:
        The model.

    Raises:
        UnreadableModelError: If the folder holds no model, a damaged one or one of
            another schema, or if the network computes something else than when it
            was saved.
    """
    header = model_folder.read_header(directory)
    try:
        return _load(directory, header)
    except (*files.UNREADABLE, tf.errors.OpError) as error:
        raise model_folder.UnreadableModelError(
            model_folder.why_unreadable(directory, error)
        ) from error


def _load(directory: pathlib.Path, header: Mapping[str, Any]) -> SavedModel:
    contract = read_json_contract(directory / model_folder.CONTRACT)
    mapping = files.read_json(directory / model_folder.ENCODER)
    encoder = encoder_from_mapping(mapping, contract)
    features = files.read_json(directory / model_folder.REFERENCE)
    reference = np.array([features[name] for name in encoder.feature_names])
    network = tf.keras.models.load_model(
        directory / model_folder.NETWORK, compile=False
    )
    now, before = _logit(network, reference), header["reference_logit"]
    if not math.isclose(
        now, before, rel_tol=_LOGIT_TOLERANCE, abs_tol=_LOGIT_TOLERANCE
    ):
        raise ValueError(
            f"its network gives the reference the logit {now}, and gave it {before} "
            "when it was saved"
        )
    return SavedModel(
        network=network, encoder=encoder, reference=reference, header=header
    )


def _of_keras_layers_alone(network: tf.keras.Model) -> tf.keras.Model:
    """The same scores from Keras's own layers, so that plain Keras can load them."""
    last, logits = network.layers[-1], network.output
    if isinstance(last, PriorCorrection):
        correction = tf.keras.layers.Rescaling(
            1.0, offset=-math.log(last.positive_weight), name="prior_correction"
        )
        logits = correction(network.layers[-2].output)
    plain = tf.keras.Model(network.inputs, logits, name=network.name)
    # Says that outputs are logits; Keras complains on saving a model without a loss.
    plain.compile(loss=tf.keras.losses.BinaryCrossentropy(from_logits=True))
    return plain


def _logit(network: tf.keras.Model, row: np.ndarray) -> float:
    return float(KerasScorer(network)(row[None].astype(np.float32))[0])
