// Operators `bin_splats` and `bin_splats_bounded` on CUDA devices.
#include "cuda/bin.h"

#include <torch/csrc/stable/library.h>

#include <tuple>
#include <vector>

#include "ops/bin_arguments.h"
#include "ops/cuda/device.h"

namespace gsplat::ops {
namespace {

// The first half of binning: how many tiles each splat touches.
struct TileCounts {
  Tensor per_splat, totals;

  TileCounts(const BinArguments& a, cudaStream_t stream)
      : per_splat(empty_like_device(a.means2d, {a.inputs.images * a.inputs.gaussians}, ScalarType::Int)),
        totals(empty_like_device(a.means2d, {2}, ScalarType::Long)) {
    cuda::count_tiles(a.inputs, a.image, a.grid.tile_size, mutable_ints(per_splat),
                      static_cast<cuda::BinSizes*>(totals.mutable_data_ptr()), stream);
  }
};

// The second half: the lists, with room for as many splats and intersections.
struct Lists {
  Tensor tile_offsets, flatten_ids, order, slot_offsets, no_slots;

  Lists(const BinArguments& a, const TileCounts& counts, cuda::BinSizes room, cudaStream_t stream) {
    const auto make = [&](int64_t size) { return empty_like_device(a.means2d, {size}, ScalarType::Int); };
    tile_offsets = make(a.tiles + 1);
    flatten_ids = make(room.intersections);
    order = make(room.visible);
    slot_offsets = make(room.visible + 1);
    no_slots = make(0);
    Workspace workspace(a.means2d,
                        cuda::write_tile_lists_workspace(a.inputs, a.image, a.grid.tile_size, room));
    const cuda::TileListOutputs out = {mutable_ints(tile_offsets), mutable_ints(flatten_ids),
                                       mutable_ints(order), mutable_ints(slot_offsets)};
    cuda::write_tile_lists(a.inputs, a.image, a.grid.tile_size, ints(counts.per_splat), room, out,
                           workspace.data(), stream);
  }
};

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> bin_splats(Tensor means2d, Tensor shapes, Tensor depths,
                                                              Tensor opacities2d, Tensor radii, int64_t width,
                                                              int64_t height, std::vector<double> settings,
                                                              std::optional<Tensor> levels) {
  const BinArguments a(means2d, shapes, depths, opacities2d, radii, width, height, settings, levels);
  const OnDevice device(a.means2d);
  const TileCounts counts(a, device.stream());
  const cuda::BinSizes sizes =
      device.read<cuda::BinSizes>(counts.totals.const_data_ptr(), "reading the number of intersections");
  check_intersections(sizes.intersections);
  const Lists lists(a, counts, sizes, device.stream());
  return {lists.tile_offsets, lists.flatten_ids, lists.order, lists.slot_offsets, lists.no_slots};
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> bin_splats_bounded(
    Tensor means2d, Tensor shapes, Tensor depths, Tensor opacities2d, Tensor radii, int64_t width,
    int64_t height, std::vector<double> settings, int64_t max_intersections, std::optional<Tensor> levels) {
  const BinArguments a(means2d, shapes, depths, opacities2d, radii, width, height, settings, levels);
  STD_TORCH_CHECK(max_intersections >= 0,
                  "gsplat_core: argument 'max_intersections' must not be negative, got ", max_intersections);
  check_intersections(max_intersections);
  const OnDevice device(a.means2d);
  const TileCounts counts(a, device.stream());
  const Lists lists(a, counts, {a.inputs.images * a.inputs.gaussians, max_intersections}, device.stream());
  return {lists.tile_offsets, lists.flatten_ids, lists.order,
          lists.slot_offsets, lists.no_slots,    counts.totals};
}

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(gsplat_core, CUDA, m) {
  m.impl("bin_splats", TORCH_BOX(&bin_splats));
  m.impl("bin_splats_bounded", TORCH_BOX(&bin_splats_bounded));
}

}  // namespace gsplat::ops
