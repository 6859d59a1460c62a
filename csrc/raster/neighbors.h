// What is looked for in a tree of points, the same for all backends: the nearest ones, or all within a
// radius. Of points that are equally far the one with the smaller index is the nearer one, so results depend
// on nothing but the points.
#pragma once

#include <cstdint>
#include <limits>

#include "math/scalar.h"
#include "raster/point_tree.h"

namespace gsplat {

// Neighbours of a place, in the caller's memory. While they are found, they are a heap, the farthest on top.
struct RankedNeighbors {
  int64_t* indices;
  float* distances;  // squared

  GSPLAT_HD void put(int64_t slot, float distance, int64_t index) {
    distances[slot] = distance;
    indices[slot] = index;
  }
  GSPLAT_HD static bool before(float distance, int64_t index, float other_distance, int64_t other) {
    return distance < other_distance || (distance == other_distance && index < other);
  }
  GSPLAT_HD bool before(int64_t a, int64_t b) const {
    return before(distances[a], indices[a], distances[b], indices[b]);
  }
  // Puts a neighbour into the slot, or lower, below those of the first `size` that are farther.
  GSPLAT_HD void sift(int64_t slot, int64_t size, float distance, int64_t index) {
    for (int64_t child = 2 * slot + 1; child < size; child = 2 * slot + 1) {
      if (child + 1 < size && before(child, child + 1)) ++child;
      if (!before(distance, index, distances[child], indices[child])) break;
      put(slot, distances[child], indices[child]);
      slot = child;
    }
    put(slot, distance, index);
  }
  GSPLAT_HD void make_heap(int64_t size) {
    for (int64_t slot = size / 2 - 1; slot >= 0; --slot) sift(slot, size, distances[slot], indices[slot]);
  }
  // The nearest first, of a heap.
  GSPLAT_HD void sort_heap(int64_t size) {
    for (int64_t last = size - 1; last > 0; --last) {
      const float distance = distances[last];
      const int64_t index = indices[last];
      put(last, distances[0], indices[0]);
      sift(0, last, distance, index);
    }
  }
};

// Who must not be found, and how far away others may be.
struct NeighborLimits {
  int64_t own;
  float squared_radius;
};

struct NearestFound {
  NeighborLimits limits;
  RankedNeighbors row;
  int64_t k;
  int64_t size = 0;
  // Nothing as far away, or farther, with this index or a larger one.
  float end_distance = limits.squared_radius;
  int64_t end_index = std::numeric_limits<int64_t>::max();

  GSPLAT_HD bool wants(float distance, int64_t index) const {
    return RankedNeighbors::before(distance, index, end_distance, end_index);
  }
  GSPLAT_HD void add(float distance, int64_t index) {
    if (index == limits.own) return;
    if (size < k) {
      row.put(size++, distance, index);
      if (size < k) return;
      row.make_heap(k);
    } else {
      row.sift(0, k, distance, index);
    }
    end_distance = row.distances[0];
    end_index = row.indices[0];
  }
  // The nearest first, then -1 at infinity where there are fewer than k.
  GSPLAT_HD void finish() {
    if (size < k) row.make_heap(size);
    row.sort_heap(size);
    for (; size < k; ++size) row.put(size, std::numeric_limits<float>::infinity(), -1);
  }
};

struct WithinCounted {
  NeighborLimits limits;
  int64_t size = 0;

  GSPLAT_HD bool wants(float distance, int64_t) const { return distance <= limits.squared_radius; }
  GSPLAT_HD void add(float, int64_t index) { size += index != limits.own; }
};

struct WithinFound {
  NeighborLimits limits;
  RankedNeighbors row;
  int64_t size = 0;

  GSPLAT_HD bool wants(float distance, int64_t) const { return distance <= limits.squared_radius; }
  GSPLAT_HD void add(float distance, int64_t index) {
    if (index != limits.own) row.put(size++, distance, index);
  }
  GSPLAT_HD void finish() {
    row.make_heap(size);
    row.sort_heap(size);
  }
};

// Where neighbours are looked for.
struct NeighborQueries {
  int64_t count;
  const float* places;  // [count, 3]; null: at the points themselves, each of which does not find itself
  const int64_t* own;   // [count], indices of points that are not to be found; null: all are
  const float* radii;   // [count]; null: no matter how far
};

struct NearestRows {
  int64_t k;
  int64_t* indices;          // [count, k], -1 where there are fewer
  float* squared_distances;  // [count, k], infinity where there are fewer
};

// The neighbours of all queries, one query after the other.
struct WithinRows {
  const int64_t* offsets;  // [count + 1]
  int64_t* indices;
  float* squared_distances;
};

// One query after the other, in the order of a tree of theirs, so that those that follow each other, or run
// in threads beside each other, touch the same leaves.
struct NeighborSearch {
  PointTree tree;
  NeighborQueries queries;
  const TreePoint* places;  // [queries.count]

  GSPLAT_HD NeighborLimits limits(int64_t row) const {
    const int64_t own = queries.own == nullptr ? -1 : queries.own[row];
    const float radius =
        queries.radii == nullptr ? std::numeric_limits<float>::infinity() : queries.radii[row];
    return {queries.places == nullptr ? row : own, radius * radius};
  }

  GSPLAT_HD void nearest(int64_t i, const NearestRows& out) const {
    const TreePoint place = places[i];
    const int64_t start = out.k * place.index;
    NearestFound found = {limits(place.index), {out.indices + start, out.squared_distances + start}, out.k};
    tree.visit(place.xyz, found);
    found.finish();
  }
  GSPLAT_HD void count_within(int64_t i, int64_t* counts) const {
    const TreePoint place = places[i];
    WithinCounted counted = {limits(place.index)};
    tree.visit(place.xyz, counted);
    counts[place.index] = counted.size;
  }
  GSPLAT_HD void within(int64_t i, const WithinRows& out) const {
    const TreePoint place = places[i];
    const int64_t start = out.offsets[place.index];
    WithinFound found = {limits(place.index), {out.indices + start, out.squared_distances + start}};
    tree.visit(place.xyz, found);
    found.finish();
  }
};

}  // namespace gsplat
