// Backward pass of compositing: gradients of every splat from the gradients of the pixels.
//
// Each tile replays its forward pass, front to back, and writes one row of sums per intersection (splat and
// tile): the moments of math/response.h and the gradients of the colours. A second loop adds up the rows of
// each splat in a fixed order and finishes its gradients. So no two threads ever add to the same number, and
// the result does not depend on how many there are. The rows lie in the order of the splats, because writing
// memory here and there costs less than reading it so.
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
  static constexpr int stride(int channels) {
    // More than a few channels are added in groups of 8.
    const int colors = channels <= kMostStaticChannels ? channels : (channels + 7) / 8 * 8;
    return (kFirstColor + colors + 3) / 4 * 4;
  }
};

struct TileScratch {
  TileSplats splats;
  Buffer<float> v_colors;  // [channel, pixel of a sub-block]
  Buffer<float> rows;      // of the splats of the tile
};

// One row of sums. A type of its own, because a thread has one of each type.
struct SumBuffer : Buffer<float> {};

// The rows of all intersections, in the order of the splats' flat indices.
struct SplatRows {
  Buffer<float> buffer;
  Buffer<int64_t> splat_starts;  // [splats + 1]: the range of rows of each splat
  Buffer<int32_t> places;        // [intersections]: the row of each entry of flatten_ids
  float* rows;
  int64_t stride;

  void arrange(const CompositeInputs& in, int64_t row_stride) {
    const TileLists& lists = in.lists;
    const int64_t splats = in.images * in.gaussians;
    stride = row_stride;
    rows = buffer.reserve(lists.intersections * stride);
    int64_t* starts = splat_starts.reserve(splats + 1);
    std::memset(starts, 0, sizeof(int64_t) * (splats + 1));
    for (int64_t p = 0; p < lists.visible; ++p) {
      starts[lists.order[p] + 1] = lists.slot_offsets[p + 1] - lists.slot_offsets[p];
    }
    for (int64_t i = 0; i < splats; ++i) starts[i + 1] += starts[i];
    int32_t* place = places.reserve(lists.intersections);
    parallel_for(lists.visible, 4096, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) {
        int32_t row = static_cast<int32_t>(starts[lists.order[p]]);
        for (int32_t s = lists.slot_offsets[p]; s < lists.slot_offsets[p + 1]; ++s) {
          place[lists.slots[s]] = row++;
        }
      }
    });
  }

  // Fetches those rows while the tile is being computed, which takes long enough.
  void prefetch(int64_t first, int count) const {
    const int32_t* place = places.data() + first;
    for (int i = 0; i < count; ++i) {
      const float* row = rows + place[i] * stride;
      __builtin_prefetch(row, 1, 2);
      __builtin_prefetch(row + stride - 1, 1, 2);
    }
  }

  // Stores the rows of the entries of flatten_ids from `first` on.
  template <int kStride>
  void store(const float* tile_rows, int64_t first, int count) {
    const int32_t* place = places.data() + first;
    const int64_t length = kStride == kDynamic ? stride : kStride;
    for (int i = 0; i < count; ++i) {
      std::memcpy(rows + place[i] * length, tile_rows + i * length, sizeof(float) * length);
    }
  }
};

// What the backward pass knows about the pixels of a sub-block before it starts.
struct PixelGrads {
  alignas(64) float v_alpha[kBlockPixels];  // gradient of alpha, the background's part included
  alignas(64) float total[kBlockPixels];    // E = sum_i w_i g_i
  alignas(64) float v_probe[kBlockPixels];  // weights of the pixels in the statistics, if wanted
};

// One channel of the pixels of a sub-block from an image [height, width, channels]; zero outside the image.
inline void load_plane(const float* image, int64_t channels, ImageSize size, const BlockPlace& place,
                       float* plane) {
  const int64_t row_stride = size.width * channels;
  const float* first = image + place.y * row_stride + place.x * channels;
  if (place.columns == kColumns && place.rows == kBlockRows) {
    repeat<kVectors>([&](auto v) {
      load_pixels<kRowsPerVector>(first + v * kRowsPerVector * row_stride, static_cast<int>(channels),
                                  static_cast<int>(row_stride))
          .store(plane + v * kLanes);
    });
    return;
  }
  std::memset(plane, 0, sizeof(float) * kBlockPixels);
  for (int row = 0; row < place.rows; ++row) {
    for (int column = 0; column < place.columns; ++column) {
      plane[pixel_index(column, row)] = first[row * row_stride + column * channels];
    }
  }
}

