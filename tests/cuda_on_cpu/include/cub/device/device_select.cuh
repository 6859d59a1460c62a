// Stands in for CUB's device-wide selections.
#pragma once

#include "cub/device_calls.h"

namespace cub {

struct DeviceSelect {
  template <class In, class Flags, class Out, class Count>
  static cudaError_t Flagged(void* workspace, size_t& size, In in, Flags flags, Out out, Count* selected,
                             size_t count, cudaStream_t stream = nullptr) {
    const emulated::Call call("DeviceSelect", workspace, size, count, stream);
    if (!call.works) return call.error;
    emulated::note_read(flags, count);
    size_t found = 0;
    for (size_t i = 0; i < count; ++i) {
      if (!flags[i]) continue;
      emulated::note_read(in + i, 1);
      emulated::note_write(out + found, 1);
      out[found++] = in[i];
    }
    emulated::note_write(selected, 1);
    *selected = static_cast<Count>(found);
    return call.error;
  }
};

}  // namespace cub
