// How much the pixels of an image see of every splat: compositing without colours and without a derivative.
//
// As in the backward pass, each tile writes one row per intersection (splat and tile), and a second loop puts
// the rows of each splat together in a fixed order.
#include "cpu/parallel.h"
#include "cpu/rasterizer.h"
#include "cpu/simd/pixel_block.h"

namespace gsplat::GSPLAT_ISA {
namespace {

struct RowBuffer : Buffer<Contribution> {};

void add(Contribution& sum, const Contribution& c) {
  sum.weights += c.weights;
  sum.pixels += c.pixels;
  sum.largest = sum.largest > c.largest ? sum.largest : c.largest;
}

void contributions_in_block(const CompositeInputs& in, const TileSplats& splats, int block,
                            const BlockPlace& place, Contribution* rows) {
  const PixelCentres centres(place);
  const Float max_alpha(in.max_alpha), zero(0.0f);
  const int32_t* list = splats.list(block);
  const int size = splats.list_size(block);
  PixelState state(place);
  BlockResponse next(splats[list[0]], centres, state);
  for (int k = 0; k < size; ++k) {
    const BlockResponse at = next;
    next = BlockResponse(splats[list[k + 1]], centres, state);
    BlockBlend blend(at, state, max_alpha);
    if (__builtin_expect(blend.finishes_pixels(), 0)) {
      blend.finish_pixels(state, next);
      if (state.unfinished == 0) break;
    }
    Float weight_sum = zero, largest_weight = zero;
    int pixels = 0;
    repeat<kVectors>([&](auto v) {
      const Float weight = blend.alpha[v] * state.transmittance[v];
      state.transmittance[v] = blend.behind[v];
      weight_sum += weight;
      largest_weight = max(largest_weight, weight);
      pixels += __builtin_popcount(lane_bits(weight > zero));
    });
    if (pixels == 0) continue;
    add(rows[list[k]], {sum(weight_sum), static_cast<float>(pixels), largest(largest_weight)});
  }
}

}  // namespace

void contributions(const CompositeInputs& in, Contribution* out) {
  const SplatRecord* records = make_records(in, per_thread<Buffer<SplatRecord>>());
  Contribution* rows = per_thread<RowBuffer>().reserve(in.lists.intersections);
  const TileWalk walk(in.image, in.tile_size);
  parallel_dynamic(in.images * walk.grid.count(), [&](int64_t tile) {
    TileSplats& splats = per_thread<TileSplats>();
    const int x0 = walk.x_of(tile), y0 = walk.y_of(tile);
    splats.gather(in, records, tile, x0, y0);
    Contribution* tile_rows = rows + splats.begin();
    for (int i = 0; i < splats.count(); ++i) tile_rows[i] = {0.0f, 0.0f, 0.0f};
    int block = 0;
    for (int by = 0; by < splats.blocks_y(); ++by) {
      for (int bx = 0; bx < splats.blocks_x(); ++bx, ++block) {
        const BlockPlace place = walk.block(x0 + bx * kColumns, y0 + by * kBlockRows);
        if (place.columns <= 0 || place.rows <= 0) continue;
        contributions_in_block(in, splats, block, place, tile_rows);
      }
    }
  });
  const TileLists& lists = in.lists;
  parallel_for(lists.visible, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t position = begin; position < end; ++position) {
      Contribution total = {0.0f, 0.0f, 0.0f};
      for (int32_t s = lists.slot_offsets[position]; s < lists.slot_offsets[position + 1]; ++s) {
        add(total, rows[lists.slots[s]]);
      }
      out[lists.order[position]] = total;
    }
  });
}

}  // namespace gsplat::GSPLAT_ISA
