"""Saved models: the same scores for everybody who loads them, or a clear error."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.evaluation import scored_bank
from tff_finance.evaluation.saved_model import load_model, save_model
from tff_finance.evaluation.scorers import KerasScorer
from tff_finance.records.model_folder import UnreadableModelError

X = np.random.default_rng(1).normal(size=(40, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    directory = tmp_path_factory.mktemp("run") / "model"
    return directory, scored_bank.save(directory)


@pytest.fixture
def copy(saved, tmp_path):
    return pathlib.Path(shutil.copytree(saved[0], tmp_path / "model"))


def test_it_scores_as_the_evaluation_did(saved):
    directory, network = saved
    model = load_model(directory)
    np.testing.assert_allclose(model.scorer(X), KerasScorer(network)(X), atol=1e-6)
    assert model.encoder == scored_bank.ENCODER
    assert model.encoder.contract == scored_bank.CONTRACT
    assert model.encoder.contract.formats == scored_bank.CONTRACT.formats
    np.testing.assert_array_equal(model.reference, scored_bank.REFERENCE)
    assert model.header["task"] == "risk"


def test_plain_keras_loads_the_network(saved, tmp_path):
    """Without this package: the correction for class weights is in the file."""
    directory, network = saved
    np.save(tmp_path / "x.npy", X)
    script = (
        "import sys, numpy as np, tensorflow as tf\n"
        "model = tf.keras.models.load_model(sys.argv[1])\n"
        "np.save(sys.argv[3], model(np.load(sys.argv[2])))\n"
        "assert not any(name.startswith('tff_finance') for name in sys.modules)\n"
    )
    names = (directory / "saved_model", tmp_path / "x.npy", tmp_path / "y.npy")
    subprocess.run(
        [sys.executable, "-c", script, *map(str, names)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": ""},
        check=True,
        timeout=120,
    )
    logits = np.load(tmp_path / "y.npy")[:, 0]
    np.testing.assert_allclose(logits, KerasScorer(network)(X), atol=1e-6)


def test_a_model_that_is_saved_again_replaces_the_old_one(copy):
    scored_bank.save(copy, about=scored_bank.ABOUT | {"algorithm": "second"})
    assert load_model(copy).header["algorithm"] == "second"
    assert [path.name for path in copy.parent.iterdir()] == ["model"]


def test_a_model_that_cannot_be_saved_leaves_the_old_one(copy, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tff_finance.records.model_folder.write_header", full)
    with pytest.raises(OSError, match="No space left"):
        scored_bank.save(copy)
    assert load_model(copy).header["task"] == "risk"
    assert [path.name for path in copy.parent.iterdir()] == ["model"]


def change(path, old, new):
    path.write_bytes(path.read_bytes().replace(old, new, 1))


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (shutil.rmtree, "model.json: No such file"),
        (lambda d: (d / "model.json").unlink(), "model.json: No such file"),
        (lambda d: (d / "model.json").write_text("{}"), "not that of a model"),
        (lambda d: (d / "model.json").write_text("[1]"), "not that of a model"),
        (lambda d: (d / "model.json").write_text('{"kind"'), "no model that can be"),
        (lambda d: change(d / "model.json", b'"schema": 1', b'"schema": 2'), "is 2;"),
        (lambda d: change(d / "encoder.json", b"10.3", b"10.4"), "encoder.json has ch"),
        (lambda d: (d / "encoder.json").unlink(), "encoder.json is missing"),
        (lambda d: (d / "notes.txt").write_text("x"), "notes.txt is no part"),
        (
            lambda d: os.truncate(d / "saved_model" / "saved_model.pb", 100),
            "saved_model/saved_model.pb has changed",
        ),
    ],
)
def test_a_damaged_or_foreign_folder_is_refused(copy, damage, fault):
    damage(copy)
    with pytest.raises(UnreadableModelError, match=fault) as raised:
        load_model(copy)
    assert str(copy) in str(raised.value)


def test_a_network_that_computes_something_else_is_refused(copy):
    """As another version of Keras might, with every file as it was."""
    header = json.loads((copy / "model.json").read_text())
    header["reference_logit"] += 0.01
    (copy / "model.json").write_text(json.dumps(header))
    with pytest.raises(UnreadableModelError, match="gives the reference the logit"):
        load_model(copy)


def test_the_folder_above_gets_a_hint(saved):
    directory, _ = saved
    with pytest.raises(UnreadableModelError, match=f"did you mean {directory}"):
        load_model(directory.parent)


def test_a_reference_of_another_width_is_refused(tmp_path):
    with pytest.raises(ValueError, match="`reference` must be 6 finite numbers"):
        save_model(
            tmp_path / "model",
            scored_bank.build_network(),
            encoder=scored_bank.ENCODER,
            reference=np.zeros(5),
            about={},
        )
    assert not (tmp_path / "model").exists()


def test_saving_leaves_the_network_as_it_is(tmp_path):
    network = tf.keras.Sequential([tf.keras.Input([6]), tf.keras.layers.Dense(1)])
    save_model(
        tmp_path / "model",
        network,
        encoder=scored_bank.ENCODER,
        reference=scored_bank.REFERENCE,
        about=scored_bank.ABOUT,
    )
    assert network.optimizer is None
    np.testing.assert_allclose(
        load_model(tmp_path / "model").scorer(X), KerasScorer(network)(X), atol=1e-6
    )
