// Operator `knn` on CUDA devices. Checking its argument waits for the device.
#include "ops/knn.h"

#include <torch/csrc/stable/library.h>

#include "cuda/knn.h"
#include "ops/cuda/device.h"
#include "ops/cuda/not_finite.h"

namespace gsplat::ops {
namespace {

struct CudaKernels {
  static NotFinite find_not_finite(const Tensor& values, int64_t rows, int64_t columns) {
    return find_not_finite_on_device(values, rows, columns);
  }
  static void nearest_neighbors(const Tensor& points, int64_t count, int64_t k, int64_t* indices,
                                float* squared_distances) {
    const OnDevice device(points);
    Workspace workspace(points, cuda::nearest_neighbors_workspace(count));
    cuda::nearest_neighbors(floats(points), count, k, indices, squared_distances, workspace.data(),
                            device.stream());
  }
};

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CUDA, m) { m.impl("knn", TORCH_BOX(&knn<CudaKernels>)); }

}  // namespace gsplat::ops
