"""The training loss against its definition: windows summed directly in float64, gradient by autograd."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from gsplat_core.losses import l1_dssim

pytestmark = pytest.mark.usefixtures("backend")


def ssim_by_definition(x: Tensor, y: Tensor, padding: str) -> Tensor:
    """Mean SSIM of images [B, H, W, 3] with the 11x11 window as a sum over its 121 weights."""
    offsets = torch.arange(-5, 6, dtype=x.dtype)
    profile = torch.exp(-(offsets**2) / (2 * 1.5**2))
    window = torch.outer(profile, profile)
    window /= window.sum()

    def local_mean(values: Tensor) -> Tensor:
        if padding == "same":
            values = torch.nn.functional.pad(values, (0, 0, 5, 5, 5, 5))
        height, width = values.shape[1] - 10, values.shape[2] - 10
        return sum(
            window[i, j] * values[:, i : i + height, j : j + width] for i in range(11) for j in range(11)
        )  # type: ignore[return-value]

    mx, my = local_mean(x), local_mean(y)
    vx, vy, vxy = local_mean(x * x) - mx**2, local_mean(y * y) - my**2, local_mean(x * y) - mx * my
    c1, c2 = 0.01**2, 0.03**2
    return (((2 * mx * my + c1) * (2 * vxy + c2)) / ((mx**2 + my**2 + c1) * (vx + vy + c2))).mean()


def loss_by_definition(image: Tensor, target: Tensor, lambda_dssim: float, padding: str) -> Tensor:
    l1 = (image - target).abs().mean()
    return (1 - lambda_dssim) * l1 + lambda_dssim * (1 - ssim_by_definition(image, target, padding))


def noisy(shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    image = torch.rand(shape)
    return image, (image + 0.2 * torch.randn(shape)).clamp(0, 1)


def smooth(shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Slow gradients near white, where E[x^2] - E[x]^2 loses most digits."""
    height, width = shape[1:3]
    ramp = torch.linspace(0.9, 1.0, height)[:, None, None] * torch.linspace(0.97, 1.0, width)[None, :, None]
    image = ramp.expand(shape).contiguous()
    return image, (image - 0.02 * torch.rand(())).contiguous()


