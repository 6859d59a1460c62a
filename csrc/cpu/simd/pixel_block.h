// What the forward and the backward compositing loop must do alike, to the last bit: where the pixels of a
// sub-block lie, how opaque a splat is there, and when a pixel is finished.
//
// A loop meets one splat after the other in two stages. BlockResponse, the exponentials of a splat, does not
// depend on the splats before it; BlockBlend does. Loops start the response of the next splat before they
// blend the present one: two chains of dependent instructions side by side keep a processor busy that one
// chain leaves idle half of the time.
#pragma once

#include "cpu/simd/tile_splats.h"
#include "math/blending.h"

namespace gsplat::GSPLAT_ISA {

// A sub-block's place in the image.
struct BlockPlace {
  int x, y;           // its first pixel
  int columns, rows;  // how much of it lies inside the image; not positive if nothing does
};

// Pixel centres of a sub-block.
struct PixelCentres {
  Float x;            // of the columns of a vector
  Float rows;         // of the rows of the sub-block, in the first lanes
  Float y[kVectors];  // relative to `middle`
  float middle;       // half way between the first and the last row

  explicit PixelCentres(const BlockPlace& place)
      : middle(static_cast<float>(place.y) + 0.5f * static_cast<float>(kBlockRows)) {
    alignas(64) float xs[kLanes] = {}, row_ys[kLanes] = {}, ys[kBlockPixels];
    for (int row = 0; row < kBlockRows; ++row) {
      row_ys[row] = static_cast<float>(place.y + row) + 0.5f;
      for (int column = 0; column < kColumns; ++column) {
        xs[pixel_index(column, row) % kLanes] = static_cast<float>(place.x + column) + 0.5f;
        ys[pixel_index(column, row)] = row_ys[row] - middle;
      }
    }
    x = Float::load(xs);
    rows = Float::load(row_ys);
    repeat<kVectors>([&](auto v) { y[v] = Float::load(ys + v * kLanes); });
  }

  // Vertical distances of the pixels of a vector from a mean.
  Float dy(int vector, float mean_y) const { return Float(middle - mean_y) + y[vector]; }
};

// What the pixels of each row of a sub-block share of a splat's response.
struct BlockRows {
  alignas(64) float u[kLanes], power[kLanes];

  [[gnu::always_inline]] BlockRows(const SplatShape<Float>& shape, Float dy) {
    row_response(shape, dy).u.store(u);
    row_response(shape, dy).power.store(power);
    // Repeating a number is free for a load. Compilers that see what was stored repeat it by shuffling.
    asm volatile("" : : "r"(this) : "memory");
  }
  // For the pixels of a vector.
  RowResponse<Float> operator[](int vector) const {
    const int row = vector * kRowsPerVector;
    return {load_rows<kRowsPerVector>(u + row), load_rows<kRowsPerVector>(power + row)};
  }
};

// The pixels of a sub-block on their way from the front to the back.
struct PixelState {
  Float transmittance[kVectors];  // in front of the next splat
  Float threshold[kVectors];      // of the power; infinite for pixels that are finished or outside the image
  int unfinished;

  explicit PixelState(const BlockPlace& place) : unfinished(place.columns * place.rows) {
    alignas(64) float start[kBlockPixels];
    for (int row = 0; row < kBlockRows; ++row) {
      for (int column = 0; column < kColumns; ++column) {
        const bool inside = column < place.columns && row < place.rows;
        start[pixel_index(column, row)] = inside ? static_cast<float>(kMinPower) : kInfinity;
      }
    }
    repeat<kVectors>([&](auto v) {
      transmittance[v] = Float(1.0f);
      threshold[v] = Float::load(start + v * kLanes);
    });
  }

  static constexpr float kInfinity = __builtin_inff();
};

inline SplatShape<Float> shape_of(const SplatRecord& r) {
  return {Float(r.l11), Float(r.l21), Float(r.l22), Float(r.log2_opacity)};
}

// How opaque a splat is at the pixels of a sub-block.
struct BlockResponse {
  Float dx, column_u;
  Float uncapped[kVectors];  // zero where the splat is skipped

  [[gnu::always_inline]] BlockResponse(const SplatRecord& r, const PixelCentres& centres,
                                       const PixelState& state) {
    const SplatShape<Float> shape = shape_of(r);
    dx = centres.x - Float(r.mean_x);
    column_u = shape.l11 * dx;
    const BlockRows rows(shape, centres.rows - Float(r.mean_y));
    repeat<kVectors>([&](auto v) __attribute__((always_inline)) {
      const Float power = response(column_u, rows[v]).power;
      uncapped[v] = exp2_where(power >= state.threshold[v], power);
    });
  }
};

// A splat blended into the pixels of a sub-block.
struct BlockBlend {
  Float alpha[kVectors];   // zero where the splat is skipped
  Float behind[kVectors];  // transmittance behind it

  [[gnu::always_inline]] BlockBlend(const BlockResponse& at, const PixelState& state, Float max_alpha) {
    repeat<kVectors>([&](auto v) __attribute__((always_inline)) {
      alpha[v] = min(max_alpha, at.uncapped[v]);
      behind[v] = transmittance_behind(state.transmittance[v], alpha[v]);
    });
  }

  // Whether pixels are finished before this splat. Those that were before never see a splat again.
  bool finishes_pixels() const {
    Float least = behind[0];
    repeat<kVectors - 1>([&](auto v) __attribute__((always_inline)) { least = min(least, behind[v + 1]); });
    return any(least <= Float(kMinTransmittance));
  }

  // Takes them out of the game, also for the next splat. Rarely needed, so kept out of the loop's straight
  // path.
  [[gnu::always_inline]] void finish_pixels(PixelState& state, BlockResponse& next) {
    const Float zero(0.0f);
    repeat<kVectors>([&](auto v) __attribute__((always_inline)) {
      const LaneMask finished = behind[v] <= Float(kMinTransmittance);
      state.unfinished -= __builtin_popcount(lane_bits(finished));
      state.threshold[v] = select(finished, Float(PixelState::kInfinity), state.threshold[v]);
      alpha[v] = select(finished, zero, alpha[v]);
      behind[v] = select(finished, state.transmittance[v], behind[v]);
      next.uncapped[v] = select(finished, zero, next.uncapped[v]);
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
