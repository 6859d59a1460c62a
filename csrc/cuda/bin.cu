// Binning: which splats touch which tiles, front to back.
//
// The visible splats are sorted by depth once; then every splat, in that order, writes itself down once for
// each tile that its ellipse touches, and a stable sort by tile makes the lists. Its keys are the numbers of
// the tiles, 16 bits for images of up to 16 million pixels, so it moves 12 bytes per intersection and pass,
// and it looks at no more bits than the largest number has.
//
// Counting and writing must agree to the last bit about what a splat touches. Both call TouchedTiles, and
// this file is compiled without contraction of a * b + c, which the compiler may choose differently in each.
#include <bit>
#include <cub/cub.cuh>

#include "cuda/bin.h"
#include "cuda/gaussians.cuh"
#include "cuda/ordered_bits.cuh"
#include "cuda/warp.cuh"
#include "math/ellipse.h"

namespace gsplat::cuda {
namespace {

constexpr int kThreads = 256;
// Splats of more tiles are written by a whole warp.
constexpr int kManyTiles = 16;

// The tiles that a splat touches: a range of columns in each of some rows.
struct TouchedTiles {
  Ellipse<float> ellipse;
  float mean_x, mean_y, width, tile;
  int first_row, rows;

  __device__ TouchedTiles(const SplatInputs& in, int64_t splat, ImageSize image, int tile_size)
      : ellipse(in.shapes[3 * splat], in.shapes[3 * splat + 1], in.shapes[3 * splat + 2],
                in.levels == nullptr ? gaussian_level(in.opacities[splat]) : in.levels[splat], in.margin),
        mean_x(in.means2d[2 * splat]),
        mean_y(in.means2d[2 * splat + 1]),
        width(static_cast<float>(image.width)),
        tile(static_cast<float>(tile_size)) {
    const float height = static_cast<float>(image.height);
    const PixelRange<float> pixels(mean_y - ellipse.half_y, mean_y + ellipse.half_y, height);
    first_row = tile_of(pixels.first);
    rows = pixels.first <= pixels.last ? tile_of(pixels.last) - first_row + 1 : 0;
  }

  struct Columns {
    int first, count;
  };

  __device__ Columns columns(int row) const {
    const float top = static_cast<float>(first_row + row) * tile + 0.5f - mean_y;
    float left, right;
    ellipse.span(top, top + (tile - 1.0f), left, right);
    const PixelRange<float> pixels(mean_x + left, mean_x + right, width);
    if (!(pixels.first <= pixels.last)) return {0, 0};
    return {tile_of(pixels.first), tile_of(pixels.last) - tile_of(pixels.first) + 1};
  }

private:
  // The sizes of tiles are powers of two, so this is exact.
  __device__ int tile_of(float pixel) const { return static_cast<int>(pixel * (1.0f / tile)); }
};

__global__ void __launch_bounds__(kThreads)
    count_touched_tiles(SplatInputs in, ImageSize image, int tile_size, int32_t* tile_counts,
                        BinSizes* totals) {
  const int64_t splat = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  int count = 0;
  bool visible = false;
  if (splat < in.images * in.gaussians) {
    visible = is_visible(in.radii, splat);
    if (visible) {
      const TouchedTiles tiles(in, splat, image, tile_size);
      for (int row = 0; row < tiles.rows; ++row) count += tiles.columns(row).count;
    }
    tile_counts[splat] = visible ? count : -1;
  }
  const int visible_in_warp = __popc(__ballot_sync(kAllLanes, visible));
  // A splat touches fewer than 2^26 tiles, so 32 of them fit.
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    count += __shfl_xor_sync(kAllLanes, count, distance);
  }
  if (lane_index() != 0 || visible_in_warp == 0) return;
  atomicAdd(reinterpret_cast<unsigned long long*>(&totals->visible),
            static_cast<unsigned long long>(visible_in_warp));
  atomicAdd(reinterpret_cast<unsigned long long*>(&totals->intersections),
            static_cast<unsigned long long>(count));
}

__global__ void __launch_bounds__(kThreads)
    flag_visible(const int32_t* tile_counts, int64_t splats, int32_t* flags) {
  const int64_t splat = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (splat < splats) flags[splat] = tile_counts[splat] >= 0 ? 1 : 0;
}

// `ranks`: the number of visible splats up to and including each splat.
__global__ void __launch_bounds__(kThreads)
    gather_visible(SplatInputs in, const int32_t* tile_counts, const int32_t* ranks, int64_t room,
                   uint32_t* keys, int32_t* ids) {
  const int64_t splat = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (splat >= in.images * in.gaussians || tile_counts[splat] < 0) return;
  const int64_t place = ranks[splat] - 1;
  if (place >= room) return;
  keys[place] = ordered_bits(in.depths[splat]);
  ids[place] = static_cast<int32_t>(splat);
}

// The image of each splat; `images` for places without one.
__global__ void __launch_bounds__(kThreads)
    find_images(const int32_t* ids, int64_t count, int64_t gaussians, int64_t images, uint32_t* keys) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= count) return;
  keys[i] = static_cast<uint32_t>(ids[i] < 0 ? images : ids[i] / gaussians);
}

