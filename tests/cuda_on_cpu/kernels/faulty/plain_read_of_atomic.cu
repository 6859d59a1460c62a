// A sum is read while others may still add to it.
#include "harness.h"

__global__ void plain_read_of_atomic_kernel(int* sum, int* out) {
  atomicAdd(sum, 1);
  out[threadIdx.x] = *sum;
}

EXPORT void plain_read_of_atomic() {
  const DeviceArray<int> sum(std::vector<int>{0}), out(64);
  plain_read_of_atomic_kernel<<<1, 64>>>(sum.data(), out.data());
}
