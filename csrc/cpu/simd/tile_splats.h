// The splats of one tile, and which of its pixels each of them may touch.
//
// A tile is walked block by block, 16x16 pixels or the tile if that is smaller. A block is made of cells of
// 4x4 pixels, small enough that most pixels of the cells that a splat touches are inside its ellipse. One bit
// per cell says whether it does, so a compositing loop goes from cell to cell without a test.
#pragma once

#include <cstring>

#include "cpu/parallel.h"
#include "cpu/simd/buffer.h"
#include "cpu/simd/lane_block.h"
#include "math/ellipse.h"
#include "raster/channels.h"
#include "raster/types.h"

namespace gsplat::GSPLAT_ISA {

inline constexpr int kRecordChannels = 8;

// One or two cache lines per splat.
template <class Response>
struct alignas(64) SplatRecord {
  using Shape = typename Response::Family::template Shape<float>;
  static constexpr int kShape = Response::Family::kShape;
  static constexpr int kFrame = Response::Family::kFrame;
  static constexpr int kFields = 2 + kShape + Response::kExtras;  // what tells where the splat is seen
  static_assert(kFields + kFrame + kRecordChannels <= (kFrame > 0 ? 32 : 16) &&
                sizeof(Shape) == sizeof(float) * kShape);

  float mean_x, mean_y;
  Shape shape;
  float rest[Response::kExtras + kFrame + kRecordChannels];  // extras, frame, the first channels

  const float* extras() const { return rest; }
  const float* frame() const { return rest + Response::kExtras; }
  const float* color() const { return frame() + kFrame; }
};

// A number of channels that is known at run time only.
inline constexpr int kDynamic = 0;

inline constexpr int kCellSide = 4;                        // pixels
inline constexpr int kCellPixels = kCellSide * kCellSide;  // row by row
inline constexpr int kVectors = kCellPixels / kLanes;      // of a cell
inline constexpr int kBlockSide = 16;                      // pixels
inline constexpr int kBlockPixels = kBlockSide * kBlockSide;
inline constexpr int kCellsPerRow = kBlockSide / kCellSide;
inline constexpr int kCells = kCellsPerRow * kCellsPerRow;  // of a block, row by row

// Where a block keeps a number of the pixel at a column and row of it.
constexpr int pixel_index(int column, int row) {
  const int cell = row / kCellSide * kCellsPerRow + column / kCellSide;
  return cell * kCellPixels + row % kCellSide * kCellSide + column % kCellSide;
}

// Cells of a block, one bit each.
using CellSet = uint32_t;

// Calls body(cell) for every cell of a set, in order.
template <class Body>
[[gnu::always_inline]] inline void each_cell(CellSet cells, Body&& body) {
  for (; cells != 0; cells &= cells - 1) body(__builtin_ctz(cells));
}

// The place of a block in its image.
struct BlockPlace {
  int64_t image;
  int x, y;           // its first pixel
  int columns, rows;  // how much of it lies inside the image and the tile
};

// A shape in vectors, from its numbers one by one.
template <class Response>
[[gnu::always_inline]] inline auto joined_shape(const Float* numbers) {
  constexpr int kShape = Response::Family::kShape;
  using Shape = typename Response::Family::template Shape<Float>;
  if constexpr (kShape == 4) {
    return Shape{numbers[0], numbers[1], numbers[2], numbers[3]};
  } else {
    static_assert(kShape == 5);
    return Shape{numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]};
  }
}

// Those of the splats from the number `first` on, of which all else is set.
template <class Response>
void set_frames(const CompositeInputs& in, Float log2_opacity, int64_t first, int count,
                SplatRecord<Response>* records) {
  constexpr int kCanonical = RayInputs::kCanonical, kExtras = Response::kExtras;
  const auto canonical =
      LaneBlock<kCanonical>::load(in.rays.canonical + kCanonical * first, kCanonical, count);
  Float numbers[kCanonical];
  repeat<kCanonical>([&](auto i) { numbers[i] = canonical[i]; });
  ExtrasOf<Float, kExtras> extras;
  if constexpr (kExtras > 0) {
    const auto block = LaneBlock<kExtras>::load(in.extras + first * kExtras, kExtras, count);
    repeat<kExtras>([&](auto e) { extras.values[e] = block[e]; });
  }
  const auto frames = Response::Family::frame(log2_opacity, extras.values, numbers);
  constexpr int kFrame = Response::Family::kFrame;
  static_assert(sizeof(frames) == sizeof(Float) * kFrame);
  alignas(64) float columns[kFrame][kLanes];
  std::memcpy(columns, &frames, sizeof(frames));
  for (int lane = 0; lane < count; ++lane) {
    for (int i = 0; i < kFrame; ++i) records[first + lane].rest[kExtras + i] = columns[i][lane];
  }
}

