// The levels of the tree are built one after the other, their nodes in parallel.
#include "cpu/neighbors.h"

#include <algorithm>
#include <limits>

#include "cpu/parallel.h"

namespace gsplat {
namespace {

constexpr int64_t kQueryGrain = 256;

// Measures a node's box and puts its lower half of points, along the box's longest side, before the upper.
void build_node(const TreeShape& shape, int level, int64_t j, TreePoint* points, TreeBox* boxes) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const int64_t first = shape.begin(level, j), last = shape.begin(level, j + 1);
  TreeBox box = {{kInfinity, kInfinity, kInfinity},
                 {-kInfinity, -kInfinity, -kInfinity},
                 std::numeric_limits<int32_t>::max()};
  for (int64_t i = first; i < last; ++i) {
    for (int axis = 0; axis < 3; ++axis) {
      box.lower[axis] = std::min(box.lower[axis], points[i].xyz[axis]);
      box.upper[axis] = std::max(box.upper[axis], points[i].xyz[axis]);
    }
    box.first = std::min(box.first, points[i].index);
  }
  boxes[TreeShape::box(level, j)] = box;
  if (level == shape.depth) return;
  const int longest = longest_side(box);
  // Ties are broken by index, so the two halves do not depend on how the library selects.
  std::nth_element(points + first, points + shape.begin(level + 1, 2 * j + 1), points + last,
                   [longest](const TreePoint& a, const TreePoint& b) {
                     return a.xyz[longest] != b.xyz[longest] ? a.xyz[longest] < b.xyz[longest]
                                                             : a.index < b.index;
                   });
}

template <class Body>
void for_each_query(int64_t count, Body&& body) {
  parallel_for(count, kQueryGrain, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) body(i);
  });
}

}  // namespace

SortedPoints::SortedPoints(const float* xyz, int64_t count)
    : shape(count), points(count), boxes(shape.boxes()) {
  for (int64_t i = 0; i < count; ++i) {
    points[i] = {{xyz[3 * i], xyz[3 * i + 1], xyz[3 * i + 2]}, static_cast<int32_t>(i)};
  }
  for (int level = 0; level <= shape.depth; ++level) {
    parallel_dynamic(int64_t{1} << level,
                     [&](int64_t j) { build_node(shape, level, j, points.data(), boxes.data()); });
  }
}

Neighbors::Neighbors(const float* points, int64_t count, const NeighborQueries& queries)
    : points_(points, count),
      places_(queries.places, queries.places == nullptr ? 0 : queries.count),
      search_{points_.tree(), queries, (queries.places == nullptr ? points_ : places_).points.data()} {}

void Neighbors::nearest(const NearestRows& out) const {
  for_each_query(search_.queries.count, [&](int64_t i) { search_.nearest(i, out); });
}

int64_t Neighbors::count_within(int64_t* offsets) const {
  const int64_t count = search_.queries.count;
  for_each_query(count, [&](int64_t i) { search_.count_within(i, offsets + 1); });
  offsets[0] = 0;
  for (int64_t i = 0; i < count; ++i) offsets[i + 1] += offsets[i];
  return offsets[count];
}

void Neighbors::within(const WithinRows& out) const {
  for_each_query(search_.queries.count, [&](int64_t i) { search_.within(i, out); });
}

}  // namespace gsplat
