// Operators `composite` and `composite_backward`: splats to images. `Kernels` are those of a device.
#pragma once

#include <optional>
#include <tuple>
#include <vector>

#include "ops/composite_arguments.h"

namespace gsplat::ops {

// The carriers take no part in the value; their gradients are defined in Python.
template <class Kernels>
std::tuple<Tensor, Tensor, Tensor> composite(
    Tensor means2d, std::optional<Tensor>, std::optional<Tensor> statistics_carrier, Tensor shapes,
    Tensor opacities2d, Tensor colors, std::optional<Tensor> backgrounds, Tensor tile_offsets,
    Tensor flatten_ids, Tensor order, Tensor slot_offsets, Tensor slots, int64_t width, int64_t height,
    std::vector<double> settings, std::optional<Tensor> extras, std::string response) {
  const CompositeArguments a(colors, backgrounds, means2d, shapes, opacities2d, tile_offsets, flatten_ids,
                             order, slot_offsets, slots, width, height, settings, extras,
                             choose_response<Kernels>(response));
  const int64_t images = a.inputs.images;
  Tensor out_colors = empty_like_device(a.means2d, {images, height, width, a.inputs.channels});
  Tensor out_alphas = empty_like_device(a.means2d, {images, height, width, 1});
  Tensor probe = absent(a.means2d);
  if (statistics_carrier.has_value()) {
    check_tensor(*statistics_carrier, "statistics_carrier", {images, a.inputs.gaussians, 3});
    probe = zeros_like_device(a.means2d, {images, height, width});
  }
  const CompositeOutputs out = {mutable_floats(out_colors), mutable_floats(out_alphas)};
  Kernels::composite(a.means2d, a.inputs, out);
  return {out_colors, out_alphas, probe};
}

template <class Kernels>
std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> composite_backward(
    Tensor means2d, Tensor shapes, Tensor opacities2d, Tensor colors, std::optional<Tensor> backgrounds,
    Tensor tile_offsets, Tensor flatten_ids, Tensor order, Tensor slot_offsets, Tensor slots, int64_t width,
    int64_t height, std::vector<double> settings, std::optional<Tensor> extras, std::string response,
    Tensor out_colors, Tensor out_alphas, Tensor v_out_colors, Tensor v_out_alphas,
    std::optional<Tensor> v_probe, bool absgrad) {
  const CompositeArguments a(colors, backgrounds, means2d, shapes, opacities2d, tile_offsets, flatten_ids,
                             order, slot_offsets, slots, width, height, settings, extras,
                             choose_response<Kernels>(response));
  const int64_t images = a.inputs.images, n = a.inputs.gaussians, channels = a.inputs.channels;
  out_colors = packed(out_colors);
  out_alphas = packed(out_alphas);
  v_out_colors = packed(v_out_colors);
  v_out_alphas = packed(v_out_alphas);
  v_probe = packed(v_probe);
  check_tensor(out_colors, "out_colors", {images, height, width, channels});
  check_tensor(out_alphas, "out_alphas", {images, height, width, 1});
  check_tensor(v_out_colors, "v_out_colors", {images, height, width, channels});
  check_tensor(v_out_alphas, "v_out_alphas", {images, height, width, 1});
  const bool statistics = v_probe.has_value();
  if (statistics) check_tensor(*v_probe, "v_probe", {images, height, width});
  check_same_device({{"means2d", a.means2d},
                     {"out_colors", out_colors},
                     {"out_alphas", out_alphas},
                     {"v_out_colors", v_out_colors},
                     {"v_out_alphas", v_out_alphas},
                     {"v_probe", v_probe}});
  // Zero for culled splats, which the kernel never visits.
  Tensor v_means2d = zeros_like_device(a.means2d, {images, n, 2});
  Tensor v_shapes = zeros_like_device(a.means2d, {images, n, 3});
  Tensor v_opacities2d = zeros_like_device(a.means2d, {images, n});
  const int64_t numbers = a.extras.has_value() ? a.extras->size(2) : 0;
  Tensor v_extras = numbers > 0 ? zeros_like_device(a.means2d, {images, n, numbers}) : absent(a.means2d);
  Tensor v_colors = zeros_like_device(a.means2d, {images, n, channels});
  Tensor v_means2d_abs = absgrad ? zeros_like_device(a.means2d, {images, n, 2}) : absent(a.means2d);
  Tensor v_statistics = statistics ? zeros_like_device(a.means2d, {images, n, 3}) : absent(a.means2d);
  const CompositeGradInputs v = {floats(out_colors), floats(out_alphas), floats(v_out_colors),
                                 floats(v_out_alphas), floats(v_probe)};
  const CompositeGrads out = {
      mutable_floats(v_means2d),
      mutable_floats(v_shapes),
      mutable_floats(v_opacities2d),
      numbers > 0 ? mutable_floats(v_extras) : nullptr,
      mutable_floats(v_colors),
      absgrad ? mutable_floats(v_means2d_abs) : nullptr,
      statistics ? reinterpret_cast<BlendingStatistics*>(mutable_floats(v_statistics)) : nullptr};
  Kernels::composite_backward(a.means2d, a.inputs, v, out);
  return {v_means2d, v_shapes, v_opacities2d, v_colors, v_means2d_abs, v_statistics, v_extras};
}

}  // namespace gsplat::ops
