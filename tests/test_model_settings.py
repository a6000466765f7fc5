"""Tests of which model is configured."""

from __future__ import annotations

import pytest

from skillsmith.errors import UsageError
from skillsmith.library.agents.model_settings import read_settings

LOCAL = {"SKILLSMITH_MODEL": "llama", "OPENAI_BASE_URL": "http://127.0.0.1:11434/v1"}


def test_without_a_name_there_is_no_model() -> None:
    """A key alone configures nothing."""
    assert read_settings({"OPENAI_API_KEY": "key"}) is None
    assert read_settings({}) is None


def test_a_local_server_needs_no_key() -> None:
    """Name and address are enough."""
    settings = read_settings(LOCAL)
    assert settings is not None
    assert (settings.model, settings.base_url, settings.api_key) == ("llama", LOCAL["OPENAI_BASE_URL"], None)
    assert settings.endpoint == LOCAL["OPENAI_BASE_URL"]


def test_a_name_given_by_hand_wins() -> None:
    """What is asked for on the command line stands above the environment."""
    settings = read_settings({**LOCAL, "SKILLSMITH_MODEL_TIMEOUT": "3"}, model="qwen")
    assert settings is not None
    assert (settings.model, settings.timeout_seconds) == ("qwen", 3.0)


def test_keys_are_not_shown() -> None:
    """Settings can be printed without giving the key away."""
    settings = read_settings({"SKILLSMITH_MODEL": "m", "OPENAI_API_KEY": "geheim"})
    assert settings is not None
    assert settings.api_key == "geheim"
    assert "geheim" not in repr(settings)


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"SKILLSMITH_MODEL": "m"}, "neither OPENAI_API_KEY nor OPENAI_BASE_URL"),
        ({**LOCAL, "OPENAI_BASE_URL": "localhost:1"}, "OPENAI_BASE_URL is"),
        ({**LOCAL, "SKILLSMITH_MODEL_TIMEOUT": "soon"}, "SKILLSMITH_MODEL_TIMEOUT is 'soon'"),
        ({**LOCAL, "SKILLSMITH_MODEL_TIMEOUT": "-1"}, "SKILLSMITH_MODEL_TIMEOUT is '-1'"),
    ],
)
def test_what_makes_no_sense_is_named(environment: dict[str, str], words: str) -> None:
    """A wrong setting is named with its variable."""
    with pytest.raises(UsageError, match=words):
        read_settings(environment)
