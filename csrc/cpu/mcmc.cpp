#include "cpu/mcmc.h"

#include "cpu/parallel.h"

namespace gsplat {

void relocate(const RelocationArrays& arrays, int64_t count) {
  parallel_for(count, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) relocate_row(arrays, i);
  });
}

void perturb_means(const NoiseArrays& arrays, const NoiseOptions& options, int64_t count) {
  parallel_for(count, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) perturb_row(arrays, options, i);
  });
}

}  // namespace gsplat
