// The steps of sorting vectors into a picture in which neighbours are alike; raster/grid_sort.h has their
// course.
#pragma once

#include "cuda/launch.h"
#include "raster/grid_sort.h"

namespace gsplat::cuda {

// The picture and the working memory of a sort, all of it in device memory.
struct SortedGrid {
  int64_t height, width, channels;
  float* picture;  // [height, width, channels]
  int32_t* order;  // [height, width]: which cell each one came from
  float *lines, *goal;
  int32_t* deal;       // [side * side], which the caller fills before exchange_cells()
  float* group_costs;  // before and after, for each group of four cells
  ExchangeCost* cost;
  size_t bytes;

  // With a null `workspace` it only measures.
  SortedGrid(void* workspace, const GridSort& options, float* picture, int32_t* order);
};

// The order in which nothing has been sorted yet.
void number_cells(const SortedGrid& grid, Stream stream);

// Makes the picture, blurred, the goal.
void blur_grid(const SortedGrid& grid, int64_t radius, Stream stream);

// One round of exchanges, and its cost.
void exchange_cells(const SortedGrid& grid, const GridBlocks& blocks, Stream stream);

}  // namespace gsplat::cuda
