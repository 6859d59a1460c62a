// Operators `knn` and `neighbors_within` on the CPU, and their schemas.
#include "ops/neighbors.h"

#include <torch/csrc/stable/library.h>

#include "cpu/neighbors.h"
#include "cpu/not_finite.h"

namespace gsplat::ops {
namespace {

struct CpuNeighbors : Neighbors {
  CpuNeighbors(const Tensor& points, const NeighborQueries& queries)
      : Neighbors(floats(points), points.size(0), queries) {}

  static NotFinite find_not_finite(const Tensor& values, int64_t rows, int64_t columns) {
    return gsplat::find_not_finite(floats(values), rows, columns);
  }
};

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def(
      "knn(Tensor points, int k, Tensor? queries=None, Tensor? own=None, Tensor? radii=None) -> "
      "(Tensor indices, Tensor squared_distances)");
  m.def(
      "neighbors_within(Tensor points, Tensor radii, Tensor? queries=None, Tensor? own=None) -> "
      "(Tensor offsets, Tensor indices, Tensor squared_distances)");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) {
  m.impl("knn", TORCH_BOX(&knn<CpuNeighbors>));
  m.impl("neighbors_within", TORCH_BOX(&neighbors_within<CpuNeighbors>));
}

}  // namespace gsplat::ops
