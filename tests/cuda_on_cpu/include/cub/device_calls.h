// What the stand-ins for CUB's device-wide calls share: the two phases, and what the checker is told.
#pragma once

#include <cstddef>
#include <iterator>
#include <string>
#include <type_traits>

#include "cuda_runtime.h"

namespace cuda_on_cpu {

// Work that is given to a stream; see runtime/host_calls.h.
cudaError_t note_work(const std::string& name, cudaStream_t stream);

// Tells the checker about memory that a library call reads or writes, as if a kernel did.
void note_range(const void* address, size_t size, bool write);

// Overwrites memory with what fresh memory holds.
void fill_with_poison(void* address, size_t size);

// Between the two, the checker looks away: host code does a device's work.
void pause_checker();
void resume_checker();

}  // namespace cuda_on_cpu

namespace cub::emulated {

template <class Iterator>
using Value = typename std::iterator_traits<Iterator>::value_type;

template <class Iterator>
void note_read(Iterator values, size_t count) {
  if constexpr (std::is_pointer_v<Iterator>) cuda_on_cpu::note_range(values, count * sizeof *values, false);
}
template <class Iterator>
void note_write(Iterator values, size_t count) {
  if constexpr (std::is_pointer_v<Iterator>) cuda_on_cpu::note_range(values, count * sizeof *values, true);
}

// A device-wide call. One without workspace only asks for its size. One with it does its work at once, in
// place of the device, and spoils the workspace first: nobody may rely on what it holds or let it overlap
// with arguments.
class Call {
public:
  Call(const char* name, void* workspace, size_t& size, size_t count, cudaStream_t stream) {
    const size_t needed = 256 + count / 8;
    if (workspace == nullptr) {
      size = needed;
    } else if (size < needed) {
      error = cudaErrorInvalidValue;
    } else if ((error = cuda_on_cpu::note_work(name, stream)) == cudaSuccess) {
      cuda_on_cpu::note_range(workspace, size, true);
      cuda_on_cpu::fill_with_poison(workspace, size);
      works = true;
    }
    cuda_on_cpu::pause_checker();
  }
  ~Call() { cuda_on_cpu::resume_checker(); }

  bool works = false;
  cudaError_t error = cudaSuccess;
};

}  // namespace cub::emulated
