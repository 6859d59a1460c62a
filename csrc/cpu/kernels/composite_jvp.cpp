// Forward mode of compositing: the tangents of the pixels from the tangents of the splats.
//
// One more walk over the tile lists, front to back, that carries the tangent of the transmittance next to the
// transmittance itself. Which splat is skipped, capped or the last one was decided by the values.
#include "cpu/parallel.h"
#include "cpu/rasterizer_jvp.h"
#include "cpu/simd/pixel_block.h"
#include "math/forward_mode.h"

namespace gsplat::GSPLAT_ISA {
namespace {

constexpr int kMostRegisterChannels = 4;
constexpr int kDynamic = 0;  // a number of channels that is known at run time only

// The tangents of a SplatRecord.
struct alignas(64) SplatTangent {
  float mean_x, mean_y;
  float l11, l21, l22;  // scaled by kRootScale
  float log2_opacity;
  float color[8];
};

struct TileScratch {
  TileSplats splats;
  Buffer<float> colors;  // [channel, pixel of a sub-block]
};

// At the splats' flat indices; those of culled splats are undefined.
SplatTangent* make_tangents(const CompositeInputs& in, const CompositeTangents& t,
                            Buffer<SplatTangent>& buffer) {
  SplatTangent* tangents = buffer.reserve(in.images * in.gaussians);
  const int channels = in.channels < kRecordChannels ? in.channels : kRecordChannels;
  const float scale = static_cast<float>(kRootScale);
  parallel_for(in.lists.visible, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t position = begin; position < end; ++position) {
      const int64_t i = in.lists.order[position];
      SplatTangent& s = tangents[i];
      s.mean_x = t.means2d[2 * i];
      s.mean_y = t.means2d[2 * i + 1];
      s.l11 = scale * t.conic_roots[3 * i];
      s.l21 = scale * t.conic_roots[3 * i + 1];
      s.l22 = scale * t.conic_roots[3 * i + 2];
      s.log2_opacity = log2(Dual<float>(in.opacities[i], t.opacities[i])).tangent;
      for (int c = 0; c < channels; ++c) s.color[c] = t.colors[i * in.channels + c];
    }
  });
  return tangents;
}

// One splat over the pixels of a sub-block: weights and their tangents.
struct BlendTangents {
  Float weight[kVectors], t_weight[kVectors];
};

// Tangents of the blended colours of a sub-block, in registers.
template <int kCount>
struct RegisterColors {
  static constexpr int kChannels = kCount;
  Float sum[kChannels][kVectors];

  RegisterColors(const CompositeInputs&, TileScratch&) {
    repeat<kChannels>([&](auto c) { repeat<kVectors>([&](auto v) { sum[c][v] = Float(0.0f); }); });
  }
  [[gnu::always_inline]] void blend(const CompositeInputs&, const CompositeTangents&,
                                    const SplatRecord& splat, const SplatTangent& tangent, int32_t,
                                    const BlendTangents& at) {
    repeat<kChannels>([&](auto c) {
      const Float color(splat.color[c]), t_color(tangent.color[c]);
      repeat<kVectors>(
          [&](auto v) { sum[c][v] = fma(at.t_weight[v], color, fma(at.weight[v], t_color, sum[c][v])); });
    });
  }
  void store(float* planar) const {
    repeat<kChannels>([&](auto c) {
      repeat<kVectors>([&](auto v) { sum[c][v].store(planar + c * kBlockPixels + v * kLanes); });
    });
  }
};

// Any number of channels, in the cache.
struct CachedColors {
  static constexpr int kChannels = kDynamic;
  float* planar;

  CachedColors(const CompositeInputs& in, TileScratch& scratch) : planar(scratch.colors.data()) {
    const Float zero(0.0f);
    for (int64_t i = 0; i < static_cast<int64_t>(in.channels) * kBlockPixels; i += kLanes)
      zero.store(planar + i);
  }
  void blend(const CompositeInputs& in, const CompositeTangents& tangents, const SplatRecord&,
             const SplatTangent&, int32_t id, const BlendTangents& at) {
    const int64_t first = static_cast<int64_t>(id) * in.channels;
    float* p = planar;
    for (int c = 0; c < in.channels; ++c, p += kBlockPixels) {
      const Float color(in.colors[first + c]), t_color(tangents.colors[first + c]);
      repeat<kVectors>([&](auto v) {
        float* sum = p + v * kLanes;
        fma(at.t_weight[v], color, fma(at.weight[v], t_color, Float::load(sum))).store(sum);
      });
    }
  }
  void store(float*) const {}
};

