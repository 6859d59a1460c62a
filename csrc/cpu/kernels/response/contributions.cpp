// How much the pixels of an image see of every splat: compositing without colours and without a derivative.
//
// As in the backward pass, each block of a tile writes one row per splat of the tile, and a second loop puts
// the rows of each splat together in a fixed order.
#include "cpu/compositing.h"
#include "cpu/parallel.h"
#include "cpu/simd/pixel_order.h"
#include "math/response/selected.h"

namespace gsplat::GSPLAT_ISA::GSPLAT_RESPONSE {
namespace {

using Response = GSPLAT_RESPONSE_TYPE;

struct RowBuffer : Buffer<Contribution> {};

void add(Contribution& sum, const Contribution& c) {
  sum.weights += c.weights;
  sum.pixels += c.pixels;
  sum.largest = sum.largest > c.largest ? sum.largest : c.largest;
}

// Writes `rows` [splats of the tile], which lie `stride` apart.
template <class BlendOrder>
void contributions_in_block(const CompositeInputs& in, const BlockSplats<Response>& splats,
                            const BlockPlace& place, Contribution* rows, int stride) {
  const Float max_alpha(in.settings.max_alpha), zero(0.0f);
  BlockPixels<Response> state(in, place);
  const BlendOrder order(in, splats, place, state);
  for (int n = 0; n < splats.count(); ++n, rows += stride) {
    *rows = {0.0f, 0.0f, 0.0f};
    const CellSet cells = order.cells(n);
    if (cells == 0) continue;
    Float weight_sum = zero, largest_weight = zero;
    int pixels = 0;
    order.each_weight(n, place, cells, max_alpha,
                      [&](int, const Float* weight) __attribute__((always_inline)) {
                        repeat<kVectors>([&](auto i) __attribute__((always_inline)) {
                          weight_sum += weight[i];
                          largest_weight = max(largest_weight, weight[i]);
                          pixels += __builtin_popcount(lane_bits(weight[i] > zero));
                        });
                      });
    *rows = {sum(weight_sum), static_cast<float>(pixels), largest(largest_weight)};
  }
}

template <class BlendOrder>
void contributions_of_all(const CompositeInputs& in, Contribution* out) {
  const auto* records = make_records<Response>(in);
  const TileWalk walk(in.image, in.settings.tile_size);
  const int blocks = walk.blocks_per_tile();
  Contribution* rows = per_thread<RowBuffer>().reserve(in.lists.intersections * blocks);
  walk.each_block(in.images, [&](int64_t tile, int block, const BlockPlace& place) {
    BlockSplats<Response>& splats = per_thread<BlockSplats<Response>>();
    splats.gather(in, records, tile, place);
    contributions_in_block<BlendOrder>(in, splats, place, rows + splats.begin() * blocks + block, blocks);
  });
  const TileLists& lists = in.lists;
  parallel_for(lists.visible, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t position = begin; position < end; ++position) {
      Contribution total = {0.0f, 0.0f, 0.0f};
      for (int32_t s = lists.slot_offsets[position]; s < lists.slot_offsets[position + 1]; ++s) {
        for (int b = 0; b < blocks; ++b) add(total, rows[static_cast<int64_t>(lists.slots[s]) * blocks + b]);
      }
      out[lists.order[position]] = total;
    }
  });
}

}  // namespace

void contributions(const CompositeInputs& in, Contribution* out) {
  if constexpr (!Response::Family::kFlat) {  // surfels have no such order
    if (in.settings.order == Order::pixel) return contributions_of_all<PixelOrder<Response>>(in, out);
  }
  contributions_of_all<ListOrder<Response>>(in, out);
}

}  // namespace gsplat::GSPLAT_ISA::GSPLAT_RESPONSE
