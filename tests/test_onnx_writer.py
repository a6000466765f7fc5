from __future__ import annotations

import json
import math
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_bert

from skillsmith.errors import ModelError, UsageError
from skillsmith.library.embedding.onnx_writer import FORMS, Form, quantise, read_safetensors, write_encoder

erf = np.vectorize(math.erf)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with random weights."""
    return tiny_bert.write_model(tmp_path_factory.mktemp("model"))


def reference(tensors: dict[str, Any], ids: Any, mask: Any) -> Any:
    """Compute the encoder's output for one text at a time, in double precision, from the definition."""

    def linear(values: Any, name: str) -> Any:
        return values @ tensors[f"{name}.weight"].T.astype(np.float64) + tensors[f"{name}.bias"]

    def normalise(values: Any, name: str) -> Any:
        centred = values - values.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
        return scaled * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]

    def attention(hidden: Any, name: str) -> Any:
        query, key, value = (
            linear(hidden, f"{name}.{part}").reshape(len(hidden), tiny_bert.HEADS, -1)
            for part in ("query", "key", "value")
        )
        scores = np.einsum("qhd,khd->hqk", query, key) / math.sqrt(query.shape[-1])
        shares = np.exp(scores - scores.max(-1, keepdims=True)) * mask
        shares /= shares.sum(-1, keepdims=True)
        return np.einsum("hqk,khd->qhd", shares, value).reshape(hidden.shape)

    e = "embeddings"
    hidden = tensors[f"{e}.word_embeddings.weight"][ids] + tensors[f"{e}.token_type_embeddings.weight"][0]
    hidden = hidden + tensors[f"{e}.position_embeddings.weight"][: len(ids)]
    hidden = normalise(hidden.astype(np.float64), f"{e}.LayerNorm")
    for number in range(tiny_bert.LAYERS):
        name = f"encoder.layer.{number}"
        attended = linear(attention(hidden, f"{name}.attention.self"), f"{name}.attention.output.dense")
        hidden = normalise(hidden + attended, f"{name}.attention.output.LayerNorm")
        inner = linear(hidden, f"{name}.intermediate.dense")
        inner = inner * (1 + erf(inner / math.sqrt(2))) / 2
        hidden = normalise(hidden + linear(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm")
    return hidden


def run(path: Path, ids: Any, mask: Any) -> Any:
    """Run a written encoder through onnxruntime."""
    import onnxruntime  # noqa: PLC0415 -- not for tests that run nothing

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    return session.run(["last_hidden_state"], inputs)[0]


@pytest.mark.parametrize(("form", "least"), [("fp32", 0.999999), ("int8", 0.998)])
def test_every_form_computes_the_encoder(model: Path, tmp_path: Path, form: Form, least: float) -> None:
    """Each form gives the token vectors of BERT's definition, on any processor."""
    write_encoder(model, tmp_path / "model.onnx", form=form)
    ids = np.array([[2, 5, 8, 4, 10, 3], [2, 6, 7, 3, 0, 0]], dtype=np.int64)
    mask = (ids != 0).astype(np.int64)
    found = run(tmp_path / "model.onnx", ids, mask)
    for row in range(2):
        length = int(mask[row].sum())
        expected = reference(tiny_bert.random_tensors(), ids[row], mask[row])[:length]
        actual = found[row, :length]
        norms = np.linalg.norm(expected, axis=1) * np.linalg.norm(actual, axis=1)
        assert ((expected * actual).sum(1) / norms).min() > least
        if form == "fp32":
            np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_fp32_is_valid_standard_onnx(model: Path, tmp_path: Path) -> None:
    """The fp32 form passes onnx's own full check and uses no operator outside the standard."""
    import onnx  # noqa: PLC0415 -- 250 ms, in this test only

    write_encoder(model, tmp_path / "model.onnx", form="fp32")
    loaded = onnx.load(str(tmp_path / "model.onnx"))
    onnx.checker.check_model(loaded, full_check=True)
    assert {node.domain for node in loaded.graph.node} == {""}


@pytest.mark.parametrize("form", FORMS)
def test_the_same_weights_give_the_same_file(model: Path, tmp_path: Path, form: Form) -> None:
    """Writing twice gives the same bytes, whose digest is what is returned."""
    digests = [write_encoder(model, tmp_path / name, form=form) for name in ("a.onnx", "b.onnx")]
    assert digests[0] == digests[1]
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


@pytest.mark.parametrize("axis", [0, 1])
def test_quantised_weights_come_back(axis: int) -> None:
    """Integer weights times their scale differ from the original by half a step at most, zeros stay zeros."""
    weights = np.random.default_rng(1).normal(size=(20, 30)).astype(np.float32)
    weights[3, :] = weights[:, 4] = 0
    integers, scale = quantise(weights, axis=axis, limit=63)
    assert np.abs(integers).max() == 63
    assert (np.abs(integers * scale - weights) <= scale / 2 + 1e-7).all()
    assert (integers[3] == 0).all()


def test_half_precision_and_prefixed_tensors_are_read(tmp_path: Path) -> None:
    """Tensors stored as float16 or named with the ``bert.`` prefix are read as the plain float32 ones."""
    tensors = tiny_bert.random_tensors()
    stored = {f"bert.{name}": values.astype(np.float16) for name, values in tensors.items()}
    (tmp_path / "model.safetensors").write_bytes(tiny_bert.safetensors(stored))
    found = read_safetensors(tmp_path / "model.safetensors")
    assert found.keys() == tensors.keys()
    for name, values in found.items():
        assert values.dtype == np.float32
        np.testing.assert_allclose(values, tensors[name], atol=1e-3)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not safetensors at all",
        struct.pack("<Q", 1 << 60) + b"{}",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 61) + b'{"x": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}'[:61],
        struct.pack("<Q", 30) + b'{"x": {"dtype": "F32", "s": 0}}'[:30],
    ],
)
def test_damaged_weights_are_refused(tmp_path: Path, data: bytes) -> None:
    """A file that is no whole safetensors file is a model error, whatever is wrong with it."""
    (tmp_path / "model.safetensors").write_bytes(data)
    with pytest.raises(ModelError, match="not a readable safetensors file"):
        read_safetensors(tmp_path / "model.safetensors")


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    """Weights without a tensor that the network needs are refused by that tensor's name."""
    tensors = tiny_bert.random_tensors()
    del tensors["encoder.layer.1.output.dense.bias"]
    model = tiny_bert.write_model(tmp_path / "model", tensors=tensors)
    with pytest.raises(ModelError, match=r"lack the tensor encoder\.layer\.1\.output\.dense\.bias"):
        write_encoder(model, tmp_path / "model.onnx", form="fp32")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "roberta"}, "model_type is 'roberta'"),
        ({"hidden_act": "relu"}, "hidden_act is 'relu'"),
        ({"hidden_size": None}, "not the configuration"),
    ],
)
def test_another_architecture_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    """A network that the graph does not describe is refused, not converted into nonsense."""
    model = tiny_bert.write_model(tmp_path / "model")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(ModelError, match=message):
        write_encoder(model, tmp_path / "model.onnx", form="fp32")


def test_a_missing_onnx_package_says_what_to_install(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the onnx package the error names the extra that brings it."""
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ModelError, match=r"install skillsmith\[model\]"):
        write_encoder(model, tmp_path / "model.onnx", form="fp32")


def test_an_unknown_form_lists_the_known_ones(model: Path, tmp_path: Path) -> None:
    """A form that does not exist is a usage error that lists those that do."""
    with pytest.raises(UsageError, match="fp32, int8"):
        write_encoder(model, tmp_path / "model.onnx", form="int4")  # type: ignore[arg-type]
