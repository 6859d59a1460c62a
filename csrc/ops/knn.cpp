// Operator `knn` on the CPU, and its schema.
#include "ops/knn.h"

#include <torch/csrc/stable/library.h>

#include "cpu/knn.h"
#include "cpu/not_finite.h"

namespace gsplat::ops {
namespace {

struct CpuKernels {
  static NotFinite find_not_finite(const Tensor& values, int64_t rows, int64_t columns) {
    return gsplat::find_not_finite(floats(values), rows, columns);
  }
  static void nearest_neighbors(const Tensor& points, int64_t count, int64_t k, int64_t* indices,
                                float* squared_distances) {
    gsplat::nearest_neighbors(floats(points), count, k, indices, squared_distances);
  }
};

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def("knn(Tensor points, int k) -> (Tensor indices, Tensor squared_distances)");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) { m.impl("knn", TORCH_BOX(&knn<CpuKernels>)); }

}  // namespace gsplat::ops
