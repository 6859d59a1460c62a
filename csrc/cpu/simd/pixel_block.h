// What the forward and the backward compositing loop must do alike, to the last bit: where the pixels of a
// block lie, how opaque a splat is there, and when a pixel is finished.
//
// Numbers of the pixels of a block lie cell by cell, so that those of a cell are one or a few vectors. They
// stay in the first-level cache: a splat touches few cells, and which ones is not known when this is
// compiled.
#pragma once

#include "cpu/simd/block_rays.h"
#include "cpu/simd/tile_splats.h"
#include "math/compositor/over.h"

namespace gsplat::GSPLAT_ISA {

// The pixels of a block on their way from the front to the back.
struct PixelState {
  alignas(64) float transmittance[kBlockPixels];  // in front of the next splat
  alignas(64) float threshold[kBlockPixels];      // of the measure; infinite if finished or outside the image
  CellSet unfinished;                             // cells with pixels that are not

  // `least` is that of the response's family.
  PixelState(const BlockPlace& place, double least) : unfinished((CellSet{1} << kCells) - 1) {
    for (float& t : transmittance) t = 1.0f;
    for (float& t : threshold) t = static_cast<float>(least);
    if (place.columns == kBlockSide && place.rows == kBlockSide) return;
    unfinished = 0;
    for (int row = 0; row < kBlockSide; ++row) {
      for (int column = 0; column < kBlockSide; ++column) {
        const int i = pixel_index(column, row);
        if (column < place.columns && row < place.rows) {
          unfinished |= CellSet{1} << (i / kCellPixels);
        } else {
          threshold[i] = kInfinity;
        }
      }
    }
  }

  static constexpr float kInfinity = __builtin_inff();
};

// The same with what a response has to know of the pixels.
template <class Response, bool kAlongRays = Response::Family::kAlongRays>
struct BlockPixels : PixelState {
  BlockPixels(const CompositeInputs&, const BlockPlace& place)
      : PixelState(place, Response::Family::kLeast) {}

  // Gradients of rays are of no use, and there are no tangents of any.
  RayPlanes* no_gradients(float*, RayPlanes&) const { return nullptr; }
  void write_gradients(const CompositeInputs&, const BlockPlace&, const RayPlanes*, float*) const {}
  const RayPlanes* tangents(const CompositeInputs&, const BlockPlace&, const float*, RayPlanes&) const {
    return nullptr;
  }
};

template <class Response>
struct BlockPixels<Response, true> : PixelState {
  BlockRays rays;

  BlockPixels(const CompositeInputs& in, const BlockPlace& place)
      : PixelState(place, Response::Family::kLeast), rays(in, place) {
    if constexpr (Response::Family::kFlat) rays.keep_lengths();
    unfinished = 0;
    for (int i = 0; i < kBlockPixels; ++i) {
      if (!(rays.inverse_length[i] > 0.0f)) threshold[i] = kInfinity;
      if (threshold[i] < kInfinity) unfinished |= CellSet{1} << (i / kCellPixels);
    }
  }

  // Zeros for the gradients of `image`, null if that is.
  RayPlanes* no_gradients(float* image, RayPlanes& planes) const {
    if (image == nullptr) return nullptr;
    planes = {};
    return &planes;
  }
  void write_gradients(const CompositeInputs& in, const BlockPlace& place, const RayPlanes* planes,
                       float* image) const {
    if (planes != nullptr) planes->write(image, in.rays.numbers, in.image, place, rays);
  }
  const RayPlanes* tangents(const CompositeInputs& in, const BlockPlace& place, const float* image,
                            RayPlanes& planes) const {
    planes.load(image, in.rays.numbers, in.image, place, rays);
    return &planes;
  }
};

template <class Response>
[[gnu::always_inline]] inline auto shape_of(const SplatRecord<Response>& r) {
  constexpr int kShape = SplatRecord<Response>::kShape;
  Float numbers[kShape];
  const float* first = &r.mean_x + 2;
  repeat<kShape>([&](auto i) __attribute__((always_inline)) { numbers[i] = Float(first[i]); });
  return joined_shape<Response>(numbers);
}

// A splat seen from a block: its offset (u, v), see math/response/radial.h, at a pixel is the sum of what
// belongs to the cell and what belongs to the pixel's place in the cell.
template <class Response>
struct BlockSplat {
  using Family = typename Response::Family;

  alignas(64) float cell_u[kCells], cell_v[kCells];
  Float pixel_u[kVectors], pixel_v[kVectors];
  [[no_unique_address]] std::conditional_t<Family::kAlongRays, SplatDirections, NoRay> directions;