// Tile counts in the order of the splats, and a zero behind them.
__global__ void __launch_bounds__(kThreads)
    order_tile_counts(const int32_t* order, int64_t count, const int32_t* tile_counts, int32_t* ordered) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i <= count) ordered[i] = i < count && order[i] >= 0 ? tile_counts[order[i]] : 0;
}

// Exclusive sum over the lanes of a warp.
__device__ int lanes_before(int value) {
  int sum = value;
  for (int distance = 1; distance < kWarp; distance *= 2) {
    const int lower = __shfl_up_sync(kAllLanes, sum, distance);
    if (lane_index() >= distance) sum += lower;
  }
  return sum - value;
}

template <class Key>
struct Intersections {
  Key* tiles;
  int32_t* ids;
  int64_t room;

  __device__ void write(int64_t slot, int64_t first_tile, int count, int32_t id) const {
    for (int i = 0; i < count; ++i) {
      if (slot + i < 0 || slot + i >= room) return;
      tiles[slot + i] = static_cast<Key>(first_tile + i);
      ids[slot + i] = id;
    }
  }
};

// Every splat of the depth order writes its tiles from its slot offset on.
template <class Key>
__global__ void __launch_bounds__(kThreads)
    write_intersections(SplatInputs in, ImageSize image, TileGrid grid, const int32_t* order, int64_t count,
                        const int32_t* slot_offsets, Intersections<Key> out) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const int32_t id = i < count ? order[i] : -1;
  const int32_t slot = id >= 0 ? slot_offsets[i] : 0;
  const int tile_count = id >= 0 ? slot_offsets[i + 1] - slot : 0;
  const auto first_tile = [&](int32_t splat, const TouchedTiles& tiles, int row) {
    const int64_t image_index = splat / in.gaussians;
    return image_index * grid.count() + static_cast<int64_t>(tiles.first_row + row) * grid.columns;
  };
  if (tile_count > 0 && tile_count <= kManyTiles) {
    const TouchedTiles tiles(in, id, image, grid.tile_size);
    int64_t next = slot;
    for (int row = 0; row < tiles.rows; ++row) {
      const TouchedTiles::Columns columns = tiles.columns(row);
      out.write(next, first_tile(id, tiles, row) + columns.first, columns.count, id);
      next += columns.count;
    }
  }
  for (uint32_t rest = __ballot_sync(kAllLanes, tile_count > kManyTiles); rest != 0; rest &= rest - 1) {
    const int source = __ffs(rest) - 1;
    const int32_t large = __shfl_sync(kAllLanes, id, source);
    int64_t next = __shfl_sync(kAllLanes, slot, source);
    const TouchedTiles tiles(in, large, image, grid.tile_size);
    for (int first = 0; first < tiles.rows; first += kWarp) {
      const int row = first + lane_index();
      TouchedTiles::Columns columns = {0, 0};
      if (row < tiles.rows) columns = tiles.columns(row);
      const int before = lanes_before(columns.count);
      out.write(next + before, first_tile(large, tiles, row) + columns.first, columns.count, large);
      next += __shfl_sync(kAllLanes, before + columns.count, kWarp - 1);
    }
  }
}

