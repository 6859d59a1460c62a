// Operator `bin_splats` on the CPU: which splats touch which tiles, front to back. The schemas.
#include <torch/csrc/stable/library.h>

#include <tuple>
#include <vector>

#include "cpu/rasterizer.h"
#include "ops/bin_arguments.h"

namespace gsplat::ops {
namespace {

struct TensorTileLists final : TileListAllocator {
  const Tensor& like;
  int64_t tiles;
  Tensor tile_offsets_, flatten_ids_, order_, slot_offsets_, slots_;

  TensorTileLists(const Tensor& like_, int64_t tiles_) : like(like_), tiles(tiles_) {}

  void allocate(int64_t visible, int64_t intersections) override {
    check_intersections(intersections);
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

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> bin_splats(Tensor means2d, Tensor shapes, Tensor depths,
                                                              Tensor opacities2d, Tensor radii, int64_t width,
                                                              int64_t height, std::vector<double> settings,
                                                              std::optional<Tensor> levels) {
  const BinArguments a(means2d, shapes, depths, opacities2d, radii, width, height, settings, levels);
  TensorTileLists lists(a.means2d, a.tiles);
  GSPLAT_CALL(bin_splats, a.inputs, a.image, a.grid.tile_size, lists);
  return {lists.tile_offsets_, lists.flatten_ids_, lists.order_, lists.slot_offsets_, lists.slots_};
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(gsplat_core, m) {
  m.def(
      "bin_splats(Tensor means2d, Tensor shapes, Tensor depths, Tensor opacities2d, Tensor radii, int "
      "width, int height, float[] settings, Tensor? levels=None) -> (Tensor, Tensor, Tensor, Tensor, "
      "Tensor)");
  // CUDA only: nothing waits for the device, because the lists have room for a given number of intersections.
  m.def(
      "bin_splats_bounded(Tensor means2d, Tensor shapes, Tensor depths, Tensor opacities2d, Tensor "
      "radii, int width, int height, float[] settings, int max_intersections, Tensor? levels=None) -> "
      "(Tensor, Tensor, "
      "Tensor, Tensor, Tensor, Tensor totals)");
}

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CPU, m) { m.impl("bin_splats", TORCH_BOX(&bin_splats)); }

}  // namespace gsplat::ops
