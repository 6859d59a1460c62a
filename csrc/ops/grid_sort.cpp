// torch.ops.gsplat_core.grid_sort: parallel linear assignment sorting.
#include "cpu/grid_sort.h"

#include <torch/csrc/stable/library.h>

#include <cmath>
#include <cstring>
#include <tuple>

#include "ops/checks.h"

namespace gsplat::ops {
namespace {

std::tuple<Tensor, Tensor> grid_sort_op(Tensor picture, int64_t seed, double first_radius, double shrink,
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
  const int64_t size = height * width * channels;
  for (int64_t i = 0; i < size; ++i) {
    STD_TORCH_CHECK(std::isfinite(floats(picture)[i]),
                    "gsplat_core: argument 'picture' has NaN or infinite numbers, the first in cell ",
                    i / channels);
  }
  Tensor sorted = empty_like_device(picture, {height, width, channels});
  Tensor order = empty_like_device(picture, {height, width}, ScalarType::Int);
  std::memcpy(sorted.mutable_data_ptr(), picture.const_data_ptr(), size * sizeof(float));
  grid_sort({.height = height,
             .width = width,
             .channels = channels,
             .seed = static_cast<uint64_t>(seed),
             .first_radius = first_radius,
             .shrink = shrink,
             .improvement = improvement},
            mutable_floats(sorted), mutable_ints(order));
  return {sorted, order};
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def(
      "grid_sort(Tensor picture, int seed, float first_radius, float shrink=0.95, float improvement=0.0001) "
      "-> (Tensor sorted, Tensor order)");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) { m.impl("grid_sort", TORCH_BOX(&grid_sort_op)); }

}  // namespace gsplat::ops
