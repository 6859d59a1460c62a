// Stands in for CUB's device-wide reductions.
#pragma once

#include <limits>

#include "cub/device_calls.h"

namespace cub {

struct DeviceReduce {
  template <class In, class Out, class Operator, class Initial>
  static cudaError_t Reduce(void* workspace, size_t& size, In in, Out out, size_t count, Operator combine,
                            Initial initial, cudaStream_t stream = nullptr) {
    const emulated::Call call("DeviceReduce", workspace, size, count, stream);
    if (!call.works) return call.error;
    emulated::note_read(in, count);
    emulated::note_write(out, 1);
    Initial result = initial;
    for (size_t i = 0; i < count; ++i) result = combine(result, in[i]);
    *out = result;
    return call.error;
  }

  template <class In, class Out>
  static cudaError_t Sum(void* workspace, size_t& size, In in, Out out, size_t count,
                         cudaStream_t stream = nullptr) {
    return Reduce(
        workspace, size, in, out, count, [](auto a, auto b) { return a + b; }, emulated::Value<In>(0),
        stream);
  }
  template <class In, class Out>
  static cudaError_t Max(void* workspace, size_t& size, In in, Out out, size_t count,
                         cudaStream_t stream = nullptr) {
    return Reduce(
        workspace, size, in, out, count, [](auto a, auto b) { return a < b ? b : a; },
        std::numeric_limits<emulated::Value<In>>::lowest(), stream);
  }
};

}  // namespace cub