// Fetches the pixels of a tile while its splats are gathered: no processor guesses rows that lie far apart.
void prefetch_pixels(const CompositeInputs& in, const CompositeGradInputs& v, int64_t image, int x, int y) {
  constexpr int64_t kLine = 16;  // floats
  const int rows = in.image.height - y < in.tile_size ? in.image.height - y : in.tile_size;
  const int columns = in.image.width - x < in.tile_size ? in.image.width - x : in.tile_size;
  for (int row = 0; row < rows; ++row) {
    const int64_t pixel = (image * in.image.height + y + row) * in.image.width + x;
    for (int64_t i = 0; i < columns * in.channels + kLine - 1; i += kLine) {
      __builtin_prefetch(v.v_colors + pixel * in.channels + i);
      __builtin_prefetch(v.colors + pixel * in.channels + i);
    }
    __builtin_prefetch(v.alphas + pixel);
    __builtin_prefetch(v.v_alphas + pixel);
  }
}

template <int kChannels>
void load_pixel_grads(const CompositeInputs& in, const CompositeGradInputs& v, const BlockPlace& place,
                      int64_t image, float* v_colors, PixelGrads& pixels) {
  const int64_t channels = kChannels == kDynamic ? in.channels : kChannels;
  const int64_t first = image * in.image.height * in.image.width;
  const float* background = in.backgrounds == nullptr ? nullptr : in.backgrounds + image * channels;
  alignas(64) float plane[kBlockPixels];
  Float from_colors[kVectors], from_background[kVectors];
  repeat<kVectors>([&](auto i) { from_colors[i] = from_background[i] = Float(0.0f); });
  for (int64_t c = 0; c < channels; ++c) {
    float* v_color = v_colors + c * kBlockPixels;
    load_plane(v.v_colors + first * channels + c, channels, in.image, place, v_color);
    load_plane(v.colors + first * channels + c, channels, in.image, place, plane);
    const Float behind(background == nullptr ? 0.0f : background[c]);
    repeat<kVectors>([&](auto i) {
      const Float v_c = Float::load(v_color + i * kLanes);
      from_colors[i] = fma(v_c, Float::load(plane + i * kLanes), from_colors[i]);
      from_background[i] = fma(v_c, behind, from_background[i]);
    });
  }
  if (v.v_probe != nullptr) load_plane(v.v_probe + first, 1, in.image, place, pixels.v_probe);
  load_plane(v.v_alphas + first, 1, in.image, place, pixels.v_alpha);
  load_plane(v.alphas + first, 1, in.image, place, plane);
  repeat<kVectors>([&](auto i) {
    const Float alpha = Float::load(plane + i * kLanes);
    const Float v_alpha = Float::load(pixels.v_alpha + i * kLanes) - from_background[i];
    v_alpha.store(pixels.v_alpha + i * kLanes);
    // The outputs hold the background too: C = sum w c + (1 - alpha) bg.
    const Float without_background = from_colors[i] - (Float(1.0f) - alpha) * from_background[i];
    fma(alpha, v_alpha, without_background).store(pixels.total + i * kLanes);
  });
}

// Adds the lane sums of kCount vectors to a row, which has room for whole quads of sums.
template <int kCount>
inline void add_sums(const Float* values, float* row) {
  constexpr int kRest = kCount % 8, kFirstRest = kCount - kRest;
  for (int i = 0; i < kFirstRest; i += 8) add_sums8(values + i, row + i);
  if constexpr (kRest > 4) {
    Float padded[8];
    for (int j = 0; j < 8; ++j) padded[j] = j < kRest ? values[kFirstRest + j] : Float(0.0f);
    add_sums8(padded, row + kFirstRest);
  } else {
    for (int i = kFirstRest; i < kCount; ++i) row[i] += sum(values[i]);
  }
}

