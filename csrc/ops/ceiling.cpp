// Operators that measure the machine, for `gsplat-core bench`.
#include "cpu/ceiling.h"

#include <torch/csrc/stable/library.h>

#include "ops/checks.h"

namespace gsplat::ops {
namespace {

double multiply_adds(int64_t rounds) {
  double operations = 0.0;
  GSPLAT_CALL(multiply_adds, rounds, operations);
  return operations;
}

void triad(Tensor a, Tensor b, Tensor out) {
  check_tensor(a, "a", {kAny});
  check_tensor(b, "b", {a.size(0)});
  check_tensor(out, "out", {a.size(0)});
  STD_TORCH_CHECK(a.is_contiguous() && b.is_contiguous() && out.is_contiguous(),
                  "gsplat_core: arguments 'a', 'b' and 'out' must be contiguous");
  GSPLAT_CALL(triad, floats(a), floats(b), mutable_floats(out), a.size(0));
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def("multiply_adds(int rounds) -> float");
  m.def("triad(Tensor a, Tensor b, Tensor(a!) out) -> ()");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CompositeExplicitAutograd, m) {
  m.impl("multiply_adds", TORCH_BOX(&multiply_adds));
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) { m.impl("triad", TORCH_BOX(&triad)); }

}  // namespace gsplat::ops
