"""Measures the rasterizer: a synthetic scene, an exact count of the work in it, and the time it takes."""
