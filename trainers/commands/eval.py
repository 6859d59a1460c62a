"""`gsplat-core eval`"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tyro.conf import Positional


def evaluate_run(run: Positional[Path], data: Path | None = None) -> None:
    """Render the test views of a run again, measure them, and rewrite test/, metrics.json and report.html.

    Args:
        run: run folder.
        data: where its photographs are now, if they were moved.
    """
    from trainers.messages import warn
    from trainers.results import write_results
    from trainers.run_folder import RunFolder
    from trainers.session import choose_device
    from trainers.sources import load_photographs, load_scene, run_config, training_costs

    folder = RunFolder(run)
    gaussians = load_scene(run, warn)
    config = run_config(run)
    if data is not None:
        config = replace(config, data=str(data.resolve()))
    with folder.owned(), folder.crash_reports():
        costs = training_costs(folder, warn)
        metrics = write_results(
            folder, config, load_photographs(config), gaussians.to(choose_device(config.device)), costs
        )
    for entry in metrics["per_image"]:
        print(f"{entry['psnr']:6.2f} dB  {entry['ssim']:.4f}  {entry['name']}")
    print(
        f"{metrics['psnr']:6.2f} dB  {metrics['ssim']:.4f}  mean of {len(metrics['per_image'])} "
        f"{metrics['split']} views"
    )
