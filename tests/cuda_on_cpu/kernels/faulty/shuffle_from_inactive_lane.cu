// A lane reads from one that is not in the mask.
#include "harness.h"

__global__ void shuffle_from_inactive_lane_kernel(int* out) {
  if (threadIdx.x < 16) out[threadIdx.x] = __shfl_sync(0x0000ffffu, 1, 20);
}

EXPORT void shuffle_from_inactive_lane() {
  const DeviceArray<int> out(32);
  shuffle_from_inactive_lane_kernel<<<1, 32>>>(out.data());
}
