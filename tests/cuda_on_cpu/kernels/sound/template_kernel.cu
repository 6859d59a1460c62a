// Kernels that are templates, launched over several lines, with arguments that are converted.
#include "harness.h"

namespace {
namespace inner {

template <int kFactor, class T>
__global__ void scale_kernel(const T* in, T* out, float offset) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  GSPLAT_COUNT(scaled);
  if (i % 2 == 0) GSPLAT_COUNT(even);
  out[i] = kFactor * in[i] + static_cast<T>(offset);
}

}  // namespace inner

template <class T>
void check(const char* what) {
  const DeviceArray<T> in(repeating<T>(64, 64)), out(64);
  inner::scale_kernel<3, T><<<dim3(2, 1, 1), 32>>>(in.data(), out.data(), 2);
  expect(what, out.on_host()[10], T(32));
}
}  // namespace

EXPORT void template_kernel() {
  check<int>("an integer");
  check<float>("a float");
}
