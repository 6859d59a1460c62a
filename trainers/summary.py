"""What a run is made of, in two lines at its start: people see there whether it is what they meant."""

from __future__ import annotations

from collections import Counter

from gsplat_core.scene.dataset import Dataset


def summary(dataset: Dataset, shrunk: float) -> str:
    """The photographs, their cameras and the 3D points.

    Args:
        shrunk: by which factor the photographs are.
    """
    views = [*dataset.train, *dataset.test]
    cameras = [view.camera for view in views]
    sizes = Counter((camera.width, camera.height) for camera in cameras)
    (width, height), most = sizes.most_common(1)[0]
    size = f"{width} x {height}" if most == len(views) else f"mostly {width} x {height}"
    by = f" (shrunk by {shrunk:g})" if shrunk != 1 else ""
    lenses = {(camera.model, *camera.K.ravel().round(3).tolist(), *camera.lens) for camera in cameras}
    models = Counter(camera.model for camera in cameras)
    kinds = ", ".join(name for name, _ in models.most_common())
    held_out = f", {len(dataset.test)} held out for testing" if dataset.test else ""
    return (
        f"{len(views)} photographs of {size} pixels{by} from {_counted(len(lenses), 'camera')} ({kinds}): "
        f"{len(dataset.train)} to train on{held_out}. {_counted(len(dataset.points.xyz), '3D point')}."
    )


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
