// Operator `contributions`: how much of every splat an image shows. `Kernels` are those of a device.
#pragma once

#include <vector>

#include "ops/composite_arguments.h"

namespace gsplat::ops {

template <class Kernels>
Tensor contributions(Tensor means2d, Tensor shapes, Tensor opacities2d, Tensor tile_offsets,
                     Tensor flatten_ids, Tensor order, Tensor slot_offsets, Tensor slots, int64_t width,
                     int64_t height, std::vector<double> settings, std::optional<Tensor> extras,
                     std::string response, std::optional<Tensor> canonical, std::optional<Tensor> rays) {
  const SplatArguments a(means2d, shapes, opacities2d, tile_offsets, flatten_ids, order, slot_offsets, slots,
                         width, height, settings, extras, choose_response<Kernels>(response), canonical,
                         rays);
  // Zero for culled splats, which the kernel never visits.
  Tensor out = zeros_like_device(a.means2d, {a.inputs.images, a.inputs.gaussians, 3});
  Kernels::contributions(a.means2d, a.inputs, reinterpret_cast<Contribution*>(mutable_floats(out)));
  return out;
}

}  // namespace gsplat::ops
