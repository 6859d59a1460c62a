// A block of kLanes rows of a row-major array, transposed so that each column is one vector.
#pragma once

#include <cstdint>

#include "cpu/simd/simd.h"

namespace gsplat::GSPLAT_ISA {

template <int kColumns>
struct LaneBlock {
  alignas(64) float columns[kColumns][kLanes];

  // Reads `count` <= kLanes rows that lie `stride` floats apart; the lanes beyond become zero.
  static LaneBlock load(const float* rows, int64_t stride, int count) {
    LaneBlock block;
    if (is_whole(stride, count)) {
      for (int lane = 0; lane < kLanes; ++lane) {
        for (int c = 0; c < kColumns; ++c) block.columns[c][lane] = rows[lane * kColumns + c];
      }
      return block;
    }
    for (int lane = 0; lane < kLanes; ++lane) {
      const float* row = rows + lane * stride;
      for (int c = 0; c < kColumns; ++c) block.columns[c][lane] = lane < count ? row[c] : 0.0f;
    }
    return block;
  }

  Float operator[](int column) const { return Float::load(columns[column]); }
  void set(int column, Float value) { value.store(columns[column]); }

  void store(float* rows, int64_t stride, int count) const {
    if (is_whole(stride, count)) {
      for (int lane = 0; lane < kLanes; ++lane) {
        for (int c = 0; c < kColumns; ++c) rows[lane * kColumns + c] = columns[c][lane];
      }
      return;
    }
    for (int lane = 0; lane < count; ++lane) {
      float* row = rows + lane * stride;
      for (int c = 0; c < kColumns; ++c) row[c] = columns[c][lane];
    }
  }

private:
  // Of rows without gaps the compiler makes vectors and shuffles.
  static bool is_whole(int64_t stride, int count) { return stride == kColumns && count == kLanes; }
};

// Reads kLanes whole rows of `columns` >= kLanes floats, `stride` apart, and writes one vector per column.
inline void load_columns(const float* rows, int64_t stride, int columns, Float* out) {
  for (int first = 0; first < columns; first += kLanes) {
    // The last square overlaps the one before, so that nothing beyond the rows is read.
    const int c = first + kLanes <= columns ? first : columns - kLanes;
    for (int lane = 0; lane < kLanes; ++lane) out[c + lane] = Float::load(rows + lane * stride + c);
    transpose(out + c);
  }
}

// The opposite of load_columns().
inline void store_columns(const Float* in, int columns, float* rows, int64_t stride) {
  for (int first = 0; first < columns; first += kLanes) {
    const int c = first + kLanes <= columns ? first : columns - kLanes;
    Float square[kLanes];
    for (int lane = 0; lane < kLanes; ++lane) square[lane] = in[c + lane];
    transpose(square);
    for (int lane = 0; lane < kLanes; ++lane) square[lane].store(rows + lane * stride + c);
  }
}

}  // namespace gsplat::GSPLAT_ISA
