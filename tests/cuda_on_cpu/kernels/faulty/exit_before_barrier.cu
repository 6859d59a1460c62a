// Threads without work leave before a barrier.
#include "harness.h"

__global__ void exit_before_barrier_kernel(int count) {
  if (threadIdx.x >= count) return;
  __syncthreads();
}

EXPORT void exit_before_barrier() { exit_before_barrier_kernel<<<1, 64>>>(40); }
