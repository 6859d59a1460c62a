// Lanes of a warp are taken to run in step: a shuffle is relied upon to order memory.
#include "harness.h"

__global__ void missing_syncwarp_kernel(int* out) {
  __shared__ int values[32];
  values[threadIdx.x] = threadIdx.x;
  __shfl_sync(0xffffffffu, 0, 0);
  out[threadIdx.x] = values[threadIdx.x ^ 1];
}

EXPORT void missing_syncwarp() {
  const DeviceArray<int> out(32);
  missing_syncwarp_kernel<<<1, 32>>>(out.data());
}
