// What passes through the kernels of radiative fields, the same for all backends: plain pointers and sizes.
//
// Contributions are in units in which the least that counts is 1/255, as it is of the opacity of splats: so
// projection and binning, which find where that is reached, serve fields as they are. `unit` turns sums back.
#pragma once

#include <cstdint>

#include "raster/types.h"

namespace gsplat {

// Splats that are summed up in the pixels, in whatever order their lists have.
struct SummedSplats {
  int64_t images, gaussians;
  ImageSize image;
  const float* means2d;    // [images, gaussians, 2]
  const float* shapes;     // [images, gaussians, 3]
  const float* opacities;  // [images, gaussians] of the centre, zero where culled
  float unit;
};

struct SummedSplatGrads {
  float* means2d;
  float* shapes;
  float* opacities;
};

// Which splats touch which tiles.
struct SumLists {
  int32_t tile_size;
  const int32_t* tile_offsets;  // [images * tiles + 1]
  const int32_t* flatten_ids;   // [intersections]
};

// Voxels in a row along each axis; the last one is the innermost of volumes.
struct VoxelGrid {
  float origin[3];  // the corner of the first voxel
  float spacing[3];
  int32_t shape[3];
};

// Gaussians in a grid. Their lists are those of the columns of voxels along z that they touch, as an image
// with x downwards and y to the right would have them.
struct VoxelInputs {
  int64_t gaussians;
  const float* means;      // [gaussians, 3]
  const float* quats;      // [gaussians, 4]
  const float* scales;     // [gaussians, 3]
  const float* opacities;  // [gaussians] of the centre
  const int32_t* radii;    // [gaussians, 2], zero where no column sees the Gaussian
  VoxelGrid grid;
  float unit;
};
inline constexpr int kVoxelTile = 8;  // columns per side of a tile

struct VoxelGrads {
  float* means;
  float* quats;
  float* scales;
  float* opacities;
};

}  // namespace gsplat
