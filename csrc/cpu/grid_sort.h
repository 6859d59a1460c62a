// Sorting vectors into a picture in which neighbours are alike.
#pragma once

#include <cstdint>

#include "cpu/isa.h"
#include "raster/grid_sort.h"

namespace gsplat {

// Permutes the cells of `picture` [height, width, channels] in place; order [height * width] receives which
// cell each one came from. The same for any number of threads.
void grid_sort(const GridSort& options, float* picture, int32_t* order);

// One round of exchanges in one block.
struct BlockExchange {
  GridBlock block;
  const int32_t* deal;  // [side * side]
  int64_t channels;
  float* picture;     // [height, width, channels]
  const float* goal;  // the same, blurred
  int32_t* order;
};

}  // namespace gsplat

#define GSPLAT_GRID_SORT_KERNELS void exchange_block(const BlockExchange& exchange, ExchangeCost& cost);
GSPLAT_DECLARE_FOR_EACH_ISA(GSPLAT_GRID_SORT_KERNELS)
