// Operators `cast_rays` and `cast_rays_backward`: rays through a density (raster/volume.h). `Kernels` are
// those of a device.
#pragma once

#include <cmath>
#include <tuple>
#include <vector>

#include "ops/checks.h"
#include "ops/settings.h"
#include "raster/volume.h"

namespace gsplat::ops {

// The arguments of both operators, checked and packed.
struct VolumeArguments {
  Tensor frames, densities, colors, reaches, rays, tile_offsets, flatten_ids, order, slot_offsets, slots;
  VolumeInputs inputs;

  VolumeArguments(const Tensor& frames_, const Tensor& densities_, const Tensor& colors_,
                  const Tensor& reaches_, const Tensor& rays_, const Tensor& tile_offsets_,
                  const Tensor& flatten_ids_, const Tensor& order_, const Tensor& slot_offsets_,
                  const Tensor& slots_, int64_t tile_side, double step, double near, double far,
                  double threshold)
      : frames(packed(frames_)),
        densities(packed(densities_)),
        colors(packed(colors_)),
        reaches(packed(reaches_)),
        rays(packed(rays_)),
        tile_offsets(packed(tile_offsets_)),
        flatten_ids(packed(flatten_ids_)),
        order(packed(order_)),
        slot_offsets(packed(slot_offsets_)),
        slots(packed(slots_)) {
    check_tensor(frames, "frames", {kAny, kAny, kFrameNumbers});
    const int64_t images = frames.size(0), n = frames.size(1);
    check_tensor(densities, "densities", {images, n});
    check_tensor(colors, "colors", {images, n, 3});
    check_tensor(reaches, "reaches", {images, n, 2});
    check_tensor(rays, "rays", {images, kAny, kAny, kRayNumbers});
    const ImageSize image = check_image(rays.size(2), rays.size(1));
    STD_TORCH_CHECK(tile_side == 8 || tile_side == 16 || tile_side == 32,
                    "gsplat_core: argument 'tile_side' must be 8, 16 or 32, got ", tile_side);
    STD_TORCH_CHECK(step > 0 && near >= 0 && far > near && threshold > 0 && std::isfinite(far),
                    "gsplat_core: arguments 'step' and 'threshold' must be positive, and 0 <= near < far");
    const TileGrid grid(image, static_cast<int>(tile_side));
    check_tensor(tile_offsets, "tile_offsets", {images * grid.count() + 1}, ScalarType::Int);
    check_tensor(flatten_ids, "flatten_ids", {kAny}, ScalarType::Int);
    check_tensor(order, "order", {kAny}, ScalarType::Int);
    check_tensor(slot_offsets, "slot_offsets", {order.size(0) + 1}, ScalarType::Int);
    if (slots.numel() > 0) check_tensor(slots, "slots", {flatten_ids.size(0)}, ScalarType::Int);
    check_same_device({{"frames", frames},
                       {"densities", densities},
                       {"colors", colors},
                       {"reaches", reaches},
                       {"rays", rays},
                       {"tile_offsets", tile_offsets},
                       {"flatten_ids", flatten_ids},
                       {"order", order},
                       {"slot_offsets", slot_offsets},
                       {"slots", slots}});
    inputs = {images,
              n,
              image,
              static_cast<int>(tile_side),
              floats(frames),
              floats(densities),
              floats(colors),
              floats(reaches),
              floats(rays),
              {ints(tile_offsets), ints(flatten_ids), ints(order), ints(slot_offsets), ints(slots),
               order.size(0), flatten_ids.size(0)},
              static_cast<float>(step),
              static_cast<float>(near),
              static_cast<float>(far),
              static_cast<float>(std::fmax(std::log2(threshold), -126.0))};
  }
};

template <class Kernels>
std::tuple<Tensor, Tensor> cast_rays(Tensor frames, Tensor densities, Tensor colors, Tensor reaches,
                                     Tensor rays, Tensor tile_offsets, Tensor flatten_ids, Tensor order,
                                     Tensor slot_offsets, Tensor slots, int64_t tile_side, double step,
                                     double near, double far, double threshold) {
  const VolumeArguments a(frames, densities, colors, reaches, rays, tile_offsets, flatten_ids, order,
                          slot_offsets, slots, tile_side, step, near, far, threshold);
  const VolumeInputs& in = a.inputs;
  Tensor seen = empty_like_device(a.frames, {in.images, in.image.height, in.image.width, 3});
  Tensor transmittances = empty_like_device(a.frames, {in.images, in.image.height, in.image.width});
  Kernels::cast(a.frames, in, {mutable_floats(seen), mutable_floats(transmittances)});
  return {seen, transmittances};
}

// `seen` and `transmittances` are what `cast_rays` found; v_rays is empty where not wanted.
template <class Kernels>
std::tuple<Tensor, Tensor> cast_rays_backward(Tensor frames, Tensor densities, Tensor colors, Tensor reaches,
                                              Tensor rays, Tensor tile_offsets, Tensor flatten_ids,
                                              Tensor order, Tensor slot_offsets, Tensor slots,
                                              int64_t tile_side, double step, double near, double far,
                                              double threshold, Tensor seen, Tensor transmittances,
                                              Tensor v_seen, Tensor v_transmittances, bool wants_rays) {
  const VolumeArguments a(frames, densities, colors, reaches, rays, tile_offsets, flatten_ids, order,
                          slot_offsets, slots, tile_side, step, near, far, threshold);
  const VolumeInputs& in = a.inputs;
  const int64_t height = in.image.height, width = in.image.width;
  for (Tensor* t : {&seen, &transmittances, &v_seen, &v_transmittances}) *t = packed(*t);
  check_tensor(seen, "seen", {in.images, height, width, 3});
  check_tensor(transmittances, "transmittances", {in.images, height, width});
  check_tensor(v_seen, "v_seen", {in.images, height, width, 3});
  check_tensor(v_transmittances, "v_transmittances", {in.images, height, width});
  check_same_device({{"frames", a.frames},
                     {"seen", seen},
                     {"transmittances", transmittances},
                     {"v_seen", v_seen},
                     {"v_transmittances", v_transmittances}});
  Tensor of_gaussians = zeros_like_device(a.frames, {in.images, in.gaussians, kVolumeGrads});
  Tensor of_rays = wants_rays ? empty_like_device(a.frames, {in.images, height, width, 6}) : absent(a.frames);
  Kernels::backward(a.frames, in,
                    {floats(v_seen), floats(v_transmittances), floats(seen), floats(transmittances)},
                    {mutable_floats(of_gaussians), wants_rays ? mutable_floats(of_rays) : nullptr});
  return {of_gaussians, of_rays};
}

}  // namespace gsplat::ops
