// Each block walks over all items in tiles, as a compositing kernel walks over its splats: fetch a tile into
// shared memory, let every thread use all of it, fetch the next.
#include "harness.h"

constexpr int kTile = 128, kItems = 300, kBlocks = 3;

__global__ void __launch_bounds__(kTile) tiled_sum_kernel(const float* items, int count, float* sums) {
  __shared__ float tile[kTile];
  float sum = 0;
  for (int begin = 0; begin < count; begin += kTile) {
    const int i = begin + threadIdx.x;
    tile[threadIdx.x] = i < count ? items[i] : 0.0f;
    __syncthreads();
    for (int j = 0; j < kTile; ++j) sum += tile[j];
    __syncthreads();
  }
  sums[blockIdx.x * kTile + threadIdx.x] = sum;
}

EXPORT void tiled_sum() {
  const std::vector<float> items = repeating<float>(kItems, 11);
  const DeviceArray<float> in(items), out(kBlocks * kTile);
  tiled_sum_kernel<<<kBlocks, kTile>>>(in.data(), kItems, out.data());
  const float expected = std::accumulate(items.begin(), items.end(), 0.0f);
  for (float sum : out.on_host()) expect("the sum of all items", sum, expected);
}
