// What the forward and the backward compositing loop must do alike, to the last bit: where the pixels of a
// sub-block lie, how opaque a splat is there, and when a pixel is finished.
#pragma once

#include "cpu/simd/tile_splats.h"
#include "math/blending.h"

namespace gsplat::GSPLAT_ISA {

// A sub-block's place in the image.
struct BlockPlace {
  int x, y;           // its first pixel
  int columns, rows;  // how much of it lies inside the image; not positive if nothing does
};

// Pixel centres, relative to the sub-block's corner.
struct PixelCentres {
  Float x, y[kVectors];

  PixelCentres() {
    alignas(64) float xs[kLanes], ys[kBlockPixels];
    for (int i = 0; i < kLanes; ++i) xs[i] = static_cast<float>(i % kColumns) + 0.5f;
    for (int i = 0; i < kBlockPixels; ++i) ys[i] = static_cast<float>(i / kColumns) + 0.5f;
    x = Float::load(xs);
    repeat<kVectors>([&](auto v) { y[v] = Float::load(ys + v * kLanes); });
  }
};

// Transmittance of the pixels of a sub-block in front of the next splat; zero where the pixel is finished.
struct Transmittance {
  Float t[kVectors];
  int unfinished;

  explicit Transmittance(const BlockPlace& place) : unfinished(place.columns * place.rows) {
    alignas(64) float start[kBlockPixels];
    for (int i = 0; i < kBlockPixels; ++i) {
      start[i] = (i % kColumns < place.columns) & (i / kColumns < place.rows) ? 1.0f : 0.0f;
    }
    repeat<kVectors>([&](auto v) { t[v] = Float::load(start + v * kLanes); });
  }
};

inline SplatShape<Float> shape_of(const SplatRecord& r) {
  return {Float(r.l11), Float(r.l21), Float(r.l22), Float(r.log2_opacity)};
}

// One splat over the pixels of a sub-block.
struct BlockAlphas {
  Float dx, dy[kVectors];
  Float u[kVectors];
  Float uncapped[kVectors];
  Float alpha[kVectors];   // zero where the splat is skipped
  Float behind[kVectors];  // transmittance behind it
  LaneMask finishes[kVectors];
  bool any_finishes;

  [[gnu::always_inline]] BlockAlphas(const SplatRecord& r, const BlockPlace& place,
                                     const PixelCentres& centres, const Transmittance& state,
                                     Float max_alpha) {
    const SplatShape<Float> shape = shape_of(r);
    dx = centres.x - Float(r.mean_x - static_cast<float>(place.x));
    const Float mean_y(r.mean_y - static_cast<float>(place.y));
    repeat<kVectors>([&](auto v) __attribute__((always_inline)) {
      dy[v] = centres.y[v] - mean_y;
      const Response<Float> at = response(shape, dx, dy[v]);
      u[v] = at.u;
      const LaneMask hit = at.power >= Float(kMinPower);
      uncapped[v] = exp2_where(hit, at.power);
      alpha[v] = min(max_alpha, uncapped[v]);
      behind[v] = transmittance_behind(state.t[v], alpha[v]);
      finishes[v] = hit & (behind[v] <= Float(kMinTransmittance)) & (state.t[v] > Float(0.0f));
    });
    any_finishes = any((finishes[0] | finishes[1]) | (finishes[2] | finishes[3]));
  }

  // Takes the pixels that finish before this splat out of the game: for them it has alpha 0, and T is 0 from
  // now on. Rarely needed, so kept out of the loop's straight path.
  [[gnu::always_inline]] void finish_pixels(Transmittance& state) {
    const Float zero(0.0f);
    repeat<kVectors>([&](auto v) {
      state.unfinished -= __builtin_popcount(lane_bits(finishes[v]));
      state.t[v] = select(finishes[v], zero, state.t[v]);
      alpha[v] = select(finishes[v], zero, alpha[v]);
      behind[v] = select(finishes[v], zero, behind[v]);
    });
  }
};

// The tiles of all images, one after the other.
struct TileWalk {
  TileGrid grid;
  ImageSize image;

  TileWalk(ImageSize size, int tile_size) : grid(size, tile_size), image(size) {}

  int64_t image_of(int64_t tile) const { return tile / grid.count(); }
  int x_of(int64_t tile) const {
    return static_cast<int>(tile % grid.count() % grid.columns) * grid.tile_size;
  }
  int y_of(int64_t tile) const {
    return static_cast<int>(tile % grid.count() / grid.columns) * grid.tile_size;
  }

  BlockPlace block(int x, int y) const {
    const int columns = image.width - x, rows = image.height - y;
    return {x, y, columns < kColumns ? columns : kColumns, rows < kBlockRows ? rows : kBlockRows};
  }
};

}  // namespace gsplat::GSPLAT_ISA
