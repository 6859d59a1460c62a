// One more is written than there is room for.
#include "harness.h"

__global__ void past_the_end_kernel(int count, int* out) {
  const int i = threadIdx.x;
  if (i <= count) out[i] = i;
}

EXPORT void past_the_end() {
  const DeviceArray<int> out(100);
  past_the_end_kernel<<<1, 128>>>(100, out.data());
}