  // Prepared in its place: compilers copy larger structs by slow instructions.
  [[gnu::always_inline]] BlockSplat(const SplatRecord<Response>& r, const BlockPlace& place,
                                    const BlockPixels<Response>& state)
      : prepared_(r) {
    if constexpr (Family::kAlongRays) directions.find(prepared().frame, state.rays);
    const auto shape = shape_of(r);
    const Float first_x(static_cast<float>(place.x) + 0.5f - r.mean_x);
    const Float first_y(static_cast<float>(place.y) + 0.5f - r.mean_y);
    const Float side(static_cast<float>(kCellSide));
    repeat<kVectors>([&](auto i) __attribute__((always_inline)) {
      const Float column = Float::load(kColumnOf + i * kLanes), row = Float::load(kRowOf + i * kLanes);
      const Vec2<Float> in_cell = Family::offset(shape, column, row);
      pixel_u[i] = in_cell.x;
      pixel_v[i] = in_cell.y;
      const Vec2<Float> of_cell = Family::offset(shape, fma(side, column, first_x), fma(side, row, first_y));
      of_cell.x.store(cell_u + i * kLanes);
      of_cell.y.store(cell_v + i * kLanes);
    });
    // Repeating a number is free for a load. Compilers that see what was stored repeat it by shuffling.
    asm("" : "+m"(cell_u), "+m"(cell_v));
  }

  [[gnu::always_inline]] decltype(auto) prepared() const { return prepared_(); }

private:
  // Along rays it is a row of numbers, of which a pixel seldom needs all: they are read when they are.
  struct Kept {
    typename Family::template Prepared<Float> prepared;

    [[gnu::always_inline]] explicit Kept(const SplatRecord<Response>& r) : prepared(prepared_of(r)) {}
    [[gnu::always_inline]] const auto& operator()() const { return prepared; }
  };
  struct Read {
    const SplatRecord<Response>& record;

    [[gnu::always_inline]] explicit Read(const SplatRecord<Response>& r) : record(r) {}
    [[gnu::always_inline]] auto operator()() const { return prepared_of(record); }
  };
  std::conditional_t<Family::kAlongRays, Read, Kept> prepared_;

  [[gnu::always_inline]] static auto prepared_of(const SplatRecord<Response>& r) {
    ExtrasOf<Float, Response::kExtras> extras;
    repeat<Response::kExtras>([&](auto e) { extras.values[e] = Float(r.extras()[e]); });
    return Family::prepare(shape_of(r), extras.values, r.frame());
  }
};

// Offsets of the pixels of a cell from the mean of a splat, where (u, v) does not do.
struct PixelOffsets {
  Float dx[kVectors], dy[kVectors];

  template <class Response>
  PixelOffsets(const SplatRecord<Response>& r, const BlockPlace& place, int cell) {
    const int x = place.x + cell % kCellsPerRow * kCellSide, y = place.y + cell / kCellsPerRow * kCellSide;
    const Float first_x(static_cast<float>(x) + 0.5f - r.mean_x),
        first_y(static_cast<float>(y) + 0.5f - r.mean_y);
    repeat<kVectors>([&](auto i) {
      dx[i] = first_x + Float::load(kColumnOf + i * kLanes);
      dy[i] = first_y + Float::load(kRowOf + i * kLanes);
    });
  }
};

// How opaque a splat is at the pixels of a cell. Along rays, `tau` is in lengths of BlockRays.
template <class Response>
struct CellResponse {
  using Family = typename Response::Family;

  typename Family::template At<Float> pixel[kVectors];
  Float uncapped[kVectors];  // zero where the splat is skipped

  [[gnu::always_inline]] CellResponse(const BlockSplat<Response>& splat, const BlockPixels<Response>& state,
                                      int cell) {
    const Float cell_u(splat.cell_u[cell]), cell_v(splat.cell_v[cell]);
    const float* threshold = state.threshold + cell * kCellPixels;
    // find(u, v, first, i, measure) looks at vector i of the cell, which begins with the pixel `first`.
    const auto each_vector = [&](auto&& find) __attribute__((always_inline)) {
      repeat<kVectors>([&](auto i) __attribute__((always_inline)) {
        Float measure;
        pixel[i] = find(cell_u + splat.pixel_u[i], cell_v + splat.pixel_v[i], cell * kCellPixels + i * kLanes,
                        i, measure);
        uncapped[i] = Family::opacity_where(measure >= Float::load(threshold + i * kLanes), measure);
      });
    };
    if constexpr (Family::kAlongRays) {
      const BlockRays& rays = state.rays;
      if (__builtin_expect(rays.affine >> cell & 1u, 1)) {
        each_vector([&](Float u, Float v, int, int i, Float& measure) __attribute__((always_inline)) {
          return Family::from_centre(splat.prepared(), u, v, splat.directions.at(cell, i), measure);
        });
      } else if (rays.from_centre) {
        each_vector([&](Float u, Float v, int first, int, Float& measure) __attribute__((always_inline)) {
          return Family::at(splat.prepared(), u, v, rays.at<true>(first), measure);
        });
      } else {
        each_vector([&](Float u, Float v, int first, int, Float& measure) __attribute__((always_inline)) {
          return Family::at(splat.prepared(), u, v, rays.at<false>(first), measure);
        });
      }
    } else {
      each_vector([&](Float u, Float v, int, int, Float& measure) __attribute__((always_inline)) {
        return Family::at(splat.prepared(), u, v, NoRay{}, measure);
      });
    }
  }
};

// A splat blended into the pixels of a cell.
struct CellBlend {
  Float alpha[kVectors];   // zero where the splat is skipped
  Float weight[kVectors];  // alpha times the transmittance in front

