// Exact neighbours of places among points.
#pragma once

#include "cuda/launch.h"
#include "raster/neighbors.h"

namespace gsplat::cuda {

// Bytes of working memory for the functions below, which share it and are called in their order.
size_t neighbors_workspace(int64_t count, const NeighborQueries& queries);

// Prepares a search among `count` points [count, 3], which must be finite; count < 2^31. The result points
// into the working memory.
NeighborSearch search_neighbors(const float* points, int64_t count, const NeighborQueries& queries,
                                void* workspace, Stream stream);

void nearest_neighbors(const NeighborSearch& search, const NearestRows& out, Stream stream);

// The offsets [queries + 1] that neighbors_within() takes; the last one is how many neighbours there are.
void count_within(const NeighborSearch& search, int64_t* offsets, void* workspace, Stream stream);
void neighbors_within(const NeighborSearch& search, const WithinRows& out, Stream stream);

}  // namespace gsplat::cuda
