// A kernel is given memory of the host.
#include "harness.h"

__global__ void host_pointer_kernel(const int* in, int* out) { out[threadIdx.x] = in[threadIdx.x]; }

EXPORT void host_pointer() {
  const std::vector<int> in(32);
  const DeviceArray<int> out(32);
  host_pointer_kernel<<<1, 32>>>(in.data(), out.data());
}
