// The two halves of a block wait at different barriers.
#include "harness.h"

__global__ void divergent_barrier_kernel() {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}

EXPORT void divergent_barrier() { divergent_barrier_kernel<<<1, 64>>>(); }
