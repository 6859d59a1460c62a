// A balanced k-d tree over points that are sorted in place (Friedman, Bentley and Finkel 1977), and the
// search for nearest neighbours in it, the same for all backends. Each builds the tree in its own way.
//
// Node j of level d owns the positions [begin(d, j), begin(d, j + 1)) of the points, so the tree needs no
// pointers: only a bounding box per node, level after level.
#pragma once

#include <cstdint>
#include <limits>

#include "math/scalar.h"

namespace gsplat {

struct TreePoint {
  float xyz[3];
  int32_t index;  // row of the caller's array
};

struct TreeBox {
  float lower[3], upper[3];
};

GSPLAT_HD float squared_distance(const TreePoint& a, const TreePoint& b) {
  float sum = 0;
  for (int axis = 0; axis < 3; ++axis) {
    const float difference = a.xyz[axis] - b.xyz[axis];
    sum += difference * difference;
  }
  return sum;
}

// Rounding is monotonic, so this is never more than squared_distance() to a point in the box, and skipping a
// box on its account never loses a neighbour.
GSPLAT_HD float squared_distance(const TreeBox& box, const TreePoint& point) {
  float sum = 0;
  for (int axis = 0; axis < 3; ++axis) {
    const float below = box.lower[axis] - point.xyz[axis], above = point.xyz[axis] - box.upper[axis];
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

  // The k nearest other points of the one at a position, ascending by distance, into [k] each: rows and
  // squared distances. k is less than the number of points.
  GSPLAT_HD void search(int64_t position, int64_t k, int64_t* nearest, float* distances) const {
    struct Entry {
      int32_t level, j;
      float distance;
    };
    const TreePoint query = points[position];
    Entry stack[32];  // one more than there are levels
    int size = 0;
    int64_t found = 0;
    stack[size++] = {0, 0, squared_distance(boxes[0], query)};
    while (size > 0) {
      const Entry node = stack[--size];
      if (found == k && node.distance >= distances[k - 1]) continue;
      if (node.level < shape.depth) {
        // The nearer child comes next.
        const int32_t level = node.level + 1, left = 2 * node.j, right = left + 1;
        const float to_left = squared_distance(boxes[TreeShape::box(level, left)], query);
        const float to_right = squared_distance(boxes[TreeShape::box(level, right)], query);
        const bool left_first = to_left <= to_right;
        stack[size++] = {level, left_first ? right : left, left_first ? to_right : to_left};
        stack[size++] = {level, left_first ? left : right, left_first ? to_left : to_right};
        continue;
      }
      const int64_t end = shape.begin(node.level, node.j + 1);
      for (int64_t other = shape.begin(node.level, node.j); other < end; ++other) {
        if (other == position) continue;
        const float distance = squared_distance(query, points[other]);
        if (found == k && distance >= distances[k - 1]) continue;
        int64_t slot = found < k ? found++ : k - 1;
        for (; slot > 0 && distances[slot - 1] > distance; --slot) {
          distances[slot] = distances[slot - 1];
          nearest[slot] = nearest[slot - 1];
        }
        distances[slot] = distance;
        nearest[slot] = points[other].index;
      }
    }
  }
};

}  // namespace gsplat
