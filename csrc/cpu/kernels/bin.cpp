// Binning: which splats touch which tiles, front to back.
//
// The visible splats are sorted by depth once; then every splat, in that order, is written to the list of
// each tile that its ellipse touches. That is a counting sort by tile, so the lists come out sorted by depth.
// The splats are cut into chunks that count and write independently; the lists do not depend on where the
// cuts are.
#include <cstring>
#include <utility>

#include "cpu/depth_sort.h"
#include "cpu/parallel.h"
#include "cpu/rasterizer.h"
#include "cpu/simd/buffer.h"
#include "cpu/simd/lane_block.h"
#include "math/ellipse.h"

namespace gsplat::GSPLAT_ISA {
namespace {

// A run of depth-sorted splats of one image.
struct Chunk {
  int64_t image;
  int64_t begin, end;  // positions in the depth order
  int64_t first_row;   // of its spans
  int64_t rows;
  int64_t first_slot;  // of its intersections
  int64_t intersections;
};

// The tiles of one tile row that a splat touches: [first, last], empty if first > last.
struct Span {
  uint16_t first, last;
};

struct RowRange {
  uint16_t first, count;
};

struct Workspace {
  Buffer<uint32_t> keys, spare_keys;
  Buffer<int32_t> ids, spare_ids, order;
  Buffer<int64_t> image_starts;
  Buffer<RowRange> row_ranges;
  Buffer<Span> spans;
  Buffer<Chunk> chunks;
  Buffer<int64_t> first_chunks;  // [images + 1]
  Buffer<int32_t> tile_counts;   // [chunk, tile]
  Buffer<int32_t> splat_counts;  // intersections per visible splat
};

bool is_visible(const SplatInputs& in, int64_t splat) {
  return in.radii[2 * splat] > 0 || in.radii[2 * splat + 1] > 0;
}

// Bits of a float so that unsigned order is numeric order.
uint32_t ordered_bits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

// Collects the visible splats of every image, sorted by depth. Returns how many there are in all.
int64_t sort_visible(const SplatInputs& in, Workspace& w) {
  const int64_t total = in.images * in.gaussians;
  int64_t* starts = w.image_starts.reserve(in.images + 1);
  constexpr int64_t kBlock = 16384;
  const int64_t blocks_per_image = (in.gaussians + kBlock - 1) / kBlock;
  Buffer<int64_t> block_starts;
  int64_t* counts = block_starts.reserve(in.images * blocks_per_image + 1);
  const auto each_block = [&](auto&& body) {
    parallel_for(in.images * blocks_per_image, 1, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        const int64_t image = b / blocks_per_image, first = b % blocks_per_image * kBlock;
        const int64_t last = first + kBlock < in.gaussians ? first + kBlock : in.gaussians;
        body(b, image * in.gaussians + first, image * in.gaussians + last);
      }
    });
  };
  each_block([&](int64_t b, int64_t first, int64_t last) {
    int64_t n = 0;
    for (int64_t i = first; i < last; ++i) n += is_visible(in, i);
    counts[b] = n;
  });
  int64_t visible = 0;
  for (int64_t image = 0; image < in.images; ++image) {
    starts[image] = visible;
    for (int64_t b = image * blocks_per_image; b < (image + 1) * blocks_per_image; ++b) {
      const int64_t n = counts[b];
      counts[b] = visible;
      visible += n;
    }
  }
  starts[in.images] = visible;
  uint32_t* keys = w.keys.reserve(total);
  int32_t* ids = w.ids.reserve(total);
  each_block([&](int64_t b, int64_t first, int64_t last) {
    int64_t place = counts[b];
    for (int64_t i = first; i < last; ++i) {
      if (!is_visible(in, i)) continue;
      keys[place] = ordered_bits(in.depths[i]);
      ids[place++] = static_cast<int32_t>(i);
    }
  });
  int32_t* order = w.order.reserve(visible);
  uint32_t* spare_keys = w.spare_keys.reserve(visible);
  int32_t* spare_ids = w.spare_ids.reserve(visible);
  for (int64_t image = 0; image < in.images; ++image) {
    const int64_t begin = starts[image];
    radix_sort_ids(keys + begin, ids + begin, spare_keys + begin, spare_ids + begin,
                   starts[image + 1] - begin, order + begin);
  }
  return visible;
}

// Cuts the depth order into chunks that do not cross images.
int64_t cut_chunks(const SplatInputs& in, Workspace& w) {
  constexpr int64_t kSmallest = 2048, kMostPerImage = 64;
  const int64_t* starts = w.image_starts.data();
  Chunk* chunks = w.chunks.reserve(in.images * (kMostPerImage + 1));
  int64_t count = 0;
  for (int64_t image = 0; image < in.images; ++image) {
    const int64_t n = starts[image + 1] - starts[image];
    const int64_t even = (n + kMostPerImage - 1) / kMostPerImage;
    const int64_t size = even > kSmallest ? even : kSmallest;
    for (int64_t begin = starts[image]; begin < starts[image + 1]; begin += size) {
      const int64_t end = begin + size < starts[image + 1] ? begin + size : starts[image + 1];
      chunks[count++] = {image, begin, end, 0, 0, 0, 0};
    }
  }
  return count;
}

