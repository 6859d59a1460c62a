#include "ops/cuda/device.h"

#include <dlfcn.h>

#include "cuda/launch.h"

namespace gsplat::ops {
namespace {

// aoti_torch_get_current_cuda_stream() of PyTorch's stable ABI. It lives in the part of PyTorch that only its
// CUDA builds have, and this library works with the others too: so it is looked up when the first CUDA tensor
// comes.
using GetStream = int32_t (*)(int32_t device, void** stream);

GetStream find_get_stream() {
  void* const torch_cuda = dlopen("libtorch_cuda.so", RTLD_LAZY | RTLD_NOLOAD);
  void* const function =
      torch_cuda == nullptr ? nullptr : dlsym(torch_cuda, "aoti_torch_get_current_cuda_stream");
  STD_TORCH_CHECK(function != nullptr,
                  "gsplat_core: this PyTorch has CUDA tensors but no libtorch_cuda.so with "
                  "aoti_torch_get_current_cuda_stream");
  return reinterpret_cast<GetStream>(function);
}

}  // namespace

OnDevice::OnDevice(const Tensor& tensor) {
  static const GetStream get_stream = find_get_stream();
  const int32_t device = tensor.get_device_index();
  void* stream = nullptr;
  STD_TORCH_CHECK(get_stream(device, &stream) == 0,
                  "gsplat_core: PyTorch has no current stream for CUDA device ", device);
  stream_ = static_cast<cudaStream_t>(stream);
  cuda::check(cudaGetDevice(&previous_), "cudaGetDevice");
  cuda::check(cudaSetDevice(device), "cudaSetDevice");
}

OnDevice::~OnDevice() { cudaSetDevice(previous_); }

}  // namespace gsplat::ops
