// Exact k nearest neighbours. `Kernels` are those of a device.
#pragma once

#include <tuple>

#include "ops/checks.h"
#include "ops/finite.h"

namespace gsplat::ops {

template <class Kernels>
std::tuple<Tensor, Tensor> knn(Tensor points, int64_t k) {
  check_tensor(points, "points", {kAny, 3});
  const int64_t count = points.size(0);
  STD_TORCH_CHECK(k >= 1 && k < count,
                  "gsplat_core: argument 'k' must be at least 1 and less than the number of points (", count,
                  "), got ", k);
  check_index_range(count, "points");
  points = packed(points);
  check_finite<Kernels>(points, "points", count, 3);
  Tensor indices = empty_like_device(points, {count, k}, ScalarType::Long);
  Tensor squared_distances = empty_like_device(points, {count, k});
  Kernels::nearest_neighbors(points, count, k, static_cast<int64_t*>(indices.mutable_data_ptr()),
                             mutable_floats(squared_distances));
  return {indices, squared_distances};
}

}  // namespace gsplat::ops