def black(shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    return torch.zeros(shape), torch.zeros(shape) + 0.01 * torch.rand(shape)


def beyond_one(shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Renderings may be brighter than white and, with some payloads, darker than black."""
    return 3 * torch.rand(shape) - 1, torch.rand(shape)


# Smaller than the window, narrow and flat ones, and several with seams between the kernel's tiles.
SHAPES = [
    (1, 1, 1, 3),
    (1, 5, 7, 3),
    (1, 143, 6, 3),
    (2, 11, 11, 3),
    (1, 12, 200, 3),
    (2, 61, 131, 3),
    (1, 90, 140, 3),
]
CASES = [("same", shape) for shape in SHAPES] + [("valid", shape) for shape in SHAPES[3:]]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The reference is made of many small tensors, which threads only slow down."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("content", [noisy, smooth, black, beyond_one])
@pytest.mark.parametrize(("padding", "shape"), CASES)
def test_value_and_gradient_follow_the_definition(
    content: Callable[[tuple[int, ...]], tuple[Tensor, Tensor]], padding: str, shape: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    image, target = content(shape)
    exact = image.double().requires_grad_()
    expected = loss_by_definition(exact, target.double(), 0.2, padding)
    expected.backward()
    assert exact.grad is not None

    image.requires_grad_()
    loss = l1_dssim(image, target, 0.2, padding)  # type: ignore[arg-type]
    loss.backward()
    assert image.grad is not None
    assert abs(loss.item() - expected.item()) <= 1e-6
    assert (image.grad - exact.grad).abs().max() <= 1e-5 * exact.grad.abs().max()


@pytest.mark.parametrize("lambda_dssim", [0.0, 0.2, 1.0])
def test_lambda_mixes_the_terms(lambda_dssim: float) -> None:
    torch.manual_seed(1)
    image, target = noisy((1, 30, 40, 3))
    expected = loss_by_definition(image.double(), target.double(), lambda_dssim, "same")
    assert abs(l1_dssim(image, target, lambda_dssim).item() - expected.item()) <= 1e-6


def test_equal_images_have_no_loss_and_no_gradient() -> None:
    image = torch.rand(37, 41, 3, requires_grad=True)
    loss = l1_dssim(image, image.detach().clone())
    loss.backward()
    assert image.grad is not None
    assert abs(loss.item()) <= 1e-6
    assert image.grad.abs().max() <= 1e-6 / image.numel()


def test_bytes_stand_for_their_value_over_255() -> None:
    torch.manual_seed(2)
    every_byte = torch.arange(256, dtype=torch.uint8).repeat(9)[: 3 * 24 * 32].reshape(24, 32, 3)
    image = torch.rand(24, 32, 3, requires_grad=True)
    from_bytes = l1_dssim(image, every_byte)
    (grad_from_bytes,) = torch.autograd.grad(from_bytes, image)
    from_floats = l1_dssim(image, every_byte / 255.0)
    (grad_from_floats,) = torch.autograd.grad(from_floats, image)
    assert torch.equal(from_bytes, from_floats)
    assert torch.equal(grad_from_bytes, grad_from_floats)


def test_gradient_scales_with_what_is_upstream() -> None:
    torch.manual_seed(3)
    image, target = noisy((20, 30, 3))
    image.requires_grad_()
    (plain,) = torch.autograd.grad(l1_dssim(image, target), image)
    (scaled,) = torch.autograd.grad(3.0 * l1_dssim(image, target), image)
    torch.testing.assert_close(scaled, 3.0 * plain)


def test_backward_twice_gives_the_same_gradient_twice() -> None:
    torch.manual_seed(4)
    image, target = noisy((20, 30, 3))
    image.requires_grad_()
    loss = l1_dssim(image, target)
    loss.backward(retain_graph=True)
    assert image.grad is not None
    once = image.grad.clone()
    loss.backward()
    assert torch.equal(image.grad, 2 * once)


def test_leading_dimensions_are_a_batch() -> None:
    torch.manual_seed(5)
    image, target = noisy((2, 3, 16, 20, 3))
    each = torch.stack([l1_dssim(image[i, j], target[i, j]) for i in range(2) for j in range(3)])
    torch.testing.assert_close(l1_dssim(image, target), each.mean())


def test_inputs_are_left_alone() -> None:
    torch.manual_seed(6)
    image, target = noisy((20, 30, 3))
    before = image.clone(), target.clone()
    image.requires_grad_()
    l1_dssim(image, target).backward()
    assert torch.equal(image.detach(), before[0])
    assert torch.equal(target, before[1])


def test_not_a_number_is_not_hidden() -> None:
    image = torch.rand(20, 30, 3)
    image[10, 20, 1] = float("nan")
    assert torch.isnan(l1_dssim(image, torch.rand(20, 30, 3)))


def test_compiles() -> None:
    torch.manual_seed(7)
    image, target = noisy((20, 30, 3))
    image.requires_grad_()
    compiled = torch.compile(lambda i, t: 2.0 * l1_dssim(i, t), backend="aot_eager", fullgraph=True)
    (expected,) = torch.autograd.grad(2.0 * l1_dssim(image, target), image)
    (result,) = torch.autograd.grad(compiled(image, target), image)
    torch.testing.assert_close(result, expected)


def test_wrong_inputs_are_explained() -> None:
    image = torch.rand(20, 30, 3)
    with pytest.raises(ValueError, match=r"image must have shape \[..., H, W, 3\], got \[3, 20, 30\]"):
        l1_dssim(image.permute(2, 0, 1), image)
    with pytest.raises(
        ValueError, match=r"target must have the shape of image, \[20, 30, 3\], got \[20, 29, 3\]"
    ):
        l1_dssim(image, image[:, :-1])
    with pytest.raises(ValueError, match="no pixels"):
        l1_dssim(image[:0], image[:0])
    with pytest.raises(ValueError, match="at least 11x11"):
        l1_dssim(image[:10], image[:10], padding="valid")
    with pytest.raises(ValueError, match="padding"):
        l1_dssim(image, image, padding="reflect")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="lambda_dssim"):
        l1_dssim(image, image, 1.5)
    with pytest.raises(TypeError, match=r"image must be float32, got torch\.float64"):
        l1_dssim(image.double(), image)
    with pytest.raises(TypeError, match=r"target must be float32 or uint8, got torch\.int64"):
        l1_dssim(image, image.long())
