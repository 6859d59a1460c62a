#include "cpu/mcmc.h"

#include "cpu/parallel.h"
#include "raster/relocation.h"

namespace gsplat {

void relocate(const RelocationArrays& arrays, int64_t count) {
  parallel_for(count, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) relocate_row(arrays, i);
  });
}

}  // namespace gsplat
