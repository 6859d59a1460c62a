// threadIdx, blockIdx, blockDim, gridDim: of the thread that runs just now.
#pragma once

#include "emulation/vector_types.h"

namespace cuda_on_cpu {

struct Indices {
  uint3 thread, block;
  dim3 threads_per_block, blocks_per_grid;
};
extern Indices indices;

// Rank in the block, and lane in the warp.
inline unsigned thread_rank() {
  const Indices& i = indices;
  return i.thread.x + i.threads_per_block.x * (i.thread.y + i.threads_per_block.y * i.thread.z);
}
inline unsigned lane() { return thread_rank() % 32; }

}  // namespace cuda_on_cpu

inline constexpr const uint3& threadIdx = cuda_on_cpu::indices.thread;
inline constexpr const uint3& blockIdx = cuda_on_cpu::indices.block;
inline constexpr const dim3& blockDim = cuda_on_cpu::indices.threads_per_block;
inline constexpr const dim3& gridDim = cuda_on_cpu::indices.blocks_per_grid;
inline constexpr int warpSize = 32;
