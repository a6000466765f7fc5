"""Turns text into unit vectors with a model on this machine; never downloads anything.

Two ways to the same vectors: ``DirectEmbedder`` reads a model made by ``model_store`` with onnxruntime and
tokenizers alone, and has its first vector in a new process twice as soon (measured 2.0 to 2.6 times) as
``FastembedEmbedder``, which goes through fastembed and so knows many models by name.

Both run one text at a time. Integer models scale their activations by the largest value in the whole batch,
so in a batch the same text would get another vector beside other texts (cosine down to .98); alone it is
always the same, bit for bit. Nothing is lost by it: padding costs more than batching gains (16 ms a text in
sorted batches of 32, 10 ms alone).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skillsmith.errors import ModelError
from skillsmith.library.embedding.sources import MINILM
from skillsmith.library.embedding.store import (
    DEFAULT_MODEL,
    FASTEMBED,
    INSTALL_HINT,
    ModelStatus,
    model_status,
)
from skillsmith.library.embedding.vocabulary import known_words
from skillsmith.models import Embedder

THREADS = 2  # within one text; more gain nothing at this size
MAX_CHARACTERS = 1 << 13  # 256 tokens and far more; an agent's log can hold megabytes, at 1 s each to split


def open_embedder(name: str | None = None, *, long_lived: bool = False) -> Embedder | None:
    """Return the embedder of a model that is ready on this machine, or None; loads it on first use.

    Args:
        name: A model's name or identity as for ``model_status``; the default model if None.
        long_lived: Whether the process lives long enough for fastembed's import (0.7 s) not to matter.
    """
    status = model_status(name or DEFAULT_MODEL)
    if not status.ready:
        return None
    if status.form == FASTEMBED or long_lived:
        return FastembedEmbedder(status)
    return DirectEmbedder(status)


class DirectEmbedder:
    """Embeds with onnxruntime and tokenizers alone: for commands that start, embed a little and end.

    Args:
        status: A ready model that was made here, in any form but fastembed's own.
    """

    def __init__(self, status: ModelStatus) -> None:
        self._status, self._folder, self._dimension = status, *_ready(status)
        self._loaded: _Encoder | None = None
        self._lock = threading.Lock()

    @property
    def model(self) -> str:
        """The model's identity, form included."""
        return self._status.identity

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._dimension

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        """Return each text's unit vector as little-endian float32 bytes."""
        return [_unit_bytes(self._encoder().pooled(readable(text))) for text in texts]

    def knows(self, words: Sequence[str]) -> list[bool]:
        """Tell of each word whether the model knows it."""
        return known_words(self._encoder().tokenizer, words)

    def _encoder(self) -> _Encoder:
        with self._lock:
            if self._loaded is None:
                self._loaded = _load(self._folder)
            return self._loaded


class FastembedEmbedder:
    """Embeds through fastembed: for its own models, and for processes that live long.

    Args:
        status: A ready model in any form.
    """

    def __init__(self, status: ModelStatus) -> None:
        self._status, self._folder, self._dimension = status, *_ready(status)
        self._loaded: Any = None
        self._lock = threading.Lock()

    @property
    def model(self) -> str:
        """The model's identity, form included."""
        return self._status.identity

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._dimension

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        """Return each text's unit vector as little-endian float32 bytes."""
        readables = [readable(text) for text in texts]
        return [_unit_bytes(vector) for vector in self._engine().embed(readables, batch_size=1)]

    def knows(self, words: Sequence[str]) -> list[bool]:
        """Tell of each word whether the model knows it."""
        return known_words(self._engine().model.tokenizer, words)

    def _engine(self) -> Any:
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded

    def _load(self) -> Any:
        from fastembed import TextEmbedding  # noqa: PLC0415 -- 700 ms

        options: dict[str, Any] = {"threads": THREADS, "local_files_only": True}
        try:
            if self._status.form == FASTEMBED:
                return TextEmbedding(self._status.name, cache_dir=str(self._folder), **options)
            return TextEmbedding(MINILM.name, specific_model_path=str(self._folder), **options)
        except Exception as error:
            raise _unloadable(self._folder, error) from error


@dataclass(frozen=True, slots=True)
class _Encoder:
    """A loaded model: its tokenizer and its onnxruntime session."""

    tokenizer: Any
    session: Any

    def pooled(self, text: str) -> Any:
        """Return the mean of the text's token vectors, in double precision."""
        import numpy as np  # noqa: PLC0415 -- loaded with onnxruntime

        tokens = np.array([self.tokenizer.encode(text).ids], dtype=np.int64)
        inputs = {
            "input_ids": tokens,
            "attention_mask": np.ones_like(tokens),
            "token_type_ids": np.zeros_like(tokens),
        }
        (hidden,) = self.session.run(["last_hidden_state"], inputs)
        return hidden[0].mean(axis=0, dtype=np.float64)


def readable(text: str) -> str:
    """Return what of a text a tokenizer can take: not endless, and without halves of surrogate pairs."""
    return text[:MAX_CHARACTERS].encode("utf-8", "replace").decode("utf-8")


def _load(folder: Path) -> _Encoder:
    import onnxruntime  # noqa: PLC0415 -- 130 ms, 95 of them numpy's
    from tokenizers import Tokenizer  # noqa: PLC0415 -- 8 ms

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    try:
        config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_length=config["model_max_length"])
        path = str(folder / "model.onnx")
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # tokenizers and onnxruntime raise classes of their own without a base
        raise _unloadable(folder, error) from error
    return _Encoder(tokenizer, session)


def _unit_bytes(vector: Any) -> bytes:
    import numpy as np  # noqa: PLC0415 -- loaded with onnxruntime

    length = max(float(np.linalg.norm(vector)), 1e-12)
    return bytes((vector / length).astype("<f4").tobytes())


def _ready(status: ModelStatus) -> tuple[Path, int]:
    if status.path is None or status.dimension is None:
        raise ModelError(f"the model {status.identity} is not ready", hint=INSTALL_HINT)
    return status.path, status.dimension


def _unloadable(folder: Path, error: Exception) -> ModelError:
    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    return ModelError(
        f"the model in {folder} cannot be loaded ({reason})",
        hint=f"delete that folder and {INSTALL_HINT}",
    )