// Makes the records of all splats, at their flat indices; those of culled splats are undefined.
template <class Response>
const SplatRecord<Response>* make_records(const CompositeInputs& in) {
  using Record = SplatRecord<Response>;
  const int64_t total = in.images * in.gaussians;
  SplatRecord<Response>* records = per_thread<Buffer<SplatRecord<Response>>>().reserve(total);
  const int channels = in.channels < kRecordChannels ? in.channels : kRecordChannels;
  parallel_for((total + kLanes - 1) / kLanes, 256, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      const int64_t first = b * kLanes;
      const int count = total - first < kLanes ? static_cast<int>(total - first) : kLanes;
      const auto opacities = LaneBlock<1>::load(in.opacities + first, 1, count);
      if (!any(opacities[0] > Float(0.0f))) continue;
      LaneBlock<1> logarithms;
      logarithms.set(0, log2(opacities[0]));
      for (int lane = 0; lane < count; ++lane) {
        const int64_t i = first + lane;
        Record& r = records[i];
        r.mean_x = in.means2d[2 * i];
        r.mean_y = in.means2d[2 * i + 1];
        r.shape = Response::Family::template shape<float>(in.shapes[3 * i], in.shapes[3 * i + 1],
                                                          in.shapes[3 * i + 2], in.opacities[i],
                                                          logarithms.columns[0][lane]);
        for (int e = 0; e < Response::kExtras; ++e) r.rest[e] = in.extras[i * Response::kExtras + e];
        float* color = r.rest + Response::kExtras + Record::kFrame;
        for (int c = 0; c < channels; ++c) color[c] = in.colors[i * in.channels + c];
      }
      if constexpr (Record::kFrame > 0) {
        set_frames(in, logarithms[0], first, count, records);
      }
    }
  });
  return records;
}

// The list of a tile, as one block of its pixels sees it.
template <class Response>
class BlockSplats {
public:
  using Record = SplatRecord<Response>;

  void gather(const CompositeInputs& in, const Record* records, int64_t tile, const BlockPlace& place) {
    begin_ = in.lists.tile_offsets[tile];
    count_ = in.lists.tile_offsets[tile + 1] - static_cast<int>(begin_);
    ids_ = in.lists.flatten_ids + begin_;
    records_ = records;
    // Written in whole vectors.
    uint16_t* cells = cells_.reserve(count_ + kLanes);
    constexpr int kAhead = 32;
    for (int i = 0; i < count_ && i < kAhead; ++i) prefetch_record(i);
    for (int i = 0; i < count_; i += kLanes) {
      for (int j = i + kAhead; j < i + kAhead + kLanes && j < count_; ++j) prefetch_record(j);
      find_cells(i, static_cast<float>(place.x), static_cast<float>(place.y), cells + i);
    }
  }

  int64_t begin() const { return begin_; }  // position of the tile's list in flatten_ids
  int count() const { return count_; }
  int32_t id(int i) const { return ids_[i]; }
  const Record& operator[](int i) const { return records_[ids_[i]]; }
  CellSet cells(int i) const { return cells_.data()[i]; }

  // The colour of a splat: from its record if that holds all channels.
  template <int kChannels>
  const float* color(const CompositeInputs& in, int i) const {
    static_assert(kChannels <= kRecordChannels);
    return kChannels == kDynamic ? all_channels(in, i) : (*this)[i].color();
  }
  // Fetches the colour of a later splat. Inlined, because GCC leaves out calls of functions that do nothing
  // else.
  [[gnu::always_inline]] void prefetch_color(const CompositeInputs& in, int i) const {
    constexpr int kAhead = 8, kLine = 16;
    if (i + kAhead >= count_) return;
    const float* color = all_channels(in, i + kAhead);
    for (int c = 0; c < in.channels; c += kLine) __builtin_prefetch(color + c);
    __builtin_prefetch(color + in.channels - 1);
  }

private:
  [[gnu::always_inline]] void prefetch_record(int i) const {
    const auto* lines = reinterpret_cast<const char*>(records_ + ids_[i]);
    for (size_t line = 0; line < sizeof(Record); line += 64) __builtin_prefetch(lines + line);
  }