// Where the list of each tile starts: the first of the sorted keys that is not smaller.
template <class Key>
__global__ void __launch_bounds__(kThreads)
    find_tile_offsets(const Key* tiles, int64_t intersections, int64_t tile_count, int32_t* tile_offsets) {
  const int64_t tile = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (tile > tile_count) return;
  int64_t low = 0, high = intersections;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (static_cast<int64_t>(tiles[middle]) < tile) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  tile_offsets[tile] = static_cast<int32_t>(low);
}

// Sorts pairs by the bits that numbers up to `largest` have.
template <class Key>
void sort_pairs(void* temporary, size_t& bytes, const Key* keys, Key* sorted_keys, const int32_t* ids,
                int32_t* sorted_ids, int64_t count, uint32_t largest, Stream stream) {
  check(cub::DeviceRadixSort::SortPairs(temporary, bytes, keys, sorted_keys, ids, sorted_ids, count, 0,
                                        std::bit_width(largest), stream),
        "sort");
}

constexpr uint32_t kAnyDepth = 0xffffffffu;

// The working memory, and how large the part that CUB asks for is.
template <class Key>
struct Workspace {
  int32_t *ranks, *ids, *ids_by_depth, *counts, *intersection_ids;
  uint32_t *keys, *sorted_keys;
  Key *tiles, *sorted_tiles;
  char* temporary;
  size_t temporary_bytes, bytes;

  Workspace(void* base, int64_t splats, int64_t images, int64_t tile_count, BinSizes room) {
    Carver carver(base);
    ranks = carver.take<int32_t>(splats);
    keys = carver.take<uint32_t>(room.visible);
    sorted_keys = carver.take<uint32_t>(room.visible);
    ids = carver.take<int32_t>(room.visible);
    ids_by_depth = carver.take<int32_t>(images > 1 ? room.visible : 0);
    counts = carver.take<int32_t>(room.visible + 1);
    tiles = carver.take<Key>(room.intersections);
    sorted_tiles = carver.take<Key>(room.intersections);
    intersection_ids = carver.take<int32_t>(room.intersections);

    size_t scan = 0, scan_counts = 0, by_depth = 0, by_tile = 0;
    check(cub::DeviceScan::InclusiveSum(nullptr, scan, ranks, ranks, splats), "scan");
    check(cub::DeviceScan::ExclusiveSum(nullptr, scan_counts, counts, counts, room.visible + 1), "scan");
    sort_pairs(nullptr, by_depth, keys, sorted_keys, ids, ids, room.visible, kAnyDepth, nullptr);
    sort_pairs(nullptr, by_tile, tiles, sorted_tiles, ids, ids, room.intersections,
               static_cast<uint32_t>(tile_count), nullptr);
    temporary_bytes = 0;
    for (size_t size : {scan, scan_counts, by_depth, by_tile}) {
      temporary_bytes = size > temporary_bytes ? size : temporary_bytes;
    }
    temporary = carver.take<char>(static_cast<int64_t>(temporary_bytes));
    bytes = carver.used();
  }
};

// The visible splats by image, nearest first.
template <class Key>
void sort_visible(const SplatInputs& in, const int32_t* tile_counts, int64_t room, Workspace<Key>& w,
                  int32_t* order, Stream stream) {
  const int64_t splats = in.images * in.gaussians;
  flag_visible<<<blocks_of(kThreads, splats), kThreads, 0, stream>>>(tile_counts, splats, w.ranks);
  check_launch("flag_visible");
  check(cub::DeviceScan::InclusiveSum(w.temporary, w.temporary_bytes, w.ranks, w.ranks, splats, stream),
        "scan");
  // Places without a splat: they come last.
  check(cudaMemsetAsync(w.keys, 0xff, sizeof(uint32_t) * room, stream), "memset");
  check(cudaMemsetAsync(w.ids, 0xff, sizeof(int32_t) * room, stream), "memset");
  gather_visible<<<blocks_of(kThreads, splats), kThreads, 0, stream>>>(in, tile_counts, w.ranks, room, w.keys,
                                                                       w.ids);
  check_launch("gather_visible");
  int32_t* const by_depth = in.images > 1 ? w.ids_by_depth : order;
  sort_pairs(w.temporary, w.temporary_bytes, w.keys, w.sorted_keys, w.ids, by_depth, room, kAnyDepth, stream);
  if (in.images == 1) return;
  find_images<<<blocks_of(kThreads, room), kThreads, 0, stream>>>(by_depth, room, in.gaussians, in.images,
                                                                  w.keys);
  check_launch("find_images");
  sort_pairs(w.temporary, w.temporary_bytes, w.keys, w.sorted_keys, by_depth, order, room,
             static_cast<uint32_t>(in.images), stream);
}

