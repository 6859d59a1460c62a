// Operator `response_levels` on the CPU.
#include "ops/response_levels.h"

#include <torch/csrc/stable/library.h>

#include "ops/cpu_compositing.h"

namespace gsplat::ops {

STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def("response_levels(Tensor opacities, Tensor? extras, str response) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) {
  m.impl("response_levels", TORCH_BOX(&response_levels<CpuCompositing>));
}

}  // namespace gsplat::ops
