// Surfaces out of depth images: truncated signed distances, averaged over views (Curless and Levoy 1996), in
// blocks of voxels that lie only where surfaces are (Niessner et al. 2013), and the mesh of their zeros.
//
// Voxels are points of a lattice through the origin of the world, `side` apart. A block is 8 x 8 x 8 of them
// and is known by a key, which sorts blocks by x, y and z. Blocks are found first, for all views, and their
// voxels filled afterwards, so that the result does not depend on the order in which views show that a place
// is empty.
#pragma once

#include <cstdint>
#include <vector>

namespace gsplat {

inline constexpr int kBlockSide = 8;
inline constexpr int kBlockVoxels = kBlockSide * kBlockSide * kBlockSide;
// Of a voxel: distance in truncations (positive before the surface), weight, red, green, blue, weight of the
// colour.
inline constexpr int kVoxelValues = 6;
// Blocks are numbered from -kBlockReach to kBlockReach - 1 along each axis.
inline constexpr int64_t kBlockReach = int64_t{1} << 20;
// So that vertices, of which a voxel has seven at most, can be numbered in 32 bits.
inline constexpr int64_t kMostMeshedBlocks = ((int64_t{1} << 31) - 1) / (7 * kBlockVoxels);

// What a pinhole camera sees, pixel centres at +0.5.
struct DepthView {
  const double* viewmat;  // [4, 4] world to camera, rigid
  const double* K;        // [3, 3]
  int64_t width, height;
  const float* depths;   // [H, W] along the viewing axis
  const float* weights;  // [H, W] how much a pixel counts; where it is not positive, nothing is known
};

struct VoxelGrid {
  double side;
  double truncation;  // what is farther behind a surface is unknown; in the units of `side`
};

// The keys, ascending, of the blocks that the rays of pixels cross within the truncation of their surface.
// What lies beyond the numbers of blocks is left out.
std::vector<int64_t> blocks_near_surfaces(const DepthView& view, const VoxelGrid& grid);

// Averages a view into the voxels of all `blocks`.
//
//   keys     [blocks], ascending
//   colors   [H, W, 3]
//   voxels   [blocks, kBlockVoxels, kVoxelValues], x fastest
void integrate_view(const DepthView& view, const float* colors, const VoxelGrid& grid, const int64_t* keys,
                    int64_t blocks, float* voxels);

struct ColoredMesh {
  std::vector<float> vertices;  // [V, 3]
  std::vector<float> colors;    // [V, 3]
  std::vector<int32_t> faces;   // [F, 3], anticlockwise as seen from before the surface
};

// The zeros of the distances by marching tetrahedra, six to a cell (Kuhn's, which fit together from cell to
// cell, so that there are no ambiguous cases), in the tetrahedra whose four voxels all have at least
// `least_weight`. Where these leave no gap, neither does the mesh. Vertices are shared, and each belongs to a
// face.
ColoredMesh mesh_of_zeros(const float* voxels, const int64_t* keys, int64_t blocks, double side,
                          double least_weight);

}  // namespace gsplat
