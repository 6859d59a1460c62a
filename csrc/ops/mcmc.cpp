// Operators `relocate` and `perturb_means` on the CPU, and their schemas.
#include "ops/mcmc.h"

#include <torch/csrc/stable/library.h>

#include <algorithm>

#include "cpu/mcmc.h"

namespace gsplat::ops {
namespace {

struct CpuKernels {
  static void relocate(const Tensor&, const RelocationArrays& arrays, int64_t count) {
    const int32_t* n = arrays.copies;
    check_copies(std::all_of(n, n + count, [](int32_t value) { return value >= 1 && value <= kMostCopies; }));
    gsplat::relocate(arrays, count);
  }
  static void perturb_means(const Tensor&, const NoiseArrays& arrays, const NoiseOptions& options,
                            int64_t count) {
    GSPLAT_CALL(perturb_means, arrays, options, count);
  }
};

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def("relocate(Tensor opacities, Tensor scales, Tensor copies) -> (Tensor opacities, Tensor scales)");
  m.def(
      "perturb_means(Tensor means, Tensor quats, Tensor scales, Tensor opacities, float strength, "
      "float steepness, float threshold, int seed, int step) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) {
  m.impl("relocate", TORCH_BOX(&relocate<CpuKernels>));
  m.impl("perturb_means", TORCH_BOX(&perturb_means<CpuKernels>));
}

}  // namespace gsplat::ops
