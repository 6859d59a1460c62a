// What the threads of a warp do together.
#pragma once

#include <cstdint>

// Marks an event that an instrumented build counts; see tests/cuda_on_cpu.
#ifndef GSPLAT_COUNT
#define GSPLAT_COUNT(event)
#endif

namespace gsplat::cuda {

inline constexpr int kWarp = 32;
inline constexpr uint32_t kAllLanes = 0xffffffffu;

__device__ inline int lane_index() { return static_cast<int>(threadIdx.x % kWarp); }
__device__ inline int warp_index() { return static_cast<int>(threadIdx.x / kWarp); }

// Every addition of floats to global memory that others add to goes through here.
__device__ inline void atomic_add(float* target, float value) {
#if defined(__CUDA_ARCH__)
  // Else nvcc also makes code for other kinds of memory where it has lost sight of where the pointer is from.
  __builtin_assume(__isGlobal(target));
#endif
  atomicAdd(target, value);
}

// Which of the sums of warp_sums() a lane ends up with, and whether it is the one lane to use it.
struct SumOwner {
  int index;
  bool owns;
};

// Sums kCount <= 32 values over the warp. In each of five rounds two lanes exchange one half of the sums that
// they still carry and keep the other, so the rounds get shorter: 9 values take 11 exchanges instead of 45.
// Which sum a lane is left with is fixed, see sum_owner().
template <int kCount, int kDistance = kWarp / 2>
__device__ inline float warp_sums(float (&values)[kCount]) {
  const bool upper = (threadIdx.x & kDistance) != 0;
  constexpr int kKept = (kCount + 1) / 2;
  float kept[kKept];
#pragma unroll
  for (int i = 0; i < kKept; ++i) {
    if (i + kKept < kCount) {
      const float mine = upper ? values[i + kKept] : values[i];
      const float others = upper ? values[i] : values[i + kKept];
      kept[i] = mine + __shfl_xor_sync(kAllLanes, others, kDistance);
    } else {
      kept[i] = values[i] + __shfl_xor_sync(kAllLanes, values[i], kDistance);
    }
  }
  if constexpr (kDistance > 1) {
    return warp_sums<kKept, kDistance / 2>(kept);
  } else {
    static_assert(kKept == 1);
    return kept[0];
  }
}

template <int kCount, int kDistance = kWarp / 2>
__device__ inline SumOwner sum_owner() {
  constexpr int kKept = (kCount + 1) / 2;
  SumOwner owner = {0, true};
  if constexpr (kDistance > 1) owner = sum_owner<kKept, kDistance / 2>();
  if ((threadIdx.x & kDistance) != 0) {
    if (owner.index + kKept < kCount) {
      owner.index += kKept;
    } else {
      owner.owns = false;
    }
  }
  return owner;
}

// Sums kCount <= 32 values over a block of kThreads threads. Thread i < kCount returns sum i.
template <int kCount, int kThreads>
__device__ inline float block_sums(float (&values)[kCount]) {
  constexpr int kWarps = kThreads / kWarp;
  __shared__ float partial[kWarps * kCount];
  const float sum = warp_sums(values);
  const SumOwner owner = sum_owner<kCount>();
  if (owner.owns) partial[warp_index() * kCount + owner.index] = sum;
  __syncthreads();
  float total = 0.0f;
  if (threadIdx.x < kCount) {
    for (int warp = 0; warp < kWarps; ++warp) total += partial[warp * kCount + threadIdx.x];
  }
  __syncthreads();
  return total;
}

}  // namespace gsplat::cuda
