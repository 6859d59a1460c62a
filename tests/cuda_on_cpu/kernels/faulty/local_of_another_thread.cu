// A thread publishes the address of a local variable.
#include "harness.h"

__global__ void local_of_another_thread_kernel(int* out) {
  __shared__ const volatile int* published;
  const volatile int local = 7;
  if (threadIdx.x == 0) published = &local;
  __syncthreads();
  out[threadIdx.x] = *published;
  __syncthreads();
}

EXPORT void local_of_another_thread() {
  const DeviceArray<int> out(32);
  local_of_another_thread_kernel<<<1, 32>>>(out.data());
}
