// Operator `composite_jvp`: the tangents of images from the tangents of splats.
#include <torch/csrc/stable/library.h>

#include <tuple>

#include "cpu/rasterizer_jvp.h"
#include "ops/composite_arguments.h"

namespace gsplat::ops {
namespace {

std::tuple<Tensor, Tensor> composite_jvp(Tensor means2d, Tensor conic_roots, Tensor opacities2d,
                                         Tensor colors, std::optional<Tensor> backgrounds,
                                         Tensor tile_offsets, Tensor flatten_ids, Tensor order,
                                         Tensor slot_offsets, Tensor slots, int64_t width, int64_t height,
                                         int64_t tile_size, double max_alpha, Tensor t_means2d,
                                         Tensor t_conic_roots, Tensor t_opacities2d, Tensor t_colors) {
  const CompositeArguments a(colors, backgrounds, means2d, conic_roots, opacities2d, tile_offsets,
                             flatten_ids, order, slot_offsets, slots, width, height, tile_size, max_alpha);
  const int64_t images = a.inputs.images, n = a.inputs.gaussians, channels = a.inputs.channels;
  t_means2d = packed(t_means2d);
  t_conic_roots = packed(t_conic_roots);
  t_opacities2d = packed(t_opacities2d);
  t_colors = packed(t_colors);
  check_tensor(t_means2d, "t_means2d", {images, n, 2});
  check_tensor(t_conic_roots, "t_conic_roots", {images, n, 3});
  check_tensor(t_opacities2d, "t_opacities2d", {images, n});
  check_tensor(t_colors, "t_colors", {images, n, channels});
  Tensor t_image = empty_like_device(a.means2d, {images, height, width, channels});
  Tensor t_alphas = empty_like_device(a.means2d, {images, height, width, 1});
  const CompositeTangents tangents = {floats(t_means2d), floats(t_conic_roots), floats(t_opacities2d),
                                      floats(t_colors)};
  const CompositeOutputs out = {mutable_floats(t_image), mutable_floats(t_alphas)};
  GSPLAT_CALL(composite_jvp, a.inputs, tangents, out);
  return {t_image, t_alphas};
}

}  // namespace

// The backgrounds count as constants here; what they add is linear.
STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def(
      "composite_jvp(Tensor means2d, Tensor conic_roots, Tensor opacities2d, Tensor colors, "
      "Tensor? backgrounds, Tensor tile_offsets, Tensor flatten_ids, Tensor order, Tensor slot_offsets, "
      "Tensor slots, int width, int height, int tile_size, float max_alpha, Tensor t_means2d, "
      "Tensor t_conic_roots, Tensor t_opacities2d, Tensor t_colors) -> (Tensor, Tensor)");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) { m.impl("composite_jvp", TORCH_BOX(&composite_jvp)); }

}  // namespace gsplat::ops
