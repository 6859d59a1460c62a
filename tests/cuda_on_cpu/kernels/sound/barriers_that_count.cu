// __syncthreads_count, _and, _or, in a block whose last warp is not full.
#include "harness.h"

constexpr int kThreads = 75;

__global__ void barriers_that_count_kernel(int* counts) {
  const int rank = threadIdx.x + blockDim.x * threadIdx.y;
  const int below_ten = __syncthreads_count(rank < 10);
  const int all = __syncthreads_and(rank < kThreads);
  const int not_all = __syncthreads_and(rank != 70);
  const int any = __syncthreads_or(rank == 74);
  const int none = __syncthreads_or(rank == kThreads);
  counts[rank] =
      below_ten + 100 * (all != 0) + 1000 * (not_all != 0) + 10000 * (any != 0) + 100000 * (none != 0);
}

EXPORT void barriers_that_count() {
  const DeviceArray<int> counts(kThreads);
  barriers_that_count_kernel<<<1, dim3(25, 3)>>>(counts.data());
  for (int count : counts.on_host()) expect("what the barriers counted", count, 10110);
}
