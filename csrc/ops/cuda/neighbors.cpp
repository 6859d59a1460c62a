// Operators `knn` and `neighbors_within` on CUDA devices. Checking their arguments waits for the device.
#include "ops/neighbors.h"

#include <torch/csrc/stable/library.h>

#include "cuda/neighbors.h"
#include "ops/cuda/device.h"
#include "ops/cuda/not_finite.h"

namespace gsplat::ops {
namespace {

class CudaNeighbors {
public:
  CudaNeighbors(const Tensor& points, const NeighborQueries& queries)
      : device_(points),
        workspace_(points, cuda::neighbors_workspace(points.size(0), queries)),
        search_(cuda::search_neighbors(floats(points), points.size(0), queries, workspace_.data(),
                                       device_.stream())) {}

  static NotFinite find_not_finite(const Tensor& values, int64_t rows, int64_t columns) {
    return find_not_finite_on_device(values, rows, columns);
  }

  void nearest(const NearestRows& out) { cuda::nearest_neighbors(search_, out, device_.stream()); }

  int64_t count_within(int64_t* offsets) {
    cuda::count_within(search_, offsets, workspace_.data(), device_.stream());
    return device_.read<int64_t>(offsets + search_.queries.count, "read");
  }
  void within(const WithinRows& out) { cuda::neighbors_within(search_, out, device_.stream()); }

private:
  OnDevice device_;
  Workspace workspace_;
  NeighborSearch search_;
};

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CUDA, m) {
  m.impl("knn", TORCH_BOX(&knn<CudaNeighbors>));
  m.impl("neighbors_within", TORCH_BOX(&neighbors_within<CudaNeighbors>));
}

}  // namespace gsplat::ops
