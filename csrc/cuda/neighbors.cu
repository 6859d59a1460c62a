// Neighbours in a k-d tree. Each of its levels is built by a sort of all points: by node, and within a node
// along the longest side of its box (after Wald 2022, "GPU-friendly, parallel, and (almost-)in-place
// construction of left-balanced k-d trees").
//
// This file is compiled without contraction of a * b + c: boxes are skipped because they are no nearer than
// any point in them, and that must hold to the last bit (raster/point_tree.h).
#include <cub/cub.cuh>
#include <utility>

#include "cuda/neighbors.h"
#include "cuda/ordered_bits.cuh"
#include "cuda/warp.cuh"

namespace gsplat::cuda {
namespace {

constexpr int kThreads = 128;

// A box while it grows, so that every number becomes smaller: minima, minima of the negated coordinates, and
// the smallest index.
struct GrowingBox {
  static constexpr int kNumbers = 7;
  uint32_t bits[kNumbers];

  __device__ TreeBox box() const {
    TreeBox box;
    for (int axis = 0; axis < 3; ++axis) {
      box.lower[axis] = from_ordered_bits(bits[axis]);
      box.upper[axis] = -from_ordered_bits(bits[3 + axis]);
    }
    box.first = static_cast<int32_t>(bits[6]);
    return box;
  }
};

__global__ void __launch_bounds__(kThreads) number_points(int64_t count, int32_t* ids) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < count) ids[i] = static_cast<int32_t>(i);
}

// `boxes` of one level, which hold the largest of all numbers in the beginning.
__global__ void __launch_bounds__(kThreads)
    grow_boxes(const float* points, TreeShape shape, int level, const int32_t* ids, GrowingBox* boxes) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const int64_t position = i < shape.count ? i : shape.count - 1;  // again the last one, for full warps
  const int node = static_cast<int>(shape.owner(level, position));
  const float* point = points + 3 * static_cast<int64_t>(ids[position]);
  uint32_t bits[GrowingBox::kNumbers];
  bits[6] = static_cast<uint32_t>(ids[position]);
  for (int axis = 0; axis < 3; ++axis) {
    bits[axis] = ordered_bits(point[axis]);
    bits[3 + axis] = ordered_bits(-point[axis]);
  }
  // Positions ascend, so between equal nodes there are no others. Then one lane speaks for the warp.
  const bool one_node = __shfl_sync(kAllLanes, node, 0) == __shfl_sync(kAllLanes, node, kWarp - 1);
  if (one_node) {
    for (int distance = kWarp / 2; distance > 0; distance /= 2) {
      for (uint32_t& value : bits) value = ::min(value, __shfl_xor_sync(kAllLanes, value, distance));
    }
    if (lane_index() != 0) return;
  }
  for (int n = 0; n < GrowingBox::kNumbers; ++n) atomicMin(&boxes[node].bits[n], bits[n]);
}

__global__ void __launch_bounds__(kThreads)
    make_sort_keys(const float* points, TreeShape shape, int level, const int32_t* ids,
                   const GrowingBox* boxes, uint64_t* keys) {
  const int64_t position = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (position >= shape.count) return;
  const int64_t node = shape.owner(level, position);
  const int axis = longest_side(boxes[node].box());
  keys[position] = static_cast<uint64_t>(node) << 32 |
                   ordered_bits(points[3 * static_cast<int64_t>(ids[position]) + axis]);
}

__global__ void __launch_bounds__(kThreads)
    gather_points(const float* points, int64_t count, const int32_t* ids, TreePoint* sorted) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= count) return;
  const float* point = points + 3 * static_cast<int64_t>(ids[i]);
  sorted[i] = {{point[0], point[1], point[2]}, ids[i]};
}

__global__ void __launch_bounds__(kThreads)
    finish_boxes(const GrowingBox* growing, int64_t count, TreeBox* boxes) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < count) boxes[i] = growing[i].box();
}

__global__ void __launch_bounds__(kThreads) find_nearest(NeighborSearch search, NearestRows out) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < search.queries.count) search.nearest(i, out);
}

__global__ void __launch_bounds__(kThreads) count_neighbors(NeighborSearch search, int64_t* counts) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < search.queries.count) search.count_within(i, counts);
}

__global__ void __launch_bounds__(kThreads) find_within(NeighborSearch search, WithinRows out) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < search.queries.count) search.within(i, out);
}

// What is left of a tree once it is built.
struct BuiltTree {
  TreeShape shape;
  TreePoint* points;
  TreeBox* boxes;

  BuiltTree(Carver& carver, int64_t count)
      : shape(count), points(carver.take<TreePoint>(count)), boxes(carver.take<TreeBox>(shape.boxes())) {}
  PointTree tree() const { return {shape, points, boxes}; }
};

