// Sorting vectors into a picture in which neighbours are alike: parallel linear assignment sorting (PLAS,
// Morgenstern et al. 2024, "Compact 3D scene representation via self-organizing Gaussian grids").
#pragma once

#include <cstdint>

#include "cpu/isa.h"

namespace gsplat {

struct GridSort {
  int64_t height = 0;
  int64_t width = 0;
  int64_t channels = 0;
  uint64_t seed = 0;
  double first_radius = 0;  // of the blur, in cells; shrinks to 1 by the factor below
  double shrink = 0.95;
  double improvement = 1e-4;  // a round of exchanges that gains less than this fraction is the last
};

// Permutes the cells of `picture` [height, width, channels] in place; order [height * width] receives which
// cell each one came from. The same for any number of threads.
void grid_sort(const GridSort& options, float* picture, int32_t* order);

// One round of exchanges in a block of side x side cells: cells are taken in groups of four in the order of
// `deal` [side * side], and each group is arranged as its four goals wish best.
struct GridBlock {
  float* picture;     // [height, width, channels], addressed as a torus
  const float* goal;  // the same, blurred
  int32_t* order;
  int64_t height, width, channels;
  int64_t y, x;  // the corner of the block
  int64_t side;
  const int32_t* deal;
};

// The sum of squared distances between cells and goals.
struct BlockCost {
  double before = 0, after = 0;
};

}  // namespace gsplat

#define GSPLAT_GRID_SORT_KERNELS void exchange_block(const GridBlock& block, BlockCost& cost);
GSPLAT_DECLARE_FOR_EACH_ISA(GSPLAT_GRID_SORT_KERNELS)
