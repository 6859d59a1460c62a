#include "cpu/parallel.h"

#include <torch/csrc/stable/ops.h>

#include <exception>
#include <mutex>

namespace gsplat {

void parallel_ranges(int64_t count, int64_t grain, RangeFunction function, void* context) {
  // An exception must not cross the C boundary of the shim, so the first one waits here for the loop to end.
  std::exception_ptr failure;
  std::mutex failure_mutex;
  torch::stable::parallel_for(0, count, grain, [&](int64_t begin, int64_t end) {
    try {
      function(begin, end, context);
    } catch (...) {
      const std::lock_guard<std::mutex> lock(failure_mutex);
      if (!failure) failure = std::current_exception();
    }
  });
  if (failure) std::rethrow_exception(failure);
}

int64_t thread_count() { return static_cast<int64_t>(torch::stable::get_num_threads()); }

}  // namespace gsplat
