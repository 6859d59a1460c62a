// The splats of one tile, gathered for compositing.
//
// A tile is cut into sub-blocks of four vectors of pixels, whose state a compositing loop keeps in registers.
// Each sub-block has a list of the splats that may touch it, so that the loop meets few splats in vain.
#pragma once

#include "cpu/parallel.h"
#include "cpu/simd/buffer.h"
#include "cpu/simd/lane_block.h"
#include "math/ellipse.h"
#include "raster/types.h"

namespace gsplat::GSPLAT_ISA {

// One cache line per splat.
struct alignas(64) SplatRecord {
  float mean_x, mean_y;
  float l11, l21, l22;  // scaled by kRootScale
  float log2_opacity;
  float half_x, half_y;  // of the box outside which alpha < 1/255
  float color[8];        // the first channels
};

inline constexpr int kRecordChannels = 8;

// Vectors of kColumns x kRowsPerVector pixels; four of them, one below the other, are a sub-block.
inline constexpr int kVectors = 4;
inline constexpr int kColumns = kLanes >= 8 ? 8 : 4;
inline constexpr int kRowsPerVector = kLanes / kColumns;
inline constexpr int kBlockRows = kVectors * kRowsPerVector;
inline constexpr int kBlockPixels = kVectors * kLanes;

// Where the pixel of a sub-block lies in its vectors. The rows of a vector alternate, so that one value per
// row is loaded into the lanes of all its pixels by repeating it.
constexpr int pixel_index(int column, int row) {
  return row / kRowsPerVector * kLanes + column * kRowsPerVector + row % kRowsPerVector;
}

// Lane i reads rows[i % kRows].
template <int kRows>
Float load_rows(const float* rows) {
  if constexpr (kRows == 1) {
    return Float(*rows);
  } else {
    static_assert(kRows == 2);
    return Float::load_pairs(rows);
  }
}

// One vector of pixels, of an image whose columns and rows lie so many floats apart.
template <int kRows>
Float load_pixels(const float* first, int column_stride, int row_stride) {
  if constexpr (kRows == 1) {
    return Float::load_strided(first, column_stride);
  } else {
    static_assert(kRows == 2);
    return Float::load_strided_pairs(first, column_stride, row_stride);
  }
}

// Makes the records of all splats, at their flat indices; those of culled splats are undefined.
inline SplatRecord* make_records(const CompositeInputs& in, Buffer<SplatRecord>& buffer) {
  const int64_t total = in.images * in.gaussians;
  SplatRecord* records = buffer.reserve(total);
  const int channels = in.channels < kRecordChannels ? in.channels : kRecordChannels;
  parallel_for((total + kLanes - 1) / kLanes, 256, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      const int64_t first = b * kLanes;
      const int count = total - first < kLanes ? static_cast<int>(total - first) : kLanes;
      const auto opacities = LaneBlock<1>::load(in.opacities + first, 1, count);
      if (!any(opacities[0] > Float(0.0f))) continue;
      const auto roots = LaneBlock<3>::load(in.conic_roots + 3 * first, 3, count);
      const Ellipse<Float> ellipse(roots[0], roots[1], roots[2], opacities[0]);
      LaneBlock<6> values;
      const Float scale(kRootScale);
      for (int c = 0; c < 3; ++c) values.set(c, roots[c] * scale);
      values.set(3, log2(opacities[0]));
      values.set(4, ellipse.half_x);
      values.set(5, ellipse.half_y);
      for (int lane = 0; lane < count; ++lane) {
        const int64_t i = first + lane;
        SplatRecord& r = records[i];
        r.mean_x = in.means2d[2 * i];
        r.mean_y = in.means2d[2 * i + 1];
        r.l11 = values.columns[0][lane];
        r.l21 = values.columns[1][lane];
        r.l22 = values.columns[2][lane];
        r.log2_opacity = values.columns[3][lane];
        r.half_x = values.columns[4][lane];
        r.half_y = values.columns[5][lane];
        for (int c = 0; c < channels; ++c) r.color[c] = in.colors[i * in.channels + c];
      }
    }
  });
  return records;
}

