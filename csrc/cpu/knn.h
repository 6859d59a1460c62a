// Exact nearest neighbours of points among themselves.
#pragma once

#include <cstdint>

namespace gsplat {

// For each of `count` points [count, 3]: the k nearest other points, ascending by distance.
//
//   indices, squared_distances   [count, k]
//
// Coordinates must be finite and 1 <= k < count < 2^31. A point is never its own neighbour, but a duplicate
// of it is, at distance 0. Among points at exactly the same distance the choice is the same for any thread
// count.
void nearest_neighbors(const float* points, int64_t count, int64_t k, int64_t* indices,
                       float* squared_distances);

}  // namespace gsplat
