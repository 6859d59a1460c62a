// The moments of every splat that exact blocks of J^T W J are made of (math/gauss_newton.h).
//
// As the backward pass does, each block of a tile replays its forward pass and writes one row of sums per
// splat of the tile, and the rows of each splat are added up in a fixed order.
#include <cstring>

#include "cpu/gauss_newton.h"
#include "cpu/parallel.h"
#include "cpu/simd/block_images.h"
#include "math/gauss_newton.h"
#include "math/response/gaussian.h"

namespace gsplat::GSPLAT_ISA {
namespace {

// What is quadratic is a Gaussian.
using Response = GaussianResponse;

constexpr int kRgb = 3;

struct RowBuffer : Buffer<float> {};

// What is known about the pixels of a block before it starts: planes, channel by channel.
struct PixelSums {
  alignas(64) float weight[kRgb * kBlockPixels];
  alignas(64) float behind[kRgb * kBlockPixels];  // sum_i w_i (c_i - background)

  PixelSums(const CompositeInputs& in, const MomentInputs& image, const BlockPlace& place,
            const float* background) {
    load_planes(image.weights, kRgb, in.image, place, weight);
    load_planes(image.colors, kRgb, in.image, place, behind);
    for (int c = 0; c < kRgb; ++c) {
      for (int i = 0; i < kBlockPixels; ++i) behind[c * kBlockPixels + i] -= background[c];
    }
  }
};

// Writes kSplatMoments lane sums to a row, in the units of the record's scaled root.
inline void write_sums(const Float* values, float* row) {
  static_assert(kSplatMoments % 4 == 0);
  int i = 0;
  for (; i + 8 <= kSplatMoments; i += 8) sums8(values + i, row + i);
  for (; i < kSplatMoments; ++i) row[i] = sum(values[i]);
}

// Writes the moments of one splat over the pixels of a block.
void write_row(const CompositeInputs& in, const SplatRecord<Response>& record, const BlockPlace& place,
               CellSet cells, const float* background, BlockPixels<Response>& state, PixelSums& pixels,
               float* row) {
  const Float max_alpha(in.settings.max_alpha), zero(0.0f);
  const BlockSplat<Response> splat(record, place, state);
  Float sums[kSplatMoments];
  repeat<kSplatMoments>([&](auto i) { sums[i] = zero; });
  each_cell(cells, [&](int cell) __attribute__((always_inline)) {
    const CellResponse at(splat, state, cell);
    const CellBlend blend(at, state, cell, max_alpha);
    repeat<kVectors>([&](auto n) __attribute__((always_inline)) {
      const int first = cell * kCellPixels + n * kLanes;
      const Float& weight = blend.weight[n];
      const LaneMask uncapped = at.uncapped[n] <= max_alpha;
      Float pixel_weights[kRgb], e[kRgb];
      repeat<kRgb>([&](auto c) __attribute__((always_inline)) {
        pixel_weights[c] = Float::load(pixels.weight + c * kBlockPixels + first);
        float* behind_of = pixels.behind + c * kBlockPixels + first;
        const Float blended = weight * Float(record.color()[c] - background[c]);
        const Float behind = Float::load(behind_of) - blended;
        behind.store(behind_of);
        // With the pixel's channel in place of the loss.
        e[c] = zero_unless(uncapped, Over::log_alpha_vjp(blended, blend.alpha[n], behind));
      });
      const PixelMoments<Float> pixel = pixel_moments(pixel_weights, e, weight);
      Float all[kQuartic];
      monomials(at.pixel[n].u, at.pixel[n].v, all);
      repeat<kQuartic>([&](auto i) { sums[i] = fma(pixel.alpha, all[i], sums[i]); });
      repeat<kRgb>([&](auto c) __attribute__((always_inline)) {
        sums[kChannelMoments + c] = sums[kChannelMoments + c] + pixel.color[c];
        repeat<kQuadratic>([&](auto i) {
          Float& s = sums[kMixedMoments + c * kQuadratic + i];
          s = fma(pixel.mixed[c], all[i], s);
        });
      });
    });
  });
  write_sums(sums, row);
}

// What a moment of the scaled root has to be multiplied with.
struct Unscale {
  float factor[kSplatMoments];
  Unscale() {
    for (float& f : factor) f = 1.0f;
    for (int degree = 0; degree <= 4; ++degree) {
      for (int j = 0; j <= degree; ++j) {
        float power = 1.0f;
        for (int n = 0; n < degree; ++n) power *= static_cast<float>(1.0 / kRootScale);
        factor[monomial(degree - j, j)] = power;
        if (degree > 2) continue;
        for (int c = 0; c < kRgb; ++c)
          factor[kMixedMoments + c * kQuadratic + monomial(degree - j, j)] = power;
      }
    }
  }
};

}  // namespace

void composite_moments(const CompositeInputs& in, const MomentInputs& image, float* moments) {
  const auto* records = make_records<Response>(in);
  const TileWalk walk(in.image, in.settings.tile_size);
  const int blocks = walk.blocks_per_tile();
  float* rows = per_thread<RowBuffer>().reserve(in.lists.intersections * blocks * kSplatMoments);
  walk.each_block(in.images, [&](int64_t tile, int block, const BlockPlace& place) {
    BlockSplats<Response>& splats = per_thread<BlockSplats<Response>>();
    splats.gather(in, records, tile, place);
    float background[kRgb] = {};
    if (in.backgrounds != nullptr)
      std::memcpy(background, in.backgrounds + place.image * kRgb, sizeof(background));
    BlockPixels<Response> state(in, place);
    PixelSums pixels(in, image, place, background);
    for (int n = 0; n < splats.count(); ++n) {
      const CellSet cells = splats.cells(n) & state.unfinished;
      float* row = rows + ((splats.begin() + n) * blocks + block) * kSplatMoments;
      if (cells == 0) {
        std::memset(row, 0, sizeof(float) * kSplatMoments);
      } else {
        write_row(in, splats[n], place, cells, background, state, pixels, row);
      }
    }
  });
  const Unscale unscale;
  parallel_for(in.lists.visible, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t position = begin; position < end; ++position) {
      float total[kSplatMoments] = {};
      for (int32_t s = in.lists.slot_offsets[position]; s < in.lists.slot_offsets[position + 1]; ++s) {
        const float* row = rows + static_cast<int64_t>(in.lists.slots[s]) * blocks * kSplatMoments;
        for (int i = 0; i < blocks * kSplatMoments; ++i) total[i % kSplatMoments] += row[i];
      }
      float* out = moments + static_cast<int64_t>(in.lists.order[position]) * kSplatMoments;
      for (int i = 0; i < kSplatMoments; ++i) out[i] = total[i] * unscale.factor[i];
    }
  });
}

}  // namespace gsplat::GSPLAT_ISA
