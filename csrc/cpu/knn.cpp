// The levels of the tree are built one after the other, their nodes in parallel.
#include "cpu/knn.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "cpu/parallel.h"
#include "raster/point_tree.h"

namespace gsplat {
namespace {

constexpr int64_t kQueryGrain = 256;

// Measures a node's box and puts its lower half of points, along the box's longest side, before the upper.
void build_node(const TreeShape& shape, int level, int64_t j, TreePoint* points, TreeBox* boxes) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const int64_t first = shape.begin(level, j), last = shape.begin(level, j + 1);
  TreeBox box = {{kInfinity, kInfinity, kInfinity}, {-kInfinity, -kInfinity, -kInfinity}};
  for (int64_t i = first; i < last; ++i) {
    for (int axis = 0; axis < 3; ++axis) {
      box.lower[axis] = std::min(box.lower[axis], points[i].xyz[axis]);
      box.upper[axis] = std::max(box.upper[axis], points[i].xyz[axis]);
    }
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

}  // namespace

void nearest_neighbors(const float* points, int64_t count, int64_t k, int64_t* indices,
                       float* squared_distances) {
  const TreeShape shape(count);
  std::vector<TreePoint> sorted(count);
  std::vector<TreeBox> boxes(shape.boxes());
  for (int64_t i = 0; i < count; ++i) {
    sorted[i] = {{points[3 * i], points[3 * i + 1], points[3 * i + 2]}, static_cast<int32_t>(i)};
  }
  for (int level = 0; level <= shape.depth; ++level) {
    parallel_dynamic(int64_t{1} << level,
                     [&](int64_t j) { build_node(shape, level, j, sorted.data(), boxes.data()); });
  }
  const PointTree tree = {shape, sorted.data(), boxes.data()};
  // In the tree's order, so that queries of one thread touch the same leaves.
  parallel_for(count, kQueryGrain, [&](int64_t first, int64_t last) {
    for (int64_t position = first; position < last; ++position) {
      const int64_t row = k * sorted[position].index;
      tree.search(position, k, indices + row, squared_distances + row);
    }
  });
}

}  // namespace gsplat
