// Exact nearest neighbours of points among themselves.
#pragma once

#include "cuda/launch.h"

namespace gsplat::cuda {

// Bytes of working memory for nearest_neighbors().
size_t nearest_neighbors_workspace(int64_t count);

// For each of `count` points [count, 3]: the k nearest other points, ascending by distance, into indices and
// squared_distances [count, k]. Coordinates must be finite and 1 <= k < count < 2^31.
void nearest_neighbors(const float* points, int64_t count, int64_t k, int64_t* indices,
                       float* squared_distances, void* workspace, Stream stream);

}  // namespace gsplat::cuda
