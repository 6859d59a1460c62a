// Binning: which splats touch which tiles, front to back.
#pragma once

#include "cuda/launch.h"
#include "raster/types.h"

namespace gsplat::cuda {

// How many splats and intersections there are, or how many there is room for.
struct BinSizes {
  int64_t visible, intersections;
};

// Counts the tiles that each splat touches: tile_counts [images * gaussians], -1 for culled splats, and the
// totals, in device memory.
void count_tiles(const SplatInputs& in, ImageSize image, int tile_size, int32_t* tile_counts,
                 BinSizes* totals, Stream stream);

// The lists, see TileLists. Slots are not needed here: gradients are added up atomically.
struct TileListOutputs {
  int32_t* tile_offsets;  // [images * tiles + 1]
  int32_t* flatten_ids;   // [room.intersections]
  int32_t* order;         // [room.visible]
  int32_t* slot_offsets;  // [room.visible + 1]
};

// Bytes of working memory for write_tile_lists().
size_t write_tile_lists_workspace(const SplatInputs& in, ImageSize image, int tile_size, BinSizes room);

// Writes the lists of as many splats and intersections as there is room for. `room` is either the totals,
// known to the host, or an upper bound: then the rest of flatten_ids and of order is filled with -1. If it
// was too small, splats are missing in the lists, but nothing else happens.
void write_tile_lists(const SplatInputs& in, ImageSize image, int tile_size, const int32_t* tile_counts,
                      BinSizes room, const TileListOutputs& out, void* workspace, Stream stream);

}  // namespace gsplat::cuda