// That of the points, that of the places if these are others, and what building them takes.
struct Workspace {
  BuiltTree points, places;
  GrowingBox* growing;
  uint64_t *keys, *sorted_keys;
  int32_t *ids, *other_ids;
  char* temporary;
  size_t temporary_bytes = 0, bytes;

  Workspace(Carver carver, int64_t count, const NeighborQueries& queries)
      : points(carver, count), places(carver, queries.places == nullptr ? 0 : queries.count) {
    const TreeShape& larger = (points.shape.count < places.shape.count ? places : points).shape;
    growing = carver.take<GrowingBox>(larger.boxes());
    keys = carver.take<uint64_t>(larger.count);
    sorted_keys = carver.take<uint64_t>(larger.count);
    ids = carver.take<int32_t>(larger.count);
    other_ids = carver.take<int32_t>(larger.count);
    size_t scan = 0;
    int64_t* const none = nullptr;
    check(cub::DeviceScan::InclusiveSum(nullptr, scan, none, none, queries.count), "scan");
    sort(nullptr, larger, larger.depth, nullptr);
    if (scan > temporary_bytes) temporary_bytes = scan;
    temporary = carver.take<char>(static_cast<int64_t>(temporary_bytes));
    bytes = carver.used();
  }

  // By the nodes of a level and the coordinates below them in the keys.
  void sort(void* memory, const TreeShape& shape, int level, Stream stream) {
    check(cub::DeviceRadixSort::SortPairs(memory, temporary_bytes, keys, sorted_keys, ids, other_ids,
                                          shape.count, 0, 32 + level, stream),
          "sort");
  }

  void build(const BuiltTree& tree, const float* xyz, Stream stream) {
    const TreeShape& shape = tree.shape;
    if (shape.count == 0) return;
    const unsigned grid = blocks_of(kThreads, shape.count);
    check(cudaMemsetAsync(growing, 0xff, sizeof(GrowingBox) * static_cast<size_t>(shape.boxes()), stream),
          "memset");
    number_points<<<grid, kThreads, 0, stream>>>(shape.count, ids);
    check_launch("number_points");
    for (int level = 0; level <= shape.depth; ++level) {
      GrowingBox* const boxes = growing + TreeShape::box(level, 0);
      grow_boxes<<<grid, kThreads, 0, stream>>>(xyz, shape, level, ids, boxes);
      check_launch("grow_boxes");
      if (level == shape.depth) break;
      make_sort_keys<<<grid, kThreads, 0, stream>>>(xyz, shape, level, ids, boxes, keys);
      check_launch("make_sort_keys");
      sort(temporary, shape, level, stream);
      std::swap(ids, other_ids);
    }
    gather_points<<<grid, kThreads, 0, stream>>>(xyz, shape.count, ids, tree.points);
    check_launch("gather_points");
    finish_boxes<<<blocks_of(kThreads, shape.boxes()), kThreads, 0, stream>>>(growing, shape.boxes(),
                                                                              tree.boxes);
    check_launch("finish_boxes");
  }
};

}  // namespace

size_t neighbors_workspace(int64_t count, const NeighborQueries& queries) {
  return Workspace(Carver(nullptr), count, queries).bytes;
}

NeighborSearch search_neighbors(const float* points, int64_t count, const NeighborQueries& queries,
                                void* workspace, Stream stream) {
  Workspace w(Carver(workspace), count, queries);
  w.build(w.points, points, stream);
  w.build(w.places, queries.places, stream);
  return {w.points.tree(), queries, (queries.places == nullptr ? w.points : w.places).points};
}

void nearest_neighbors(const NeighborSearch& search, const NearestRows& out, Stream stream) {
  find_nearest<<<blocks_of(kThreads, search.queries.count), kThreads, 0, stream>>>(search, out);
  check_launch("find_nearest");
}

void count_within(const NeighborSearch& search, int64_t* offsets, void* workspace, Stream stream) {
  const int64_t count = search.queries.count;
  Workspace w(Carver(workspace), search.tree.shape.count, search.queries);
  check(cudaMemsetAsync(offsets, 0, sizeof(int64_t), stream), "memset");
  count_neighbors<<<blocks_of(kThreads, count), kThreads, 0, stream>>>(search, offsets + 1);
  check_launch("count_neighbors");
  check(
      cub::DeviceScan::InclusiveSum(w.temporary, w.temporary_bytes, offsets + 1, offsets + 1, count, stream),
      "scan");
}

void neighbors_within(const NeighborSearch& search, const WithinRows& out, Stream stream) {
  find_within<<<blocks_of(kThreads, search.queries.count), kThreads, 0, stream>>>(search, out);
  check_launch("find_within");
}

}  // namespace gsplat::cuda
