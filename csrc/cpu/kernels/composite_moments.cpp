// The moments of every splat that exact blocks of J^T W J are made of (math/gauss_newton.h).
//
// As the backward pass does, each tile replays its forward pass and writes one row of sums per intersection
// of a splat and a tile, and the rows of each splat are added up in a fixed order.
#include <cstring>

#include "cpu/gauss_newton.h"
#include "cpu/parallel.h"
#include "cpu/simd/pixel_block.h"
#include "math/gauss_newton.h"

namespace gsplat::GSPLAT_ISA {
namespace {

constexpr int kRgb = 3;

struct RowBuffer : Buffer<float> {};

// What is known about the pixels of a sub-block before it starts.
struct PixelSums {
  alignas(64) float weight[kRgb][kBlockPixels];
  alignas(64) float behind[kRgb][kBlockPixels];  // sum_i w_i (c_i - background)
};

void load_pixels(const CompositeInputs& in, const MomentInputs& image, const BlockPlace& place, int64_t index,
                 const float* background, PixelSums& pixels) {
  if (place.columns < kColumns || place.rows < kBlockRows) std::memset(&pixels, 0, sizeof(pixels));
  for (int row = 0; row < place.rows; ++row) {
    const int64_t first = (index * in.image.height + place.y + row) * in.image.width + place.x;
    for (int column = 0; column < place.columns; ++column) {
      for (int c = 0; c < kRgb; ++c) {
        const int64_t number = (first + column) * kRgb + c;
        pixels.weight[c][pixel_index(column, row)] = image.weights[number];
        pixels.behind[c][pixel_index(column, row)] = image.colors[number] - background[c];
      }
    }
  }
}

// Adds kSplatMoments lane sums to a row, in the units of the record's scaled root.
inline void add_sums(const Float* values, float* row) {
  static_assert(kSplatMoments % 4 == 0);
  int i = 0;
  for (; i + 8 <= kSplatMoments; i += 8) add_sums8(values + i, row + i);
  for (; i < kSplatMoments; ++i) row[i] += sum(values[i]);
}

void moments_of_block(const CompositeInputs& in, const TileSplats& splats, int block, const BlockPlace& place,
                      const float* background, PixelSums& pixels, float* rows) {
  const PixelCentres centres(place);
  const Float max_alpha(in.max_alpha), zero(0.0f);
  const int32_t* list = splats.list(block);
  const int size = splats.list_size(block);
  PixelState state(place);
  BlockResponse next(splats[list[0]], centres, state);
  for (int k = 0; k < size; ++k) {
    const SplatRecord& splat = splats[list[k]];
    const BlockResponse at = next;
    next = BlockResponse(splats[list[k + 1]], centres, state);
    BlockBlend blend(at, state, max_alpha);
    if (__builtin_expect(blend.finishes_pixels(), 0)) {
      blend.finish_pixels(state, next);
      if (state.unfinished == 0) break;
    }
    Float sums[kSplatMoments];
    repeat<kSplatMoments>([&](auto i) { sums[i] = zero; });
    repeat<kVectors>([&](auto v) __attribute__((always_inline)) {
      const Float dy = centres.dy(v, splat.mean_y);
      const Float u = fma(Float(splat.l21), dy, at.column_u), w = Float(splat.l22) * dy;
      const Float& transmittance = state.transmittance[v];
      const Float weight = blend.alpha[v] * transmittance;
      const LaneMask uncapped = at.uncapped[v] <= max_alpha;
      Float pixel_weights[kRgb], e[kRgb];
      repeat<kRgb>([&](auto c) __attribute__((always_inline)) {
        pixel_weights[c] = Float::load(pixels.weight[c] + v * kLanes);
        float* behind_of = pixels.behind[c] + v * kLanes;
        const Float g(splat.color[c] - background[c]);
        const Float behind = fma(-weight, g, Float::load(behind_of));
        behind.store(behind_of);
        // With the pixel's channel in place of the loss.
        const Float by_alpha = alpha_vjp(transmittance, blend.alpha[v], g, behind);
        e[c] = zero_unless(uncapped, blend.alpha[v] * by_alpha);
      });
      state.transmittance[v] = blend.behind[v];
      const PixelMoments<Float> pixel = pixel_moments(pixel_weights, e, weight);
      Float all[kQuartic];
      monomials(u, w, all);
      repeat<kQuartic>([&](auto i) { sums[i] = fma(pixel.alpha, all[i], sums[i]); });
      repeat<kRgb>([&](auto c) __attribute__((always_inline)) {
        sums[kChannelMoments + c] = sums[kChannelMoments + c] + pixel.color[c];
        repeat<kQuadratic>([&](auto i) {
          Float& s = sums[kMixedMoments + c * kQuadratic + i];
          s = fma(pixel.mixed[c], all[i], s);
        });
      });
    });
    add_sums(sums, rows + list[k] * kSplatMoments);
  }
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
  const SplatRecord* records = make_records(in, per_thread<Buffer<SplatRecord>>());
  float* rows = per_thread<RowBuffer>().reserve(in.lists.intersections * kSplatMoments);
  const TileWalk walk(in.image, in.tile_size);
  parallel_dynamic(in.images * walk.grid.count(), [&](int64_t tile) {
    TileSplats& splats = per_thread<TileSplats>();
    const int x0 = walk.x_of(tile), y0 = walk.y_of(tile);
    splats.gather(in, records, tile, x0, y0);
    float* tile_rows = rows + splats.begin() * kSplatMoments;
    std::memset(tile_rows, 0, sizeof(float) * kSplatMoments * splats.count());
    const int64_t index = walk.image_of(tile);
    float background[kRgb] = {};
    if (in.backgrounds != nullptr) std::memcpy(background, in.backgrounds + index * kRgb, sizeof(background));
    int block = 0;
    for (int by = 0; by < splats.blocks_y(); ++by) {
      for (int bx = 0; bx < splats.blocks_x(); ++bx, ++block) {
        const BlockPlace place = walk.block(x0 + bx * kColumns, y0 + by * kBlockRows);
        if (place.columns <= 0 || place.rows <= 0) continue;
        PixelSums pixels;
        load_pixels(in, image, place, index, background, pixels);
        moments_of_block(in, splats, block, place, background, pixels, tile_rows);
      }
    }
  });
  const Unscale unscale;
  parallel_for(in.lists.visible, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t position = begin; position < end; ++position) {
      float total[kSplatMoments] = {};
      for (int32_t s = in.lists.slot_offsets[position]; s < in.lists.slot_offsets[position + 1]; ++s) {
        const float* row = rows + static_cast<int64_t>(in.lists.slots[s]) * kSplatMoments;
        for (int i = 0; i < kSplatMoments; ++i) total[i] += row[i];
      }
      float* out = moments + static_cast<int64_t>(in.lists.order[position]) * kSplatMoments;
      for (int i = 0; i < kSplatMoments; ++i) out[i] = total[i] * unscale.factor[i];
    }
  });
}

}  // namespace gsplat::GSPLAT_ISA
