// The last thread reads behind an array in shared memory.
#include "harness.h"

__global__ void past_shared_array_kernel(const int* offset, int* out) {
  __shared__ int values[64];
  __shared__ int others[64];
  values[threadIdx.x] = others[threadIdx.x] = threadIdx.x;
  __syncthreads();
  const int* const first = values;
  out[threadIdx.x] = first[threadIdx.x + *offset] + others[threadIdx.x];
}

EXPORT void past_shared_array() {
  const DeviceArray<int> offset(std::vector<int>{1}), out(64);
  past_shared_array_kernel<<<1, 64>>>(offset.data(), out.data());
}