// Leaves the tangents of the colours in the scratch and writes those of the transmittance [kBlockPixels].
template <class Colors>
void jvp_block(const CompositeInputs& in, const CompositeTangents& tangents, const SplatTangent* records,
               TileScratch& scratch, int block, const BlockPlace& place, float* t_transmittance) {
  const TileSplats& splats = scratch.splats;
  const PixelCentres centres(place);
  const Float max_alpha(in.max_alpha), zero(0.0f);
  const int32_t* ids = in.lists.flatten_ids + splats.begin();
  const int32_t* list = splats.list(block);
  const int size = splats.list_size(block);
  PixelState state(place);
  Float t_state[kVectors];  // tangent of the transmittance
  repeat<kVectors>([&](auto v) { t_state[v] = zero; });
  Colors colors(in, scratch);
  BlockResponse next(splats[list[0]], centres, state);
  constexpr int kAhead = 6;
  for (int k = 0; k < size; ++k) {
    if (k + kAhead < size) __builtin_prefetch(records + ids[list[k + kAhead]]);
    const SplatRecord& splat = splats[list[k]];
    const int32_t id = ids[list[k]];
    const SplatTangent& tangent = records[id];
    const BlockResponse at = next;
    next = BlockResponse(splats[list[k + 1]], centres, state);
    BlockBlend values(at, state, max_alpha);
    if (__builtin_expect(values.finishes_pixels(), 0)) {
      values.finish_pixels(state, next);
      if (state.unfinished == 0) break;
    }
    const SplatShape<Dual<Float>> shape = {{Float(splat.l11), Float(tangent.l11)},
                                           {Float(splat.l21), Float(tangent.l21)},
                                           {Float(splat.l22), Float(tangent.l22)},
                                           {Float(splat.log2_opacity), Float(tangent.log2_opacity)}};
    const Dual<Float> dx(at.dx, -Float(tangent.mean_x));
    const Float t_dy = -Float(tangent.mean_y);
    BlendTangents blend;
    repeat<kVectors>([&](auto v) __attribute__((always_inline)) {
      const Dual<Float> alpha = moving_alpha(values.alpha[v], at.uncapped[v] <= max_alpha, shape, dx,
                                             Dual<Float>(centres.dy(v, splat.mean_y), t_dy));
      const Dual<Float> transmittance(state.transmittance[v], t_state[v]);
      const Dual<Float> weight = alpha * transmittance;
      blend.weight[v] = weight.value;
      blend.t_weight[v] = weight.tangent;
      t_state[v] = transmittance_behind(transmittance, alpha).tangent;
      state.transmittance[v] = values.behind[v];
    });
    colors.blend(in, tangents, splat, tangent, id, blend);
  }
  repeat<kVectors>([&](auto v) { t_state[v].store(t_transmittance + v * kLanes); });
  colors.store(scratch.colors.data());
}

// Adds the background's part and writes what is inside the image.
template <class Colors>
void write_block(const CompositeInputs& in, const BlockPlace& place, int64_t image, const float* planar,
                 const float* t_transmittance, const CompositeOutputs& out) {
  const int channels = Colors::kChannels == kDynamic ? in.channels : Colors::kChannels;
  const float* background = in.backgrounds == nullptr ? nullptr : in.backgrounds + image * channels;
  for (int row = 0; row < place.rows; ++row) {
    const int64_t first = (image * in.image.height + place.y + row) * in.image.width + place.x;
    float* colors = out.colors + first * channels;
    for (int column = 0; column < place.columns; ++column, colors += channels) {
      const int i = pixel_index(column, row);
      for (int c = 0; c < channels; ++c) {
        const float sum = planar[c * kBlockPixels + i];
        colors[c] = background == nullptr ? sum : sum + t_transmittance[i] * background[c];
      }
      out.alphas[first + column] = -t_transmittance[i];
    }
  }
}

template <class Colors>
void jvp_all(const CompositeInputs& in, const CompositeTangents& tangents, const CompositeOutputs& out) {
  const SplatRecord* values = make_records(in, per_thread<Buffer<SplatRecord>>());
  const SplatTangent* records = make_tangents(in, tangents, per_thread<Buffer<SplatTangent>>());
  const TileWalk walk(in.image, in.tile_size);
  parallel_dynamic(in.images * walk.grid.count(), [&](int64_t tile) {
    TileScratch& scratch = per_thread<TileScratch>();
    scratch.colors.reserve(static_cast<int64_t>(in.channels) * kBlockPixels);
    const int x0 = walk.x_of(tile), y0 = walk.y_of(tile);
    scratch.splats.gather(in, values, tile, x0, y0);
    int block = 0;
    for (int by = 0; by < scratch.splats.blocks_y(); ++by) {
      for (int bx = 0; bx < scratch.splats.blocks_x(); ++bx, ++block) {
        const BlockPlace place = walk.block(x0 + bx * kColumns, y0 + by * kBlockRows);
        if (place.columns <= 0 || place.rows <= 0) continue;
        alignas(64) float t_transmittance[kBlockPixels];
        jvp_block<Colors>(in, tangents, records, scratch, block, place, t_transmittance);
        write_block<Colors>(in, place, walk.image_of(tile), scratch.colors.data(), t_transmittance, out);
      }
    }
  });
}

}  // namespace

void composite_jvp(const CompositeInputs& in, const CompositeTangents& tangents,
                   const CompositeOutputs& out) {
  switch (in.channels) {
    case 1:
      return jvp_all<RegisterColors<1>>(in, tangents, out);
    case 2:
      return jvp_all<RegisterColors<2>>(in, tangents, out);
    case 3:
      return jvp_all<RegisterColors<3>>(in, tangents, out);
    case kMostRegisterChannels:
      return jvp_all<RegisterColors<kMostRegisterChannels>>(in, tangents, out);
    default:
      return jvp_all<CachedColors>(in, tangents, out);
  }
}

}  // namespace gsplat::GSPLAT_ISA
