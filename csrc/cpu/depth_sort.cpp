#include "cpu/depth_sort.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "cpu/parallel.h"

namespace gsplat {
namespace {

// Three passes of 11 bits: a table of 2048 counters still fits the first-level cache.
constexpr int kBits = 11;
constexpr int kPasses = 3;
constexpr int64_t kBins = 1 << kBits;
constexpr int64_t kSmallestChunk = 16384;

}  // namespace

void radix_sort_ids(uint32_t* keys, int32_t* ids, uint32_t* spare_keys, int32_t* spare_ids, int64_t count,
                    int32_t* sorted_ids) {
  const int64_t chunks = std::clamp<int64_t>(count / kSmallestChunk, 1, thread_count());
  const int64_t chunk = (count + chunks - 1) / chunks;
  std::vector<int64_t> starts(chunks * kBins);
  for (int pass = 0; pass < kPasses; ++pass) {
    const int shift = pass * kBits;
    std::fill(starts.begin(), starts.end(), 0);
    parallel_for(chunks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t c = begin; c < end; ++c) {
        int64_t* histogram = &starts[c * kBins];
        const int64_t last = std::min(count, (c + 1) * chunk);
        for (int64_t i = c * chunk; i < last; ++i) ++histogram[(keys[i] >> shift) & (kBins - 1)];
      }
    });
    // Where each chunk writes its keys of each bin: bins in order, and chunks in order within a bin.
    int64_t total = 0;
    for (int64_t bin = 0; bin < kBins; ++bin) {
      for (int64_t c = 0; c < chunks; ++c) total += std::exchange(starts[c * kBins + bin], total);
    }
    int32_t* target_ids = pass == kPasses - 1 ? sorted_ids : spare_ids;
    parallel_for(chunks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t c = begin; c < end; ++c) {
        int64_t* next = &starts[c * kBins];
        const int64_t last = std::min(count, (c + 1) * chunk);
        for (int64_t i = c * chunk; i < last; ++i) {
          const int64_t place = next[(keys[i] >> shift) & (kBins - 1)]++;
          spare_keys[place] = keys[i];
          target_ids[place] = ids[i];
        }
      }
    });
    std::swap(keys, spare_keys);
    std::swap(ids, spare_ids);
  }
}

}  // namespace gsplat