class TileSplats {
public:
  // Reads the tile's list and fills the lists of its sub-blocks.
  void gather(const CompositeInputs& in, const SplatRecord* records, int64_t tile, int x0, int y0) {
    begin_ = in.lists.tile_offsets[tile];
    count_ = in.lists.tile_offsets[tile + 1] - begin_;
    blocks_x_ = in.tile_size / kColumns;
    blocks_y_ = in.tile_size / kBlockRows;
    copy_records(in.lists.flatten_ids + begin_, records);
    list_blocks(static_cast<float>(x0), static_cast<float>(y0));
  }

  int64_t begin() const { return begin_; }  // position of the tile's list in flatten_ids
  int count() const { return count_; }
  int blocks_x() const { return blocks_x_; }
  int blocks_y() const { return blocks_y_; }
  const SplatRecord& operator[](int i) const { return splats_.data()[i]; }
  // Indices into this tile's splats, front to back, and one more that is valid.
  const int32_t* list(int block) const { return lists_.data() + block * capacity_; }
  int list_size(int block) const { return sizes_.data()[block]; }

private:
  void copy_records(const int32_t* ids, const SplatRecord* records) {
    // Whole vectors are read from the copies later.
    SplatRecord* splats = splats_.reserve(count_ + kLanes);
    constexpr int kAhead = 24;
    for (int i = 0; i < count_; ++i) {
      if (i + kAhead < count_) __builtin_prefetch(records + ids[i + kAhead]);
      splats[i] = records[ids[i]];
    }
  }

  void list_blocks(float x0, float y0) {
    const int blocks = blocks_x_ * blocks_y_;
    // Lists are written in whole vectors.
    capacity_ = count_ + kLanes;
    int32_t* lists = lists_.reserve(static_cast<int64_t>(blocks) * capacity_);
    int32_t* sizes = sizes_.reserve(blocks);
    for (int b = 0; b < blocks; ++b) sizes[b] = 0;
    constexpr int kStride = sizeof(SplatRecord) / sizeof(float);
    const Float x(x0), y(y0);
    for (int i = 0; i < count_; i += kLanes) {
      const SplatRecord& first = splats_.data()[i];
      const Float mean_x = Float::load_strided(&first.mean_x, kStride) - x;
      const Float mean_y = Float::load_strided(&first.mean_y, kStride) - y;
      const Float half_x = Float::load_strided(&first.half_x, kStride);
      const Float half_y = Float::load_strided(&first.half_y, kStride);
      const Float left = mean_x - half_x, right = mean_x + half_x, top = mean_y - half_y,
                  bottom = mean_y + half_y;
      const LaneMask here = LaneMask::first(count_ - i < kLanes ? count_ - i : kLanes);
      int b = 0;
      for (int by = 0; by < blocks_y_; ++by) {
        // Centres of the sub-block's first and last pixels.
        const float row = static_cast<float>(by * kBlockRows) + 0.5f;
        const LaneMask in_rows = here & (top <= Float(row + (kBlockRows - 1))) & (bottom >= Float(row));
        for (int bx = 0; bx < blocks_x_; ++bx, ++b) {
          const float column = static_cast<float>(bx * kColumns) + 0.5f;
          const LaneMask hit = in_rows & (left <= Float(column + (kColumns - 1))) & (right >= Float(column));
          sizes[b] += write_lane_numbers(hit, i, lists + b * capacity_ + sizes[b]);
        }
      }
    }
    // Loops look one ahead. (There is always a copy: its values are undefined in an empty tile.)
    for (int b = 0; b < blocks; ++b) lists[b * capacity_ + sizes[b]] = 0;
  }

  int64_t begin_ = 0, capacity_ = 0;
  int count_ = 0, blocks_x_ = 0, blocks_y_ = 0;
  Buffer<SplatRecord> splats_;
  Buffer<int32_t> lists_, sizes_;
};

}  // namespace gsplat::GSPLAT_ISA
