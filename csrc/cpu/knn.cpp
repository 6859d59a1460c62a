// A balanced k-d tree (Friedman, Bentley and Finkel 1977) over an array that is sorted in place.
//
// Node j of level d owns the positions [begin(d, j), begin(d, j + 1)) of that array, so the tree needs no
// pointers: only a bounding box per node. Levels are built one after the other, their nodes in parallel.
#include "cpu/knn.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "cpu/parallel.h"

namespace gsplat {
namespace {

constexpr int64_t kLeafSize = 8;
constexpr int64_t kQueryGrain = 256;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Point {
  float xyz[3];
  int32_t index;  // row of the caller's array
};

struct Box {
  float lower[3] = {kInfinity, kInfinity, kInfinity};
  float upper[3] = {-kInfinity, -kInfinity, -kInfinity};
};

// Rounding is monotonic, so this is never more than squared_distance() to a point in the box, and skipping a
// box on its account never loses a neighbour.
float squared_distance(const Box& box, const Point& point) {
  float sum = 0;
  for (int axis = 0; axis < 3; ++axis) {
    const float outside =
        std::max({box.lower[axis] - point.xyz[axis], point.xyz[axis] - box.upper[axis], 0.0f});
    sum += outside * outside;
  }
  return sum;
}

float squared_distance(const Point& a, const Point& b) {
  float sum = 0;
  for (int axis = 0; axis < 3; ++axis) {
    const float difference = a.xyz[axis] - b.xyz[axis];
    sum += difference * difference;
  }
  return sum;
}

class Tree {
public:
  Tree(const float* points, int64_t count) : points_(count) {
    for (int64_t i = 0; i < count; ++i) {
      points_[i] = {{points[3 * i], points[3 * i + 1], points[3 * i + 2]}, static_cast<int32_t>(i)};
    }
    while ((count >> depth_) > kLeafSize) ++depth_;
    boxes_.resize((int64_t{2} << depth_) - 1);
    for (int64_t level = 0; level <= depth_; ++level) {
      parallel_dynamic(int64_t{1} << level, [&](int64_t j) { build_node(level, j); });
    }
  }

  const Point& operator[](int64_t position) const { return points_[position]; }

  // Calls visit(position) for the points of every leaf that may be nearer than bound(), nearest leaves first.
  template <class Bound, class Visit>
  void search(const Point& query, Bound&& bound, Visit&& visit) const {
    struct Entry {
      int64_t level, j;
      float distance;
    };
    Entry stack[64];
    int size = 0;
    stack[size++] = {0, 0, squared_distance(box(0, 0), query)};
    while (size > 0) {
      const Entry node = stack[--size];
      if (node.distance >= bound()) continue;
      if (node.level == depth_) {
        for (int64_t i = begin(node.level, node.j); i < begin(node.level, node.j + 1); ++i) visit(i);
        continue;
      }
      const int64_t level = node.level + 1, left = 2 * node.j, right = left + 1;
      const float to_left = squared_distance(box(level, left), query);
      const float to_right = squared_distance(box(level, right), query);
      if (to_left <= to_right) {
        stack[size++] = {level, right, to_right};
        stack[size++] = {level, left, to_left};
      } else {
        stack[size++] = {level, left, to_left};
        stack[size++] = {level, right, to_right};
      }
    }
  }

private:
  int64_t begin(int64_t level, int64_t j) const {
    return (static_cast<int64_t>(points_.size()) * j) >> level;
  }
  const Box& box(int64_t level, int64_t j) const { return boxes_[(int64_t{1} << level) - 1 + j]; }

  // Measures a node's box and puts its lower half of points, along the box's longest side, before the upper.
  void build_node(int64_t level, int64_t j) {
    const int64_t first = begin(level, j), last = begin(level, j + 1);
    Box box;
    for (int64_t i = first; i < last; ++i) {
      for (int axis = 0; axis < 3; ++axis) {
        box.lower[axis] = std::min(box.lower[axis], points_[i].xyz[axis]);
        box.upper[axis] = std::max(box.upper[axis], points_[i].xyz[axis]);
      }
    }
    boxes_[(int64_t{1} << level) - 1 + j] = box;
    if (level == depth_) return;
    int longest = 0;
    for (int axis = 1; axis < 3; ++axis) {
      if (box.upper[axis] - box.lower[axis] > box.upper[longest] - box.lower[longest]) longest = axis;
    }
    // Ties are broken by index, so the two halves do not depend on how the library selects.
    std::nth_element(points_.begin() + first, points_.begin() + begin(level + 1, 2 * j + 1),
                     points_.begin() + last, [longest](const Point& a, const Point& b) {
                       return a.xyz[longest] != b.xyz[longest] ? a.xyz[longest] < b.xyz[longest]
                                                               : a.index < b.index;
                     });
  }

  int64_t depth_ = 0;
  std::vector<Point> points_;
  std::vector<Box> boxes_;
};

}  // namespace

void nearest_neighbors(const float* points, int64_t count, int64_t k, int64_t* indices,
                       float* squared_distances) {
  const Tree tree(points, count);
  // In the tree's order, so that queries of one thread touch the same leaves.
  parallel_for(count, kQueryGrain, [&](int64_t first, int64_t last) {
    for (int64_t position = first; position < last; ++position) {
      const Point query = tree[position];
      int64_t* nearest = indices + k * query.index;
      float* distances = squared_distances + k * query.index;
      int64_t found = 0;
      const auto bound = [&] { return found < k ? kInfinity : distances[k - 1]; };
      tree.search(query, bound, [&](int64_t other) {
        if (other == position) return;
        const float distance = squared_distance(query, tree[other]);
        if (found == k && distance >= distances[k - 1]) return;
        int64_t slot = found < k ? found++ : k - 1;
        for (; slot > 0 && distances[slot - 1] > distance; --slot) {
          distances[slot] = distances[slot - 1];
          nearest[slot] = nearest[slot - 1];
        }
        distances[slot] = distance;
        nearest[slot] = tree[other].index;
      });
    }
  });
}

}  // namespace gsplat
