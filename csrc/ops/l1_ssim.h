// The training loss: a mix of L1 and 1 - SSIM, with its gradient in the same pass. `Kernels` are those of a
// device.
#pragma once

#include <tuple>

#include "math/ssim.h"
#include "ops/checks.h"
#include "raster/loss.h"

namespace gsplat::ops {

inline void check_images(const Tensor& image, const Tensor& target) {
  check_tensor(image, "image", {kAny, kAny, kAny, 3});
  const bool bytes = target.scalar_type() == ScalarType::Byte;
  check_tensor(target, "target", {image.size(0), image.size(1), image.size(2), 3},
               bytes ? ScalarType::Byte : ScalarType::Float);
  check_same_device({{"image", image}, {"target", target}});
}

// loss = (1 - lambda) mean |image - target| + lambda (1 - mean SSIM)
template <class Kernels>
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

  Tensor loss = empty_like_device(image, {}), l1 = empty_like_device(image, {}),
         ssim = empty_like_device(image, {});
  Kernels::l1_ssim(image, inputs, gradient, count, {pixels, windows, lambda_dssim},
                   {mutable_floats(loss), mutable_floats(l1), mutable_floats(ssim)});
  return {loss, l1, ssim, grad};
}

}  // namespace gsplat::ops