// kLanes splats of the depth order, loaded by their ids; lanes beyond `count` repeat the last one.
struct SplatLanes {
  Float mean_x, mean_y;
  Ellipse<Float> ellipse;

  static SplatLanes load(const SplatInputs& in, const int32_t* ids, int count) {
    alignas(64) float f[7][kLanes];
    for (int lane = 0; lane < kLanes; ++lane) {
      const int64_t i = ids[lane < count ? lane : count - 1];
      f[0][lane] = in.means2d[2 * i];
      f[1][lane] = in.means2d[2 * i + 1];
      f[2][lane] = in.shapes[3 * i];
      f[3][lane] = in.shapes[3 * i + 1];
      f[4][lane] = in.shapes[3 * i + 2];
      f[5][lane] = in.opacities[i];
      f[6][lane] = in.levels == nullptr ? 0.0f : in.levels[i];
    }
    const Float level = in.levels == nullptr ? gaussian_level(Float::load(f[5])) : Float::load(f[6]);
    return {Float::load(f[0]), Float::load(f[1]),
            Ellipse<Float>(Float::load(f[2]), Float::load(f[3]), Float::load(f[4]), level, Float(in.margin))};
  }
};

// The tile rows that each splat of a chunk touches.
void find_rows(const SplatInputs& in, const TileGrid& grid, ImageSize image, Workspace& w, Chunk& chunk) {
  const Float inv_tile(1.0f / static_cast<float>(grid.tile_size)), height(static_cast<float>(image.height));
  RowRange* ranges = w.row_ranges.data();
  int64_t rows = 0;
  for (int64_t i = chunk.begin; i < chunk.end; i += kLanes) {
    const int count = chunk.end - i < kLanes ? static_cast<int>(chunk.end - i) : kLanes;
    const SplatLanes s = SplatLanes::load(in, w.order.data() + i, count);
    const PixelRange<Float> rows_in(s.mean_y - s.ellipse.half_y, s.mean_y + s.ellipse.half_y, height);
    const Float first_tile = floor(rows_in.first * inv_tile);
    const Float tiles =
        zero_unless(rows_in.first <= rows_in.last, floor(rows_in.last * inv_tile) - first_tile + Float(1.0f));
    alignas(64) float firsts[kLanes], counts[kLanes];
    first_tile.store(firsts);
    tiles.store(counts);
    for (int lane = 0; lane < count; ++lane) {
      ranges[i + lane] = {static_cast<uint16_t>(firsts[lane]), static_cast<uint16_t>(counts[lane])};
      rows += static_cast<int64_t>(counts[lane]);
    }
  }
  chunk.rows = rows;
}

// The tiles in each of those rows; counts them per tile and per splat.
void find_spans(const SplatInputs& in, const TileGrid& grid, ImageSize image, Workspace& w, Chunk& chunk,
                int32_t* tile_counts) {
  std::memset(tile_counts, 0, sizeof(int32_t) * grid.count());
  const Float inv_tile(1.0f / static_cast<float>(grid.tile_size)), width(static_cast<float>(image.width));
  const float tile = static_cast<float>(grid.tile_size);
  const RowRange* ranges = w.row_ranges.data();
  Span* spans = w.spans.data() + chunk.first_row;
  for (int64_t i = chunk.begin; i < chunk.end; i += kLanes) {
    const int count = chunk.end - i < kLanes ? static_cast<int>(chunk.end - i) : kLanes;
    const SplatLanes s = SplatLanes::load(in, w.order.data() + i, count);
    int64_t offsets[kLanes];
    alignas(64) float tops[kLanes] = {};
    int most_rows = 0;
    int64_t offset = 0;
    for (int lane = 0; lane < count; ++lane) {
      offsets[lane] = offset;
      offset += ranges[i + lane].count;
      tops[lane] = static_cast<float>(ranges[i + lane].first) * tile + 0.5f;
      most_rows = ranges[i + lane].count > most_rows ? ranges[i + lane].count : most_rows;
      w.splat_counts.data()[i + lane] = 0;
    }
    Float top = Float::load(tops) - s.mean_y;
    for (int row = 0; row < most_rows; ++row, top += Float(tile)) {
      Float left, right;
      s.ellipse.span(top, top + Float(tile - 1.0f), left, right);
      const PixelRange<Float> columns(s.mean_x + left, s.mean_x + right, width);
      const LaneMask some = columns.first <= columns.last;
      alignas(64) float firsts[kLanes], lasts[kLanes];
      select(some, floor(columns.first * inv_tile), Float(1.0f)).store(firsts);
      zero_unless(some, floor(columns.last * inv_tile)).store(lasts);
      for (int lane = 0; lane < count; ++lane) {
        const RowRange& range = ranges[i + lane];
        if (row >= range.count) continue;
        const Span span = {static_cast<uint16_t>(firsts[lane]), static_cast<uint16_t>(lasts[lane])};
        spans[offsets[lane] + row] = span;
        int32_t* counts = tile_counts + static_cast<int64_t>(range.first + row) * grid.columns;
        for (int x = span.first; x <= span.last; ++x) ++counts[x];
        if (span.first <= span.last) w.splat_counts.data()[i + lane] += span.last - span.first + 1;
      }
    }
    spans += offset;
  }
  int64_t intersections = 0;
  for (int64_t i = chunk.begin; i < chunk.end; ++i) intersections += w.splat_counts.data()[i];
  chunk.intersections = intersections;
}