template <int kChannels, bool kAbs, bool kStatistics>
void backward_block(const CompositeInputs& in, TileScratch& scratch, int block, const BlockPlace& place,
                    const PixelGrads& pixels, float* rows, int64_t stride) {
  using Layout = RowLayout<kAbs, kStatistics>;
  const TileSplats& splats = scratch.splats;
  const PixelCentres centres(place);
  const Float max_alpha(in.max_alpha);
  const float* v_colors = scratch.v_colors.data();
  const int channels = kChannels == kDynamic ? in.channels : kChannels;
  const int32_t* ids = in.lists.flatten_ids + splats.begin();
  const int32_t* list = splats.list(block);
  const int size = splats.list_size(block);
  PixelState state(place);
  Float behind_sum[kVectors];  // E - R: what the splats still to come contribute
  repeat<kVectors>([&](auto v) { behind_sum[v] = Float::load(pixels.total + v * kLanes); });

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

    auto column = ColumnSums<Float>::zero();
    Float abs_x(0.0f), abs_y(0.0f);
    Float weighted(0.0f), weight_sum(0.0f), pixel_count(0.0f);
    const Float middle_dy(centres.middle - splat.mean_y);
    repeat<kVectors>([&](auto v) __attribute__((always_inline)) {
      const Float& t = state.transmittance[v];
      weights[v] = blend.alpha[v] * t;
      behind_sum[v] = fma(-weights[v], g[v], behind_sum[v]);
      const Float v_alpha = alpha_vjp(t, blend.alpha[v], g[v], behind_sum[v]);
      state.transmittance[v] = blend.behind[v];
      // No gradient through the cap.
      const Float e = zero_unless(at.uncapped[v] <= max_alpha, blend.alpha[v] * v_alpha);
      const Float& y = centres.y[v];
      column.add(e, y, y * y);
      if constexpr (kAbs) {
        const Float dy = centres.dy(v, splat.mean_y), u = fma(Float(splat.l21), dy, at.column_u);
        const Vec2<Float> v_mean = scaled_mean_vjp(shape_of(splat), e, u, dy);
        abs_x += abs(v_mean.x);
        abs_y += abs(v_mean.y);
      }
      if constexpr (kStatistics) {
        weighted = fma(weights[v], Float::load(pixels.v_probe + v * kLanes), weighted);
        weight_sum += weights[v];
        pixel_count += zero_unless(weights[v] > Float(0.0f), Float(1.0f));
      }
    });

    const OffsetMoments<Float> m = column.moments(at.dx, middle_dy);
    Float sums[Layout::kFirstColor + kChannels] = {m.e, m.ex, m.ey, m.exx, m.exy, m.eyy};
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
        add_sums8(colors, row + Layout::kFirstColor + c);
      }
    }
  }
}

// Adds up the rows of one splat, in the order of its tiles. A row length that is known when this is compiled
// keeps the sums in registers.
template <int kStride>
void add_rows(const SplatRows& all, int64_t id, float* total) {
  typedef float Quad __attribute__((vector_size(16)));
  const int64_t stride = kStride == kDynamic ? all.stride : kStride;
  Quad local[kStride == kDynamic ? 1 : kStride / 4] = {};
  Quad* sums = local;
  if constexpr (kStride == kDynamic) {
    sums = reinterpret_cast<Quad*>(total);
    std::memset(total, 0, sizeof(float) * stride);
  }
  const int64_t* starts = all.splat_starts.data();
  for (int64_t i = starts[id]; i < starts[id + 1]; ++i) {
    const Quad* row = reinterpret_cast<const Quad*>(all.rows + i * stride);
    for (int64_t q = 0; q < stride / 4; ++q) sums[q] += row[q];
  }
  if constexpr (kStride != kDynamic) std::memcpy(total, local, sizeof(local));
}

// Turns the sums of one splat into its gradients; those of a splat that no pixel saw are zero.
template <bool kAbs, bool kStatistics>
void write_splat(const CompositeInputs& in, int64_t id, const float* total, const CompositeGrads& out) {
  using Layout = RowLayout<kAbs, kStatistics>;
  const OffsetMoments<float> moments = {total[0], total[1], total[2], total[3], total[4], total[5]};
  const float* root = in.conic_roots + 3 * id;
  const float opacity = in.opacities[id] > 0.0f ? in.opacities[id] : 1.0f;
  const SplatGrad<float> g = splat_vjp(moments, root[0], root[1], root[2], opacity);
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
  constexpr int kStride = kChannels == kDynamic ? kDynamic : Layout::stride(kChannels);
  const int64_t stride = Layout::stride(in.channels);
  const SplatRecord* records = make_records(in, per_thread<Buffer<SplatRecord>>());
  SplatRows& rows = per_thread<SplatRows>();  // the caller's, in all threads
  rows.arrange(in, stride);
  const TileWalk walk(in.image, in.tile_size);
  parallel_dynamic(in.images * walk.grid.count(), [&](int64_t tile) {
    TileScratch& scratch = per_thread<TileScratch>();
    float* v_colors = scratch.v_colors.reserve(static_cast<int64_t>(in.channels) * kBlockPixels);
    const int x0 = walk.x_of(tile), y0 = walk.y_of(tile);
    TileSplats& splats = scratch.splats;
    prefetch_pixels(in, v, walk.image_of(tile), x0, y0);
    splats.gather(in, records, tile, x0, y0);
    rows.prefetch(splats.begin(), splats.count());
    float* tile_rows = scratch.rows.reserve(splats.count() * stride);
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
    rows.store<kStride>(tile_rows, splats.begin(), splats.count());
  });
  parallel_for(in.images * in.gaussians, 1024, [&](int64_t begin, int64_t end) {
    float* total = per_thread<SumBuffer>().reserve(stride);
    for (int64_t id = begin; id < end; ++id) {
      add_rows<kStride>(rows, id, total);
      write_splat<kAbs, kStatistics>(in, id, total, out);
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
