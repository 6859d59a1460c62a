#include "cpu/l1_ssim.h"

#include <algorithm>
#include <vector>

#include "cpu/parallel.h"

namespace gsplat {
namespace {

struct Scratch {
  alignas(64) float floats[kLossScratchFloats];
};

// Heights that share the rows of one image evenly; a multiple of four tiles keeps 2 and 4 threads busy alike.
// Taller tiles repeat fewer rows of their neighbours, so that there are no more than needed.
int64_t tile_height(int64_t height) {
  const int64_t count = 4 * std::max<int64_t>(1, (height + 256) / 512);
  return (height + count - 1) / count;
}

std::vector<LossTile> tiles_of(int64_t height, int64_t width) {
  std::vector<LossTile> tiles;
  const int64_t rows = tile_height(height);
  for (int64_t y = 0; y < height; y += rows) {
    for (int64_t x = 0; x < width; x += kLossTileWidth) {
      tiles.push_back({x, y, std::min(kLossTileWidth, width - x), std::min(rows, height - y)});
    }
  }
  return tiles;
}

}  // namespace

LossSums l1_ssim(const LossInputs& inputs, const LossGradient& gradient, int64_t count) {
  const std::vector<LossTile> tiles = tiles_of(inputs.height, inputs.width);
  const int64_t tiles_per_image = static_cast<int64_t>(tiles.size());
  const int64_t image_size = inputs.height * inputs.width * 3;
  std::vector<LossSums> sums(tiles_per_image * count);

  parallel_dynamic(tiles_per_image * count, [&](int64_t index) {
    thread_local Scratch scratch;
    const int64_t start = index / tiles_per_image * image_size;
    LossInputs image = inputs;
    image.image += start;
    if (image.target != nullptr) image.target += start;
    if (image.target_bytes != nullptr) image.target_bytes += start;
    LossGradient image_gradient = gradient;
    if (image_gradient.pixels != nullptr) image_gradient.pixels += start;
    GSPLAT_CALL(l1_ssim_tile, image, image_gradient, tiles[index % tiles_per_image], scratch.floats,
                sums[index]);
  });

  LossSums total{0.0, 0.0};
  for (const LossSums& part : sums) {
    total.absolute_difference += part.absolute_difference;
    total.ssim += part.ssim;
  }
  return total;
}

}  // namespace gsplat
