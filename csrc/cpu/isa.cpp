#include "cpu/isa.h"

#include <atomic>
#include <cstdlib>
#include <stdexcept>

namespace gsplat {
namespace {

bool cpu_runs(Isa isa) {
  switch (isa) {
    case Isa::avx512:
#if defined(GSPLAT_HAS_AVX512)
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("fma");
#else
      return false;
#endif
    case Isa::avx2:
#if defined(GSPLAT_HAS_AVX2)
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
      return false;
#endif
    default:
      return true;
  }
}

constexpr Isa kAll[] = {Isa::generic, Isa::avx2, Isa::avx512};

Isa parse(const std::string& name) {
  for (Isa isa : kAll) {
    if (name == isa_name(isa)) {
      if (!cpu_runs(isa)) {
        throw std::runtime_error("instruction set '" + name +
                                 "' is not available here; available: " + available_isas());
      }
      return isa;
    }
  }
  throw std::runtime_error("unknown instruction set '" + name + "'; available: " + available_isas());
}

Isa initial() {
  if (const char* wanted = std::getenv("GSPLAT_ISA"); wanted != nullptr && *wanted != '\0')
    return parse(wanted);
  Isa best = Isa::generic;
  for (Isa isa : kAll) {
    if (cpu_runs(isa)) best = isa;
  }
  return best;
}

std::atomic<Isa>& current() {
  static std::atomic<Isa> isa{initial()};
  return isa;
}

}  // namespace

Isa active_isa() { return current().load(std::memory_order_relaxed); }

void set_isa(const std::string& name) { current().store(parse(name)); }

std::string available_isas() {
  std::string names;
  for (Isa isa : kAll) {
    if (!cpu_runs(isa)) continue;
    if (!names.empty()) names += ' ';
    names += isa_name(isa);
  }
  return names;
}

const char* isa_name(Isa isa) {
  switch (isa) {
    case Isa::avx512:
      return "avx512";
    case Isa::avx2:
      return "avx2";
    default:
      // The generic kernels use the compiler's portable 128-bit vectors, which are NEON on ARM.
#if defined(__aarch64__)
      return "neon";
#else
      return "generic";
#endif
  }
}

}  // namespace gsplat
