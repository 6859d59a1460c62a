// Operators `composite` and `composite_backward`: splats to images. `Kernels` are those of a device.
#pragma once

#include <optional>
#include <tuple>
#include <vector>

#include "ops/composite_arguments.h"
#include "raster/payloads.h"

namespace gsplat::ops {

// Each payload of raster/variants.h has a carrier among the arguments, which takes no part in the value, and
// whose gradient is its sums; its name tells the backward pass whether they are wanted.
#define GSPLAT_CARRIER(name, Type) , std::optional<Tensor> name##_carrier
#define GSPLAT_WANTED(name, Type) , bool name
#define GSPLAT_TENSOR(name, Type) , Tensor

template <class Kernels>
std::tuple<Tensor, Tensor, Tensor, Tensor> composite(
    Tensor means2d, Tensor shapes, Tensor opacities2d, Tensor colors, std::optional<Tensor> backgrounds,
    Tensor tile_offsets, Tensor flatten_ids, Tensor order, Tensor slot_offsets, Tensor slots, int64_t width,
    int64_t height, std::vector<double> settings, std::optional<Tensor> extras, std::string response,
    std::optional<Tensor> canonical, std::optional<Tensor> rays GSPLAT_PAYLOADS(GSPLAT_CARRIER),
    bool depths) {
  const CompositeArguments a(colors, backgrounds, means2d, shapes, opacities2d, tile_offsets, flatten_ids,
                             order, slot_offsets, slots, width, height, settings, extras,
                             choose_response<Kernels>(response), canonical, rays);
  const int64_t images = a.inputs.images;
  Tensor out_colors = empty_like_device(a.means2d, {images, height, width, a.inputs.channels});
  Tensor out_alphas = empty_like_device(a.means2d, {images, height, width, 1});
  bool probed = false;
#define GSPLAT_CHECK(name, Type)                                                                \
  if (name##_carrier.has_value()) {                                                             \
    check_tensor(*name##_carrier, #name "_carrier", {images, a.inputs.gaussians, Type::kSums}); \
    probed = probed || Type::kProbed;                                                           \
  }
  GSPLAT_PAYLOADS(GSPLAT_CHECK)
#undef GSPLAT_CHECK
  Tensor probe = probed ? zeros_like_device(a.means2d, {images, height, width}) : absent(a.means2d);
  if (depths) check_depths<Kernels>(response);
  Tensor out_depths =
      depths ? empty_like_device(a.means2d, {images, height, width, kDepths}) : absent(a.means2d);
  const CompositeOutputs out = {mutable_floats(out_colors), mutable_floats(out_alphas),
                                depths ? mutable_floats(out_depths) : nullptr};
  Kernels::composite(a.means2d, a.inputs, out);
  return {out_colors, out_alphas, probe, out_depths};
}

template <class Kernels>
std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor GSPLAT_PAYLOADS(GSPLAT_TENSOR)>
composite_backward(Tensor means2d, Tensor shapes, Tensor opacities2d, Tensor colors,
                   std::optional<Tensor> backgrounds, Tensor tile_offsets, Tensor flatten_ids, Tensor order,
                   Tensor slot_offsets, Tensor slots, int64_t width, int64_t height,
                   std::vector<double> settings, std::optional<Tensor> extras, std::string response,
                   std::optional<Tensor> canonical, std::optional<Tensor> rays, Tensor out_colors,
                   Tensor out_alphas, Tensor v_out_colors, Tensor v_out_alphas, std::optional<Tensor> v_probe,
                   bool rays_wanted GSPLAT_PAYLOADS(GSPLAT_WANTED), std::optional<Tensor> out_depths,
                   std::optional<Tensor> v_out_depths) {
  const CompositeArguments a(colors, backgrounds, means2d, shapes, opacities2d, tile_offsets, flatten_ids,
                             order, slot_offsets, slots, width, height, settings, extras,
                             choose_response<Kernels>(response), canonical, rays);
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
  if (v_probe.has_value()) check_tensor(*v_probe, "v_probe", {images, height, width});
  out_depths = packed(out_depths);
  v_out_depths = packed(v_out_depths);
  STD_TORCH_CHECK(out_depths.has_value() == v_out_depths.has_value(),
                  "gsplat_core: arguments 'out_depths' and 'v_out_depths' must be given together");
  if (out_depths.has_value()) {
    check_depths<Kernels>(response);
    check_tensor(*out_depths, "out_depths", {images, height, width, kDepths});
    check_tensor(*v_out_depths, "v_out_depths", {images, height, width, kDepths});
  }
  check_same_device({{"means2d", a.means2d},
                     {"out_colors", out_colors},
                     {"out_alphas", out_alphas},
                     {"v_out_colors", v_out_colors},
                     {"v_out_alphas", v_out_alphas},
                     {"v_probe", v_probe},
                     {"out_depths", out_depths},
                     {"v_out_depths", v_out_depths}});
  // Zero for culled splats, which the kernel never visits.
  Tensor v_means2d = zeros_like_device(a.means2d, {images, n, 2});
  Tensor v_shapes = zeros_like_device(a.means2d, {images, n, 3});
  Tensor v_opacities2d = zeros_like_device(a.means2d, {images, n});
  const int64_t numbers = a.extras.has_value() ? a.extras->size(2) : 0;
  Tensor v_extras = numbers > 0 ? zeros_like_device(a.means2d, {images, n, numbers}) : absent(a.means2d);
  Tensor v_colors = zeros_like_device(a.means2d, {images, n, channels});
  // Only a response along rays depends on these.
  const bool along_rays = choose_response<Kernels>(response).traits.along_rays;
  Tensor v_canonical =
      along_rays ? zeros_like_device(a.means2d, {images, n, RayInputs::kCanonical}) : absent(a.means2d);
  rays_wanted = rays_wanted && along_rays;
  Tensor v_rays = rays_wanted ? zeros_like_device(a.means2d, {images, height, width, a.inputs.rays.numbers})
                              : absent(a.means2d);
  const CompositeGradInputs v = {floats(out_colors),   floats(out_alphas), floats(v_out_colors),
                                 floats(v_out_alphas), floats(v_probe),    floats(out_depths),
                                 floats(v_out_depths)};
  CompositeGrads out = {mutable_floats(v_means2d),
                        mutable_floats(v_shapes),
                        mutable_floats(v_opacities2d),
                        numbers > 0 ? mutable_floats(v_extras) : nullptr,
                        mutable_floats(v_colors),
                        along_rays ? mutable_floats(v_canonical) : nullptr,
                        rays_wanted ? mutable_floats(v_rays) : nullptr,
                        {}};
#define GSPLAT_SUMS(name, Type)                                                                        \
  Tensor v_##name = name ? zeros_like_device(a.means2d, {images, n, Type::kSums}) : absent(a.means2d); \
  if (name) out.payloads[static_cast<int>(PayloadName::name)] = mutable_floats(v_##name);
  GSPLAT_PAYLOADS(GSPLAT_SUMS)
#undef GSPLAT_SUMS
  Kernels::composite_backward(a.means2d, a.inputs, v, out);
#define GSPLAT_SUMS(name, Type) , v_##name
  return {v_means2d,
          v_shapes,
          v_opacities2d,
          v_colors,
          v_extras,
          v_canonical,
          v_rays GSPLAT_PAYLOADS(GSPLAT_SUMS)};
#undef GSPLAT_SUMS
}

#undef GSPLAT_CARRIER
#undef GSPLAT_WANTED
#undef GSPLAT_TENSOR

}  // namespace gsplat::ops
