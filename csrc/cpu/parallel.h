// Loops over PyTorch's own thread pool, so that torch.set_num_threads and OMP_NUM_THREADS are respected.
//
// Kernels are deterministic for any number of threads by one rule: what a loop body writes depends on the
// index alone, never on which thread runs it or on how the range was cut. Reductions therefore go over chunks
// of a fixed size, never over one partial result per thread.
#pragma once

#include <atomic>
#include <cstdint>

namespace gsplat {

using RangeFunction = void (*)(int64_t begin, int64_t end, void* context);

// Calls function on disjoint ranges that cover [0, count), in parallel, at least `grain` indices each.
// Exceptions that the function throws are rethrown here.
void parallel_ranges(int64_t count, int64_t grain, RangeFunction function, void* context);

// The number of threads that a parallel loop may use.
int64_t thread_count();

// body(begin, end) over ranges of [0, count). For bodies of even cost.
template <class Body>
inline void parallel_for(int64_t count, int64_t grain, Body&& body) {
  if (count <= 0) return;
  parallel_ranges(
      count, grain,
      [](int64_t begin, int64_t end, void* context) { (*static_cast<Body*>(context))(begin, end); }, &body);
}

// body(index) for every index of [0, count), handed out one by one in order to whichever thread is free.
// For bodies of uneven cost, such as image tiles.
template <class Body>
inline void parallel_dynamic(int64_t count, Body&& body) {
  std::atomic<int64_t> next{0};
  parallel_for(thread_count(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t worker = begin; worker < end; ++worker) {
      for (int64_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) body(i);
    }
  });
}

}  // namespace gsplat
