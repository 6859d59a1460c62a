// Where the kernels of an operator run: the device and the current stream of a tensor.
#pragma once

#include <cuda_runtime.h>

#include "cuda/launch.h"
#include "ops/checks.h"

namespace gsplat::ops {

// Makes the tensor's device the current one while it lives.
class OnDevice {
public:
  explicit OnDevice(const Tensor& tensor);
  ~OnDevice();
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;

  cudaStream_t stream() const { return stream_; }

  // Copies a value from the device's memory and waits for it. `what` is for the error.
  template <class T>
  T read(const void* value, const char* what) const {
    T copy;
    cuda::check(cudaMemcpyAsync(&copy, value, sizeof(copy), cudaMemcpyDeviceToHost, stream_), what);
    cuda::check(cudaStreamSynchronize(stream_), what);
    return copy;
  }

private:
  int previous_;
  cudaStream_t stream_;
};

// Working memory for a launcher. It may be given back as soon as the launcher returns: PyTorch hands it out
// again to the same stream only.
class Workspace {
public:
  Workspace(const Tensor& like, size_t bytes)
      : bytes_(empty_like_device(like, {static_cast<int64_t>(bytes)}, ScalarType::Byte)) {}

  void* data() { return bytes_.mutable_data_ptr(); }

private:
  Tensor bytes_;
};

}  // namespace gsplat::ops
