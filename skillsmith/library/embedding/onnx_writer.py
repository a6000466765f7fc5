"""Writes a BERT sentence encoder as an ONNX file straight from its safetensors weights.

The weights are public and pinned by digest; the graph around them is made here, so neither torch nor a hub
that happens to offer the right export is needed. The same weights always give the same vectors.

Two forms, each part of a model's identity because their vectors must not be mixed:

- ``fp32`` (90 MB): standard operators only, what the model's authors published.
- ``int8`` (23 MB): integer weights, one scale a column; twice as fast, cosine to fp32 ≈ .992. The weights use
  7 of the 8 bits: with all 8, products overflow on processors without VNNI, and the same file would give
  other vectors there (cosine ≈ .991, measured). So a file of vectors can move between machines.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast, get_args

from skillsmith.errors import ModelError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float32]

Form = Literal["fp32", "int8"]
FORMS: tuple[Form, ...] = get_args(Form)

OPSET = 20  # the first with Gelu
IR_VERSION = 9  # the one that came with opset 20; fixed so that the file does not depend on onnx's version
MICROSOFT = "com.microsoft"
FLOAT, INT32, INT64 = 1, 6, 7  # onnx.TensorProto's numbers, which are frozen by the format
EIGHT_BITS, SEVEN_BITS = 127, 63  # the second where two products must fit in 16 bits
SAFETENSORS_FLOATS = {"F32": "<f4", "F16": "<f2"}


def write_encoder(source: Path, target: Path, *, form: Form) -> str:
    """Write the encoder of a model folder as one ONNX file and return the file's SHA-256.

    Args:
        source: A folder with config.json and model.safetensors of a BERT encoder.
        target: The ONNX file to write.
        form: How the weights are stored and multiplied.
    """
    require_onnx()
    tensors = read_safetensors(source / "model.safetensors")
    encoder = make_encoder(BertConfig.read(source / "config.json"), tensors, form=form)
    data = encoder.serialize()
    target.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def require_onnx() -> Any:
    """Return the onnx package, or say how to install it."""
    try:
        import onnx  # noqa: PLC0415 -- 250 ms, and only the extra "model" brings it
        import onnx.helper  # noqa: PLC0415
        import onnx.numpy_helper  # noqa: PLC0415
    except ImportError as error:
        raise ModelError(
            "writing the embedding model needs the onnx package",
            hint='install skillsmith[model]: pip install "skillsmith-cli[model]"',
        ) from error
    return onnx


@dataclass(frozen=True, slots=True)
class BertConfig:
    """The numbers of config.json that shape the graph.

    Args:
        hidden: Width of a token's vector.
        heads: Attention heads a layer.
        layers: Encoder layers.
        epsilon: What layer normalisation adds to the variance.
    """

    hidden: int
    heads: int
    layers: int
    epsilon: float

    @classmethod
    def read(cls, path: Path) -> BertConfig:
        """Read a config.json, refusing an architecture that the graph does not describe."""
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
            expected = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}
            for key, value in expected.items():
                found = config.get(key, value)
                if found != value:
                    raise ModelError(f"{path.name} says {key} is {found!r}; only {value!r} can be converted")
            return cls(
                hidden=int(config["hidden_size"]),
                heads=int(config["num_attention_heads"]),
                layers=int(config["num_hidden_layers"]),
                epsilon=float(config["layer_norm_eps"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"{path.name} is not the configuration of a BERT encoder ({error!r})") from error


def read_safetensors(path: Path) -> dict[str, Floats]:
    """Read the floating-point tensors of a safetensors file as float32, without the ``bert.`` prefix."""
    import numpy as np  # noqa: PLC0415 -- 95 ms

    data = path.read_bytes()
    tensors: dict[str, Floats] = {}
    try:
        header, body = _split(data)
        for name, entry in header.items():
            dtype = SAFETENSORS_FLOATS.get(entry.get("dtype", ""))
            if dtype is None:  # the metadata entry, and integer tables that the graph does not need
                continue
            start, end = entry["data_offsets"]
            values = np.frombuffer(body[start:end], dtype=dtype).reshape(entry["shape"])
            tensors[name.removeprefix("bert.")] = values.astype(np.float32)
    except (struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path.name} is not a readable safetensors file ({error!r})") from error
    return tensors


def _split(data: bytes) -> tuple[dict[str, Any], memoryview]:
    (size,) = struct.unpack_from("<Q", data)
    if size > len(data) - 8:
        raise ValueError("the header is longer than the file")
    return json.loads(data[8 : 8 + size]), memoryview(data)[8 + size :]


def quantise(weights: Floats, *, axis: int, limit: int) -> tuple[NDArray[np.int8], Floats]:
    """Round a matrix to integers of at most ``limit``, with one symmetric scale a slice of ``axis``."""
    import numpy as np  # noqa: PLC0415 -- 95 ms

    scale = np.abs(weights).max(axis=1 - axis, keepdims=True) / np.float32(limit)
    scale[scale == 0] = 1
    return np.rint(weights / scale).astype(np.int8), scale.astype(np.float32)


class GraphBuilder:
    """Collects the nodes and constants of one ONNX graph; a value is known by its name."""

    def __init__(self) -> None:
        self._onnx = require_onnx()
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}

    def constant(self, name: str, values: NDArray[Any]) -> str:
        """Store an array under a name, once, and return the name."""
        import numpy as np  # noqa: PLC0415 -- 95 ms

        if name not in self._constants:
            self._constants[name] = self._onnx.numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name

    def integers(self, *values: int) -> str:
        """Store a list of 64-bit integers, such as a shape."""
        import numpy as np  # noqa: PLC0415 -- 95 ms

        return self.constant("integers_" + "_".join(map(str, values)), np.array(values, dtype=np.int64))

    def number(self, value: float) -> str:
        """Store one 32-bit float."""
        import numpy as np  # noqa: PLC0415 -- 95 ms

        return self.constant(f"number_{value!r}", np.array(value, dtype=np.float32))

    def op(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add an operator with one output and return the output's name."""
        return self.outputs(kind, inputs, (f"{kind}_{len(self._nodes)}",), domain=domain, **attributes)[0]

    def outputs(
        self, kind: str, inputs: Sequence[str], outputs: Sequence[str], *, domain: str = "", **attributes: Any
    ) -> Sequence[str]:
        """Add an operator whose outputs are named by the caller."""
        name = f"node_{len(self._nodes)}"
        node = self._onnx.helper.make_node(kind, inputs, outputs, name=name, domain=domain, **attributes)
        self._nodes.append(node)
        return outputs

    def serialize(self, *, inputs: Sequence[str], output: str, width: int) -> bytes:
        """Return the file's bytes: integer inputs by batch and sequence, and one output by width as well."""
        helper = self._onnx.helper
        shape = ["batch", "sequence"]
        graph = helper.make_graph(
            self._nodes,
            "encoder",
            [helper.make_tensor_value_info(name, INT64, shape) for name in inputs],
            [helper.make_tensor_value_info(output, FLOAT, [*shape, width])],
            list(self._constants.values()),
        )
        imports = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
        model = helper.make_model(
            graph, opset_imports=imports, ir_version=IR_VERSION, producer_name="skillsmith"
        )
        return cast("bytes", model.SerializeToString(deterministic=True))


