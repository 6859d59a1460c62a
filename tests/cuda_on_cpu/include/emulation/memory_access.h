// Loads and stores with cache hints, and fences: plain accesses here.
#pragma once

#include "emulation/collectives.h"
#include "emulation/vector_types.h"

#define CUDA_ON_CPU_LOAD(name)                  \
  template <class T>                            \
  CUDA_ON_CPU_INLINE T name(const T* address) { \
    return *address;                            \
  }
CUDA_ON_CPU_LOAD(__ldg)
CUDA_ON_CPU_LOAD(__ldcs)
CUDA_ON_CPU_LOAD(__ldcg)
CUDA_ON_CPU_LOAD(__ldca)
#undef CUDA_ON_CPU_LOAD

#define CUDA_ON_CPU_STORE(name)                       \
  template <class T>                                  \
  CUDA_ON_CPU_INLINE void name(T* address, T value) { \
    *address = value;                                 \
  }
CUDA_ON_CPU_STORE(__stcs)
CUDA_ON_CPU_STORE(__stcg)
CUDA_ON_CPU_STORE(__stwb)
CUDA_ON_CPU_STORE(__stwt)
#undef CUDA_ON_CPU_STORE

CUDA_ON_CPU_INLINE void __threadfence() {}
CUDA_ON_CPU_INLINE void __threadfence_block() {}
CUDA_ON_CPU_INLINE void __nanosleep(unsigned) { cuda_on_cpu::yield(); }
CUDA_ON_CPU_INLINE void __trap() { cuda_on_cpu::trap("__trap()"); }
