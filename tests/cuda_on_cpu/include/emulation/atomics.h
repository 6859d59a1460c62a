// Atomic operations. Threads are only left at synchronising calls, so plain accesses are atomic here; what
// counts is that the checker knows them as atomic.
#pragma once

#include <cstddef>

#include "emulation/collectives.h"
#include "emulation/vector_types.h"

namespace cuda_on_cpu {

// Counts the operation and shows it to the checker; `code` is the address of the instruction.
void note_atomic(const void* address, size_t size, const void* code);

// Out of line, so that the compiler never instruments the accesses inside as plain ones.
template <class T, class Update>
__attribute__((noinline, no_sanitize("thread"))) T atomic_update(T* address, Update update) {
  note_atomic(address, sizeof(T), __builtin_return_address(0));
  const T old = *address;
  *address = update(old);
  return old;
}

template <class T>
struct Identity {
  using type = T;
};

}  // namespace cuda_on_cpu

#define CUDA_ON_CPU_ATOMIC(name, expression)                                                           \
  template <class T>                                                                                   \
  CUDA_ON_CPU_INLINE T name(T* address, typename cuda_on_cpu::Identity<T>::type value) {               \
    return cuda_on_cpu::atomic_update(address, [value](T old) __attribute__((no_sanitize("thread"))) { \
      return static_cast<T>(expression);                                                               \
    });                                                                                                \
  }
CUDA_ON_CPU_ATOMIC(atomicAdd, old + value)
CUDA_ON_CPU_ATOMIC(atomicSub, old - value)
CUDA_ON_CPU_ATOMIC(atomicExch, ((void)old, value))
CUDA_ON_CPU_ATOMIC(atomicMin, value < old ? value : old)
CUDA_ON_CPU_ATOMIC(atomicMax, old < value ? value : old)
CUDA_ON_CPU_ATOMIC(atomicAnd, old& value)
CUDA_ON_CPU_ATOMIC(atomicOr, old | value)
CUDA_ON_CPU_ATOMIC(atomicXor, old ^ value)
#undef CUDA_ON_CPU_ATOMIC

template <class T>
CUDA_ON_CPU_INLINE T atomicCAS(T* address, typename cuda_on_cpu::Identity<T>::type expected,
                               typename cuda_on_cpu::Identity<T>::type value) {
  const T old =
      cuda_on_cpu::atomic_update(address, [expected, value](T old) __attribute__((no_sanitize("thread"))) {
        return old == expected ? value : old;
      });
  if (old != expected) cuda_on_cpu::yield();  // whom a spinning thread waits for must get its turn
  return old;
}

// Each component is atomic by itself.
inline float2 atomicAdd(float2* address, float2 value) {
  return {atomicAdd(&address->x, value.x), atomicAdd(&address->y, value.y)};
}
inline float4 atomicAdd(float4* address, float4 value) {
  return {atomicAdd(&address->x, value.x), atomicAdd(&address->y, value.y), atomicAdd(&address->z, value.z),
          atomicAdd(&address->w, value.w)};
}
