// The threads of a block add to one number without an atomic operation.
#include "harness.h"

__global__ void lost_update_in_a_block_kernel(int* count) { *count = *count + 1; }

EXPORT void lost_update_in_a_block() {
  const DeviceArray<int> count(std::vector<int>{0});
  lost_update_in_a_block_kernel<<<1, 64>>>(count.data());
}
