// torch.ops.gsplat_core.knn: exact k nearest neighbours.
#include "cpu/knn.h"

#include <torch/csrc/stable/library.h>

#include <cmath>
#include <limits>
#include <tuple>

#include "ops/checks.h"

namespace gsplat::ops {
namespace {

void check_finite(const float* points, int64_t count) {
  int64_t bad = 0, first = 0;
  for (int64_t i = count - 1; i >= 0; --i) {
    const float* p = points + 3 * i;
    if (!(std::isfinite(p[0]) && std::isfinite(p[1]) && std::isfinite(p[2]))) {
      ++bad;
      first = i;
    }
  }
  STD_TORCH_CHECK(bad == 0, "gsplat_core: argument 'points' has ", bad,
                  " rows with NaN or infinite coordinates, the first is row ", first);
}

std::tuple<Tensor, Tensor> knn(Tensor points, int64_t k) {
  check_tensor(points, "points", {kAny, 3});
  const int64_t count = points.size(0);
  STD_TORCH_CHECK(k >= 1 && k < count,
                  "gsplat_core: argument 'k' must be at least 1 and less than the number of points (", count,
                  "), got ", k);
  STD_TORCH_CHECK(count <= std::numeric_limits<int32_t>::max(),
                  "gsplat_core: argument 'points' has too many rows: ", count);
  points = packed(points);
  check_finite(floats(points), count);
  Tensor indices = empty_like_device(points, {count, k}, ScalarType::Long);
  Tensor squared_distances = empty_like_device(points, {count, k});
  nearest_neighbors(floats(points), count, k, static_cast<int64_t*>(indices.mutable_data_ptr()),
                    mutable_floats(squared_distances));
  return {indices, squared_distances};
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def("knn(Tensor points, int k) -> (Tensor indices, Tensor squared_distances)");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) { m.impl("knn", TORCH_BOX(&knn)); }

}  // namespace gsplat::ops
