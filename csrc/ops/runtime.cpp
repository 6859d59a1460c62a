// Operators about the library itself: how it was built, which instruction sets it has and which one it uses.
#include <torch/csrc/stable/library.h>

#include <string>

#include "cpu/isa.h"
#include "ops/settings.h"

namespace gsplat::ops {
namespace {

std::string isa() { return isa_name(active_isa()); }

std::string isas() { return available_isas(); }

void set_isa(std::string name) { gsplat::set_isa(name); }

#if defined(__clang__)
#define GSPLAT_COMPILER "Clang " __clang_version__
#else
#define GSPLAT_COMPILER "GCC " __VERSION__
#endif

#if defined(__SANITIZE_ADDRESS__)
#define GSPLAT_FLAVOUR "sanitize"
#else
#define GSPLAT_FLAVOUR "release"
#endif

// One "key: value" per line, for `gsplat-core doctor`.
std::string build_info() {
  return "version: " GSPLAT_VERSION
         "\n"
         "flavour: " GSPLAT_FLAVOUR
         "\n"
         "compiler: " GSPLAT_COMPILER
         "\n"
         "CUDA: " GSPLAT_CUDA
         "\n"
         "torch ABI: " +
         std::to_string(TORCH_TARGET_VERSION >> 56) + "." +
         std::to_string((TORCH_TARGET_VERSION >> 48) & 0xff);
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def("isa() -> str");
  m.def("available_isas() -> str");
  m.def("set_isa(str name) -> ()");
  m.def("build_info() -> str");
  m.def("settings_fields() -> str");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CompositeExplicitAutograd, m) {
  m.impl("isa", TORCH_BOX(&isa));
  m.impl("available_isas", TORCH_BOX(&isas));
  m.impl("set_isa", TORCH_BOX(&set_isa));
  m.impl("build_info", TORCH_BOX(&build_info));
  m.impl("settings_fields", TORCH_BOX(&settings_fields));
}

}  // namespace gsplat::ops
