// Barriers, and the primitives by which the lanes of a warp exchange values.
#pragma once

#include <cstring>
#include <type_traits>

#include "emulation/collectives.h"
#include "emulation/indices.h"

namespace cuda_on_cpu {

template <class T>
CUDA_ON_CPU_INLINE T shuffle(uint32_t mask, T value, int source, Site site) {
  static_assert(std::is_trivially_copyable_v<T>);
  constexpr size_t words = (sizeof(T) + 7) / 8;
  uint64_t word[words] = {};
  memcpy(word, &value, sizeof(T));
  for (uint64_t& w : word) w = warp_collective(Collective::shuffle, mask, w, source, complete_shuffle, site);
  memcpy(static_cast<void*>(&value), word, sizeof(T));
  return value;
}

struct Votes {
  uint32_t yes, lanes;
};
CUDA_ON_CPU_INLINE Votes vote(Collective kind, uint32_t mask, int predicate, Site site) {
  const uint64_t votes = warp_collective(kind, mask, predicate != 0, 0, complete_vote, site);
  return {static_cast<uint32_t>(votes), static_cast<uint32_t>(votes >> 32)};
}

template <class T>
CUDA_ON_CPU_INLINE uint32_t match(Collective kind, uint32_t mask, T value, Site site) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 8);
  uint64_t word = 0;
  memcpy(&word, &value, sizeof(T));
  return static_cast<uint32_t>(warp_collective(kind, mask, word, 0, complete_match, site));
}

// The lanes' values meet through their addresses. They are combined in a tree, as shuffles would.
template <class T, class Operator>
struct Operand {
  T value;
  Operator combine;
};
template <class T, class Operator>
void complete_reduce(Exchange& exchange, uint32_t lanes) {
  Operand<T, Operator>* operands[32];
  T values[32];
  int count = 0;
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1, ++count) {
    operands[count] = reinterpret_cast<Operand<T, Operator>*>(exchange.in[__builtin_ctz(rest)]);
    values[count] = operands[count]->value;
  }
  for (int left = count; left > 1;) {
    const int half = (left + 1) / 2;
    for (int i = 0; i + half < left; ++i) values[i] = operands[0]->combine(values[i], values[i + half]);
    left = half;
  }
  for (int i = 0; i < count; ++i) operands[i]->value = values[0];
}
template <class T, class Operator>
CUDA_ON_CPU_INLINE T reduce(uint32_t mask, T value, Operator combine, Site site) {
  Operand<T, Operator> operand = {value, combine};
  warp_collective(Collective::reduce, mask, reinterpret_cast<uint64_t>(&operand), 0,
                  complete_reduce<T, Operator>, site);
  return operand.value;
}

}  // namespace cuda_on_cpu

#define CUDA_ON_CPU_SITE cuda_on_cpu::Site site = cuda_on_cpu::Site::current()

CUDA_ON_CPU_INLINE void __syncthreads(CUDA_ON_CPU_SITE) {
  cuda_on_cpu::block_barrier(cuda_on_cpu::Collective::syncthreads, 0, site);
}
CUDA_ON_CPU_INLINE int __syncthreads_count(int predicate, CUDA_ON_CPU_SITE) {
  return cuda_on_cpu::block_barrier(cuda_on_cpu::Collective::syncthreads_count, predicate, site);
}
CUDA_ON_CPU_INLINE int __syncthreads_and(int predicate, CUDA_ON_CPU_SITE) {
  return cuda_on_cpu::block_barrier(cuda_on_cpu::Collective::syncthreads_and, predicate, site);
}
CUDA_ON_CPU_INLINE int __syncthreads_or(int predicate, CUDA_ON_CPU_SITE) {
  return cuda_on_cpu::block_barrier(cuda_on_cpu::Collective::syncthreads_or, predicate, site);
}
CUDA_ON_CPU_INLINE void __syncwarp(unsigned mask = 0xffffffffu, CUDA_ON_CPU_SITE) {
  cuda_on_cpu::warp_collective(cuda_on_cpu::Collective::syncwarp, mask, 0, 0, nullptr, site);
}

