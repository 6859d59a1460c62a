// Cooperative groups: blocks, and tiles of lanes with their reductions and scans.
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
#include <cooperative_groups/scan.h>

#include "harness.h"

namespace cg = cooperative_groups;

constexpr int kThreads = 64;

__global__ void tiles_of_lanes_kernel(int* out) {
  __shared__ int sums[kThreads / 8];
  const cg::thread_block block = cg::this_thread_block();
  const auto tile = cg::tiled_partition<8>(block);
  const int value = static_cast<int>(tile.thread_rank()) + 1;
  const int sum = cg::reduce(tile, value, cg::plus<int>());
  const int before = cg::exclusive_scan(tile, value);
  if (tile.thread_rank() == 0) sums[tile.meta_group_rank()] = sum;
  block.sync();
  const unsigned vote = tile.ballot(tile.thread_rank() < 3);
  out[block.thread_rank()] = sums[7 - tile.meta_group_rank()] + 100 * before + 10000 * static_cast<int>(vote);
}

EXPORT void tiles_of_lanes() {
  const DeviceArray<int> out(kThreads);
  tiles_of_lanes_kernel<<<1, kThreads>>>(out.data());
  const std::vector<int> values = out.on_host();
  for (int i = 0; i < kThreads; ++i) {
    const int rank = i % 8;
    expect("sum, scan and vote", values[i], 36 + 100 * (rank * (rank + 1) / 2) + 70000);
  }
}
