// Which splats the pixels of an image see: compositing that keeps their numbers.
#include "math/sightings.h"

#include <bit>

#include "cpu/compositing.h"
#include "cpu/parallel.h"
#include "cpu/simd/pixel_order.h"
#include "math/response/selected.h"

namespace gsplat::GSPLAT_ISA::GSPLAT_RESPONSE {
namespace {

using Response = GSPLAT_RESPONSE_TYPE;

// What the pixels of a block have seen. Numbers of Gaussians lie in vectors of floats by their bits, which
// selecting, loading and storing leave alone.
struct Seen {
  alignas(64) float first[kBlockPixels], median[kBlockPixels], strongest[kBlockPixels];
  alignas(64) float largest[kBlockPixels], counts[kBlockPixels];
  alignas(64) float exceed[kBlockPixels];  // what a weight must, to be among the largest
  int listed[kBlockPixels];                // how many are

  Seen() {
    const float nobody = std::bit_cast<float>(int32_t{-1});
    for (int i = 0; i < kBlockPixels; ++i) {
      first[i] = median[i] = strongest[i] = nobody;
      largest[i] = counts[i] = exceed[i] = 0.0f;
      listed[i] = 0;
    }
  }
};

struct BlockScratch {
  BlockSplats<Response> splats;
  Buffer<int32_t> top_ids;  // [pixel of a block, top]
  Buffer<float> top_weights;
};

void look(const CompositeInputs& in, const SightingOutputs& out, const BlockPlace& place,
          BlockScratch& scratch, Seen& seen) {
  const BlockSplats<Response>& splats = scratch.splats;
  const Float max_alpha(in.settings.max_alpha), zero(0.0f), one(1.0f);
  const bool until_median = out.strongest == nullptr && out.counts == nullptr && out.top == 0;
  const auto first_id = static_cast<int32_t>(place.image * in.gaussians);
  int32_t* top_ids = scratch.top_ids.data();
  float* top_weights = scratch.top_weights.data();
  BlockPixels<Response> state(in, place);
  // What the pixels of a cell see next: with these transmittances in front, weights and numbers.
  const auto look_at = [&](int cell, const Float* front, const Float* weights,
                           const Float* ids) __attribute__((always_inline)) {
    const int at_cell = cell * kCellPixels;
    bool some_before_median = false;
    repeat<kVectors>([&](auto i) __attribute__((always_inline)) {
      const int p = at_cell + i * kLanes;
      const auto change = [&](float* numbers, LaneMask where) __attribute__((always_inline)) {
        select(where, ids[i], Float::load(numbers + p)).store(numbers + p);
      };
      const Float weight = weights[i];
      const LaneMask hit = weight > zero;
      change(seen.first, hit & (front[i] >= one));  // only in front of the first one nothing is lost
      change(seen.median, hit & before_median(front[i]));
      some_before_median = some_before_median || any(before_median(Float::load(state.transmittance + p)));
      if (until_median) return;
      const Float largest = Float::load(seen.largest + p);
      change(seen.strongest, weight > largest);
      max(weight, largest).store(seen.largest + p);
      (Float::load(seen.counts + p) + zero_unless(hit, one)).store(seen.counts + p);
      if (out.top == 0) return;
      for (uint32_t lanes = lane_bits(weight > Float::load(seen.exceed + p)); lanes != 0;
           lanes &= lanes - 1) {
        const int lane = __builtin_ctz(lanes), pixel = p + lane;
        alignas(64) float each_weight[kLanes], each_id[kLanes];
        weight.store(each_weight);
        ids[i].store(each_id);
        seen.exceed[pixel] =
            keep_heaviest(top_ids + static_cast<int64_t>(pixel) * out.top,
                          top_weights + static_cast<int64_t>(pixel) * out.top, out.top, seen.listed[pixel],
                          std::bit_cast<int32_t>(each_id[lane]), each_weight[lane]);
      }
    });
    if (until_median && !some_before_median) state.unfinished &= ~(CellSet{1} << cell);
  };
  if (in.settings.order == Order::pixel) {
    const PixelOrder<Response> order(
        in, splats, place, state,
        [&](int cell, const Float* front, const Float* weights, const int32_t* each) {
          alignas(64) float numbers[kCellPixels];
          for (int lane = 0; lane < kCellPixels; ++lane) {
            numbers[lane] = std::bit_cast<float>(splats.id(each[lane]) - first_id);
          }
          Float ids[kVectors];
          repeat<kVectors>([&](auto i) { ids[i] = Float::load(numbers + i * kLanes); });
          look_at(cell, front, weights, ids);
        });
    return;
  }
  for (int n = 0; n < splats.count() && state.unfinished != 0; ++n) {
    const CellSet cells = splats.cells(n) & state.unfinished;
    if (cells == 0) continue;
    Float ids[kVectors];
    repeat<kVectors>([&](auto i) { ids[i] = Float(std::bit_cast<float>(splats.id(n) - first_id)); });
    const BlockSplat<Response> splat(splats[n], place, state);
    each_cell(cells, [&](int cell) __attribute__((always_inline)) {
      Float front[kVectors];
      repeat<kVectors>(
          [&](auto i) { front[i] = Float::load(state.transmittance + cell * kCellPixels + i * kLanes); });
      const CellResponse at(splat, state, cell);
      const CellBlend blend(at, state, cell, max_alpha);
      look_at(cell, front, blend.weight, ids);
    });
  }
}

void write(const SightingOutputs& out, ImageSize size, const BlockPlace& place, const BlockScratch& scratch,
           const Seen& seen) {
  for (int row = 0; row < place.rows; ++row) {
    const int64_t first = (place.image * size.height + place.y + row) * size.width + place.x;
    for (int column = 0; column < place.columns; ++column) {
      const int p = pixel_index(column, row);
      const int64_t pixel = first + column;
      if (out.first != nullptr) out.first[pixel] = std::bit_cast<int32_t>(seen.first[p]);
      if (out.median != nullptr) out.median[pixel] = std::bit_cast<int32_t>(seen.median[p]);
      if (out.strongest != nullptr) out.strongest[pixel] = std::bit_cast<int32_t>(seen.strongest[p]);
      if (out.counts != nullptr) out.counts[pixel] = static_cast<int32_t>(seen.counts[p]);
      int32_t* ids = out.top_ids + pixel * out.top;
      for (int i = 0; i < seen.listed[p]; ++i) {
        ids[i] = scratch.top_ids.data()[static_cast<int64_t>(p) * out.top + i];
        out.top_weights[pixel * out.top + i] =
            scratch.top_weights.data()[static_cast<int64_t>(p) * out.top + i];
      }
      for (int i = seen.listed[p]; i < out.top; ++i) ids[i] = -1;
    }
  }
}

}  // namespace

void sightings(const CompositeInputs& in, const SightingOutputs& out) {
  const auto* records = make_records<Response>(in);
  TileWalk(in.image, in.settings.tile_size)
      .each_block(in.images, [&](int64_t tile, int, const BlockPlace& place) {
        BlockScratch& scratch = per_thread<BlockScratch>();
        scratch.splats.gather(in, records, tile, place);
        scratch.top_ids.reserve(static_cast<int64_t>(out.top) * kBlockPixels);
        scratch.top_weights.reserve(static_cast<int64_t>(out.top) * kBlockPixels);
        Seen seen;
        look(in, out, place, scratch, seen);
        write(out, in.image, place, scratch, seen);
      });
}

}  // namespace gsplat::GSPLAT_ISA::GSPLAT_RESPONSE