class FloatEncoder:
    """The encoder in single precision, of standard operators only.

    Args:
        config: The shape of the network.
        tensors: Its weights by name.
    """

    def __init__(self, config: BertConfig, tensors: dict[str, Floats]) -> None:
        self.config = config
        self.graph = GraphBuilder()
        self._tensors = tensors

    def serialize(self) -> bytes:
        """Build the whole graph and return the model file's bytes."""
        mask = self.mask()
        hidden = self.embeddings()
        for number in range(self.config.layers):
            hidden = self.layer(hidden, mask, f"encoder.layer.{number}")
        self.graph.outputs("Identity", [hidden], ["last_hidden_state"])
        inputs = ("input_ids", "attention_mask", "token_type_ids")
        return self.graph.serialize(inputs=inputs, output="last_hidden_state", width=self.config.hidden)

    def embeddings(self) -> str:
        """Add a token's word, kind and position vectors, and normalise."""
        graph, name = self.graph, "embeddings"
        kinds = graph.op("Gather", self.weight(f"{name}.token_type_embeddings.weight"), "token_type_ids")
        length = graph.op("Shape", "input_ids", start=1, end=2)
        table = self.weight(f"{name}.position_embeddings.weight")
        positions = graph.op("Slice", table, graph.integers(0), length, graph.integers(0))
        total = graph.op("Add", graph.op("Add", self.words(), kinds), positions)
        return self.normalise(total, f"{name}.LayerNorm")

    def layer(self, hidden: str, mask: str, name: str) -> str:
        """Add one encoder layer: attention, then the feed-forward block, each with its residual."""
        attended = self.attention(hidden, mask, f"{name}.attention.self")
        projected = self.linear(attended, f"{name}.attention.output.dense")
        hidden = self.add_and_normalise(projected, hidden, f"{name}.attention.output.LayerNorm")
        inner = self.graph.op("Gelu", self.linear(hidden, f"{name}.intermediate.dense"))
        outer = self.linear(inner, f"{name}.output.dense")
        return self.add_and_normalise(outer, hidden, f"{name}.output.LayerNorm")

    def words(self) -> str:
        """Look up the word vectors."""
        return self.graph.op("Gather", self.weight("embeddings.word_embeddings.weight"), "input_ids")

    def mask(self) -> str:
        """Turn the attention mask into what is added to the scores: 0, or so little that it vanishes."""
        graph = self.graph
        kept = graph.op("Cast", "attention_mask", to=FLOAT)
        bias = graph.op("Mul", graph.op("Sub", graph.number(1.0), kept), graph.number(-10000.0))
        return graph.op("Unsqueeze", bias, graph.integers(1, 2))

    def attention(self, hidden: str, mask: str, name: str) -> str:
        """Add multi-head self-attention without its output projection."""
        graph, width = self.graph, self.config.hidden // self.config.heads
        split = graph.integers(0, 0, self.config.heads, width)

        def heads(part: str, order: list[int]) -> str:
            values = graph.op("Reshape", self.linear(hidden, f"{name}.{part}"), split)
            return graph.op("Transpose", values, perm=order)

        scores = graph.op("MatMul", heads("query", [0, 2, 1, 3]), heads("key", [0, 2, 3, 1]))
        scaled = graph.op("Mul", scores, graph.number(width**-0.5))
        shares = graph.op("Softmax", graph.op("Add", scaled, mask), axis=-1)
        mixed = graph.op("MatMul", shares, heads("value", [0, 2, 1, 3]))
        merged = graph.op("Transpose", mixed, perm=[0, 2, 1, 3])
        return graph.op("Reshape", merged, graph.integers(0, 0, self.config.hidden))

    def linear(self, values: str, name: str) -> str:
        """Multiply by a layer's weights and add its bias."""
        weights = self.graph.constant(f"{name}.columns", self.tensor(f"{name}.weight").T)
        return self.graph.op("Add", self.graph.op("MatMul", values, weights), self.weight(f"{name}.bias"))

    def add_and_normalise(self, values: str, residual: str, name: str) -> str:
        """Add the residual and normalise."""
        return self.normalise(self.graph.op("Add", values, residual), name)

    def normalise(self, values: str, name: str) -> str:
        """Add layer normalisation."""
        scale, bias = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.graph.op("LayerNormalization", values, scale, bias, epsilon=self.config.epsilon, axis=-1)

    def weight(self, name: str) -> str:
        """Store one of the model's tensors under its own name."""
        return self.graph.constant(name, self.tensor(name))

    def tensor(self, name: str) -> Floats:
        """Return one of the model's tensors, or say which one is missing."""
        if name not in self._tensors:
            raise ModelError(f"the model's weights lack the tensor {name}")
        return self._tensors[name]


