// Operator `variants`: what a renderer can be made of.
#include "ops/variants.h"

#include <torch/csrc/stable/library.h>

namespace gsplat::ops {
namespace {

std::string variants(std::string kind) {
  if (kind == "cameras") return camera_lines();
  STD_TORCH_CHECK(false, "gsplat_core: argument 'kind' must be 'cameras', got '", kind, "'");
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) { m.def("variants(str kind) -> str"); }

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CompositeExplicitAutograd, m) {
  m.impl("variants", TORCH_BOX(&variants));
}

}  // namespace gsplat::ops
