from __future__ import annotations

import dataclasses
import json

import pytest

from gsplat_core.errors import DataError
from trainers.config import LearningRates, TrainConfig, from_json, read_config
from trainers.presets import PRESETS


@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
def test_a_configuration_survives_json(config, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config.to_json()))
    assert read_config(path) == config


def test_what_is_not_named_has_its_default():
    assert from_json(TrainConfig, {"steps": 12}) == dataclasses.replace(TrainConfig(), steps=12)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"step": 3}, "unknown entry 'step'"),
        ({"densify": {"adc": {"refine_evry": 3}}}, "unknown entry densify.adc.'refine_evry'"),
        ({"densify": {"mcmc": {}}}, "unknown entry densify.'mcmc'"),
        ({"strategy": "adx"}, "Unknown density control 'adx'"),
        ({"steps": "many"}, "steps must be int"),
        ({"steps": 3.5}, "steps must be int"),
        ({"steps": True}, "steps must be int"),
        ({"antialiased": 1}, "antialiased must be bool"),
        ({"lambda_dssim": float("inf")}, "lambda_dssim must be a finite number"),
        ({"sparse_model": 0}, "sparse_model must be str or null"),
        ({"background": "pink"}, "background must be one of"),
        ({"learning_rates": 3}, "learning_rates. must be an object"),
        ([], "the top level must be an object"),
    ],
)
def test_unknown_keys_and_wrong_types_are_errors_that_name_the_entry(values, message):
    with pytest.raises(ValueError) as error:
        from_json(TrainConfig, values)
    assert message in str(error.value)


def test_a_whole_number_is_a_float_too():
    assert from_json(LearningRates, {"means": 1}).means == 1.0


@pytest.mark.parametrize(
    "text", ['{"steps":', '{"steps": "x"}', '{"densify": {"adc": {"refine_every": 0}}}', "\ud800"]
)
def test_a_bad_file_is_a_data_error_with_its_name(text, tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(DataError) as error:
        read_config(path)
    assert str(path) in str(error.value)


def test_a_missing_file_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_config(tmp_path / "config.json")
