// How much of every splat the pixels of each label see: contributions, told apart.
//
// As there, each block of a tile writes one row per splat of the tile, and a second loop puts the rows of
// each splat together in a fixed order.
#include "cpu/compositing.h"
#include "cpu/parallel.h"
#include "cpu/simd/pixel_order.h"
#include "math/response/selected.h"

namespace gsplat::GSPLAT_ISA::GSPLAT_RESPONSE {
namespace {

using Response = GSPLAT_RESPONSE_TYPE;

struct LabelRows : Buffer<float> {};

// The labels of a block's pixels, counted from the first one wanted.
struct BlockLabels {
  alignas(64) float numbers[kBlockPixels];  // -1 where no wanted one is
  uint32_t of_cell[kCells];                 // which a cell has, one bit each
  uint32_t of_block;

  BlockLabels(const LabelInputs& in, ImageSize size, const BlockPlace& place) : of_block(0) {
    for (float& number : numbers) number = -1.0f;
    for (uint32_t& labels : of_cell) labels = 0;
    for (int row = 0; row < place.rows; ++row) {
      const int64_t first = (place.image * size.height + place.y + row) * size.width + place.x;
      for (int column = 0; column < place.columns; ++column) {
        const int64_t number = static_cast<int64_t>(in.labels[first + column]) - in.first;
        if (number < 0 || number >= in.count) continue;
        const int p = pixel_index(column, row);
        numbers[p] = static_cast<float>(number);
        of_cell[p / kCellPixels] |= uint32_t{1} << number;
      }
    }
    for (uint32_t labels : of_cell) of_block |= labels;
  }
};

// Writes `rows` [splats of the tile, count], which lie `stride` apart.
template <class BlendOrder>
void weights_in_block(const CompositeInputs& in, int count, const BlockLabels& labels,
                      const BlockSplats<Response>& splats, const BlockPlace& place, float* rows,
                      int64_t stride) {
  const Float max_alpha(in.settings.max_alpha), zero(0.0f);
  BlockPixels<Response> state(in, place);
  const BlendOrder order(in, splats, place, state);
  for (int n = 0; n < splats.count(); ++n, rows += stride) {
    for (int l = 0; l < count; ++l) rows[l] = 0.0f;
    const CellSet cells = order.cells(n);
    if (cells == 0 || labels.of_block == 0) continue;
    Float sums[kMostLabels];
    uint32_t met = 0;
    order.each_weight(n, place, cells, max_alpha,
                      [&](int cell, const Float* weight) __attribute__((always_inline)) {
                        for (uint32_t rest = labels.of_cell[cell]; rest != 0; rest &= rest - 1) {
                          const int label = __builtin_ctz(rest);
                          const Float number(static_cast<float>(label));
                          Float total = (met >> label & 1u) != 0 ? sums[label] : zero;
                          repeat<kVectors>([&](auto i) __attribute__((always_inline)) {
                            const Float here = Float::load(labels.numbers + cell * kCellPixels + i * kLanes);
                            total += zero_unless((here >= number) & (here <= number), weight[i]);
                          });
                          sums[label] = total;
                          met |= uint32_t{1} << label;
                        }
                      });
    for (; met != 0; met &= met - 1) rows[__builtin_ctz(met)] = sum(sums[__builtin_ctz(met)]);
  }
}

template <class BlendOrder>
void weights_of_all(const CompositeInputs& in, const LabelInputs& labels, float* out) {
  const auto* records = make_records<Response>(in);
  const TileWalk walk(in.image, in.settings.tile_size);
  const int blocks = walk.blocks_per_tile(), count = labels.count;
  const int64_t stride = static_cast<int64_t>(blocks) * count;
  float* rows = per_thread<LabelRows>().reserve(in.lists.intersections * stride);
  walk.each_block(in.images, [&](int64_t tile, int block, const BlockPlace& place) {
    BlockSplats<Response>& splats = per_thread<BlockSplats<Response>>();
    splats.gather(in, records, tile, place);
    weights_in_block<BlendOrder>(in, count, BlockLabels(labels, in.image, place), splats, place,
                                 rows + splats.begin() * stride + block * count, stride);
  });
  const TileLists& lists = in.lists;
  parallel_for(lists.visible, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t position = begin; position < end; ++position) {
      float* total = out + lists.order[position] * static_cast<int64_t>(count);
      for (int l = 0; l < count; ++l) total[l] = 0.0f;
      for (int32_t s = lists.slot_offsets[position]; s < lists.slot_offsets[position + 1]; ++s) {
        const float* row = rows + lists.slots[s] * stride;
        for (int64_t i = 0; i < stride; ++i) total[i % count] += row[i];
      }
    }
  });
}

}  // namespace

void label_weights(const CompositeInputs& in, const LabelInputs& labels, float* out) {
  if constexpr (!Response::Family::kFlat) {  // surfels have no such order
    if (in.settings.order == Order::pixel) return weights_of_all<PixelOrder<Response>>(in, labels, out);
  }
  weights_of_all<ListOrder<Response>>(in, labels, out);
}

}  // namespace gsplat::GSPLAT_ISA::GSPLAT_RESPONSE
