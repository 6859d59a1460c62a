// Stands in for CUB's device-wide prefix sums.
#pragma once

#include "cub/device_calls.h"

namespace cub {

struct DeviceScan {
  template <class In, class Out, class Operator>
  static cudaError_t InclusiveScan(void* workspace, size_t& size, In in, Out out, Operator combine,
                                   size_t count, cudaStream_t stream = nullptr) {
    const emulated::Call call("DeviceScan", workspace, size, count, stream);
    if (!call.works || count == 0) return call.error;
    emulated::note_read(in, count);
    emulated::note_write(out, count);
    emulated::Value<In> sum = in[0];
    out[0] = sum;
    for (size_t i = 1; i < count; ++i) out[i] = sum = combine(sum, in[i]);
    return call.error;
  }

  template <class In, class Out, class Operator, class Initial>
  static cudaError_t ExclusiveScan(void* workspace, size_t& size, In in, Out out, Operator combine,
                                   Initial initial, size_t count, cudaStream_t stream = nullptr) {
    const emulated::Call call("DeviceScan", workspace, size, count, stream);
    if (!call.works) return call.error;
    emulated::note_read(in, count);
    emulated::note_write(out, count);
    Initial sum = initial;
    for (size_t i = 0; i < count; ++i) {
      const emulated::Value<In> value = in[i];
      out[i] = sum;
      sum = combine(sum, value);
    }
    return call.error;
  }

  template <class In, class Out>
  static cudaError_t InclusiveSum(void* workspace, size_t& size, In in, Out out, size_t count,
                                  cudaStream_t stream = nullptr) {
    return InclusiveScan(workspace, size, in, out, [](auto a, auto b) { return a + b; }, count, stream);
  }
  template <class In, class Out>
  static cudaError_t ExclusiveSum(void* workspace, size_t& size, In in, Out out, size_t count,
                                  cudaStream_t stream = nullptr) {
    return ExclusiveScan(
        workspace, size, in, out, [](auto a, auto b) { return a + b; }, emulated::Value<Out>(0), count,
        stream);
  }
};

}  // namespace cub