  // Moves the transmittance of the cell behind the splat. `at` is a CellResponse, or has `uncapped` like one.
  template <class At>
  [[gnu::always_inline]] CellBlend(const At& at, PixelState& state, int cell, Float max_alpha) {
    float* transmittance = state.transmittance + cell * kCellPixels;
    Float front[kVectors], behind[kVectors];
    Float least;
    repeat<kVectors>([&](auto i) __attribute__((always_inline)) {
      alpha[i] = min(max_alpha, at.uncapped[i]);
      front[i] = Float::load(transmittance + i * kLanes);
      behind[i] = Over::behind(front[i], alpha[i]);
      least = i == 0 ? behind[0] : min(least, behind[i]);
    });
    if (__builtin_expect(any(Over::finished(least)), 0)) {
      finish_pixels(state, cell, front, behind);
    }
    repeat<kVectors>([&](auto i) __attribute__((always_inline)) {
      weight[i] = alpha[i] * front[i];
      behind[i].store(transmittance + i * kLanes);
    });
  }

private:
  // Takes pixels out of the game that are finished in front of this splat. Those that were before never see a
  // splat again.
  [[gnu::always_inline]] void finish_pixels(PixelState& state, int cell, const Float* front, Float* behind) {
    const Float infinity(PixelState::kInfinity);
    float* threshold = state.threshold + cell * kCellPixels;
    bool some_left = false;
    repeat<kVectors>([&](auto i) __attribute__((always_inline)) {
      const LaneMask finished = Over::finished(behind[i]);
      const Float left = select(finished, infinity, Float::load(threshold + i * kLanes));
      left.store(threshold + i * kLanes);
      some_left = some_left || any(left < infinity);
      alpha[i] = select(finished, Float(0.0f), alpha[i]);
      behind[i] = select(finished, front[i], behind[i]);
    });
    if (!some_left) state.unfinished &= ~(CellSet{1} << cell);
  }
};

// The order of the list, which is the same for all pixels; cpu/simd/pixel_order.h has the other one. Kernels
// are templates of an order.
template <class Response>
class ListOrder {
public:
  static constexpr bool kOfPixels = false;

  ListOrder(const CompositeInputs&, const BlockSplats<Response>& splats, const BlockPlace&,
            BlockPixels<Response>& state)
      : splats_(splats), state_(state) {}

  // Whether no pixel sees the splats to come.
  bool finished() const { return state_.unfinished == 0; }
  // The cells that may see the next splat.
  CellSet cells(int n) const { return splats_.cells(n) & state_.unfinished; }

  // Blends the next splat: body(cell, weight) for each of these cells, or body(cell, weight, at) with its
  // CellResponse.
  template <class Body>
  [[gnu::always_inline]] void each_weight(int n, const BlockPlace& place, CellSet cells, Float max_alpha,
                                          Body&& body) const {
    const BlockSplat<Response> splat(splats_[n], place, state_);
    each_cell(cells, [&](int cell) __attribute__((always_inline)) {
      const CellResponse at(splat, state_, cell);
      const CellBlend blend(at, state_, cell, max_alpha);
      if constexpr (requires { body(cell, blend.weight, at); }) {
        body(cell, blend.weight, at);
      } else {
        body(cell, blend.weight);
      }
    });
  }

  // The blends of the next splat as the backward pass wants them, one cell after the other.
  struct Blends {
    [[gnu::always_inline]] CellBlend next(const CellResponse<Response>& at, PixelState& state, int cell,
                                          Float max_alpha) const {
      return CellBlend(at, state, cell, max_alpha);
    }
  };
  Blends blends(int) const { return {}; }

private:
  const BlockSplats<Response>& splats_;
  BlockPixels<Response>& state_;
};

}  // namespace gsplat::GSPLAT_ISA
