"""Fields of Gaussians that attenuate radiation, as X-rays see them: their line integrals and their values.

The density of a field is a sum of Gaussians,

    rho(x) = sum_i densities_i exp(-(x - m_i)^T Sigma_i^-1 (x - m_i) / 2).

:func:`project` integrates it along the rays of detectors, :func:`voxelize` samples it on a grid. Zha et al.,
"R2-Gaussian: Rectifying Radiative Gaussian Splatting for Tomographic Reconstruction" (2024).
"""

from gsplat_core.radiative.projection import project
from gsplat_core.radiative.voxels import voxelize

__all__ = ["project", "voxelize"]
