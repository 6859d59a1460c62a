// The device of the operators' kernels when they are executed on the CPU; see csrc/ops/cuda/device.h.
#include "ops/cuda/device.h"

namespace gsplat::ops {

OnDevice::OnDevice(const Tensor&) : previous_(0), stream_(nullptr) {}

OnDevice::~OnDevice() = default;

}  // namespace gsplat::ops
