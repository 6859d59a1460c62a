// Operators `composite` and `composite_backward`: splats to images.
#include <torch/csrc/stable/library.h>

#include <tuple>

#include "cpu/rasterizer.h"
#include "ops/checks.h"

namespace gsplat::ops {
namespace {

// The arguments shared by both passes, checked and packed; keeps the packed copies alive.
struct Arguments {
  Tensor means2d, conic_roots, opacities2d, colors, tile_offsets, flatten_ids, order, slot_offsets, slots;
  std::optional<Tensor> backgrounds;
  CompositeInputs inputs;

  Arguments(const Tensor& means2d_, const Tensor& conic_roots_, const Tensor& opacities2d_,
            const Tensor& colors_, const std::optional<Tensor>& backgrounds_, const Tensor& tile_offsets_,
            const Tensor& flatten_ids_, const Tensor& order_, const Tensor& slot_offsets_,
            const Tensor& slots_, int64_t width, int64_t height, int64_t tile_size, double max_alpha)
      : means2d(packed(means2d_)),
        conic_roots(packed(conic_roots_)),
        opacities2d(packed(opacities2d_)),
        colors(packed(colors_)),
        tile_offsets(packed(tile_offsets_)),
        flatten_ids(packed(flatten_ids_)),
        order(packed(order_)),
        slot_offsets(packed(slot_offsets_)),
        slots(packed(slots_)),
        backgrounds(packed(backgrounds_)) {
    check_tensor(means2d, "means2d", {kAny, kAny, 2});
    const int64_t images = means2d.size(0), n = means2d.size(1);
    check_tensor(conic_roots, "conic_roots", {images, n, 3});
    check_tensor(opacities2d, "opacities2d", {images, n});
    check_tensor(colors, "colors", {images, n, kAny});
    const int64_t channels = colors.size(2);
    STD_TORCH_CHECK(channels > 0, "gsplat_core: argument 'colors' has no channels");
    if (backgrounds.has_value()) check_tensor(*backgrounds, "backgrounds", {images, channels});
    STD_TORCH_CHECK(max_alpha > 0.0 && max_alpha < 1.0,
                    "gsplat_core: argument 'max_alpha' must lie between 0 and 1, got ", max_alpha);
    const ImageSize image = check_image(width, height);
    const TileGrid grid(image, check_tile_size(tile_size));
    check_tensor(tile_offsets, "tile_offsets", {images * grid.count() + 1}, ScalarType::Int);
    check_tensor(flatten_ids, "flatten_ids", {kAny}, ScalarType::Int);
    check_tensor(order, "order", {kAny}, ScalarType::Int);
    check_tensor(slot_offsets, "slot_offsets", {order.size(0) + 1}, ScalarType::Int);
    check_tensor(slots, "slots", {flatten_ids.size(0)}, ScalarType::Int);
    inputs = {images,
              n,
              static_cast<int>(channels),
              image,
              grid.tile_size,
              static_cast<float>(max_alpha),
              floats(means2d),
              floats(conic_roots),
              floats(opacities2d),
              floats(colors),
              floats(backgrounds),
              {ints(tile_offsets), ints(flatten_ids), ints(order), ints(slot_offsets), ints(slots),
               order.size(0), flatten_ids.size(0)}};
  }
};

// The absgrad carrier takes no part in the value; its gradient is defined in Python.
std::tuple<Tensor, Tensor> composite(Tensor means2d, std::optional<Tensor>, Tensor conic_roots,
                                     Tensor opacities2d, Tensor colors, std::optional<Tensor> backgrounds,
                                     Tensor tile_offsets, Tensor flatten_ids, Tensor order,
                                     Tensor slot_offsets, Tensor slots, int64_t width, int64_t height,
                                     int64_t tile_size, double max_alpha) {
  const Arguments a(means2d, conic_roots, opacities2d, colors, backgrounds, tile_offsets, flatten_ids, order,
                    slot_offsets, slots, width, height, tile_size, max_alpha);
  Tensor out_colors = empty_like_device(a.means2d, {a.inputs.images, height, width, a.inputs.channels});
  Tensor out_alphas = empty_like_device(a.means2d, {a.inputs.images, height, width, 1});
  const CompositeOutputs out = {mutable_floats(out_colors), mutable_floats(out_alphas)};
  GSPLAT_CALL(composite, a.inputs, out);
  return {out_colors, out_alphas};
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> composite_backward(
    Tensor means2d, Tensor conic_roots, Tensor opacities2d, Tensor colors, std::optional<Tensor> backgrounds,
    Tensor tile_offsets, Tensor flatten_ids, Tensor order, Tensor slot_offsets, Tensor slots, int64_t width,
    int64_t height, int64_t tile_size, double max_alpha, Tensor out_colors, Tensor out_alphas,
    Tensor v_out_colors, Tensor v_out_alphas, bool absgrad) {
  const Arguments a(means2d, conic_roots, opacities2d, colors, backgrounds, tile_offsets, flatten_ids, order,
                    slot_offsets, slots, width, height, tile_size, max_alpha);
  const int64_t images = a.inputs.images, n = a.inputs.gaussians, channels = a.inputs.channels;
  out_colors = packed(out_colors);
  out_alphas = packed(out_alphas);
  v_out_colors = packed(v_out_colors);
  v_out_alphas = packed(v_out_alphas);
  check_tensor(out_colors, "out_colors", {images, height, width, channels});
  check_tensor(out_alphas, "out_alphas", {images, height, width, 1});
  check_tensor(v_out_colors, "v_out_colors", {images, height, width, channels});
  check_tensor(v_out_alphas, "v_out_alphas", {images, height, width, 1});
  // Zero for culled splats, which the kernel never visits.
  Tensor v_means2d = zeros_like_device(a.means2d, {images, n, 2});
  Tensor v_conic_roots = zeros_like_device(a.means2d, {images, n, 3});
  Tensor v_opacities2d = zeros_like_device(a.means2d, {images, n});
  Tensor v_colors = zeros_like_device(a.means2d, {images, n, channels});
  Tensor v_means2d_abs = absgrad ? zeros_like_device(a.means2d, {images, n, 2}) : absent(a.means2d);
  const CompositeGradInputs v = {floats(out_colors), floats(out_alphas), floats(v_out_colors),
                                 floats(v_out_alphas)};
  const CompositeGrads out = {mutable_floats(v_means2d), mutable_floats(v_conic_roots),
                              mutable_floats(v_opacities2d), mutable_floats(v_colors),
                              absgrad ? mutable_floats(v_means2d_abs) : nullptr};
  GSPLAT_CALL(composite_backward, a.inputs, v, out);
  return {v_means2d, v_conic_roots, v_opacities2d, v_colors, v_means2d_abs};
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def(
      "composite(Tensor means2d, Tensor? absgrad_carrier, Tensor conic_roots, Tensor opacities2d, Tensor "
      "colors, "
      "Tensor? backgrounds, Tensor tile_offsets, Tensor flatten_ids, Tensor order, Tensor slot_offsets, "
      "Tensor slots, "
      "int width, int height, int tile_size, float max_alpha) -> (Tensor, Tensor)");
  m.def(
      "composite_backward(Tensor means2d, Tensor conic_roots, Tensor opacities2d, Tensor colors, Tensor? "
      "backgrounds, "
      "Tensor tile_offsets, Tensor flatten_ids, Tensor order, Tensor slot_offsets, Tensor slots, int width, "
      "int height, "
      "int tile_size, float max_alpha, Tensor out_colors, Tensor out_alphas, Tensor v_out_colors, Tensor "
      "v_out_alphas, "
      "bool absgrad) -> (Tensor, Tensor, Tensor, Tensor, Tensor)");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) {
  m.impl("composite", TORCH_BOX(&composite));
  m.impl("composite_backward", TORCH_BOX(&composite_backward));
}

}  // namespace gsplat::ops
