// Operators `nearest_centroids` and `cluster_means` on the CPU, and their schemas.
#include "ops/kmeans.h"

#include <torch/csrc/stable/library.h>

#include "cpu/kmeans.h"
#include "cpu/not_finite.h"

namespace gsplat::ops {
namespace {

struct CpuKernels {
  static NotFinite find_not_finite(const Tensor& values, int64_t rows, int64_t columns) {
    return gsplat::find_not_finite(floats(values), rows, columns);
  }
  static void nearest_centroids(const Tensor& points, int64_t rows, int64_t dim, const float* centroids,
                                int64_t count, int32_t* labels, float* squared_distances) {
    gsplat::nearest_centroids(floats(points), rows, dim, centroids, count, labels, squared_distances);
  }
  static WrongLabel find_wrong_label(const Tensor& labels, int64_t rows, int64_t count) {
    const int32_t* label = ints(labels);
    for (int64_t i = 0; i < rows; ++i) {
      if (label[i] < 0 || label[i] >= count) return {i, label[i]};
    }
    return {-1, 0};
  }
  static void cluster_means(const Tensor& points, const int32_t* labels, const float* weights, int64_t rows,
                            int64_t dim, int64_t count, float* means, float* masses) {
    gsplat::cluster_means(floats(points), labels, weights, rows, dim, count, means, masses);
  }
};

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def("nearest_centroids(Tensor points, Tensor centroids) -> (Tensor labels, Tensor squared_distances)");
  m.def(
      "cluster_means(Tensor points, Tensor labels, int count, Tensor? weights=None) -> "
      "(Tensor means, Tensor masses)");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) {
  m.impl("nearest_centroids", TORCH_BOX(&nearest_centroids<CpuKernels>));
  m.impl("cluster_means", TORCH_BOX(&cluster_means<CpuKernels>));
}

}  // namespace gsplat::ops
