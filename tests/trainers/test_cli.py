"""The command line as scripts see it: options, exit codes, messages."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import warnings

import pytest
from processes import command, environment

from gsplat_core import __version__
from trainers.cli import main
from trainers.commands import commands


def test_no_command_shows_all_of_them(capsys):
    assert main([]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in commands())


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"gsplat-core {__version__}\n"


def test_a_mistyped_command_is_usage_with_a_suggestion(capsys):
    assert main(["trian"]) == 2
    assert "Did you mean `train`?" in capsys.readouterr().err


@pytest.mark.parametrize("name", commands())
def test_every_command_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as exit_:
        main([name, "--help"])
    assert exit_.value.code == 0
    assert f"usage: gsplat-core {name}" in capsys.readouterr().out


def test_train_has_the_promised_options(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    out = capsys.readouterr().out
    promised = [
        "-o",
        "--preset",
        "--model",
        "--strategy",
        "--densify-threshold",
        "--optimizer",
        "--steps",
        "--downscale",
        "--max-gaussians",
        "--device",
    ]
    loading = ["--sparse-model", "--images", "--masks", "--alpha", "--exif-rotate", "--strict"]
    for option in [*promised, "--seed", "--resume", "--test-every", *loading]:
        assert option in out


def test_an_unknown_option_is_usage():
    with pytest.raises(SystemExit) as exit_:
        main(["train", "data", "--stepps", "3"])
    assert exit_.value.code == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "adx"], "no primitive is named 'adx'; there are: "),
        (
            ["--model", "generalized", "--optimizer", "lm"],
            "lm knows plain Gaussians only, not the primitive 'generalized'",
        ),
        (
            ["--compress", "vq", "--model", "generalized"],
            "codec 'vq' has no place for 'beta' of the primitive 'generalized'",
        ),
        (["--strategy", "adx"], "Unknown density control 'adx'"),
        (["--set", "mcmc.refine_evry=3"], "--set mcmc.refine_evry=3: there is no densify.mcmc.refine_evry"),
        (["--set", "mcmc.refine_every=often"], "densify.mcmc.refine_every must be int"),
        (["--set", "lm.full.views=0"], "lm.full.views must be from 1 to"),
        (["--densify-threshold", "top:0.1"], "density control 'mcmc' compares no gradients"),
        (["--strategy", "adc", "--densify-threshold", "top:2"], "expected top: and a number more than 0"),
        (["--steps", "0"], "--steps must be from 1 to 1,000,000,000, got 0"),
        (["--downscale", "0"], "--downscale must be from 1 to 10,000, got 0"),
        (["--max-gaussians", "0"], "--max-gaussians must be at least 1"),
        (["--test-every", "1"], "--test-every"),
        (["--resume", "--overwrite"], "use one of them"),
        (["--preset", "tiny", "--config", "c.json"], "use one of them"),
    ],
)
def test_options_that_make_no_sense_are_usage(arguments, message, tmp_path, capsys):
    assert main(["train", str(tmp_path), "-o", str(tmp_path / "run"), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_missing_data_folder_is_bad_data_and_leaves_no_run(tmp_path, capsys):
    assert main(["train", str(tmp_path / "nothing"), "-o", str(tmp_path / "run")]) == 3
    assert str(tmp_path / "nothing") in capsys.readouterr().err
    assert not (tmp_path / "run" / "config.json").exists()


@pytest.mark.parametrize("name", ["nothing.ply", "no_run"])
@pytest.mark.parametrize("command", ["info", "eval", "render", "export"])
def test_a_missing_source_is_bad_data(command, name, tmp_path, capsys):
    arguments = [command, str(tmp_path / name)]
    if command == "export":
        arguments += ["-o", str(tmp_path / "out.ply")]
    assert main(arguments) == 3
    assert f"{name}: there is no such file or folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (IndexError("this\nand that"), 1, "internal error: IndexError: this and that\n"),
        (RuntimeError("can't allocate memory: 9 bytes"), 4, "not enough memory"),
        (RuntimeError("can't start new thread"), 4, "not enough memory"),
        (ImportError("libtorch.so: failed to map segment from shared object"), 4, "not enough memory"),
        (OSError(12, "Cannot allocate memory"), 4, "not enough memory"),
        (PermissionError(13, "Permission denied", "/some/file"), 4, "/some/file: Permission denied"),
        (ImportError("the operators are missing."), 4, "not installed: the operators are missing."),
        (RecursionError("too deep"), 1, "internal error: RecursionError"),
    ],
)
def test_an_unexpected_failure_is_a_sentence_and_a_report(tmp_path, monkeypatch, capsys, error, code, told):
    def fail(*_):
        raise error

    monkeypatch.setattr("trainers.commands.info.describe", fail)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert main(["info", "scene.ply"]) == code
    shown = capsys.readouterr().err
    assert told in shown
    assert "Traceback" not in shown
    reports = list(tmp_path.iterdir())
    assert len(reports) == (code == 1)
    for report in reports:
        assert str(report) in shown
        text = report.read_text()
        assert "Traceback" in text
        assert __version__ in text


def test_where_no_report_can_be_written_the_sentence_must_do(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("trainers.commands.info.describe", lambda *paths: {}[paths])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    assert main(["info", "scene.ply"]) == 1
    shown = capsys.readouterr().err
    assert "test_cli.py:" in shown
    assert "Traceback" not in shown


def test_names_that_the_terminal_cannot_show_are_no_trouble(tmp_path):
    """Bytes that are not UTF-8 in a file's name, and a terminal without umlauts."""
    source = tmp_path / os.fsdecode(b"gr\xf6\xdfe.ply")
    run = subprocess.run(
        [sys.executable, "-m", "trainers.cli", "info", source],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert run.returncode == 3
    assert b"Traceback" not in run.stderr


def test_a_folder_that_cannot_be_written_is_a_resource_error(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["train", str(tmp_path), "-o", str(tmp_path / "file" / "run")]) == 4
    assert "cannot write" in capsys.readouterr().err


@pytest.mark.parametrize("mebibytes", [48, 300, 700])
def test_with_too_little_address_space_nothing_is_begun(tmp_path, mebibytes):
    """Libraries would abort the process, or tell that they are not installed."""

    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (mebibytes << 20, mebibytes << 20))

    done = subprocess.run(
        command("info", tmp_path), env=environment(), preexec_fn=limit, capture_output=True, text=True
    )
    assert done.returncode == 4, done.stderr
    assert "ulimit -v unlimited" in done.stderr
    assert "Traceback" not in done.stderr


def test_large_photographs_are_no_reason_for_a_warning(tmp_path, monkeypatch, capsys):
    """Pillow calls them possible bombs from half the size on at which they are refused."""
    from PIL import Image

    def describe(*_):
        path = tmp_path / "a.png"
        Image.new("1", (80, 60)).save(path)
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4000)
        with Image.open(path) as image:
            return {"kind": "photographs", "size": image.width}

    monkeypatch.setattr("trainers.commands.info.describe", describe)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        assert main(["info", "folder"]) == 0
    assert not [warning for warning in seen if "bomb" in str(warning.message)]
    assert "80" in capsys.readouterr().out