class IntegerEncoder(FloatEncoder):
    """The encoder with integer weights, its activations quantised as they come (onnxruntime's operators).

    Args:
        config: The shape of the network.
        tensors: Its weights by name.
    """

    def words(self) -> str:
        """Look up the word vectors, one scale a word."""
        table, scales = quantise(self.tensor("embeddings.word_embeddings.weight"), axis=0, limit=EIGHT_BITS)
        rows = self.graph.op("Gather", self.graph.constant("words.integers", table), "input_ids")
        scale = self.graph.op("Gather", self.graph.constant("words.scales", scales), "input_ids")
        return self.graph.op("Mul", self.graph.op("Cast", rows, to=FLOAT), scale)

    def mask(self) -> str:
        """Pass the attention mask as QAttention takes it."""
        return self.graph.op("Cast", "attention_mask", to=INT32)

    def attention(self, hidden: str, mask: str, name: str) -> str:
        """Add fused self-attention over the three projections side by side."""
        import numpy as np  # noqa: PLC0415 -- 95 ms

        parts = [f"{name}.{part}" for part in ("query", "key", "value")]
        weights = np.concatenate([self.tensor(f"{part}.weight").T for part in parts], axis=1)
        integers, scales = self.columns(f"{name}.qkv", weights)
        biases = np.concatenate([self.tensor(f"{part}.bias") for part in parts])
        bias = self.graph.constant(f"{name}.qkv.bias", biases)
        zeros = self.graph.constant("qkv.zeros", np.zeros(weights.shape[1], dtype=np.int8))
        names = [f"{name}.{suffix}" for suffix in ("input", "input_scale", "input_zero")]
        values, scale, zero = self.graph.outputs("DynamicQuantizeLinear", [hidden], names)
        inputs = (values, integers, bias, scale, scales, mask, zero, zeros)
        return self.graph.op("QAttention", *inputs, domain=MICROSOFT, num_heads=self.config.heads)

    def linear(self, values: str, name: str) -> str:
        """Multiply integers by integers, with the bias added after scaling."""
        integers, scales = self.columns(name, self.tensor(f"{name}.weight").T)
        inputs = (values, integers, scales, "", self.weight(f"{name}.bias"))
        return self.graph.op("DynamicQuantizeMatMul", *inputs, domain=MICROSOFT)

    def add_and_normalise(self, values: str, residual: str, name: str) -> str:
        """Add the residual and normalise in one operator."""
        inputs = (values, residual, self.weight(f"{name}.weight"), self.weight(f"{name}.bias"))
        return self.graph.op("SkipLayerNormalization", *inputs, domain=MICROSOFT, epsilon=self.config.epsilon)

    def columns(self, name: str, weights: Floats) -> tuple[str, str]:
        """Store a matrix as integers with a scale for each output column."""
        integers, scales = quantise(weights, axis=1, limit=SEVEN_BITS)
        stored = self.graph.constant(f"{name}.integers", integers)
        return stored, self.graph.constant(f"{name}.scales", scales.reshape(-1))


def make_encoder(config: BertConfig, tensors: dict[str, Floats], *, form: Form) -> FloatEncoder:
    """Return the graph writer for a form."""
    if form not in FORMS:
        raise UsageError(f"{form!r} is no form of a model", hint=f"use one of {', '.join(FORMS)}")
    if form == "fp32":
        return FloatEncoder(config, tensors)
    return IntegerEncoder(config, tensors)
