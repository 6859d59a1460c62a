"""A run from photographs to files through the command line, and what the commands do with its result."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
import torch
from paths import real_scene
from PIL import Image

import gsplat_core.io
from trainers.cli import main
from trainers.commands import commands
from trainers.run_folder import RunFolder

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def run(tiny_scene, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    arguments = ["--preset", "tiny", "--steps", "30", "--test-every", "4", "--max-gaussians", "200"]
    assert main(["train", str(tiny_scene), "-o", str(folder), *arguments]) == 0
    return RunFolder(folder)


@pytest.fixture
def copy_of_run(run, tmp_path):
    return RunFolder(shutil.copytree(run.path, tmp_path / "copy"))


def test_a_run_folder_has_all_its_parts(run):
    for part in (run.config, run.metrics, run.history, run.point_cloud, run.report):
        assert part.is_file(), part
    assert [path.name for path in sorted(run.test.iterdir())] == ["000.png", "004.png", "008.png"]
    assert list(run.checkpoints.iterdir())
    assert not list(run.path.rglob(".tmp-*"))


def test_metrics_have_the_promised_entries(run):
    metrics = json.loads(run.metrics.read_text())
    promised = [
        "psnr",
        "ssim",
        "num_gaussians",
        "steps",
        "train_seconds",
        "per_image",
        "peak_memory_bytes",
        "device",
    ]
    for key in [*promised, "version"]:
        assert key in metrics
    assert metrics["steps"] == 30
    assert metrics["split"] == "test"
    assert [entry["name"] for entry in metrics["per_image"]] == ["000.png", "004.png", "008.png"]
    for key in ("psnr", "ssim", "cc_psnr"):
        assert metrics[key] == pytest.approx(np.mean([entry[key] for entry in metrics["per_image"]]))
    assert all(entry["cc_psnr"] >= entry["psnr"] for entry in metrics["per_image"])
    assert metrics["worst_ssim"] == min(entry["ssim"] for entry in metrics["per_image"])
    assert metrics["num_gaussians"] == gsplat_core.io.load(run.point_cloud).num <= 200


def test_written_test_images_have_the_measured_psnr(run, tiny_scene):
    for entry in json.loads(run.metrics.read_text())["per_image"]:
        a = np.asarray(Image.open(run.test / entry["name"])) / 255.0
        b = np.asarray(Image.open(tiny_scene / "images" / entry["name"])) / 255.0
        psnr = -10 * np.log10(np.mean((a - b) ** 2))
        assert psnr == pytest.approx(entry["psnr"], abs=0.05)  # the files are rounded to 8 bits


def test_the_report_needs_nothing_from_elsewhere(run):
    page = run.report.read_text()
    assert page.count("data:image/webp;base64,") == 3 * 3
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert "http:" not in page
    assert "https:" not in page
    assert page.index("dB, SSIM") < page.index("How it was measured")


def strictly(path):
    """The content of a JSON file, read as programs do that know no infinity."""

    def refuse(constant):
        raise AssertionError(f"{path}: {constant} is not JSON")

    return json.loads(path.read_text(), parse_constant=refuse)


def test_perfect_images_leave_valid_files(tiny_scene, tmp_path):
    """A scene that cannot be seen before black photographs: all images are equal, their PSNR infinite."""
    data = shutil.copytree(tiny_scene, tmp_path / "data")
    for path in (data / "images").iterdir():
        Image.new("RGB", Image.open(path).size).save(path)
    run = RunFolder(tmp_path / "run")
    arguments = ["--preset", "tiny", "--steps", "2", "--test-every", "4"]
    assert main(["train", str(data), "-o", str(run.path), *arguments]) == 0
    scene = gsplat_core.io.load(run.point_cloud)
    scene.opacities[:] = -30
    gsplat_core.io.save(run.point_cloud, scene)
    assert main(["eval", str(run.path)]) == 0
    assert strictly(run.metrics)["psnr"] == strictly(run.metrics)["cc_psnr"] == 100
    assert main(["export", str(run.path), "-o", str(tmp_path / "a.spz")]) == 0
    facts = strictly(tmp_path / "export.json")["a.spz"]
    assert (facts["loss_db"], facts["psnr_between"]) == (0, None)


def test_photographs_are_not_touched(run, tiny_scene):
    assert {path.name for path in tiny_scene.iterdir()} == {"images", "sparse"}


def test_evaluation_again_gives_the_same_numbers(copy_of_run):
    before = copy_of_run.read_metrics()
    copy_of_run.metrics.write_text(json.dumps({**before, "psnr": 99, "per_image": []}))
    shutil.rmtree(copy_of_run.test)
    assert main(["eval", str(copy_of_run.path)]) == 0
    after = copy_of_run.read_metrics()
    assert after["psnr"] == pytest.approx(before["psnr"], abs=1e-4)
    assert after["ssim"] == pytest.approx(before["ssim"], abs=1e-5)
    assert after["train_seconds"] == before["train_seconds"]
    assert len(list(copy_of_run.test.iterdir())) == 3


def test_any_splat_file_is_measured_against_photographs(run, tiny_scene, tmp_path, capsys):
    known = run.read_metrics()
    data = ["--data", str(tiny_scene), "--test-every", "4"]
    for name, allowed in {"a.ply": 1e-6, "a.gsz": 1.0, "a.spz": 1.0}.items():
        gsplat_core.io.save(tmp_path / name, gsplat_core.io.load(run.point_cloud))
        assert main(["eval", str(tmp_path / name), *data, "-o", str(tmp_path / "m.json")]) == 0
        measured = strictly(tmp_path / "m.json")
        assert measured["psnr"] == pytest.approx(known["psnr"], abs=allowed)
        assert [entry["name"] for entry in measured["per_image"]] == ["000.png", "004.png", "008.png"]
        assert f"{measured['psnr']:.2f} dB" in capsys.readouterr().out
    before = sorted(tmp_path.iterdir())
    assert main(["eval", str(tmp_path / "a.ply"), "--data", str(tiny_scene), "--test-every", "0"]) == 0
    assert "mean of 12 train views" in capsys.readouterr().out
    assert sorted(tmp_path.iterdir()) == before


def test_other_settings_leave_the_run_as_it_is(copy_of_run, tmp_path, capsys):
    before = copy_of_run.metrics.read_bytes()
    assert main(["eval", str(copy_of_run.path), "--downscale", "2"]) == 2
    assert "add -o" in capsys.readouterr().err
    arguments = ["--downscale", "2", "--set", "test_every=3", "-o", str(tmp_path / "m.json")]
    assert main(["eval", str(copy_of_run.path), *arguments]) == 0
    assert copy_of_run.metrics.read_bytes() == before
    measured = strictly(tmp_path / "m.json")
    assert (measured["downscale"], len(measured["per_image"])) == (2, 4)


def test_a_file_alone_cannot_be_measured(run, tmp_path, capsys):
    assert main(["eval", str(run.point_cloud)]) == 2
    assert "add --data" in capsys.readouterr().err
    assert main(["eval", str(run.point_cloud), "--data", str(tmp_path)]) == 3


def test_an_unfinished_run_is_evaluated_from_its_checkpoint(copy_of_run, capsys):
    copy_of_run.point_cloud.unlink()
    copy_of_run.metrics.unlink()
    assert main(["eval", str(copy_of_run.path)]) == 0
    assert "not finished" in capsys.readouterr().err
    metrics = copy_of_run.read_metrics()
    assert metrics["steps"] == 30
    assert metrics["train_seconds"] > 0


def test_a_folder_with_a_run_is_not_overwritten_by_accident(copy_of_run, tiny_scene, capsys):
    before = copy_of_run.metrics.read_bytes()
    assert main(["train", str(tiny_scene), "-o", str(copy_of_run.path), "--steps", "2"]) == 2
    assert "--resume" in capsys.readouterr().err
    assert copy_of_run.metrics.read_bytes() == before
    assert main(["train", str(tiny_scene), "-o", str(copy_of_run.path), "--steps", "2", "--overwrite"]) == 0
    assert copy_of_run.read_metrics()["steps"] == 2


def test_resuming_with_other_options_is_refused(copy_of_run, tiny_scene, capsys):
    assert main(["train", str(tiny_scene), "-o", str(copy_of_run.path), "--resume", "--seed", "3"]) == 2
    assert "--seed 0, not 3" in capsys.readouterr().err


def test_resuming_a_finished_run_changes_nothing_but_repeats_the_results(copy_of_run, tiny_scene):
    before = copy_of_run.read_metrics()
    copy_of_run.metrics.unlink()
    assert main(["train", str(tiny_scene), "-o", str(copy_of_run.path), "--resume"]) == 0
    after = copy_of_run.read_metrics()
    assert (after["psnr"], after["train_seconds"]) == (before["psnr"], before["train_seconds"])


def test_the_same_run_again_from_its_config_alone(run, tiny_scene, tmp_path):
    again = RunFolder(tmp_path / "again")
    assert main(["train", str(tiny_scene), "-o", str(again.path), "--config", str(run.config)]) == 0
    assert again.point_cloud.read_bytes() == run.point_cloud.read_bytes()


def test_without_test_views_the_training_views_are_measured_and_it_says_so(tiny_scene, tmp_path):
    run = RunFolder(tmp_path)
    arguments = ["--preset", "tiny", "--steps", "2", "--test-every", "0"]
    assert main(["train", str(tiny_scene), "-o", str(tmp_path), *arguments]) == 0
    metrics = run.read_metrics()
    assert metrics["split"] == "train"
    assert len(metrics["per_image"]) == 12
    assert "no image was held out" in run.report.read_text()


def test_export_is_the_scene_again(run, tmp_path, capsys):
    target = tmp_path / "out.ply"
    assert main(["export", str(run.path), "-o", str(target)]) == 0
    assert "read back and compared" in capsys.readouterr().out
    assert target.read_bytes() == run.point_cloud.read_bytes()


@pytest.mark.parametrize("name", ["a.spz", "a.splat", "a.sog", "a.glb", "a.compressed.ply", "a.gsz"])
def test_export_claims_nothing_that_it_did_not_measure(run, tmp_path, capsys, name):
    arguments = ["export", str(run.path), "-o", str(tmp_path / name), "--measure", "no"]
    assert main(arguments) == 0
    told = capsys.readouterr().out
    assert "was not measured" in told
    assert "equal" not in told
    assert "loss_db" not in json.loads((tmp_path / "export.json").read_text())[name]


def test_export_measures_what_a_format_loses(run, tmp_path, capsys):
    """Against the test views of the run, and the original where there are no photographs."""
    losses = {}
    for name in ("a.spz", "b.splat", "meta.json", "c.glb"):
        assert main(["export", str(run.path), "-o", str(tmp_path / name)]) == 0
        facts = json.loads((tmp_path / "export.json").read_text())[name]
        assert (facts["cameras"], facts["views"]) == ("test", 3)
        assert facts["bytes_per_gaussian"] * facts["num_gaussians"] == pytest.approx(facts["bytes"])
        assert facts["loss_db"] == pytest.approx(facts["psnr_before"] - facts["psnr_after"])
        assert facts["loss_ssim"] == pytest.approx(facts["ssim_before"] - facts["ssim_after"])
        losses[name] = facts["psnr_between"]
        told = capsys.readouterr().out
        assert f"{facts['bytes_per_gaussian']:.2f} bytes per Gaussian" in told
        assert "on 3 test views" in told
    assert losses["c.glb"] > 80
    assert losses["a.spz"] > 30
    assert set(json.loads((tmp_path / "export.json").read_text())) == set(losses)
    assert main(["export", str(run.point_cloud), "-o", str(tmp_path / "a.spz")]) == 0
    assert "views of an orbit its images differ by" in capsys.readouterr().out
    assert "loss_db" not in json.loads((tmp_path / "export.json").read_text())["a.spz"]


def test_exported_files_are_sources_again(run, tmp_path, capsys):
    """info, render and export take any format, a folder with a meta.json too; options have names."""
    assert main(["export", str(run.path), "-o", str(tmp_path / "a.spz"), "--option", "axes=ply"]) == 0
    arguments = ["--read", "axes=ply", "--measure", "no"]
    (tmp_path / "sog").mkdir()
    assert main(["export", str(tmp_path / "a.spz"), "-o", str(tmp_path / "sog/meta.json"), *arguments]) == 0
    capsys.readouterr()
    assert main(["info", str(tmp_path / "sog"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["format"] == "PlayCanvas SOG (folder)"
    parts = [path for path in (tmp_path / "sog").iterdir() if path.name != "export.json"]
    assert facts["bytes"] == sum(path.stat().st_size for path in parts)
    assert main(["export", str(tmp_path / "sog"), "-o", str(tmp_path / "b.ply")]) == 0
    middle = gsplat_core.io.load(tmp_path / "b.ply").means.mean(0)
    assert torch.allclose(middle, gsplat_core.io.load(run.point_cloud).means.mean(0), atol=0.01)
    frames = ["--frames", "2", "--width", "20", "-o", str(tmp_path / "images")]
    assert main(["render", str(tmp_path / "sog"), *frames]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--option", "version=9"], "version must be 2|3|4"),
        (["--option", "colour=red"], "there is no option 'colour'"),
        (["--read", "axes=ply"], "A run is no file"),
    ],
)
def test_options_that_a_format_does_not_have_are_usage(run, tmp_path, capsys, arguments, message):
    assert main(["export", str(run.path), "-o", str(tmp_path / "a.spz"), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_export_to_an_unknown_ending_is_usage(run, tmp_path, capsys):
    assert main(["export", str(run.path), "-o", str(tmp_path / "out.xyz")]) == 2
    assert ".ply" in capsys.readouterr().err


def test_test_cameras_render_to_the_same_images_as_the_evaluation(run, tmp_path):
    assert main(["render", str(run.path), "--path", "test", "-o", str(tmp_path / "views")]) == 0
    for path in (tmp_path / "views").iterdir():
        assert np.array_equal(np.asarray(Image.open(path)), np.asarray(Image.open(run.test / path.name)))


@pytest.mark.parametrize("ending", ["mp4", "gif"])
def test_an_orbit_video(run, tmp_path, ending):
    import imageio.v2 as imageio

    target = tmp_path / f"orbit.{ending}"
    assert main(["render", str(run.path), "-o", str(target), "--frames", "6", "--width", "33"]) == 0
    with imageio.get_reader(target) as video:
        frames = list(video.iter_data())
    assert len(frames) == 6
    assert all(frame.mean() > 5 for frame in frames), "nothing to see"


@pytest.mark.parametrize(
    ("option", "value"),
    [("width", "0"), ("height", "-3"), ("width", "999999"), ("frames", "0"), ("fps", "0")],
)
def test_sizes_out_of_range_are_usage(run, tmp_path, capsys, option, value):
    assert main(["render", str(run.point_cloud), "-o", str(tmp_path / "x"), f"--{option}", value]) == 2
    assert f"--{option} must be from 1" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_scene_without_gaussians_is_not_rendered(run, tmp_path, capsys):
    gsplat_core.io.save(tmp_path / "a.ply", gsplat_core.io.load(run.point_cloud).subset(slice(0)))
    assert main(["render", str(tmp_path / "a.ply"), "-o", str(tmp_path / "x")]) == 3
    assert "no Gaussians to render" in capsys.readouterr().err
    assert main(["info", str(tmp_path / "a.ply")]) == 0


def test_a_bare_file_is_orbited_about_its_middle(run, tmp_path):
    arguments = ["--frames", "3", "--width", "40", "--height", "30"]
    assert main(["render", str(run.point_cloud), "-o", str(tmp_path / "images"), *arguments]) == 0
    images = [np.asarray(Image.open(path)) for path in sorted((tmp_path / "images").iterdir())]
    assert [image.shape for image in images] == [(30, 40, 3)] * 3
    assert all(image[10:20, 15:25].mean() > 20 for image in images)


def test_a_bare_file_with_the_cameras_of_photographs(run, tiny_scene, tmp_path):
    arguments = ["--path", "train", "--scene", str(tiny_scene), "-o", str(tmp_path / "images")]
    assert main(["render", str(run.point_cloud), *arguments]) == 0
    assert len(list((tmp_path / "images").iterdir())) == 10


def test_a_bare_file_has_no_photographs(run, tmp_path, capsys):
    assert main(["render", str(run.point_cloud), "--path", "test", "-o", str(tmp_path)]) == 2
    assert "--scene" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "key"), [("splats", "num_gaussians"), ("run", "metrics"), ("photographs", "points")]
)
def test_info_tells_scripts_and_people(run, tiny_scene, capsys, kind, key):
    source = {"splats": run.point_cloud, "run": run.path, "photographs": tiny_scene}[kind]
    assert main(["info", str(source), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["kind"] == kind
    assert key in facts
    assert main(["info", str(source)]) == 0
    assert 5 < len(capsys.readouterr().out.splitlines()) < 40


def test_files_that_others_trained(tmp_path, capsys):
    source = real_scene("trained_ply") / "trained_9080.ply"
    assert main(["info", str(source), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["num_gaussians"] == 9080
    target = tmp_path / "again.ply"
    assert main(["export", str(source), "-o", str(target)]) == 0
    assert (
        main(
            [
                "render",
                str(source),
                "-o",
                str(tmp_path / "o"),
                "--frames",
                "2",
                "--width",
                "64",
                "--height",
                "48",
            ]
        )
        == 0
    )
    assert np.asarray(Image.open(tmp_path / "o" / "orbit_0000.png")).std() > 10


def test_files_get_their_folders(run, tmp_path):
    assert main(["export", str(run.path), "-o", str(tmp_path / "a" / "b" / "c.spz"), "--measure", "no"]) == 0
    assert main(["eval", str(run.path), "-o", str(tmp_path / "d" / "e.json")]) == 0
    assert (tmp_path / "a" / "b" / "c.spz").exists()
    assert (tmp_path / "d" / "e.json").exists()


def test_a_file_cannot_be_compressed_as_a_run(run, tmp_path, capsys):
    assert main(["compress", str(run.point_cloud), "-o", str(tmp_path / "small")]) == 2
    assert "compress needs a run" in capsys.readouterr().err
    assert not (tmp_path / "small").exists()


@pytest.mark.parametrize("command", commands())
def test_help_speaks_of_options_and_not_of_python(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    told = capsys.readouterr().out
    assert "None" not in told
    assert "usage: gsplat-core" in told
