// CUB's calls over all of an array: scan, sort by a range of bits, selection, reduction.
#include <cub/cub.cuh>

#include "harness.h"

constexpr size_t kItems = 500;

template <class Call>
void with_workspace(Call call) {
  size_t size = 0;
  call(nullptr, size);
  const DeviceArray<char> workspace(size);
  call(workspace.data(), size);
}

EXPORT void device_wide() {
  const std::vector<unsigned> keys = repeating<unsigned>(kItems, 37);
  std::vector<unsigned> ranks(kItems);
  std::iota(ranks.begin(), ranks.end(), 0u);
  const DeviceArray<unsigned> keys_in(keys), keys_out(kItems), ranks_in(ranks), ranks_out(kItems),
      sums(kItems), selected(kItems), count(1), largest(1);
  const DeviceArray<unsigned char> flags(repeating<unsigned char>(kItems, 2));

  with_workspace([&](void* workspace, size_t& size) {
    cub::DeviceRadixSort::SortPairs(workspace, size, keys_in.data(), keys_out.data(), ranks_in.data(),
                                    ranks_out.data(), kItems, 1, 4);
  });
  const std::vector<unsigned> sorted = ranks_out.on_host();
  for (size_t i = 1; i < kItems; ++i) {
    const unsigned before = keys[sorted[i - 1]] >> 1 & 7, now = keys[sorted[i]] >> 1 & 7;
    expect("in order of the bits, then of the index",
           before < now || (before == now && sorted[i - 1] < sorted[i]), true);
  }

  with_workspace([&](void* workspace, size_t& size) {
    cub::DeviceScan::ExclusiveSum(workspace, size, keys_in.data(), sums.data(), kItems);
  });
  expect("the last sum", sums.on_host().back(), std::accumulate(keys.begin(), keys.end() - 1, 0u));

  with_workspace([&](void* workspace, size_t& size) {
    cub::DeviceSelect::Flagged(workspace, size, keys_in.data(), flags.data(), selected.data(), count.data(),
                               kItems);
  });
  expect("how many were selected", count.on_host()[0], static_cast<unsigned>(kItems / 2));

  with_workspace([&](void* workspace, size_t& size) {
    cub::DeviceReduce::Max(workspace, size, keys_in.data(), largest.data(), kItems);
  });
  expect("the largest", largest.on_host()[0], 36u);
}
