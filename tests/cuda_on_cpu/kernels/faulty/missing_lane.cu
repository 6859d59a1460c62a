// Half of a warp waits for the other half, which has gone elsewhere.
#include "harness.h"

__global__ void missing_lane_kernel(int* out) {
  if (threadIdx.x < 16) {
    __syncwarp();
  } else {
    __syncthreads();
  }
  out[threadIdx.x] = 1;
}

EXPORT void missing_lane() {
  const DeviceArray<int> out(32);
  missing_lane_kernel<<<1, 32>>>(out.data());
}
