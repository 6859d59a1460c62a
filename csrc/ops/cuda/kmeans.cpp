// Operators `nearest_centroids` and `cluster_means` on CUDA devices. Checking their arguments waits for the
// device.
#include "ops/kmeans.h"

#include <torch/csrc/stable/library.h>

#include "cuda/kmeans.h"
#include "ops/cuda/device.h"
#include "ops/cuda/not_finite.h"

namespace gsplat::ops {
namespace {

struct CudaKernels {
  static NotFinite find_not_finite(const Tensor& values, int64_t rows, int64_t columns) {
    return find_not_finite_on_device(values, rows, columns);
  }
  static void nearest_centroids(const Tensor& points, int64_t rows, int64_t dim, const float* centroids,
                                int64_t count, int32_t* labels, float* squared_distances) {
    const OnDevice device(points);
    Workspace workspace(points, cuda::nearest_centroids_workspace(count));
    cuda::nearest_centroids(floats(points), rows, dim, centroids, count, labels, squared_distances,
                            workspace.data(), device.stream());
  }
  static WrongLabel find_wrong_label(const Tensor& labels, int64_t rows, int64_t count) {
    const OnDevice device(labels);
    Workspace found(labels, sizeof(uint64_t));
    cuda::find_wrong_label(ints(labels), rows, count, static_cast<uint64_t*>(found.data()), device.stream());
    const uint64_t wrong = device.read<uint64_t>(found.data(), "reading whether labels are in range");
    if (wrong == cuda::kNoLabel) return {-1, 0};
    return {static_cast<int64_t>(wrong >> 32), static_cast<int32_t>(wrong)};
  }
  static void cluster_means(const Tensor& points, const int32_t* labels, const float* weights, int64_t rows,
                            int64_t dim, int64_t count, float* means, float* masses) {
    const OnDevice device(points);
    Workspace workspace(points, cuda::cluster_means_workspace(rows, count));
    cuda::cluster_means(floats(points), labels, weights, rows, dim, count, means, masses, workspace.data(),
                        device.stream());
  }
};

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CUDA, m) {
  m.impl("nearest_centroids", TORCH_BOX(&nearest_centroids<CudaKernels>));
  m.impl("cluster_means", TORCH_BOX(&cluster_means<CudaKernels>));
}

}  // namespace gsplat::ops
