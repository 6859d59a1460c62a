// Rows of floats, one for each lane of a warp, on their way between memory and the lanes.
//
// A warp reads its 32 rows together, as one run of memory, into shared memory, from where each lane takes its
// own; results go the opposite way.
#pragma once

#include "cuda/warp.cuh"

namespace gsplat::cuda {

template <int kColumns>
struct WarpRows {
  // An odd stride keeps lanes that read one column each from its own row out of each other's banks.
  static constexpr int kStride = kColumns | 1;
  static constexpr int kFloats = kWarp * kStride;  // of shared memory

  float* rows;

  __device__ float* mine() const { return rows + lane_index() * kStride; }

  // Reads the rows first + i whose bit i is set.
  __device__ void load(const float* source, int64_t stride, int64_t first, uint32_t wanted) const {
    if constexpr (kColumns > 0) {
#pragma unroll 4
      for (int i = lane_index(); i < kWarp * kColumns; i += kWarp) {
        const int row = i / kColumns, column = i % kColumns;
        if (wanted >> row & 1) rows[row * kStride + column] = source[(first + row) * stride + column];
      }
      __syncwarp();
    }
  }

  // Writes `count` rows, and zeros to the columns beyond kColumns up to `stored`.
  __device__ void store(float* target, int64_t stride, int64_t first, int count, int stored) const {
    if constexpr (kColumns > 0) {
      __syncwarp();
      if (stored == kColumns) {
#pragma unroll 4
        for (int i = lane_index(); i < count * kColumns; i += kWarp) {
          const int row = i / kColumns, column = i % kColumns;
          target[(first + row) * stride + column] = rows[row * kStride + column];
        }
        return;
      }
    }
    for (int row = 0; row < count; ++row) {
      for (int column = lane_index(); column < stored; column += kWarp) {
        target[(first + row) * stride + column] = column < kColumns ? rows[row * kStride + column] : 0.0f;
      }
    }
  }
};

}  // namespace gsplat::cuda