  const float* all_channels(const CompositeInputs& in, int i) const {
    return in.colors + static_cast<int64_t>(ids_[i]) * in.channels;
  }

  // The cells of kLanes splats from the i-th on; those beyond the list repeat the last one.
  void find_cells(int i, float x0, float y0, uint16_t* cells) const {
    constexpr int kFields = Record::kFields, kRows = kLanes < kFields ? 2 * kLanes : kLanes;
    Float fields[kRows];
    for (int first = 0; first < kFields; first += kLanes) {
      for (int lane = 0; lane < kLanes; ++lane) {
        const int index = i + lane < count_ ? i + lane : count_ - 1;
        fields[first + lane] = Float::load(&records_[ids_[index]].mean_x + first);
      }
      transpose(fields + first);
    }
    const Float mean_x = fields[0] - Float(x0), mean_y = fields[1] - Float(y0);
    const auto ellipse =
        ellipse_of<Response>(joined_shape<Response>(fields + 2), fields + 2 + Record::kShape);
    constexpr float kToLast = kCellSide - 1;  // from the centre of a cell's first pixel to that of its last
    Float bits(0.0f);
    repeat<kCellsPerRow>([&](auto row) {
      const Float top = Float(row * kCellSide + 0.5f) - mean_y, bottom = top + Float(kToLast);
      const LaneMask in_row = (top <= ellipse.half_y) & (bottom >= -ellipse.half_y);
      Float left, right;
      ellipse.span(top, bottom, left, right);
      left = mean_x + left;
      right = mean_x + right;
      repeat<kCellsPerRow>([&](auto column) {
        const float centre = column * kCellSide + 0.5f;
        const LaneMask hit = in_row & (left <= Float(centre + kToLast)) & (right >= Float(centre));
        bits += zero_unless(hit, Float(static_cast<float>(1 << (row * kCellsPerRow + column))));
      });
    });
    alignas(64) float numbers[kLanes];
    bits.store(numbers);
    for (int lane = 0; lane < kLanes; ++lane)
      cells[lane] = static_cast<uint16_t>(static_cast<int>(numbers[lane]));
  }

  int64_t begin_ = 0;
  int count_ = 0;
  const int32_t* ids_ = nullptr;
  const Record* records_ = nullptr;
  Buffer<uint16_t> cells_;
};

// All tiles of all images, each cut into blocks.
struct TileWalk {
  TileGrid grid;
  ImageSize image;
  int blocks_per_side;  // of a tile

  TileWalk(ImageSize size, int tile_size)
      : grid(size, tile_size), image(size), blocks_per_side((tile_size + kBlockSide - 1) / kBlockSide) {}

  int blocks_per_tile() const { return blocks_per_side * blocks_per_side; }

  // body(tile, block, place) for every block of every tile, those outside the image included.
  template <class Body>
  void each_block(int64_t images, Body&& body) const {
    parallel_dynamic(images * grid.count(), [&](int64_t tile) {
      const int64_t in_image = tile % grid.count();
      const int x0 = static_cast<int>(in_image % grid.columns) * grid.tile_size;
      const int y0 = static_cast<int>(in_image / grid.columns) * grid.tile_size;
      for (int block = 0; block < blocks_per_tile(); ++block) {
        const int x = block % blocks_per_side * kBlockSide, y = block / blocks_per_side * kBlockSide;
        body(tile, block,
             BlockPlace{tile / grid.count(), x0 + x, y0 + y, inside(x, image.width - x0),
                        inside(y, image.height - y0)});
      }
    });
  }

private:
  // How many pixels of a block, from `first` on, lie inside the tile and the image.
  int inside(int first, int end) const {
    const int count = (end < grid.tile_size ? end : grid.tile_size) - first;
    return count < 0 ? 0 : count < kBlockSide ? count : kBlockSide;
  }
};

}  // namespace gsplat::GSPLAT_ISA
