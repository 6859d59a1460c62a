// Operator `grid_sort` on CUDA devices. Every round of exchanges waits for the device: its gain decides about
// the next.
#include "ops/grid_sort.h"

#include <torch/csrc/stable/library.h>

#include <vector>

#include "cuda/grid_sort.h"
#include "ops/cuda/device.h"
#include "ops/cuda/not_finite.h"

namespace gsplat::ops {
namespace {

class Grid {
public:
  Grid(const OnDevice& device, const cuda::SortedGrid& grid) : device_(device), grid_(grid) {
    cuda::number_cells(grid_, device_.stream());
  }

  void blur(int64_t radius) { cuda::blur_grid(grid_, radius, device_.stream()); }

  ExchangeCost exchange(const GridBlocks& blocks, const std::vector<int32_t>& deal) {
    cuda::check(cudaMemcpyAsync(grid_.deal, deal.data(), sizeof(int32_t) * deal.size(),
                                cudaMemcpyHostToDevice, device_.stream()),
                "copying the deal of cells");
    cuda::exchange_cells(grid_, blocks, device_.stream());
    return device_.read<ExchangeCost>(grid_.cost, "reading the gain of a round of exchanges");
  }

private:
  const OnDevice& device_;
  cuda::SortedGrid grid_;
};

struct CudaKernels {
  static NotFinite find_not_finite(const Tensor& values, int64_t rows, int64_t columns) {
    return find_not_finite_on_device(values, rows, columns);
  }
  static void grid_sort(const Tensor& like, const GridSort& options, float* picture, int32_t* order) {
    const OnDevice device(like);
    Workspace workspace(like, cuda::SortedGrid(nullptr, options, nullptr, nullptr).bytes);
    Grid grid(device, cuda::SortedGrid(workspace.data(), options, picture, order));
    sort_grid(options, grid);
  }
};

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CUDA, m) { m.impl("grid_sort", TORCH_BOX(&grid_sort<CudaKernels>)); }

}  // namespace gsplat::ops
