// What the host asks of the device, and what it may not ask while a stream is captured into a graph.
//
// All calls have completed when they return, captured ones too: a capture here is there for its rules.
#pragma once

#include <string>

#include "emulation/runtime_api.h"

namespace cuda_on_cpu {

// Work that is given to a stream. Anything but cudaSuccess: it must not be done.
cudaError_t note_work(const std::string& name, cudaStream_t stream);

// A call that no capture may meet. `waits`: the host waits until the device is done.
cudaError_t note_call(const std::string& name, bool waits, cudaStream_t stream = nullptr);

// With the setting `calls`: all calls since they were last taken, as JSON
// [{"name": "cudaMemsetAsync", "stream": 1, "device": 0, "waits": false}, ...].
std::string take_calls_as_json();

}  // namespace cuda_on_cpu
