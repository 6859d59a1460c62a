// A balanced k-d tree over points that are sorted in place (Friedman, Bentley and Finkel 1977), and the walk
// through it for whatever is near a place, the same for all backends. Each builds the tree in its own way.
//
// Node j of level d owns the positions [begin(d, j), begin(d, j + 1)) of the points, so the tree needs no
// pointers: only a bounding box per node, level after level.
#pragma once

#include <cstdint>

#include "math/scalar.h"

namespace gsplat {

struct TreePoint {
  float xyz[3];
  int32_t index;  // row of the caller's array
};

// Of the points of a node.
struct TreeBox {
  float lower[3], upper[3];
  int32_t first;  // the smallest index
};

GSPLAT_HD float squared_distance(const float* a, const float* b) {
  float sum = 0;
  for (int axis = 0; axis < 3; ++axis) {
    const float difference = a[axis] - b[axis];
    sum += difference * difference;
  }
  return sum;
}

// Rounding is monotonic, so this is never more than squared_distance() to a point in the box, and skipping a
// box on its account never loses a neighbour.
GSPLAT_HD float squared_distance(const TreeBox& box, const float* place) {
  float sum = 0;
  for (int axis = 0; axis < 3; ++axis) {
    const float below = box.lower[axis] - place[axis], above = place[axis] - box.upper[axis];
    const float nearer = below > above ? below : above;
    const float outside = nearer > 0.0f ? nearer : 0.0f;
    sum += outside * outside;
  }
  return sum;
}

// Along which points are divided: of equally long sides the first.
GSPLAT_HD int longest_side(const TreeBox& box) {
  int longest = 0;
  for (int axis = 1; axis < 3; ++axis) {
    if (box.upper[axis] - box.lower[axis] > box.upper[longest] - box.lower[longest]) longest = axis;
  }
  return longest;
}

// How the nodes of the tree of `count` points lie: `depth` levels below the root.
struct TreeShape {
  static constexpr int64_t kLeafSize = 8;

  int64_t count;
  int depth = 0;

  GSPLAT_HD explicit TreeShape(int64_t count_) : count(count_) {
    while ((count >> depth) > kLeafSize) ++depth;
  }
  GSPLAT_HD int64_t begin(int level, int64_t j) const { return (count * j) >> level; }
  // The node of a level that owns a position.
  GSPLAT_HD int64_t owner(int level, int64_t position) const {
    return (((position + 1) << level) - 1) / count;
  }
  GSPLAT_HD static int64_t box(int level, int64_t j) { return (int64_t{1} << level) - 1 + j; }
  GSPLAT_HD int64_t boxes() const { return (int64_t{2} << depth) - 1; }
};

struct PointTree {
  TreeShape shape;
  const TreePoint* points;  // [shape.count]
  const TreeBox* boxes;     // [shape.boxes()]

  // Calls found.add(squared distance, index) for all points but those of which found.wants(squared distance,
  // index) has said that it wants none as far away, or farther, with this index or a larger one.
  template <class Found>
  GSPLAT_HD void visit(const float* place, Found& found) const {
    struct Entry {
      int32_t level, j;
      float distance;
    };
    Entry stack[32];  // one more than there are levels
    int size = 0;
    if (shape.count > 0) stack[size++] = {0, 0, squared_distance(boxes[0], place)};
    while (size > 0) {
      const Entry node = stack[--size];
      if (!found.wants(node.distance, boxes[TreeShape::box(node.level, node.j)].first)) continue;
      if (node.level < shape.depth) {
        // The nearer child comes next.
        const int32_t level = node.level + 1, left = 2 * node.j, right = left + 1;
        const float to_left = squared_distance(boxes[TreeShape::box(level, left)], place);
        const float to_right = squared_distance(boxes[TreeShape::box(level, right)], place);
        const bool left_first = to_left <= to_right;
        stack[size++] = {level, left_first ? right : left, left_first ? to_right : to_left};
        stack[size++] = {level, left_first ? left : right, left_first ? to_left : to_right};
        continue;
      }
      const int64_t end = shape.begin(node.level, node.j + 1);
      for (int64_t i = shape.begin(node.level, node.j); i < end; ++i) {
        const float distance = squared_distance(place, points[i].xyz);
        if (found.wants(distance, points[i].index)) found.add(distance, points[i].index);
      }
    }
  }
};

}  // namespace gsplat
