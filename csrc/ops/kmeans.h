// The two halves of an iteration of k-means: nearest_centroids, cluster_means. `Kernels` are those of a
// device.
#pragma once

#include <optional>
#include <tuple>

#include "ops/checks.h"
#include "ops/finite.h"
#include "raster/kmeans.h"

namespace gsplat::ops {

template <class Kernels>
std::tuple<Tensor, Tensor> nearest_centroids(Tensor points, Tensor centroids) {
  check_tensor(points, "points", {kAny, kAny});
  check_tensor(centroids, "centroids", {kAny, points.size(1)});
  check_same_device({{"points", points}, {"centroids", centroids}});
  const int64_t rows = points.size(0), dim = points.size(1), count = centroids.size(0);
  STD_TORCH_CHECK(dim >= 1, "gsplat_core: argument 'points' must have at least one column");
  STD_TORCH_CHECK(count >= 1 && count <= kMostCentroids,
                  "gsplat_core: argument 'centroids' must have between 1 and ", kMostCentroids, " rows, got ",
                  count);
  points = packed(points);
  centroids = packed(centroids);
  check_finite<Kernels>(points, "points", rows, dim);
  check_finite<Kernels>(centroids, "centroids", count, dim);
  Tensor labels = empty_like_device(points, {rows}, ScalarType::Int);
  Tensor squared_distances = empty_like_device(points, {rows});
  Kernels::nearest_centroids(points, rows, dim, floats(centroids), count, mutable_ints(labels),
                             mutable_floats(squared_distances));
  return {labels, squared_distances};
}

// The first label that is out of range, none if `row` is negative.
struct WrongLabel {
  int64_t row;
  int32_t label;
};

template <class Kernels>
std::tuple<Tensor, Tensor> cluster_means(Tensor points, Tensor labels, int64_t count,
                                         std::optional<Tensor> weights) {
  check_tensor(points, "points", {kAny, kAny});
  const int64_t rows = points.size(0), dim = points.size(1);
  check_tensor(labels, "labels", {rows}, ScalarType::Int);
  if (weights.has_value()) check_tensor(*weights, "weights", {rows});
  check_same_device({{"points", points}, {"labels", labels}, {"weights", weights}});
  STD_TORCH_CHECK(count >= 1, "gsplat_core: argument 'count' must be at least 1, got ", count);
  check_index_range(rows, "points");
  check_index_range(count, "clusters");
  points = packed(points);
  labels = packed(labels);
  weights = packed(weights);
  const WrongLabel wrong = Kernels::find_wrong_label(labels, rows, count);
  STD_TORCH_CHECK(wrong.row < 0, "gsplat_core: argument 'labels' must be from 0 to ", count - 1, ", but row ",
                  wrong.row, " is ", wrong.label);
  Tensor means = empty_like_device(points, {count, dim});
  Tensor masses = empty_like_device(points, {count});
  Kernels::cluster_means(points, ints(labels), floats(weights), rows, dim, count, mutable_floats(means),
                         mutable_floats(masses));
  return {means, masses};
}

}  // namespace gsplat::ops
