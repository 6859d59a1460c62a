// Operators `composite`, `composite_backward`, `composite_jvp`, `contributions`, `sightings`, `label_weights`
// and `response_levels` on CUDA devices.
#include "ops/composite.h"

#include <torch/csrc/stable/library.h>

#include "ops/composite_jvp.h"
#include "ops/contributions.h"
#include "ops/cuda/compositing.h"
#include "ops/response_levels.h"
#include "ops/sightings.h"

namespace gsplat::ops {
STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CUDA, m) {
  m.impl("composite", TORCH_BOX(&composite<CudaCompositing>));
  m.impl("composite_backward", TORCH_BOX(&composite_backward<CudaCompositing>));
  m.impl("composite_jvp", TORCH_BOX(&composite_jvp<CudaCompositing>));
  m.impl("response_levels", TORCH_BOX(&response_levels<CudaCompositing>));
  m.impl("contributions", TORCH_BOX(&contributions<CudaCompositing>));
  m.impl("sightings", TORCH_BOX(&sightings<CudaCompositing>));
  m.impl("label_weights", TORCH_BOX(&label_weights<CudaCompositing>));
}

}  // namespace gsplat::ops
