// Operator `composite_jvp`: the tangents of images from the tangents of splats. `Kernels` are those of a
// device.
#pragma once

#include <optional>
#include <tuple>
#include <vector>

#include "ops/composite_arguments.h"
#include "raster/tangents.h"

namespace gsplat::ops {

template <class Kernels>
std::tuple<Tensor, Tensor, Tensor> composite_jvp(
    Tensor means2d, Tensor shapes, Tensor opacities2d, Tensor colors, std::optional<Tensor> backgrounds,
    Tensor tile_offsets, Tensor flatten_ids, Tensor order, Tensor slot_offsets, Tensor slots, int64_t width,
    int64_t height, std::vector<double> settings, std::optional<Tensor> extras, std::string response,
    std::optional<Tensor> canonical, std::optional<Tensor> rays, Tensor t_means2d, Tensor t_shapes,
    Tensor t_opacities2d, Tensor t_colors, std::optional<Tensor> t_extras, std::optional<Tensor> t_canonical,
    std::optional<Tensor> t_rays, bool depths_wanted) {
  const CompositeArguments a(colors, backgrounds, means2d, shapes, opacities2d, tile_offsets, flatten_ids,
                             order, slot_offsets, slots, width, height, settings, extras,
                             choose_response<Kernels>(response), canonical, rays);
  STD_TORCH_CHECK(a.inputs.settings.order == Order::global,
                  "gsplat_core: composite_jvp is not implemented for the order 'pixel'");
  const int64_t images = a.inputs.images, n = a.inputs.gaussians, channels = a.inputs.channels;
  t_means2d = packed(t_means2d);
  t_shapes = packed(t_shapes);
  t_opacities2d = packed(t_opacities2d);
  t_colors = packed(t_colors);
  t_extras = packed(t_extras);
  t_canonical = packed(t_canonical);
  t_rays = packed(t_rays);
  check_tensor(t_means2d, "t_means2d", {images, n, 2});
  check_tensor(t_shapes, "t_shapes", {images, n, 3});
  check_tensor(t_opacities2d, "t_opacities2d", {images, n});
  check_tensor(t_colors, "t_colors", {images, n, channels});
  STD_TORCH_CHECK(t_extras.has_value() == a.extras.has_value(),
                  "gsplat_core: argument 't_extras' must be given if 'extras' is, and only then");
  if (t_extras.has_value()) check_tensor(*t_extras, "t_extras", {images, n, a.extras->size(2)});
  STD_TORCH_CHECK(
      t_canonical.has_value() == a.canonical.has_value() && t_rays.has_value() == a.rays.has_value(),
      "gsplat_core: arguments 't_canonical' and 't_rays' must be given if 'canonical' and 'rays' "
      "are, and only then");
  if (t_canonical.has_value()) check_tensor(*t_canonical, "t_canonical", {images, n, RayInputs::kCanonical});
  if (t_rays.has_value()) check_tensor(*t_rays, "t_rays", {images, height, width, a.rays->size(3)});
  check_same_device({{"means2d", a.means2d},
                     {"t_means2d", t_means2d},
                     {"t_shapes", t_shapes},
                     {"t_opacities2d", t_opacities2d},
                     {"t_colors", t_colors},
                     {"t_extras", t_extras},
                     {"t_canonical", t_canonical},
                     {"t_rays", t_rays}});
  Tensor t_image = empty_like_device(a.means2d, {images, height, width, channels});
  Tensor t_alphas = empty_like_device(a.means2d, {images, height, width, 1});
  if (depths_wanted) check_depths<Kernels>(response);
  Tensor t_depths =
      depths_wanted ? empty_like_device(a.means2d, {images, height, width, kDepths}) : absent(a.means2d);
  const CompositeTangents tangents = {floats(t_means2d), floats(t_shapes), floats(t_opacities2d),
                                      floats(t_extras),  floats(t_colors), floats(t_canonical),
                                      floats(t_rays)};
  const CompositeOutputs out = {mutable_floats(t_image), mutable_floats(t_alphas),
                                depths_wanted ? mutable_floats(t_depths) : nullptr};
  Kernels::composite_jvp(a.means2d, a.inputs, tangents, out);
  return {t_image, t_alphas, t_depths};
}

}  // namespace gsplat::ops
