// Operator `grid_sort` on the CPU, and its schema.
#include "ops/grid_sort.h"

#include <torch/csrc/stable/library.h>

#include "cpu/grid_sort.h"
#include "cpu/not_finite.h"

namespace gsplat::ops {
namespace {

struct CpuKernels {
  static NotFinite find_not_finite(const Tensor& values, int64_t rows, int64_t columns) {
    return gsplat::find_not_finite(floats(values), rows, columns);
  }
  static void grid_sort(const Tensor&, const GridSort& options, float* picture, int32_t* order) {
    gsplat::grid_sort(options, picture, order);
  }
};

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def(
      "grid_sort(Tensor picture, int seed, float first_radius, float shrink=0.95, float improvement=0.0001) "
      "-> (Tensor sorted, Tensor order)");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) { m.impl("grid_sort", TORCH_BOX(&grid_sort<CpuKernels>)); }

}  // namespace gsplat::ops
