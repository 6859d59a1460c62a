// Which SIMD instruction set the kernels run with.
//
// Everything in csrc/cpu/kernels is compiled once per instruction set, each time into a namespace of its own
// (gsplat::generic, gsplat::avx2, gsplat::avx512), so that no inline function compiled for AVX-512 can ever
// be linked into the code path of an older CPU. A header that offers a kernel declares it in all of them with
//
//     #define GSPLAT_MY_KERNELS void my_kernel(const MyArgs& args);
//     GSPLAT_DECLARE_FOR_EACH_ISA(GSPLAT_MY_KERNELS)
//
// and callers pick the active one with GSPLAT_CALL(my_kernel, args).
#pragma once

#include <string>

namespace gsplat {

enum class Isa { generic, avx2, avx512 };

// The best instruction set of this CPU that was compiled in, unless the environment variable GSPLAT_ISA names
// a lesser one or set_isa() was called.
Isa active_isa();

// Chooses by name; throws std::runtime_error when the CPU or the build lacks it. For tests and benchmarks.
void set_isa(const std::string& name);

// Names of all instruction sets that this build has and this CPU can run, best last.
std::string available_isas();

const char* isa_name(Isa isa);

}  // namespace gsplat

#if defined(GSPLAT_HAS_AVX512)
#define GSPLAT_IF_AVX512(...) __VA_ARGS__
#else
#define GSPLAT_IF_AVX512(...)
#endif
#if defined(GSPLAT_HAS_AVX2)
#define GSPLAT_IF_AVX2(...) __VA_ARGS__
#else
#define GSPLAT_IF_AVX2(...)
#endif

#define GSPLAT_DECLARE_FOR_EACH_ISA(declarations) \
  namespace gsplat {                              \
  namespace generic {                             \
  declarations                                    \
  }                                               \
  namespace avx2 {                                \
  declarations                                    \
  }                                               \
  namespace avx512 {                              \
  declarations                                    \
  }                                               \
  }

#define GSPLAT_CALL(function, ...)                                                                   \
  do {                                                                                               \
    switch (::gsplat::active_isa()) {                                                                \
      GSPLAT_IF_AVX512(case ::gsplat::Isa::avx512 : ::gsplat::avx512::function(__VA_ARGS__); break;) \
      GSPLAT_IF_AVX2(case ::gsplat::Isa::avx2 : ::gsplat::avx2::function(__VA_ARGS__); break;)       \
      default:                                                                                       \
        ::gsplat::generic::function(__VA_ARGS__);                                                    \
    }                                                                                                \
  } while (false)
