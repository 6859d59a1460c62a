// One thread of every block adds to the same number without an atomic operation.
#include "harness.h"

__global__ void lost_update_between_blocks_kernel(int* count) { *count = *count + 1; }

EXPORT void lost_update_between_blocks() {
  const DeviceArray<int> count(std::vector<int>{0});
  lost_update_between_blocks_kernel<<<8, 1>>>(count.data());
}