template <class Key>
void write_lists(const SplatInputs& in, ImageSize image, const TileGrid& grid, const int32_t* tile_counts,
                 BinSizes room, const TileListOutputs& out, void* workspace, Stream stream) {
  const int64_t splats = in.images * in.gaussians, tile_count = in.images * grid.count();
  Workspace<Key> w(workspace, splats, in.images, tile_count, room);
  if (room.visible > 0) sort_visible(in, tile_counts, room.visible, w, out.order, stream);
  order_tile_counts<<<blocks_of(kThreads, room.visible + 1), kThreads, 0, stream>>>(out.order, room.visible,
                                                                                    tile_counts, w.counts);
  check_launch("order_tile_counts");
  check(cub::DeviceScan::ExclusiveSum(w.temporary, w.temporary_bytes, w.counts, out.slot_offsets,
                                      room.visible + 1, stream),
        "scan");
  if (room.visible > 0 && room.intersections > 0) {
    // Places without an intersection: a tile behind the last.
    check(cudaMemsetAsync(w.tiles, 0xff, sizeof(Key) * room.intersections, stream), "memset");
    check(cudaMemsetAsync(w.intersection_ids, 0xff, sizeof(int32_t) * room.intersections, stream), "memset");
    const Intersections<Key> intersections = {w.tiles, w.intersection_ids, room.intersections};
    write_intersections<Key><<<blocks_of(kThreads, room.visible), kThreads, 0, stream>>>(
        in, image, grid, out.order, room.visible, out.slot_offsets, intersections);
    check_launch("write_intersections");
    sort_pairs(w.temporary, w.temporary_bytes, w.tiles, w.sorted_tiles, w.intersection_ids, out.flatten_ids,
               room.intersections, static_cast<uint32_t>(tile_count), stream);
  }
  find_tile_offsets<Key><<<blocks_of(kThreads, tile_count + 1), kThreads, 0, stream>>>(
      w.sorted_tiles, room.visible > 0 ? room.intersections : 0, tile_count, out.tile_offsets);
  check_launch("find_tile_offsets");
}

// The number behind the last tile, which stands for "none", has to fit too.
bool fits_16_bits(int64_t tile_count) { return tile_count <= 65535; }

}  // namespace

void count_tiles(const SplatInputs& in, ImageSize image, int tile_size, int32_t* tile_counts,
                 BinSizes* totals, Stream stream) {
  check(cudaMemsetAsync(totals, 0, sizeof(BinSizes), stream), "memset");
  const unsigned grid = blocks_of(kThreads, in.images * in.gaussians);
  if (grid == 0) return;
  count_touched_tiles<<<grid, kThreads, 0, stream>>>(in, image, tile_size, tile_counts, totals);
  check_launch("count_touched_tiles");
}

size_t write_tile_lists_workspace(const SplatInputs& in, ImageSize image, int tile_size, BinSizes room) {
  const int64_t splats = in.images * in.gaussians;
  const int64_t tile_count = in.images * TileGrid(image, tile_size).count();
  return fits_16_bits(tile_count) ? Workspace<uint16_t>(nullptr, splats, in.images, tile_count, room).bytes
                                  : Workspace<uint32_t>(nullptr, splats, in.images, tile_count, room).bytes;
}

void write_tile_lists(const SplatInputs& in, ImageSize image, int tile_size, const int32_t* tile_counts,
                      BinSizes room, const TileListOutputs& out, void* workspace, Stream stream) {
  const TileGrid grid(image, tile_size);
  if (fits_16_bits(in.images * grid.count())) {
    write_lists<uint16_t>(in, image, grid, tile_counts, room, out, workspace, stream);
  } else {
    write_lists<uint32_t>(in, image, grid, tile_counts, room, out, workspace, stream);
  }
}

}  // namespace gsplat::cuda
