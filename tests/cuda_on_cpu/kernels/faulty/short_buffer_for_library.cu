// CUB is given less room than it writes.
#include <cub/cub.cuh>

#include "harness.h"

EXPORT void short_buffer_for_library() {
  const DeviceArray<int> in(repeating<int>(100, 7)), sums(99);
  size_t size = 0;
  cub::DeviceScan::InclusiveSum(nullptr, size, in.data(), sums.data(), 100);
  const DeviceArray<char> workspace(size);
  cub::DeviceScan::InclusiveSum(workspace.data(), size, in.data(), sums.data(), 100);
}
