// The arguments that the binning operators share, checked and packed.
#pragma once

#include <limits>

#include "ops/checks.h"
#include "ops/settings.h"
#include "raster/types.h"

namespace gsplat::ops {

inline void check_intersections(int64_t count) {
  STD_TORCH_CHECK(
      count <= std::numeric_limits<int32_t>::max(), "gsplat_core: ", count,
      " intersections of splats and tiles are more than this build can index; render fewer images "
      "at a time, a smaller image or fewer Gaussians");
}

// Keeps the packed copies alive that `inputs` points to.
struct BinArguments {
  Tensor means2d, shapes, depths, opacities2d, radii;
  std::optional<Tensor> levels;
  SplatInputs inputs;
  ImageSize image;
  TileGrid grid;
  int64_t tiles;  // of all images

  BinArguments(const Tensor& means2d_, const Tensor& shapes_, const Tensor& depths_,
               const Tensor& opacities2d_, const Tensor& radii_, int64_t width, int64_t height,
               const std::vector<double>& settings_, const std::optional<Tensor>& levels_)
      : means2d(packed(means2d_)),
        shapes(packed(shapes_)),
        depths(packed(depths_)),
        opacities2d(packed(opacities2d_)),
        radii(packed(radii_)),
        levels(packed(levels_)),
        image(check_image(width, height)),
        grid(image, check_settings(settings_).tile_size) {
    const float margin = check_settings(settings_).margin;
    check_tensor(means2d, "means2d", {kAny, kAny, 2});
    const int64_t images = means2d.size(0), n = means2d.size(1);
    check_tensor(shapes, "shapes", {images, n, 3});
    check_tensor(depths, "depths", {images, n});
    check_tensor(opacities2d, "opacities2d", {images, n});
    if (levels.has_value()) check_tensor(*levels, "levels", {images, n});
    check_tensor(radii, "radii", {images, n, 2}, ScalarType::Int);
    check_same_device({{"means2d", means2d},
                       {"shapes", shapes},
                       {"depths", depths},
                       {"opacities2d", opacities2d},
                       {"radii", radii},
                       {"levels", levels}});
    check_index_range(images * n, "splats (images x Gaussians)");
    tiles = images * grid.count();
    check_index_range(tiles, "tiles");
    inputs = {
        images,         n,           floats(means2d), floats(shapes), floats(depths), floats(opacities2d),
        floats(levels), ints(radii), margin};
  }
};

}  // namespace gsplat::ops
