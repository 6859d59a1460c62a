// Operators `sightings` and `label_weights`: which splats the pixels see. `Kernels` are those of a device.
#pragma once

#include <tuple>
#include <vector>

#include "ops/composite_arguments.h"
#include "raster/sightings.h"

namespace gsplat::ops {

inline constexpr int64_t kMostTop = 1024;

// Numbers of Gaussians in their scene, -1 for none; empty where not wanted.
template <class Kernels>
std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> sightings(
    Tensor means2d, Tensor shapes, Tensor opacities2d, Tensor tile_offsets, Tensor flatten_ids, Tensor order,
    Tensor slot_offsets, Tensor slots, int64_t width, int64_t height, std::vector<double> settings,
    std::optional<Tensor> extras, std::string response, std::optional<Tensor> canonical,
    std::optional<Tensor> rays, bool first, bool median, bool strongest, bool counts, int64_t top) {
  const SplatArguments a(means2d, shapes, opacities2d, tile_offsets, flatten_ids, order, slot_offsets, slots,
                         width, height, settings, extras, choose_response<Kernels>(response), canonical,
                         rays);
  STD_TORCH_CHECK(top >= 0 && top <= kMostTop, "gsplat_core: argument 'top' must be from 0 to ", kMostTop,
                  ", got ", top);
  const int64_t images = a.inputs.images;
  const auto image = [&](bool wanted) {
    return wanted ? empty_like_device(a.means2d, {images, height, width}, ScalarType::Int)
                  : empty_like_device(a.means2d, {0}, ScalarType::Int);
  };
  Tensor firsts = image(first), medians = image(median), strongests = image(strongest),
         numbers = image(counts);
  Tensor top_ids = empty_like_device(a.means2d, {images, height, width, top}, ScalarType::Int);
  Tensor top_weights = zeros_like_device(a.means2d, {images, height, width, top});
  const SightingOutputs out = {first ? mutable_ints(firsts) : nullptr,
                               median ? mutable_ints(medians) : nullptr,
                               strongest ? mutable_ints(strongests) : nullptr,
                               counts ? mutable_ints(numbers) : nullptr,
                               top > 0 ? mutable_ints(top_ids) : nullptr,
                               top > 0 ? mutable_floats(top_weights) : nullptr,
                               static_cast<int>(top)};
  Kernels::sightings(a.means2d, a.inputs, out);
  return {firsts, medians, strongests, numbers, top_ids, top_weights};
}

// [images, N, count]: the sum of the weights of each splat over the pixels of each label from `first` on.
template <class Kernels>
Tensor label_weights(Tensor means2d, Tensor shapes, Tensor opacities2d, Tensor tile_offsets,
                     Tensor flatten_ids, Tensor order, Tensor slot_offsets, Tensor slots, int64_t width,
                     int64_t height, std::vector<double> settings, std::optional<Tensor> extras,
                     std::string response, std::optional<Tensor> canonical, std::optional<Tensor> rays,
                     Tensor labels, int64_t first, int64_t count) {
  const SplatArguments a(means2d, shapes, opacities2d, tile_offsets, flatten_ids, order, slot_offsets, slots,
                         width, height, settings, extras, choose_response<Kernels>(response), canonical,
                         rays);
  labels = packed(labels);
  check_tensor(labels, "labels", {a.inputs.images, height, width}, ScalarType::Int);
  check_same_device({{"means2d", a.means2d}, {"labels", labels}});
  STD_TORCH_CHECK(count > 0 && count <= kMostLabels, "gsplat_core: argument 'count' must be from 1 to ",
                  kMostLabels, ", got ", count);
  // Zero for culled splats, which the kernel never visits.
  Tensor out = zeros_like_device(a.means2d, {a.inputs.images, a.inputs.gaussians, count});
  const LabelInputs wanted = {ints(labels), static_cast<int>(first), static_cast<int>(count)};
  Kernels::label_weights(a.means2d, a.inputs, wanted, mutable_floats(out));
  return out;
}

}  // namespace gsplat::ops
