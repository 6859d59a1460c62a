// What passes between the stages of the rasterizer, the same for all backends: plain pointers and sizes.
//
// Everything is packed row-major float32 unless said. "Image" i = batch * cameras + camera; "splat" is a
// Gaussian as seen in one image, and its flat index is image * gaussians + gaussian.
#pragma once

#include <cstdint>

#include "raster/settings.h"
#include "raster/variants.h"

namespace gsplat {

// Of math/camera/, see raster/variants.h.
enum class CameraModel : int32_t;

struct ImageSize {
  int32_t width, height;
};

struct TileGrid {
  int32_t tile_size, columns, rows;

  constexpr TileGrid(ImageSize image, int tile)
      : tile_size(tile), columns((image.width + tile - 1) / tile), rows((image.height + tile - 1) / tile) {}
  constexpr int64_t count() const { return static_cast<int64_t>(columns) * rows; }
};

// The scene as the projection reads it. Either quats and scales or covars is given, the others are null.
struct GaussianInputs {
  int64_t batches, cameras, gaussians;
  ImageSize image;         // of every camera
  const float* means;      // [batches, gaussians, 3]
  const float* quats;      // [batches, gaussians, 4]
  const float* scales;     // [batches, gaussians, 3]
  const float* covars;     // [batches, gaussians, 6]
  const float* opacities;  // [batches, gaussians]
  const float* viewmats;   // [batches, cameras, 4, 4]
  const float* Ks;         // [batches, cameras, 3, 3]
  CameraModel camera;      // of all cameras
  const float* lens;       // [batches, cameras, what the model has beyond the intrinsics] or null
  const float* levels;     // [batches, gaussians], see response_level() of math/ellipse.h; null: of Gaussians
  // [batches, cameras, kMotionNumbers] or null: RollingShutter of math/unscented.h, whose cameras are those
  // of the middle of the exposure
  const float* motion;
};
inline constexpr int kMotionNumbers = 9;

// One row per splat; rows of culled splats are zero.
struct SplatOutputs {
  float* means2d;    // [images, gaussians, 2]
  float* shapes;     // [images, gaussians, 3]
  float* depths;     // [images, gaussians]
  float* opacities;  // [images, gaussians]
  int32_t* radii;    // [images, gaussians, 2]
};

struct SplatInputs {
  int64_t images, gaussians;
  const float* means2d;
  const float* shapes;
  const float* depths;
  const float* opacities;
  const float* levels;  // [images, gaussians], see response_level() of math/ellipse.h; null: of Gaussians
  const int32_t* radii;
  float margin;  // pixels around their ellipses in which splats are seen, too
};

struct SplatGrads {
  const float* means2d;
  const float* shapes;
  const float* depths;
  const float* opacities;
};

// Gradients of GaussianInputs; a null pointer means "not wanted".
struct GaussianGrads {
  float* means;
  float* quats;
  float* scales;
  float* covars;
  float* opacities;
  float* viewmats;
  float* Ks;
  float* lens;
};

// Spherical-harmonics colours: coefficient 0 and the rest may lie in different tensors.
struct ShInputs {
  int degree;  // evaluated: coefficients of higher degrees are ignored and get zero gradients
  int bases;   // stored per Gaussian and channel
  int64_t batches, cameras, gaussians;
  const float* means;
  const float* viewmats;
  const float* first;  // [batches, gaussians, first_stride], coefficient 0 at the start of each row
  const float* rest;   // [batches, gaussians, rest_stride], coefficient 1 at the start of each row
  int64_t first_stride, rest_stride;
  const int32_t* radii;  // [images, gaussians, 2]
};

struct ShGrads {
  float* means;     // null when not wanted
  float* viewmats;  // null when not wanted
  float* first;
  float* rest;  // null when there are no such coefficients
};

// Which splats touch which tiles, front to back.
struct TileLists {
  const int32_t* tile_offsets;  // [images * tiles + 1]: the range of each tile in flatten_ids
  const int32_t* flatten_ids;   // [intersections]: flat splat indices
  const int32_t* order;         // [visible]: flat indices of the visible splats, by image, then depth
  const int32_t* slot_offsets;  // [visible + 1]: the range of each visible splat in slots
  const int32_t* slots;         // [intersections]: places of the splat in flatten_ids
  int64_t visible, intersections;
};

// What it takes to look at Gaussians along the rays of the pixels; null where nothing does. In its canonical
// frame a Gaussian is the standard normal distribution: an offset x in the world is W x there.
struct RayInputs {
  static constexpr int kCanonical = 12;

  const float* canonical;  // [images, gaussians, 12]: W row by row, and the camera's centre in the frame; of
                           // surfels what math/response/surfel.h says
  const float* rays;  // [images, height, width, numbers]: the direction in the world, of any length, zero
                      // where a pixel has no ray; and the origin minus the camera's centre
  int numbers;        // 6, or 3 if all rays begin at the centre
};

struct CompositeInputs {
  ResponseName response;
  int64_t images, gaussians;
  int channels;
  ImageSize image;
  RenderSettings settings;
  const float* means2d;
  const float* shapes;
  const float* opacities;
  const float* extras;       // [images, gaussians, extras of the response], null if it has none
  const float* colors;       // [images, gaussians, channels]
  const float* backgrounds;  // [images, channels] or null
  TileLists lists;
  RayInputs rays;
};

struct CompositeOutputs {
  float* colors;            // [images, height, width, channels]
  float* alphas;            // [images, height, width]
  float* depths = nullptr;  // [images, height, width, kDepths] of surfels, null when not wanted
};

// Sums over the surfels of a pixel with their weights: of the depth z at which it sees them, 1/z and 1/z^2.
inline constexpr int kDepths = 3;

// How much a splat was seen, over all pixels p of an image that blended it with a weight w_p > 0.
struct Contribution {
  float weights;  // sum_p w_p
  float pixels;   // how many
  float largest;  // max_p w_p
};

struct CompositeGradInputs {
  const float* colors;  // the outputs of the forward pass ...
  const float* alphas;
  const float* v_colors;  // ... and their gradients
  const float* v_alphas;
  const float* v_probe;           // [images, height, width], what payloads know of a pixel besides, or null
  const float* depths = nullptr;  // of surfels, if they were wanted ...
  const float* v_depths = nullptr;
};

struct CompositeGrads {
  float* means2d;
  float* shapes;
  float* opacities;
  float* extras;  // null if the response has none
  float* colors;
  float* canonical;            // [images, gaussians, 12], null when not wanted
  float* rays;                 // like RayInputs::rays, null when not wanted
  float* payloads[kPayloads];  // [images, gaussians, kSums of each], null when not wanted
};

}  // namespace gsplat
