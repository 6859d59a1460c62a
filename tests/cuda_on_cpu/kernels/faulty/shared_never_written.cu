// Only some threads fill the tile that all of them read.
#include "harness.h"

__global__ void shared_never_written_kernel(float* out) {
  __shared__ float tile[32];
  if (threadIdx.x < 30) tile[threadIdx.x] = 1.0f;
  __syncthreads();
  out[threadIdx.x] = tile[threadIdx.x];
}

EXPORT void shared_never_written() {
  const DeviceArray<float> out(32);
  shared_never_written_kernel<<<1, 32>>>(out.data());
}
