// Parallel linear assignment sorting. `Kernels` are those of a device.
#pragma once

#include <tuple>

#include "ops/checks.h"
#include "ops/finite.h"
#include "raster/grid_sort.h"

namespace gsplat::ops {

template <class Kernels>
std::tuple<Tensor, Tensor> grid_sort(Tensor picture, int64_t seed, double first_radius, double shrink,
                                     double improvement) {
  check_tensor(picture, "picture", {kAny, kAny, kAny});
  const int64_t height = picture.size(0), width = picture.size(1), channels = picture.size(2);
  STD_TORCH_CHECK(height >= 1 && width >= 1 && channels >= 1,
                  "gsplat_core: argument 'picture' must not be empty, got ", shape_text(picture.sizes()));
  check_index_range(height * width, "cells");
  STD_TORCH_CHECK(shrink > 0 && shrink < 1, "gsplat_core: argument 'shrink' must be between 0 and 1, got ",
                  shrink);
  STD_TORCH_CHECK(improvement > 0 && improvement < 1,
                  "gsplat_core: argument 'improvement' must be between 0 and 1, got ", improvement);
  STD_TORCH_CHECK(first_radius >= 0 && first_radius < 1e6,
                  "gsplat_core: argument 'first_radius' must be from 0 to a million, got ", first_radius);
  picture = packed(picture);
  check_finite<Kernels>(picture, "picture", height * width, channels, "cell");
  Tensor sorted = torch::stable::clone(picture);
  Tensor order = empty_like_device(picture, {height, width}, ScalarType::Int);
  Kernels::grid_sort(picture,
                     {.height = height,
                      .width = width,
                      .channels = channels,
                      .seed = static_cast<uint64_t>(seed),
                      .first_radius = first_radius,
                      .shrink = shrink,
                      .improvement = improvement},
                     mutable_floats(sorted), mutable_ints(order));
  return {sorted, order};
}

}  // namespace gsplat::ops
