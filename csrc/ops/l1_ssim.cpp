// The training loss: a mix of L1 and 1 - SSIM, with its gradient in the same pass.
#include "cpu/l1_ssim.h"

#include <torch/csrc/stable/library.h>

#include <tuple>

#include "ops/checks.h"

namespace gsplat::ops {
namespace {

Tensor scalar_like(const Tensor& like, double value) {
  Tensor scalar = empty_like_device(like, {});
  *mutable_floats(scalar) = static_cast<float>(value);
  return scalar;
}

void check_images(const Tensor& image, const Tensor& target) {
  check_tensor(image, "image", {kAny, kAny, kAny, 3});
  const bool bytes = target.scalar_type() == ScalarType::Byte;
  check_tensor(target, "target", {image.size(0), image.size(1), image.size(2), 3},
               bytes ? ScalarType::Byte : ScalarType::Float);
}

// loss = (1 - lambda) mean |image - target| + lambda (1 - mean SSIM)
std::tuple<Tensor, Tensor, Tensor, Tensor> l1_ssim(const Tensor& image_arg, const Tensor& target_arg,
                                                   double lambda_dssim, bool valid, bool needs_grad) {
  check_images(image_arg, target_arg);
  const Tensor image = packed(image_arg);
  const Tensor target = packed(target_arg);
  const int64_t count = image.size(0), height = image.size(1), width = image.size(2);
  const int64_t margin = valid ? kSsimRadius : 0;
  const double pixels = 3.0 * count * height * width;
  const double windows = 3.0 * count * (height - 2 * margin) * (width - 2 * margin);
  STD_TORCH_CHECK(count > 0 && height > 2 * margin && width > 2 * margin,
                  "gsplat_core: argument 'image' must have at least one image of at least ", 2 * margin + 1,
                  "x", 2 * margin + 1, " pixels, got ", shape_text(image.sizes()));

  LossInputs inputs{.image = floats(image),
                    .target = nullptr,
                    .target_bytes = nullptr,
                    .height = height,
                    .width = width,
                    .margin = margin};
  if (target.scalar_type() == ScalarType::Byte) {
    inputs.target_bytes = static_cast<const uint8_t*>(target.const_data_ptr());
  } else {
    inputs.target = floats(target);
  }
  Tensor grad =
      needs_grad ? empty_like_device(image, {count, height, width, 3}) : empty_like_device(image, {0});
  const LossGradient gradient{.pixels = needs_grad ? mutable_floats(grad) : nullptr,
                              .l1_scale = static_cast<float>((1.0 - lambda_dssim) / pixels),
                              .ssim_scale = static_cast<float>(-lambda_dssim / windows)};

  const LossSums sums = gsplat::l1_ssim(inputs, gradient, count);
  const double l1 = sums.absolute_difference / pixels;
  const double ssim = sums.ssim / windows;
  const double loss = (1.0 - lambda_dssim) * l1 + lambda_dssim * (1.0 - ssim);
  return {scalar_like(image, loss), scalar_like(image, l1), scalar_like(image, ssim), grad};
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def(
      "l1_ssim(Tensor image, Tensor target, float lambda_dssim, bool valid, bool needs_grad) "
      "-> (Tensor loss, Tensor l1, Tensor ssim, Tensor grad)");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) { m.impl("l1_ssim", TORCH_BOX(&l1_ssim)); }

}  // namespace gsplat::ops
