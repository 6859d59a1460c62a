// Operators about the library itself: which instruction sets it can use and which one it uses.
#include <torch/csrc/stable/library.h>

#include <string>

#include "cpu/isa.h"
#include "ops/checks.h"

namespace gsplat::ops {
namespace {

std::string isa() { return isa_name(active_isa()); }

std::string isas() { return available_isas(); }

void set_isa(std::string name) { gsplat::set_isa(name); }

std::string build_info() {
  return std::string("compiler: " __VERSION__ "; torch ABI target: 2.10; instruction sets: ") + available_isas();
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def("isa() -> str");
  m.def("available_isas() -> str");
  m.def("set_isa(str name) -> ()");
  m.def("build_info() -> str");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CompositeExplicitAutograd, m) {
  m.impl("isa", TORCH_BOX(&isa));
  m.impl("available_isas", TORCH_BOX(&isas));
  m.impl("set_isa", TORCH_BOX(&set_isa));
  m.impl("build_info", TORCH_BOX(&build_info));
}

}  // namespace gsplat::ops
