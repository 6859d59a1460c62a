// A tile is used before all threads have filled it.
#include "harness.h"

__global__ void missing_barrier_before_use_kernel(const int* in, int* out) {
  __shared__ int tile[64];
  tile[threadIdx.x] = in[threadIdx.x];
  out[threadIdx.x] = tile[63 - threadIdx.x];
}

EXPORT void missing_barrier_before_use() {
  const DeviceArray<int> in(repeating<int>(64, 64)), out(std::vector<int>(64));
  missing_barrier_before_use_kernel<<<1, 64>>>(in.data(), out.data());
  expect("the first of the reversed values", out.on_host()[0], 63);
}
