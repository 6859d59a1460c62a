// An accumulator that nobody has cleared.
#include "harness.h"

__global__ void never_written_kernel(float* sum) { atomicAdd(sum, 1.0f); }

EXPORT void never_written() {
  const DeviceArray<float> sum(1);
  never_written_kernel<<<1, 32>>>(sum.data());
}
