// Operators `relocate` and `perturb_means` on CUDA devices.
#include "ops/mcmc.h"

#include <torch/csrc/stable/library.h>

#include "cuda/mcmc.h"
#include "ops/cuda/device.h"

namespace gsplat::ops {
namespace {

struct CudaKernels {
  // Waits for the device, to know whether all numbers of copies were in range.
  static void relocate(const Tensor& like, const RelocationArrays& arrays, int64_t count) {
    const OnDevice device(like);
    Tensor flag = empty_like_device(like, {1}, ScalarType::Int);
    cuda::relocate(arrays, count, kMostCopies, mutable_ints(flag), device.stream());
    const auto refused = device.read<int32_t>(flag.const_data_ptr(), "reading whether copies are in range");
    check_copies(refused == 0);
  }
  static void perturb_means(const Tensor& like, const NoiseArrays& arrays, const NoiseOptions& options,
                            int64_t count) {
    const OnDevice device(like);
    cuda::perturb_means(arrays, options, count, device.stream());
  }
};

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CUDA, m) {
  m.impl("relocate", TORCH_BOX(&relocate<CudaKernels>));
  m.impl("perturb_means", TORCH_BOX(&perturb_means<CudaKernels>));
}

}  // namespace gsplat::ops
