// Nearest neighbours in a k-d tree. Each of its levels is built by a sort of all points: by node, and within
// a node along the longest side of its box (after Wald 2022, "GPU-friendly, parallel, and (almost-)in-place
// construction of left-balanced k-d trees").
//
// This file is compiled without contraction of a * b + c: boxes are skipped because they are no nearer than
// any point in them, and that must hold to the last bit (raster/point_tree.h).
#include <cub/cub.cuh>
#include <utility>

#include "cuda/knn.h"
#include "cuda/ordered_bits.cuh"
#include "cuda/warp.cuh"
#include "raster/point_tree.h"

namespace gsplat::cuda {
namespace {

constexpr int kThreads = 128;

// A box while it grows, so that every number becomes smaller: minima, and minima of the negated coordinates.
struct GrowingBox {
  uint32_t bits[6];

  __device__ TreeBox box() const {
    TreeBox box;
    for (int axis = 0; axis < 3; ++axis) {
      box.lower[axis] = from_ordered_bits(bits[axis]);
      box.upper[axis] = -from_ordered_bits(bits[3 + axis]);
    }
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
  uint32_t bits[6];
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
  for (int n = 0; n < 6; ++n) atomicMin(&boxes[node].bits[n], bits[n]);
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

// In the tree's order, so that the lanes of a warp touch the same leaves.
__global__ void __launch_bounds__(kThreads)
    search_neighbors(PointTree tree, int64_t k, int64_t* indices, float* squared_distances) {
  const int64_t position = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (position >= tree.shape.count) return;
  const int64_t row = k * tree.points[position].index;
  tree.search(position, k, indices + row, squared_distances + row);
}

struct Workspace {
  TreePoint* points;
  TreeBox* boxes;
  GrowingBox* growing;
  uint64_t *keys, *sorted_keys;
  int32_t *ids, *other_ids;
  char* temporary;
  size_t temporary_bytes = 0, bytes;

  Workspace(void* base, const TreeShape& shape) {
    Carver carver(base);
    points = carver.take<TreePoint>(shape.count);
    boxes = carver.take<TreeBox>(shape.boxes());
    growing = carver.take<GrowingBox>(shape.boxes());
    keys = carver.take<uint64_t>(shape.count);
    sorted_keys = carver.take<uint64_t>(shape.count);
    ids = carver.take<int32_t>(shape.count);
    other_ids = carver.take<int32_t>(shape.count);
    sort(nullptr, shape, shape.depth, nullptr);
    temporary = carver.take<char>(static_cast<int64_t>(temporary_bytes));
    bytes = carver.used();
  }

  // By the nodes of a level and the coordinates below them in the keys.
  void sort(void* memory, const TreeShape& shape, int level, Stream stream) {
    check(cub::DeviceRadixSort::SortPairs(memory, temporary_bytes, keys, sorted_keys, ids, other_ids,
                                          shape.count, 0, 32 + level, stream),
          "sort");
  }
};

}  // namespace

size_t nearest_neighbors_workspace(int64_t count) { return Workspace(nullptr, TreeShape(count)).bytes; }

void nearest_neighbors(const float* points, int64_t count, int64_t k, int64_t* indices,
                       float* squared_distances, void* workspace, Stream stream) {
  const TreeShape shape(count);
  Workspace w(workspace, shape);
  const unsigned grid = blocks_of(kThreads, count);
  check(cudaMemsetAsync(w.growing, 0xff, sizeof(GrowingBox) * static_cast<size_t>(shape.boxes()), stream),
        "memset");
  number_points<<<grid, kThreads, 0, stream>>>(count, w.ids);
  check_launch("number_points");
  for (int level = 0; level <= shape.depth; ++level) {
    GrowingBox* const boxes = w.growing + TreeShape::box(level, 0);
    grow_boxes<<<grid, kThreads, 0, stream>>>(points, shape, level, w.ids, boxes);
    check_launch("grow_boxes");
    if (level == shape.depth) break;
    make_sort_keys<<<grid, kThreads, 0, stream>>>(points, shape, level, w.ids, boxes, w.keys);
    check_launch("make_sort_keys");
    w.sort(w.temporary, shape, level, stream);
    std::swap(w.ids, w.other_ids);
  }
  gather_points<<<grid, kThreads, 0, stream>>>(points, count, w.ids, w.points);
  check_launch("gather_points");
  finish_boxes<<<blocks_of(kThreads, shape.boxes()), kThreads, 0, stream>>>(w.growing, shape.boxes(),
                                                                            w.boxes);
  check_launch("finish_boxes");
  const PointTree tree = {shape, w.points, w.boxes};
  search_neighbors<<<grid, kThreads, 0, stream>>>(tree, k, indices, squared_distances);
  check_launch("search_neighbors");
}

}  // namespace gsplat::cuda
