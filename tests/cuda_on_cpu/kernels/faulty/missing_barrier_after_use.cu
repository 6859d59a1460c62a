// A tile is filled again while others still read it.
#include "harness.h"

__global__ void missing_barrier_after_use_kernel(int* out) {
  __shared__ int tile[64];
  int sum = 0;
  for (int round = 0; round < 4; ++round) {
    tile[threadIdx.x] = round;
    __syncthreads();
    sum += tile[63 - threadIdx.x];
  }
  out[threadIdx.x] = sum;
}

EXPORT void missing_barrier_after_use() {
  const DeviceArray<int> out(64);
  missing_barrier_after_use_kernel<<<1, 64>>>(out.data());
  for (int sum : out.on_host()) expect("the sum over all rounds", sum, 6);
}