// Turns counts into starting places: tiles in order, chunks in order within a tile.
void place_tiles(const TileGrid& grid, int64_t images, int64_t chunks, Workspace& w, int32_t* tile_offsets) {
  // Of each image, its first chunk and the one behind its last.
  int64_t* first_chunks = w.first_chunks.reserve(images + 1);
  for (int64_t image = 0, c = 0; image <= images; ++image) {
    while (c < chunks && w.chunks.data()[c].image < image) ++c;
    first_chunks[image] = c;
  }
  // body(tile, count) for the counts of every tile, chunk by chunk.
  const auto each_count = [&](auto&& body) {
    parallel_for(images * grid.count(), 256, [&](int64_t begin, int64_t end) {
      for (int64_t tile = begin; tile < end; ++tile) {
        const int64_t image = tile / grid.count();
        int32_t* counts = w.tile_counts.data() + tile % grid.count();
        for (int64_t c = first_chunks[image]; c < first_chunks[image + 1]; ++c) {
          body(tile, counts[c * grid.count()]);
        }
      }
    });
  };
  // The end of each tile; while chunks are placed, where the next one begins; the end again.
  int32_t* ends = tile_offsets + 1;
  std::memset(tile_offsets, 0, sizeof(int32_t) * (images * grid.count() + 1));
  each_count([&](int64_t tile, int32_t count) { ends[tile] += count; });
  int32_t begin = 0;
  for (int64_t tile = 0; tile < images * grid.count(); ++tile) begin += std::exchange(ends[tile], begin);
  each_count([&](int64_t tile, int32_t& count) {
    const int32_t place = ends[tile];
    ends[tile] += std::exchange(count, place);
  });
}

void write_lists(const TileGrid& grid, Workspace& w, const Chunk& chunk, int32_t* next_place,
                 const TileListAllocator& out) {
  const RowRange* ranges = w.row_ranges.data();
  const Span* spans = w.spans.data() + chunk.first_row;
  int64_t slot = chunk.first_slot;
  for (int64_t i = chunk.begin; i < chunk.end; ++i) {
    const int32_t id = w.order.data()[i];
    out.order[i] = id;
    out.slot_offsets[i] = static_cast<int32_t>(slot);
    for (int row = 0; row < ranges[i].count; ++row) {
      const Span span = *spans++;
      int32_t* next = next_place + static_cast<int64_t>(ranges[i].first + row) * grid.columns;
      for (int x = span.first; x <= span.last; ++x) {
        const int32_t place = next[x]++;
        out.flatten_ids[place] = id;
        out.slots[slot++] = place;
      }
    }
  }
}

}  // namespace

void bin_splats(const SplatInputs& in, ImageSize image, int tile_size, TileListAllocator& out) {
  Workspace& w = per_thread<Workspace>();  // the caller's, in all threads
  const TileGrid grid(image, tile_size);
  const int64_t visible = sort_visible(in, w);
  const int64_t chunks = cut_chunks(in, w);
  const auto each_chunk = [&](auto&& body) {
    parallel_dynamic(chunks, [&](int64_t c) { body(w.chunks.data()[c], c); });
  };

  w.row_ranges.reserve(visible);
  w.splat_counts.reserve(visible);
  each_chunk([&](Chunk& chunk, int64_t) { find_rows(in, grid, image, w, chunk); });
  int64_t rows = 0;
  for (int64_t c = 0; c < chunks; ++c) {
    w.chunks.data()[c].first_row = rows;
    rows += w.chunks.data()[c].rows;
  }

  w.spans.reserve(rows);
  int32_t* tile_counts = w.tile_counts.reserve(chunks * grid.count());
  each_chunk([&](Chunk& chunk, int64_t c) {
    find_spans(in, grid, image, w, chunk, tile_counts + c * grid.count());
  });
  int64_t intersections = 0;
  for (int64_t c = 0; c < chunks; ++c) {
    w.chunks.data()[c].first_slot = intersections;
    intersections += w.chunks.data()[c].intersections;
  }

  out.allocate(visible, intersections);
  place_tiles(grid, in.images, chunks, w, out.tile_offsets);
  each_chunk(
      [&](Chunk& chunk, int64_t c) { write_lists(grid, w, chunk, tile_counts + c * grid.count(), out); });
  out.slot_offsets[visible] = static_cast<int32_t>(intersections);
}

}  // namespace gsplat::GSPLAT_ISA
