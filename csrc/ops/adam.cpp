// The optimizer step on the CPU, and its schema.
#include "ops/adam.h"

#include <torch/csrc/stable/library.h>

#include "cpu/adam.h"

namespace gsplat::ops {
namespace {

struct CpuKernels {
  static void adam(const Tensor&, const AdamArrays& arrays, const AdamStep& step) {
    gsplat::adam(arrays, step);
  }
};

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def(
      "adam_step_(Tensor(a!) param, Tensor grad, Tensor(b!) exp_avg, Tensor(c!) exp_avg_sq, Tensor? visible, "
      "int step, float lr, float beta1, float beta2, float eps, bool bias_correction=True) -> ()");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) { m.impl("adam_step_", TORCH_BOX(&adam_step<CpuKernels>)); }

}  // namespace gsplat::ops
