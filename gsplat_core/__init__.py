"""A differentiable 3D Gaussian splatting engine that is fast without a GPU."""

__version__ = "0.1.0"
