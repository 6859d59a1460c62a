// Front-to-back compositing of the splats of each tile.
//
// Tiles are independent; within one, the loop runs over sub-blocks of pixels, then splats, with the state of
// the sub-block's pixels in registers (up to kMostRegisterChannels channels, beyond that in the cache).
#include "cpu/parallel.h"
#include "cpu/rasterizer.h"
#include "cpu/simd/pixel_block.h"

namespace gsplat::GSPLAT_ISA {
namespace {

constexpr int kMostRegisterChannels = 4;
constexpr int kDynamic = 0;  // a number of channels that is known at run time only

struct TileScratch {
  TileSplats splats;
  Buffer<float> colors;  // [channel, pixel of a sub-block]
};

// Blended colours of a sub-block in registers.
template <int kCount>
struct RegisterColors {
  static constexpr int kChannels = kCount;
  Float sum[kChannels][kVectors];

  RegisterColors(const CompositeInputs&, TileScratch&) {
    repeat<kChannels>([&](auto c) { repeat<kVectors>([&](auto v) { sum[c][v] = Float(0.0f); }); });
  }
  [[gnu::always_inline]] void blend(const CompositeInputs&, const SplatRecord& splat, int32_t,
                                    const Float* weights) {
    repeat<kChannels>([&](auto c) {
      const Float color(splat.color[c]);
      repeat<kVectors>([&](auto v) { sum[c][v] = fma(weights[v], color, sum[c][v]); });
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
  void blend(const CompositeInputs& in, const SplatRecord&, int32_t id, const Float* weights) {
    const float* colors = in.colors + static_cast<int64_t>(id) * in.channels;
    float* p = planar;
    for (int c = 0; c < in.channels; ++c, p += kBlockPixels) {
      const Float color(colors[c]);
      repeat<kVectors>(
          [&](auto v) { fma(weights[v], color, Float::load(p + v * kLanes)).store(p + v * kLanes); });
    }
  }
  void store(float*) const {}
};

// Blends the splats of a sub-block's list; leaves the colours in the scratch and returns the transmittance
// that is left in `transmittance` [kBlockPixels].
template <class Colors>
void composite_block(const CompositeInputs& in, TileScratch& scratch, int block, const BlockPlace& place,
                     float* transmittance) {
  const TileSplats& splats = scratch.splats;
  const PixelCentres centres(place);
  const Float max_alpha(in.max_alpha);
  const int32_t* ids = in.lists.flatten_ids + splats.begin();
  const int32_t* list = splats.list(block);
  const int size = splats.list_size(block);
  PixelState state(place);
  Colors colors(in, scratch);
  BlockResponse next(splats[list[0]], centres, state);
  for (int k = 0; k < size; ++k) {
    const BlockResponse at = next;
    next = BlockResponse(splats[list[k + 1]], centres, state);
    BlockBlend blend(at, state, max_alpha);
    if (__builtin_expect(blend.finishes_pixels(), 0)) {
      blend.finish_pixels(state, next);
      if (state.unfinished == 0) break;
    }
    Float weights[kVectors];
    repeat<kVectors>([&](auto v) {
      weights[v] = blend.alpha[v] * state.transmittance[v];
      state.transmittance[v] = blend.behind[v];
    });
    colors.blend(in, splats[list[k]], ids[list[k]], weights);
  }
  repeat<kVectors>([&](auto v) { state.transmittance[v].store(transmittance + v * kLanes); });
  colors.store(scratch.colors.data());
}

// Adds the background and writes the part of the sub-block that is inside the image.
template <class Colors>
void write_block(const CompositeInputs& in, const BlockPlace& place, int64_t image, const float* planar,
                 const float* transmittance, const CompositeOutputs& out) {
  const int channels = Colors::kChannels == kDynamic ? in.channels : Colors::kChannels;
  const float* background = in.backgrounds == nullptr ? nullptr : in.backgrounds + image * channels;
  for (int row = 0; row < place.rows; ++row) {
    const int64_t first = (image * in.image.height + place.y + row) * in.image.width + place.x;
    float* colors = out.colors + first * channels;
    for (int column = 0; column < place.columns; ++column, colors += channels) {
      const int i = pixel_index(column, row);
      for (int c = 0; c < channels; ++c) {
        const float sum = planar[c * kBlockPixels + i];
        colors[c] = background == nullptr ? sum : sum + transmittance[i] * background[c];
      }
      out.alphas[first + column] = 1.0f - transmittance[i];
    }
  }
}

template <class Colors>
void composite_all(const CompositeInputs& in, const CompositeOutputs& out) {
  const SplatRecord* records = make_records(in, per_thread<Buffer<SplatRecord>>());
  const TileWalk walk(in.image, in.tile_size);
  parallel_dynamic(in.images * walk.grid.count(), [&](int64_t tile) {
    TileScratch& scratch = per_thread<TileScratch>();
    scratch.colors.reserve(static_cast<int64_t>(in.channels) * kBlockPixels);
    const int x0 = walk.x_of(tile), y0 = walk.y_of(tile);
    scratch.splats.gather(in, records, tile, x0, y0);
    int block = 0;
    for (int by = 0; by < scratch.splats.blocks_y(); ++by) {
      for (int bx = 0; bx < scratch.splats.blocks_x(); ++bx, ++block) {
        const BlockPlace place = walk.block(x0 + bx * kColumns, y0 + by * kBlockRows);
        if (place.columns <= 0 || place.rows <= 0) continue;
        alignas(64) float transmittance[kBlockPixels];
        composite_block<Colors>(in, scratch, block, place, transmittance);
        write_block<Colors>(in, place, walk.image_of(tile), scratch.colors.data(), transmittance, out);
      }
    }
  });
}

}  // namespace

void composite(const CompositeInputs& in, const CompositeOutputs& out) {
  switch (in.channels) {
    case 1:
      return composite_all<RegisterColors<1>>(in, out);
    case 2:
      return composite_all<RegisterColors<2>>(in, out);
    case 3:
      return composite_all<RegisterColors<3>>(in, out);
    case kMostRegisterChannels:
      return composite_all<RegisterColors<kMostRegisterChannels>>(in, out);
    default:
      return composite_all<CachedColors>(in, out);
  }
}

}  // namespace gsplat::GSPLAT_ISA
