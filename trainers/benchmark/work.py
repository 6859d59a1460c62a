"""The least arithmetic and the least memory traffic of each stage, counted from its equations.

These are counts of the mathematics, not of an implementation: pairs of a pixel and a Gaussian that
contribute, Gaussians that are visible, numbers that are trained. What a kernel does besides - pairs that it
evaluates in vain, sorting, sums over lanes - makes its rate lower. An exponential counts as its polynomial,
12 operations; a fused multiply-add as two.
"""

from __future__ import annotations

from typing import NamedTuple

from trainers.benchmark.step import StepTimes

# Numbers per Gaussian of SH degree 3.
COEFFICIENTS = 48
OTHER_PARAMETERS = 11


class Work(NamedTuple):
    flops: float
    bytes: float


# Per contributing pair: offset 2, exponent 9, exponential 12, cap 1, weight 1, three colours 6,
# transmittance 2.
COMPOSITE_PAIR = 33
# Per contributing pair: alpha again 24, weight 1, g = c . v 5, dL/dalpha 5, transmittance and running sum 4,
# colours' gradients 6, q 1, six moments 11.
COMPOSITE_BACKWARD_PAIR = 57
# An entry of a tile's list is read as 9 floats and an index; its gradients are written and read again.
ENTRY_BYTES, ENTRY_GRADIENT_BYTES = 40, 72
# Colour and alpha of a pixel.
PIXEL_BYTES = 16
# Per Gaussian: rotation and covariance 70, camera 28, footprint 55; inputs 44 bytes, outputs 36.
PROJECT, PROJECT_BYTES = 150, 80
PROJECT_BACKWARD, PROJECT_BACKWARD_BYTES = 400, 160
# Per Gaussian at degree 3: direction 10, 16 basis functions 45, colours 96; 192 bytes of coefficients.
HARMONICS, HARMONICS_BYTES = 150, 224
# Its backward pass without the coefficients, which are counted with Adam.
HARMONICS_BACKWARD, HARMONICS_BACKWARD_BYTES = 280, 56
# Per trained number: moments 7, root, division, update 5; value and moments are read and written, and so is
# the gradient unless it stays in a cache.
ADAM, ADAM_BYTES, GRADIENT_BYTES = 12, 24, 4
# Per colour of a pixel: four maps filtered by 11 taps in each direction 156, SSIM and its derivatives 37,
# three maps filtered back 117; image, photograph (one byte) and gradient.
LOSS, LOSS_BYTES = 310, 9
# Per activated number (four per Gaussian), both directions: exponential 15, product 1.
ACTIVATION, ACTIVATION_BYTES = 16, 20


def work_of_step(times: StepTimes, pairs: int) -> dict[str, Work]:
    """Work of the stages that compute; those that only sort have none."""
    pixels = times.case.width * times.case.height
    n, entries = times.visible, times.intersections
    return {
        "activations": Work(4 * ACTIVATION * n, 4 * ACTIVATION_BYTES * n),
        "project": Work(PROJECT * n, PROJECT_BYTES * n),
        "spherical harmonics": Work(HARMONICS * n, HARMONICS_BYTES * n),
        "composite": Work(COMPOSITE_PAIR * pairs, ENTRY_BYTES * entries + PIXEL_BYTES * pixels),
        "loss and its gradient": Work(LOSS * 3 * pixels, LOSS_BYTES * 3 * pixels),
        "composite, backward": Work(
            COMPOSITE_BACKWARD_PAIR * pairs,
            (ENTRY_BYTES + ENTRY_GRADIENT_BYTES) * entries + 2 * PIXEL_BYTES * pixels,
        ),
        "spherical harmonics, backward and Adam": Work(
            (HARMONICS_BACKWARD + COEFFICIENTS * ADAM) * n,
            (HARMONICS_BACKWARD_BYTES + COEFFICIENTS * ADAM_BYTES) * n,
        ),
        "project, backward": Work(PROJECT_BACKWARD * n, PROJECT_BACKWARD_BYTES * n),
        "Adam of the other parameters": Work(
            OTHER_PARAMETERS * ADAM * n, OTHER_PARAMETERS * (ADAM_BYTES + GRADIENT_BYTES) * n
        ),
    }
