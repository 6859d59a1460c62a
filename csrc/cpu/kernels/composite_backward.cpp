// Backward pass of compositing: gradients of every splat from the gradients of the pixels.
//
// Each tile replays its forward pass, front to back, and writes one row of sums per intersection (splat and
// tile): the moments of math/response.h and the gradients of the colours. A second loop adds up the rows of
// each splat in a fixed order and finishes its gradients. So no two threads ever add to the same number, and
// the result does not depend on how many there are.
#include <cstring>

#include "cpu/parallel.h"
#include "cpu/rasterizer.h"
#include "cpu/simd/pixel_block.h"

namespace gsplat::GSPLAT_ISA {
namespace {

constexpr int kDynamic = 0;
constexpr int kMostStaticChannels = 4;

// Where the sums lie in a row: six moments, the absolute gradient of the mean and the statistics if wanted,
// then the colours.
template <bool kAbs, bool kStatistics>
struct RowLayout {
  static constexpr int kFirstAbs = 6;
  static constexpr int kFirstStatistic = kFirstAbs + (kAbs ? 2 : 0);
  static constexpr int kFirstColor = kFirstStatistic + (kStatistics ? 3 : 0);

  // Row length in floats, a multiple of 4 so that rows are aligned for 128-bit loads.
  static constexpr int stride(int channels) { return (kFirstColor + channels + 3) / 4 * 4; }
};

struct TileScratch {
  TileSplats splats;
  Buffer<float> v_colors;  // [channel, pixel of a sub-block]
};

// Rows of all intersections; one row of sums. Types of their own, because a thread has one of each type.
struct RowBuffer : Buffer<float> {};
struct SumBuffer : Buffer<float> {};

// What the backward pass knows about the pixels of a sub-block before it starts.
struct PixelGrads {
  alignas(64) float v_alpha[kBlockPixels];  // gradient of alpha, the background's part included
  alignas(64) float total[kBlockPixels];    // E = sum_i w_i g_i
  alignas(64) float v_probe[kBlockPixels];  // weights of the pixels in the statistics, if wanted
};

template <int kChannels>
void load_pixel_grads(const CompositeInputs& in, const CompositeGradInputs& v, const BlockPlace& place,
                      int64_t image, float* v_colors, PixelGrads& pixels) {
  const int channels = kChannels == kDynamic ? in.channels : kChannels;
  const float* background = in.backgrounds == nullptr ? nullptr : in.backgrounds + image * channels;
  if (place.columns < kColumns || place.rows < kBlockRows) {
    std::memset(v_colors, 0, sizeof(float) * channels * kBlockPixels);
    std::memset(&pixels, 0, sizeof(pixels));
  }
  for (int row = 0; row < place.rows; ++row) {
    const int64_t first = (image * in.image.height + place.y + row) * in.image.width + place.x;
    for (int column = 0; column < place.columns; ++column) {
      const int64_t pixel = first + column;
      const int i = row * kColumns + column;
      const float alpha = v.alphas[pixel];
      float from_colors = 0.0f, from_background = 0.0f;
      for (int c = 0; c < channels; ++c) {
        const float v_color = v.v_colors[pixel * channels + c];
        v_colors[c * kBlockPixels + i] = v_color;
        from_colors += v_color * v.colors[pixel * channels + c];
        if (background != nullptr) from_background += v_color * background[c];
      }
      if (v.v_probe != nullptr) pixels.v_probe[i] = v.v_probe[pixel];
      pixels.v_alpha[i] = v.v_alphas[pixel] - from_background;
      // The outputs hold the background too: C = sum w c + (1 - alpha) bg.
      pixels.total[i] = from_colors - (1.0f - alpha) * from_background + alpha * pixels.v_alpha[i];
    }
  }
}

// Adds `count` lane sums of the given vectors to a row.
template <int kCount>
inline void add_sums(const Float* values, float* row) {
  float sums[8];
  int i = 0;
  for (; i + 8 <= kCount; i += 8) {
    sum8(values + i, sums);
    for (int j = 0; j < 8; ++j) row[i + j] += sums[j];
  }
  if constexpr (kCount % 8 > 4) {
    Float padded[8];
    for (int j = 0; j < 8; ++j) padded[j] = j < kCount % 8 ? values[i + j] : Float(0.0f);
    sum8(padded, sums);
    for (int j = 0; j < kCount % 8; ++j) row[i + j] += sums[j];
  } else {
    for (; i < kCount; ++i) row[i] += sum(values[i]);
  }
}

template <int kChannels, bool kAbs, bool kStatistics>
void backward_block(const CompositeInputs& in, TileScratch& scratch, int block, const BlockPlace& place,
                    const PixelGrads& pixels, float* rows, int64_t stride) {
  using Layout = RowLayout<kAbs, kStatistics>;
  const TileSplats& splats = scratch.splats;
  const PixelCentres centres;
  const Float max_alpha(in.max_alpha);
  const float* v_colors = scratch.v_colors.data();
  const int channels = kChannels == kDynamic ? in.channels : kChannels;
  const int32_t* ids = in.lists.flatten_ids + splats.begin();
  const int32_t* list = splats.list(block);
  const int size = splats.list_size(block);
  Transmittance state(place);
  Float behind_sum[kVectors];  // E - R: what the splats still to come contribute
  repeat<kVectors>([&](auto v) { behind_sum[v] = Float::load(pixels.total + v * kLanes); });

  for (int k = 0; k < size; ++k) {
    const SplatRecord& splat = splats[list[k]];
    BlockAlphas at(splat, place, centres, state, max_alpha);
    if (__builtin_expect(at.any_finishes, 0)) {
      repeat<kVectors>([&](auto v) { behind_sum[v] = select(at.finishes[v], Float(0.0f), behind_sum[v]); });
      at.finish_pixels(state);
      if (state.unfinished == 0) break;
    }
    const float* color =
        kChannels == kDynamic ? in.colors + static_cast<int64_t>(ids[list[k]]) * channels : splat.color;
    float* row = rows + list[k] * stride;

    Float g[kVectors], weights[kVectors];
    repeat<kVectors>([&](auto v) { g[v] = Float::load(pixels.v_alpha + v * kLanes); });
    const auto add_channel = [&](auto c) __attribute__((always_inline)) {
      const Float value(color[c]);
      repeat<kVectors>(
          [&](auto v) { g[v] = fma(value, Float::load(v_colors + c * kBlockPixels + v * kLanes), g[v]); });
    };
    if constexpr (kChannels != kDynamic) {
      repeat<kChannels>(add_channel);
    } else {
      for (int c = 0; c < channels; ++c) add_channel(c);
    }

    auto moments = ColumnMoments<Float>::zero();
    Float abs_x(0.0f), abs_y(0.0f);
    Float weighted(0.0f), weight_sum(0.0f), pixel_count(0.0f);
    repeat<kVectors>([&](auto v) __attribute__((always_inline)) {
      weights[v] = at.alpha[v] * state.t[v];
      behind_sum[v] = fma(-weights[v], g[v], behind_sum[v]);
      const Float v_alpha = alpha_vjp(state.t[v], at.alpha[v], g[v], behind_sum[v]);
      state.t[v] = at.behind[v];
      // No gradient through the cap.
      const Float e = zero_unless(at.uncapped[v] <= max_alpha, at.alpha[v] * v_alpha);
      moments.add(e, at.u[v], at.dy[v]);
      if constexpr (kAbs) {
        const Vec2<Float> v_mean = scaled_mean_vjp(shape_of(splat), e, at.u[v], at.dy[v]);
        abs_x += abs(v_mean.x);
        abs_y += abs(v_mean.y);
      }
      if constexpr (kStatistics) {
        weighted = fma(weights[v], Float::load(pixels.v_probe + v * kLanes), weighted);
        weight_sum += weights[v];
        pixel_count += zero_unless(weights[v] > Float(0.0f), Float(1.0f));
      }
    });

    Float sums[Layout::kFirstColor + kChannels] = {moments.e,          moments.eu,  moments.ey,
                                                   moments.eu * at.dx, moments.euy, moments.eyy};
    if constexpr (kAbs) {
      sums[Layout::kFirstAbs] = abs_x;
      sums[Layout::kFirstAbs + 1] = abs_y;
    }
    if constexpr (kStatistics) {
      sums[Layout::kFirstStatistic] = weighted;
      sums[Layout::kFirstStatistic + 1] = weight_sum;
      sums[Layout::kFirstStatistic + 2] = pixel_count;
    }
    if constexpr (kChannels != kDynamic) {
      repeat<kChannels>([&](auto c) {
        Float s(0.0f);
        repeat<kVectors>(
            [&](auto v) { s = fma(weights[v], Float::load(v_colors + c * kBlockPixels + v * kLanes), s); });
        sums[Layout::kFirstColor + c] = s;
      });
      add_sums<Layout::kFirstColor + kChannels>(sums, row);
    } else {
      add_sums<Layout::kFirstColor>(sums, row);
      for (int c = 0; c < channels; c += 8) {
        Float colors[8];
        for (int j = 0; j < 8; ++j) {
          colors[j] = Float(0.0f);
          if (c + j >= channels) continue;
          for (int v = 0; v < kVectors; ++v) {
            colors[j] =
                fma(weights[v], Float::load(v_colors + (c + j) * kBlockPixels + v * kLanes), colors[j]);
          }
        }
        float color_sums[8];
        sum8(colors, color_sums);
        for (int j = 0; j < 8 && c + j < channels; ++j) row[Layout::kFirstColor + c + j] += color_sums[j];
      }
    }
  }
}

// Adds up the rows of one splat, in the order of its tiles. A row length that is known when this is compiled
// keeps the sums in registers.
template <int kStride>
void add_rows(const TileLists& lists, const float* rows, int64_t stride, int64_t position, float* total) {
  typedef float Quad __attribute__((vector_size(16)));
  const int64_t quads = (kStride == kDynamic ? stride : kStride) / 4;
  Quad local[kStride == kDynamic ? 1 : kStride / 4] = {};
  Quad* sums = local;
  if constexpr (kStride == kDynamic) {
    sums = reinterpret_cast<Quad*>(total);
    std::memset(total, 0, sizeof(float) * stride);
  }
  constexpr int kAhead = 12;
  const int32_t first = lists.slot_offsets[position], last = lists.slot_offsets[position + 1];
  for (int32_t s = first; s < last; ++s) {
    if (s + kAhead < lists.intersections) __builtin_prefetch(rows + lists.slots[s + kAhead] * stride);
    const Quad* row = reinterpret_cast<const Quad*>(rows + lists.slots[s] * stride);
    for (int64_t i = 0; i < quads; ++i) sums[i] += row[i];
  }
  if constexpr (kStride != kDynamic) std::memcpy(total, local, sizeof(local));
}

// Turns the sums of one splat into its gradients.
template <bool kAbs, bool kStatistics>
void write_splat(const CompositeInputs& in, int64_t id, const float* total, const CompositeGrads& out) {
  using Layout = RowLayout<kAbs, kStatistics>;
  const Moments<float> moments = {total[0], total[1], total[2], total[3], total[4], total[5]};
  const float* root = in.conic_roots + 3 * id;
  const SplatGrad<float> g = splat_vjp(moments, root[0], root[1], root[2], in.opacities[id]);
  out.means2d[2 * id] = g.mean_x;
  out.means2d[2 * id + 1] = g.mean_y;
  out.conic_roots[3 * id] = g.l11;
  out.conic_roots[3 * id + 1] = g.l21;
  out.conic_roots[3 * id + 2] = g.l22;
  out.opacities[id] = g.opacity;
  if constexpr (kAbs) {
    // The sums were taken with scaled roots in place of unscaled ones, two to a product.
    const float unscale = static_cast<float>(1.0 / (kRootScale * kRootScale));
    out.means2d_abs[2 * id] = total[Layout::kFirstAbs] * unscale;
    out.means2d_abs[2 * id + 1] = total[Layout::kFirstAbs + 1] * unscale;
  }
  if constexpr (kStatistics) {
    const float* s = total + Layout::kFirstStatistic;
    out.statistics[id] = {s[0], s[1], s[2]};
  }
  const float* colors = total + Layout::kFirstColor;
  for (int c = 0; c < in.channels; ++c) out.colors[id * in.channels + c] = colors[c];
}

template <int kChannels, bool kAbs, bool kStatistics>
void backward_all(const CompositeInputs& in, const CompositeGradInputs& v, const CompositeGrads& out) {
  using Layout = RowLayout<kAbs, kStatistics>;
  const int64_t stride = Layout::stride(in.channels);
  const SplatRecord* records = make_records(in, per_thread<Buffer<SplatRecord>>());
  float* rows = per_thread<RowBuffer>().reserve(in.lists.intersections * stride);
  const TileWalk walk(in.image, in.tile_size);
  parallel_dynamic(in.images * walk.grid.count(), [&](int64_t tile) {
    TileScratch& scratch = per_thread<TileScratch>();
    float* v_colors = scratch.v_colors.reserve(static_cast<int64_t>(in.channels) * kBlockPixels);
    const int x0 = walk.x_of(tile), y0 = walk.y_of(tile);
    TileSplats& splats = scratch.splats;
    splats.gather(in, records, tile, x0, y0);
    float* tile_rows = rows + splats.begin() * stride;
    std::memset(tile_rows, 0, sizeof(float) * stride * splats.count());
    int block = 0;
    for (int by = 0; by < splats.blocks_y(); ++by) {
      for (int bx = 0; bx < splats.blocks_x(); ++bx, ++block) {
        const BlockPlace place = walk.block(x0 + bx * kColumns, y0 + by * kBlockRows);
        if (place.columns <= 0 || place.rows <= 0) continue;
        PixelGrads pixels;
        load_pixel_grads<kChannels>(in, v, place, walk.image_of(tile), v_colors, pixels);
        backward_block<kChannels, kAbs, kStatistics>(in, scratch, block, place, pixels, tile_rows, stride);
      }
    }
  });
  parallel_for(in.lists.visible, 1024, [&](int64_t begin, int64_t end) {
    float* total = per_thread<SumBuffer>().reserve(stride);
    constexpr int kStride = kChannels == kDynamic ? kDynamic : Layout::stride(kChannels);
    for (int64_t position = begin; position < end; ++position) {
      add_rows<kStride>(in.lists, rows, stride, position, total);
      write_splat<kAbs, kStatistics>(in, in.lists.order[position], total, out);
    }
  });
}

template <int kChannels>
void backward_channels(const CompositeInputs& in, const CompositeGradInputs& v, const CompositeGrads& out) {
  const bool abs = out.means2d_abs != nullptr, statistics = out.statistics != nullptr;
  if (abs && statistics) return backward_all<kChannels, true, true>(in, v, out);
  if (abs) return backward_all<kChannels, true, false>(in, v, out);
  if (statistics) return backward_all<kChannels, false, true>(in, v, out);
  return backward_all<kChannels, false, false>(in, v, out);
}

}  // namespace

void composite_backward(const CompositeInputs& in, const CompositeGradInputs& v, const CompositeGrads& out) {
  switch (in.channels) {
    case 1:
      return backward_channels<1>(in, v, out);
    case 2:
      return backward_channels<2>(in, v, out);
    case 3:
      return backward_channels<3>(in, v, out);
    case kMostStaticChannels:
      return backward_channels<kMostStaticChannels>(in, v, out);
    default:
      return backward_channels<kDynamic>(in, v, out);
  }
}

}  // namespace gsplat::GSPLAT_ISA
