// The arguments that the compositing operators share, checked and packed.
#pragma once

#include <optional>

#include "ops/checks.h"
#include "ops/responses.h"
#include "ops/settings.h"
#include "raster/types.h"

namespace gsplat::ops {

// For kernels that gather by slot. CUDA adds atomically instead, and its lists come without slots.
inline void check_slots(const TileLists& lists) {
  STD_TORCH_CHECK(lists.slots != nullptr || lists.intersections == 0,
                  "gsplat_core: argument 'slots' must have shape [", lists.intersections, "], got [0]");
}

// Splats and their tile lists; keeps the packed copies alive that `inputs` points to.
struct SplatArguments {
  Tensor means2d, shapes, opacities2d, tile_offsets, flatten_ids, order, slot_offsets, slots;
  std::optional<Tensor> extras, canonical, rays;
  CompositeInputs inputs;  // without colours

  SplatArguments(const Tensor& means2d_, const Tensor& shapes_, const Tensor& opacities2d_,
                 const Tensor& tile_offsets_, const Tensor& flatten_ids_, const Tensor& order_,
                 const Tensor& slot_offsets_, const Tensor& slots_, int64_t width, int64_t height,
                 const std::vector<double>& settings_, const std::optional<Tensor>& extras_,
                 const ChosenResponse& response, const std::optional<Tensor>& canonical_ = std::nullopt,
                 const std::optional<Tensor>& rays_ = std::nullopt)
      : means2d(packed(means2d_)),
        shapes(packed(shapes_)),
        opacities2d(packed(opacities2d_)),
        tile_offsets(packed(tile_offsets_)),
        flatten_ids(packed(flatten_ids_)),
        order(packed(order_)),
        slot_offsets(packed(slot_offsets_)),
        slots(packed(slots_)),
        extras(packed(extras_)),
        canonical(packed(canonical_)),
        rays(packed(rays_)) {
    check_tensor(means2d, "means2d", {kAny, kAny, 2});
    const int64_t images = means2d.size(0), n = means2d.size(1);
    check_tensor(shapes, "shapes", {images, n, 3});
    check_tensor(opacities2d, "opacities2d", {images, n});
    check_extras(extras, response, images, n);
    check_rays(response, images, n, height, width);
    const RenderSettings settings = check_settings(settings_);
    STD_TORCH_CHECK(rays.has_value() || settings.order == Order::global,
                    "gsplat_core: the order 'pixel' needs the arguments 'canonical' and 'rays'");
    STD_TORCH_CHECK(settings.order == Order::global || !response.traits.flat,
                    "gsplat_core: there is no order 'pixel' of the response '", response.text, "'");
    const ImageSize image = check_image(width, height);
    const TileGrid grid(image, settings.tile_size);
    check_tensor(tile_offsets, "tile_offsets", {images * grid.count() + 1}, ScalarType::Int);
    check_tensor(flatten_ids, "flatten_ids", {kAny}, ScalarType::Int);
    check_tensor(order, "order", {kAny}, ScalarType::Int);
    check_tensor(slot_offsets, "slot_offsets", {order.size(0) + 1}, ScalarType::Int);
    if (slots.numel() > 0) check_tensor(slots, "slots", {flatten_ids.size(0)}, ScalarType::Int);
    check_same_device({{"means2d", means2d},
                       {"shapes", shapes},
                       {"opacities2d", opacities2d},
                       {"extras", extras},
                       {"canonical", canonical},
                       {"rays", rays},
                       {"tile_offsets", tile_offsets},
                       {"flatten_ids", flatten_ids},
                       {"order", order},
                       {"slot_offsets", slot_offsets},
                       {"slots", slots}});
    inputs = {response.name,
              images,
              n,
              0,
              image,
              settings,
              floats(means2d),
              floats(shapes),
              floats(opacities2d),
              floats(extras),
              nullptr,
              nullptr,
              {ints(tile_offsets), ints(flatten_ids), ints(order), ints(slot_offsets),
               slots.numel() > 0 ? ints(slots) : nullptr, order.size(0), flatten_ids.size(0)},
              {floats(canonical), floats(rays), rays.has_value() ? static_cast<int>(rays->size(3)) : 0}};
  }

private:
  void check_rays(const ChosenResponse& response, int64_t images, int64_t n, int64_t height,
                  int64_t width) const {
    STD_TORCH_CHECK(canonical.has_value() == rays.has_value(),
                    "gsplat_core: arguments 'canonical' and 'rays' must be given together");
    STD_TORCH_CHECK(rays.has_value() || !response.traits.along_rays, "gsplat_core: the response '",
                    response.text, "' needs the arguments 'canonical' and 'rays'");
    if (!rays.has_value()) return;
    check_tensor(*canonical, "canonical", {images, n, RayInputs::kCanonical});
    check_tensor(*rays, "rays", {images, height, width, kAny});
    STD_TORCH_CHECK(rays->size(3) == 3 || rays->size(3) == 6,
                    "gsplat_core: argument 'rays' must have 3 or 6 numbers per pixel, got ", rays->size(3));
    STD_TORCH_CHECK(rays->size(3) == 3 || !response.traits.flat, "gsplat_core: argument 'rays' must have 3 ",
                    "numbers per pixel with the response '", response.text, "', got ", rays->size(3));
  }
};

// The same with colours.
struct CompositeArguments : SplatArguments {
  Tensor colors;
  std::optional<Tensor> backgrounds;

  template <class... Splats>
  CompositeArguments(const Tensor& colors_, const std::optional<Tensor>& backgrounds_,
                     const Splats&... splats)
      : SplatArguments(splats...), colors(packed(colors_)), backgrounds(packed(backgrounds_)) {
    check_tensor(colors, "colors", {inputs.images, inputs.gaussians, kAny});
    const int64_t channels = colors.size(2);
    STD_TORCH_CHECK(channels > 0, "gsplat_core: argument 'colors' has no channels");
    if (backgrounds.has_value()) check_tensor(*backgrounds, "backgrounds", {inputs.images, channels});
    check_same_device({{"means2d", means2d}, {"colors", colors}, {"backgrounds", backgrounds}});
    inputs.channels = static_cast<int>(channels);
    inputs.colors = floats(colors);
    inputs.backgrounds = floats(backgrounds);
  }
};

template <class Kernels>
void check_depths(const std::string& response) {
  STD_TORCH_CHECK(choose_response<Kernels>(response).traits.flat,
                  "gsplat_core: pixels have depths of their own of surfels only, not of the response '",
                  response, "'");
}

}  // namespace gsplat::ops
