// A sum by shuffles, dynamic shared memory, and one atomic operation per block.
#include "harness.h"

constexpr int kThreads = 96, kItems = 1000;

__global__ void block_sum_kernel(const int* items, int count, int* total, int* odd) {
  extern __shared__ int warp_sums[];
  __shared__ int odd_in_block;
  if (threadIdx.x == 0) odd_in_block = 0;
  __syncthreads();
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  int sum = i < count ? items[i] : 0;
  if (sum % 2 != 0) atomicAdd(&odd_in_block, 1);
  for (int delta = 16; delta > 0; delta /= 2) sum += __shfl_down_sync(0xffffffffu, sum, delta);
  if (threadIdx.x % 32 == 0) warp_sums[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x != 0) return;
  int block_total = 0;
  for (int w = 0; w < kThreads / 32; ++w) block_total += warp_sums[w];
  atomicAdd(total, block_total);
  atomicMax(odd, odd_in_block);
}

EXPORT void block_sum() {
  const std::vector<int> items = repeating<int>(kItems, 16);
  const DeviceArray<int> in(items), total(std::vector<int>{0}), odd(std::vector<int>{0});
  constexpr int blocks = (kItems + kThreads - 1) / kThreads;
  block_sum_kernel<<<blocks, kThreads, kThreads / 32 * sizeof(int), nullptr>>>(in.data(), kItems,
                                                                               total.data(), odd.data());
  expect("the sum", total.on_host()[0], std::accumulate(items.begin(), items.end(), 0));
  expect("the most odd numbers in a block", odd.on_host()[0], kThreads / 2);
}