// Shuffles within segments of `width` lanes, a power of two. A lane whose source lies outside keeps its
// value.
template <class T>
CUDA_ON_CPU_INLINE T __shfl_sync(unsigned mask, T value, int source, int width = 32, CUDA_ON_CPU_SITE) {
  const int lane = cuda_on_cpu::lane();
  return cuda_on_cpu::shuffle(mask, value, (lane & ~(width - 1)) | (source & (width - 1)), site);
}
template <class T>
CUDA_ON_CPU_INLINE T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                                    CUDA_ON_CPU_SITE) {
  const int lane = cuda_on_cpu::lane(), source = lane - static_cast<int>(delta);
  return cuda_on_cpu::shuffle(mask, value, source < (lane & ~(width - 1)) ? lane : source, site);
}
template <class T>
CUDA_ON_CPU_INLINE T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                                      CUDA_ON_CPU_SITE) {
  const int lane = cuda_on_cpu::lane(), source = lane + static_cast<int>(delta);
  return cuda_on_cpu::shuffle(mask, value, source > (lane | (width - 1)) ? lane : source, site);
}
template <class T>
CUDA_ON_CPU_INLINE T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32, CUDA_ON_CPU_SITE) {
  const int lane = cuda_on_cpu::lane(), source = lane ^ bits;
  return cuda_on_cpu::shuffle(mask, value, source > (lane | (width - 1)) ? lane : source, site);
}

CUDA_ON_CPU_INLINE unsigned __ballot_sync(unsigned mask, int predicate, CUDA_ON_CPU_SITE) {
  return cuda_on_cpu::vote(cuda_on_cpu::Collective::ballot, mask, predicate, site).yes;
}
CUDA_ON_CPU_INLINE int __any_sync(unsigned mask, int predicate, CUDA_ON_CPU_SITE) {
  return cuda_on_cpu::vote(cuda_on_cpu::Collective::any, mask, predicate, site).yes != 0;
}
CUDA_ON_CPU_INLINE int __all_sync(unsigned mask, int predicate, CUDA_ON_CPU_SITE) {
  const cuda_on_cpu::Votes votes = cuda_on_cpu::vote(cuda_on_cpu::Collective::all, mask, predicate, site);
  return votes.yes == votes.lanes;
}
template <class T>
CUDA_ON_CPU_INLINE unsigned __match_any_sync(unsigned mask, T value, CUDA_ON_CPU_SITE) {
  return cuda_on_cpu::match(cuda_on_cpu::Collective::match_any, mask, value, site);
}
template <class T>
CUDA_ON_CPU_INLINE unsigned __match_all_sync(unsigned mask, T value, int* predicate, CUDA_ON_CPU_SITE) {
  *predicate = cuda_on_cpu::match(cuda_on_cpu::Collective::match_all, mask, value, site) == mask;
  return *predicate ? mask : 0;
}

#define CUDA_ON_CPU_REDUCE(name, expression)                                                            \
  template <class T>                                                                                    \
  CUDA_ON_CPU_INLINE T name(unsigned mask, T value, CUDA_ON_CPU_SITE) {                                 \
    static_assert(std::is_integral_v<T> && sizeof(T) == 4, "hardware reduces 32-bit integers only");    \
    return cuda_on_cpu::reduce(mask, value, [](T a, T b) { return static_cast<T>(expression); }, site); \
  }
CUDA_ON_CPU_REDUCE(__reduce_add_sync, a + b)
CUDA_ON_CPU_REDUCE(__reduce_min_sync, a < b ? a : b)
CUDA_ON_CPU_REDUCE(__reduce_max_sync, a < b ? b : a)
CUDA_ON_CPU_REDUCE(__reduce_and_sync, a& b)
CUDA_ON_CPU_REDUCE(__reduce_or_sync, a | b)
CUDA_ON_CPU_REDUCE(__reduce_xor_sync, a ^ b)
#undef CUDA_ON_CPU_REDUCE
