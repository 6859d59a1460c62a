// Operator `bin_splats`: which splats touch which tiles, front to back.
#include <torch/csrc/stable/library.h>

#include <limits>
#include <tuple>

#include "cpu/rasterizer.h"
#include "ops/checks.h"

namespace gsplat::ops {
namespace {

struct TensorTileLists final : TileListAllocator {
  const Tensor& like;
  int64_t tiles;
  Tensor tile_offsets_, flatten_ids_, order_, slot_offsets_, slots_;

  TensorTileLists(const Tensor& like_, int64_t tiles_) : like(like_), tiles(tiles_) {}

  void allocate(int64_t visible, int64_t intersections) override {
    STD_TORCH_CHECK(
        intersections <= std::numeric_limits<int32_t>::max(), "gsplat_core: ", intersections,
        " intersections of splats and tiles are more than this build can index; render fewer images at a "
        "time, a smaller image or fewer Gaussians");
    const auto make = [&](int64_t size) { return empty_like_device(like, {size}, ScalarType::Int); };
    tile_offsets_ = make(tiles + 1);
    flatten_ids_ = make(intersections);
    order_ = make(visible);
    slot_offsets_ = make(visible + 1);
    slots_ = make(intersections);
    tile_offsets = mutable_ints(tile_offsets_);
    flatten_ids = mutable_ints(flatten_ids_);
    order = mutable_ints(order_);
    slot_offsets = mutable_ints(slot_offsets_);
    slots = mutable_ints(slots_);
  }
};

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> bin_splats(Tensor means2d, Tensor conic_roots,
                                                              Tensor depths, Tensor opacities2d, Tensor radii,
                                                              int64_t width, int64_t height,
                                                              int64_t tile_size) {
  means2d = packed(means2d);
  conic_roots = packed(conic_roots);
  depths = packed(depths);
  opacities2d = packed(opacities2d);
  radii = packed(radii);
  check_tensor(means2d, "means2d", {kAny, kAny, 2});
  const int64_t images = means2d.size(0), n = means2d.size(1);
  check_tensor(conic_roots, "conic_roots", {images, n, 3});
  check_tensor(depths, "depths", {images, n});
  check_tensor(opacities2d, "opacities2d", {images, n});
  check_tensor(radii, "radii", {images, n, 2}, ScalarType::Int);
  check_index_range(images * n, "splats (images x Gaussians)");
  const ImageSize image = check_image(width, height);
  const TileGrid grid(image, check_tile_size(tile_size));
  const SplatInputs inputs = {
      images, n, floats(means2d), floats(conic_roots), floats(depths), floats(opacities2d), ints(radii)};
  check_index_range(images * grid.count(), "tiles");
  TensorTileLists lists(means2d, images * grid.count());
  GSPLAT_CALL(bin_splats, inputs, image, grid.tile_size, lists);
  return {lists.tile_offsets_, lists.flatten_ids_, lists.order_, lists.slot_offsets_, lists.slots_};
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def(
      "bin_splats(Tensor means2d, Tensor conic_roots, Tensor depths, Tensor opacities2d, Tensor radii, int "
      "width, "
      "int height, int tile_size) -> (Tensor, Tensor, Tensor, Tensor, Tensor)");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) { m.impl("bin_splats", TORCH_BOX(&bin_splats)); }

}  // namespace gsplat::ops
