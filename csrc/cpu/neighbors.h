// Exact neighbours of places among points. The same bytes for any number of threads.
#pragma once

#include <cstdint>
#include <vector>

#include "raster/neighbors.h"

namespace gsplat {

// Points in the order of their tree.
struct SortedPoints {
  TreeShape shape;
  std::vector<TreePoint> points;
  std::vector<TreeBox> boxes;

  // Of `count` points [count, 3], which must be finite; count < 2^31.
  SortedPoints(const float* xyz, int64_t count);
  PointTree tree() const { return {shape, points.data(), boxes.data()}; }
};

class Neighbors {
public:
  // Points and places as SortedPoints wants them.
  Neighbors(const float* points, int64_t count, const NeighborQueries& queries);

  void nearest(const NearestRows& out) const;

  // Writes the offsets [queries + 1] that within() takes, and returns how many neighbours there are.
  int64_t count_within(int64_t* offsets) const;
  void within(const WithinRows& out) const;

private:
  SortedPoints points_, places_;
  NeighborSearch search_;
};

}  // namespace gsplat
