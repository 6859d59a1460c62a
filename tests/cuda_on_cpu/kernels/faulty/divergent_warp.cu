// The lanes of a warp meet at different operations.
#include "harness.h"

__global__ void divergent_warp_kernel(unsigned* out) {
  if (threadIdx.x % 2 == 0) {
    out[threadIdx.x] = __ballot_sync(0xffffffffu, 1);
  } else {
    out[threadIdx.x] = __shfl_sync(0xffffffffu, threadIdx.x, 0);
  }
}

EXPORT void divergent_warp() {
  const DeviceArray<unsigned> out(32);
  divergent_warp_kernel<<<1, 32>>>(out.data());
}
