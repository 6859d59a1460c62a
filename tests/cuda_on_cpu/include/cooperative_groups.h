// Stands in for CUDA's cooperative groups: thread blocks, and tiles of lanes with shuffles and votes.
#pragma once

#include "cuda_runtime.h"

namespace cooperative_groups {

struct thread_block {
  CUDA_ON_CPU_INLINE void sync(CUDA_ON_CPU_SITE) const {
    cuda_on_cpu::block_barrier(cuda_on_cpu::Collective::syncthreads, 0, site);
  }
  unsigned thread_rank() const { return cuda_on_cpu::thread_rank(); }
  unsigned size() const { return blockDim.count(); }
  unsigned num_threads() const { return size(); }
  dim3 group_index() const { return blockIdx; }
  dim3 thread_index() const { return threadIdx; }
  dim3 group_dim() const { return blockDim; }
  dim3 dim_threads() const { return blockDim; }
};
inline thread_block this_thread_block() { return {}; }

// `Size` consecutive lanes.
template <unsigned Size, class Parent = void>
class thread_block_tile {
  static_assert(Size >= 1 && Size <= 32 && (Size & (Size - 1)) == 0);

public:
  static constexpr unsigned size() { return Size; }
  static constexpr unsigned num_threads() { return Size; }
  unsigned thread_rank() const { return cuda_on_cpu::thread_rank() % Size; }
  unsigned meta_group_rank() const { return cuda_on_cpu::thread_rank() / Size; }
  unsigned meta_group_size() const { return (blockDim.count() + Size - 1) / Size; }

  CUDA_ON_CPU_INLINE void sync(CUDA_ON_CPU_SITE) const {
    cuda_on_cpu::warp_collective(cuda_on_cpu::Collective::group_sync, mask(), 0, 0, nullptr, site);
  }
  template <class T>
  CUDA_ON_CPU_INLINE T shfl(T value, int source, CUDA_ON_CPU_SITE) const {
    return __shfl_sync(mask(), value, source, Size, site);
  }
  template <class T>
  CUDA_ON_CPU_INLINE T shfl_up(T value, unsigned delta, CUDA_ON_CPU_SITE) const {
    return __shfl_up_sync(mask(), value, delta, Size, site);
  }
  template <class T>
  CUDA_ON_CPU_INLINE T shfl_down(T value, unsigned delta, CUDA_ON_CPU_SITE) const {
    return __shfl_down_sync(mask(), value, delta, Size, site);
  }
  template <class T>
  CUDA_ON_CPU_INLINE T shfl_xor(T value, int bits, CUDA_ON_CPU_SITE) const {
    return __shfl_xor_sync(mask(), value, bits, Size, site);
  }
  CUDA_ON_CPU_INLINE unsigned ballot(int predicate, CUDA_ON_CPU_SITE) const {
    return __ballot_sync(mask(), predicate, site) >> first_lane();
  }
  CUDA_ON_CPU_INLINE int any(int predicate, CUDA_ON_CPU_SITE) const {
    return __any_sync(mask(), predicate, site);
  }
  CUDA_ON_CPU_INLINE int all(int predicate, CUDA_ON_CPU_SITE) const {
    return __all_sync(mask(), predicate, site);
  }
  template <class T>
  CUDA_ON_CPU_INLINE unsigned match_any(T value, CUDA_ON_CPU_SITE) const {
    return __match_any_sync(mask(), value, site) >> first_lane();
  }

  unsigned mask() const { return (0xffffffffu >> (32 - Size)) << first_lane(); }

private:
  unsigned first_lane() const { return cuda_on_cpu::lane() / Size * Size; }
};

template <unsigned Size, class Parent>
thread_block_tile<Size, Parent> tiled_partition(const Parent&) {
  return {};
}
template <class Group>
CUDA_ON_CPU_INLINE void sync(const Group& group, CUDA_ON_CPU_SITE) {
  group.sync(site);
}

template <class T = void>
struct plus {
  template <class A>
  A operator()(A a, A b) const {
    return a + b;
  }
};
template <class T = void>
struct less {  // keeps the smaller, as CUDA's does
  template <class A>
  A operator()(A a, A b) const {
    return b < a ? b : a;
  }
};
template <class T = void>
struct greater {  // keeps the larger
  template <class A>
  A operator()(A a, A b) const {
    return a < b ? b : a;
  }
};

template <class Tile, class T, class Operator>
CUDA_ON_CPU_INLINE T reduce(const Tile& tile, T value, Operator combine, CUDA_ON_CPU_SITE) {
  return cuda_on_cpu::reduce(tile.mask(), value, combine, site);
}
template <class Tile, class T, class Operator>
CUDA_ON_CPU_INLINE T inclusive_scan(const Tile& tile, T value, Operator combine, CUDA_ON_CPU_SITE) {
  for (unsigned delta = 1; delta < Tile::size(); delta *= 2) {
    const T before = tile.shfl_up(value, delta, site);
    if (tile.thread_rank() >= delta) value = combine(before, value);
  }
  return value;
}
template <class Tile, class T>
CUDA_ON_CPU_INLINE T inclusive_scan(const Tile& tile, T value, CUDA_ON_CPU_SITE) {
  return inclusive_scan(tile, value, plus<T>(), site);
}
template <class Tile, class T>
CUDA_ON_CPU_INLINE T exclusive_scan(const Tile& tile, T value, CUDA_ON_CPU_SITE) {
  return inclusive_scan(tile, value, plus<T>(), site) - value;
}

}  // namespace cooperative_groups
