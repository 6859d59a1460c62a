// torch.ops.gsplat_core.nearest_centroids and cluster_means: the two halves of an iteration of k-means.
#include "cpu/kmeans.h"

#include <torch/csrc/stable/library.h>

#include <cmath>
#include <optional>
#include <tuple>

#include "ops/checks.h"

namespace gsplat::ops {
namespace {

// A NaN is near to nothing, and its point would silently fall to the first centroid.
void check_finite(const Tensor& tensor, const char* name) {
  const float* values = floats(tensor);
  const int64_t size = tensor.size(0) * tensor.size(1);
  for (int64_t i = 0; i < size; ++i) {
    STD_TORCH_CHECK(std::isfinite(values[i]), "gsplat_core: argument '", name,
                    "' has NaN or infinite numbers, the first in row ", i / tensor.size(1));
  }
}

std::tuple<Tensor, Tensor> nearest_centroids_op(Tensor points, Tensor centroids) {
  check_tensor(points, "points", {kAny, kAny});
  check_tensor(centroids, "centroids", {kAny, points.size(1)});
  const int64_t rows = points.size(0), dim = points.size(1), count = centroids.size(0);
  STD_TORCH_CHECK(dim >= 1, "gsplat_core: argument 'points' must have at least one column");
  STD_TORCH_CHECK(count >= 1 && count <= kMostCentroids,
                  "gsplat_core: argument 'centroids' must have between 1 and ", kMostCentroids, " rows, got ",
                  count);
  points = packed(points);
  centroids = packed(centroids);
  check_finite(points, "points");
  check_finite(centroids, "centroids");
  Tensor labels = empty_like_device(points, {rows}, ScalarType::Int);
  Tensor squared_distances = empty_like_device(points, {rows});
  nearest_centroids(floats(points), rows, dim, floats(centroids), count, mutable_ints(labels),
                    mutable_floats(squared_distances));
  return {labels, squared_distances};
}

std::tuple<Tensor, Tensor> cluster_means_op(Tensor points, Tensor labels, int64_t count,
                                            std::optional<Tensor> weights) {
  check_tensor(points, "points", {kAny, kAny});
  const int64_t rows = points.size(0), dim = points.size(1);
  check_tensor(labels, "labels", {rows}, ScalarType::Int);
  if (weights.has_value()) check_tensor(*weights, "weights", {rows});
  STD_TORCH_CHECK(count >= 1, "gsplat_core: argument 'count' must be at least 1, got ", count);
  check_index_range(rows, "points");
  points = packed(points);
  labels = packed(labels);
  weights = packed(weights);
  for (int64_t i = 0; i < rows; ++i) {
    const int32_t label = ints(labels)[i];
    STD_TORCH_CHECK(label >= 0 && label < count, "gsplat_core: argument 'labels' must be from 0 to ",
                    count - 1, ", but row ", i, " is ", label);
  }
  Tensor means = empty_like_device(points, {count, dim});
  Tensor masses = empty_like_device(points, {count});
  cluster_means(floats(points), ints(labels), floats(weights), rows, dim, count, mutable_floats(means),
                mutable_floats(masses));
  return {means, masses};
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def("nearest_centroids(Tensor points, Tensor centroids) -> (Tensor labels, Tensor squared_distances)");
  m.def(
      "cluster_means(Tensor points, Tensor labels, int count, Tensor? weights=None) -> "
      "(Tensor means, Tensor masses)");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) {
  m.impl("nearest_centroids", TORCH_BOX(&nearest_centroids_op));
  m.impl("cluster_means", TORCH_BOX(&cluster_means_op));
}

}  // namespace gsplat::ops
