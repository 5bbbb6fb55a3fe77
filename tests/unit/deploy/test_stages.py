"""Stages and what a command line adds to them."""

from pathlib import Path

import pytest

from infra.deploy.commands import DeployError
from infra.deploy.stages import read_settings, read_stage

CONFIG = """
version = 0.1
[dev.deploy.parameters]
stack_name = "exchange-dev"
region = "eu-central-1"
parameter_overrides = ["MatcherDesiredCount=1", "OAuthCallbackUrls='https://a.test/x,https://b.test/y'"]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "samconfig.toml"
    path.write_text(CONFIG)
    return path


def test_a_stage_is_read_with_its_parameters(config: Path) -> None:
    stage = read_stage("dev", config)
    assert (stage.stack_name, stage.region) == ("exchange-dev", "eu-central-1")
    assert stage.parameters["OAuthCallbackUrls"] == "https://a.test/x,https://b.test/y"


def test_what_a_command_line_says_wins_and_nothing_else_is_lost(config: Path) -> None:
    stage = read_stage("dev", config).told({"MatcherDesiredCount": "2", "LogLevel": "DEBUG"})
    assert stage.parameters["MatcherDesiredCount"] == "2"
    assert stage.parameters["LogLevel"] == "DEBUG"
    assert "OAuthCallbackUrls" in stage.parameters


def test_an_unknown_stage_names_those_that_there_are(config: Path) -> None:
    with pytest.raises(DeployError, match="no stage live: choose dev"):
        read_stage("live", config)


@pytest.mark.parametrize("name", ["dev", "staging", "prod"])
def test_our_own_stages_tell_only_what_the_template_asks(name: str) -> None:
    from tests.contract.cloud_definition import root_template

    assert set(read_stage(name).parameters) <= set(root_template()["Parameters"])


@pytest.mark.parametrize("text", ["LogLevel", "=DEBUG", "Log Level=DEBUG"])
def test_a_setting_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(DeployError, match="write it as Parameter=value"):
        read_settings([text])


def test_a_value_may_hold_an_equals_sign() -> None:
    assert read_settings(["Url=https://a.test/?x=1"]) == {"Url": "https://a.test/?x=1"}
