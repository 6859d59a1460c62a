// All lanes vote, but the mask names half of them.
#include "harness.h"

__global__ void lane_not_in_mask_kernel(unsigned* out) { out[threadIdx.x] = __ballot_sync(0x0000ffffu, 1); }

EXPORT void lane_not_in_mask() {
  const DeviceArray<unsigned> out(32);
  lane_not_in_mask_kernel<<<1, 32>>>(out.data());
}
