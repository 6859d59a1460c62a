// The order of each pixel's own (raster/order.h): with which weight the pixels of a block see each splat.
//
// Kernels walk the splats of a block in the order of their list, whatever that of a pixel is, because what
// they sum up does not depend on it. The weights do, and are found beforehand: for one cell after the other,
// the splats that it may see are sorted, those of all its pixels side by side, and blended. What depends on a
// comparison differs from pixel to pixel, so splats are sorted by a network of comparisons that always are
// the same ones, of numbers that hold both a depth and whose it is.
#pragma once

#include <bit>
#include <cstddef>
#include <cstring>
#include <type_traits>
#include <utility>

#include "cpu/simd/block_images.h"
#include "math/ray_depth.h"

namespace gsplat::GSPLAT_ISA {

// What is found is that of pairs of a splat and a cell. With kBackward that is, besides weights, what a pixel
// blends behind each splat: E - R of math/compositor/over.h.
template <class Response, bool kBackward = false>
class PixelOrder {
  // What is found of a pair: the weight in each pixel, and, kRest further on, what it blends behind.
  static constexpr int kRest = kCellPixels, kFound = kBackward ? 2 * kCellPixels : kCellPixels;

  // A row per pair [kCellPixels]; those of a cell lie one behind the other in the order of the list.
  struct Work {
    Buffer<float> depths, alphas;  // alpha is zero where the pixel does not see the splat
    Buffer<float> gradients;       // g = dL/dw
    Buffer<int32_t> places;        // where what is found begins
    Buffer<int32_t> splats;        // of the list
    Buffer<float> found;           // [kFound], those of each splat one behind the other
    Buffer<int32_t> starts;        // where that of each splat begins
    Buffer<uint16_t> cells;
    Buffer<float> rays, of_pixel;
    Buffer<uint32_t> order, merged;
  };

public:
  static constexpr bool kOfPixels = true;

  // Moves `state` behind all splats.
  PixelOrder(const CompositeInputs& in, const BlockSplats<Response>& splats, const BlockPlace& place,
             BlockPixels<Response>& state)
    requires(!kBackward)
      : PixelOrder(in, splats, place, state, nullptr, nullptr, nullptr) {}

  // Calls visit(cell, front, weight, numbers) front to back for what the pixels of a cell see next, with the
  // transmittances in front of it, the weights, and which splats of the list it is.
  template <class Visit>
  PixelOrder(const CompositeInputs& in, const BlockSplats<Response>& splats, const BlockPlace& place,
             BlockPixels<Response>& state, Visit&& visit)
    requires(!kBackward)
      : PixelOrder(in, splats, place, state, nullptr, nullptr, visit) {}

  // For the backward pass: gradient(cell, n, i) is g of a splat in vector i of a cell; `all` [kBlockPixels]
  // is E.
  template <class Gradient>
  PixelOrder(const CompositeInputs& in, const BlockSplats<Response>& splats, const BlockPlace& place,
             BlockPixels<Response>& state, float* all, Gradient&& gradient)
    requires(kBackward)
      : PixelOrder(in, splats, place, state, all, gradient, nullptr) {}

  bool finished() const { return false; }
  // The cells that may see a splat.
  CellSet cells(int n) const { return work_.cells.data()[n]; }

  // body(cell, weight) for each cell of a splat.
  template <class Body>
  [[gnu::always_inline]] void each_weight(int n, const BlockPlace&, CellSet cells, Float, Body&& body) const {
    const float* found = work_.found.data() + work_.starts.data()[n];
    each_cell(cells, [&](int cell) __attribute__((always_inline)) {
      Float weight[kVectors];
      repeat<kVectors>([&](auto i) { weight[i] = Float::load(found + i * kLanes); });
      found += kFound;
      body(cell, weight);
    });
  }

  // As CellBlend, for the backward pass.
  struct Blend {
    Float alpha[kVectors], weight[kVectors], rest[kVectors];
  };
  // Those of a splat, one cell after the other.
  struct Blends {
    const float* found;

    [[gnu::always_inline]] Blend next(const CellResponse<Response>& at, const PixelState&, int,
                                      Float max_alpha) {
      Blend blend;
      repeat<kVectors>([&](auto i) __attribute__((always_inline)) {
        blend.weight[i] = Float::load(found + i * kLanes);
        blend.rest[i] = Float::load(found + kRest + i * kLanes);
        blend.alpha[i] = zero_unless(blend.weight[i] > Float(0.0f), min(max_alpha, at.uncapped[i]));
      });
      found += kFound;
      return blend;
    }
  };
  Blends blends(int n) const { return {work_.found.data() + work_.starts.data()[n]}; }

private:
  // What is sorted is a depth whose last bits are the number of the pair in its cell. The more there are, the
  // fewer are left of the depth: 1024 leave 13, and depths that are the same to one part in 8192 in the order
  // of the list.
  static constexpr int kMostSorted = 1024;
  static constexpr float kLeastDepth = 1e-30f;  // so that no such number is denormal
  static constexpr float kUnseen = 1e31f;       // deeper than anything

  template <class Gradient, class Visit>
  PixelOrder(const CompositeInputs& in, const BlockSplats<Response>& splats, const BlockPlace& place,
             BlockPixels<Response>& state, float* all, Gradient&& gradient, Visit&& visit)
      : work_(per_thread<Work>()), state_(state), left_(all) {
    reserve(splats);
    load_planes(in.rays.rays, in.rays.numbers, in.image, place,
                work_.rays.reserve(int64_t{in.rays.numbers} * kBlockPixels));
    if (in.rays.numbers == 6) {
      enter<true>(in, splats, place, gradient);
    } else {
      enter<false>(in, splats, place, gradient);
    }
    each_cell(state.unfinished, [&](int cell) {
      if (counts_[cell] <= kMostSorted) {
        const uint32_t mask = std::bit_ceil(static_cast<uint32_t>(counts_[cell])) - 1u;
        sort(cell, mask);
        blend(cell, rows(work_.depths, cell), mask, visit);
      } else {
        merge(cell);
        blend(cell, rows(work_.depths, cell), ~0u, visit);
      }
    });
  }

  void reserve(const BlockSplats<Response>& splats) {
    int64_t counts[kCells] = {}, pairs = 0;
    for (int n = 0; n < splats.count(); ++n) {
      each_cell(splats.cells(n), [&](int cell) { ++counts[cell]; });
    }
    for (int cell = 0; cell < kCells; ++cell) {
      first_[cell] = pairs;
      pairs += counts[cell];
      counts_[cell] = 0;
    }
    work_.depths.reserve(pairs * kCellPixels);
    work_.alphas.reserve(pairs * kCellPixels);
    if constexpr (kBackward) work_.gradients.reserve(pairs * kCellPixels);
    work_.places.reserve(pairs);
    work_.splats.reserve(pairs);
    work_.found.reserve(pairs * kFound);
    work_.starts.reserve(splats.count());
    work_.cells.reserve(splats.count());
  }

  // Those of a cell.
  float* rows(Buffer<float>& buffer, int cell) const { return buffer.data() + first_[cell] * kCellPixels; }

  // Finds what is to be sorted and blended.
  template <bool kMoved, class Gradient>
  void enter(const CompositeInputs& in, const BlockSplats<Response>& splats, const BlockPlace& place,
             Gradient&& gradient) {
    const Float max_alpha(in.settings.max_alpha), zero(0.0f), least(kLeastDepth), unseen(kUnseen);
    constexpr int kAhead = 6;
    const float* rays = work_.rays.data();
    int32_t start = 0;
    for (int n = 0; n < splats.count(); ++n) {
      work_.starts.data()[n] = start;
      CellSet seen = 0;
      if (n + kAhead < splats.count()) {
        __builtin_prefetch(in.rays.canonical + int64_t{splats.id(n + kAhead)} * RayInputs::kCanonical);
      }
      const CellSet cells = splats.cells(n) & state_.unfinished;
      if (cells != 0) {
        const BlockSplat<Response> splat(splats[n], place, state_);
        const float* numbers = in.rays.canonical + int64_t{splats.id(n)} * RayInputs::kCanonical;
        Float frame[RayInputs::kCanonical];
        repeat<RayInputs::kCanonical>([&](auto i)
                                          __attribute__((always_inline)) { frame[i] = Float(numbers[i]); });
        each_cell(cells, [&](int cell) __attribute__((always_inline)) {
          const CellResponse at(splat, state_, cell);
          const int64_t pair = first_[cell] + counts_[cell];
          float *alphas = work_.alphas.data() + pair * kCellPixels,
                *depths = work_.depths.data() + pair * kCellPixels;
          Float alpha[kVectors];
          Float most = zero;
          repeat<kVectors>([&](auto i) __attribute__((always_inline)) {
            alpha[i] = min(max_alpha, at.uncapped[i]);
            alpha[i].store(alphas + i * kLanes);
            most = max(most, alpha[i]);
          });
          if (!any(most > zero)) return;
          ++counts_[cell];
          seen |= CellSet{1} << cell;
          work_.splats.data()[pair] = n;
          work_.places.data()[pair] = start;
          float* found = work_.found.data() + start;
          start += kFound;
          repeat<kVectors>([&](auto i) __attribute__((always_inline)) {
            const float* first = rays + cell * kCellPixels + i * kLanes;
            Float direction[3], origin[3];
            repeat<3>([&](auto c) __attribute__((always_inline)) {
              direction[c] = Float::load(first + c * kBlockPixels);
              if constexpr (kMoved) origin[c] = Float::load(first + (3 + c) * kBlockPixels);
            });
            const Float depth = max(depth_along_ray<kMoved>(frame, direction, origin), least);
            select(alpha[i] > zero, depth, unseen).store(depths + i * kLanes);
            zero.store(found + i * kLanes);
            if constexpr (kBackward) {
              gradient(cell, n, i).store(work_.gradients.data() + pair * kCellPixels + i * kLanes);
              zero.store(found + kRest + i * kLanes);
            }
          });
        });
      }
      work_.cells.data()[n] = static_cast<uint16_t>(seen);
    }
  }

  // Batcher's merge exchange (Knuth, volume 3, 5.2.2, algorithm M).
  void sort(int cell, uint32_t mask) {
    const int count = counts_[cell];
    float* depths = rows(work_.depths, cell);
    for (int k = 0; k < count; ++k) {
      uint32_t bits[kCellPixels];
      std::memcpy(bits, depths + k * kCellPixels, sizeof(bits));
      for (uint32_t& number : bits) number = (number & ~mask) | static_cast<uint32_t>(k);
      std::memcpy(depths + k * kCellPixels, bits, sizeof(bits));
    }
    if (count < 2) return;
    const int half = static_cast<int>(std::bit_ceil(static_cast<uint32_t>(count)) / 2);
    for (int p = half; p > 0; p /= 2) {
      for (int q = half, r = 0, d = p; d > 0; d = q - p, q /= 2, r = p) {
        for (int first = r; first + d < count; first += 2 * p) {
          const int end = first + p < count - d ? first + p : count - d;
          for (int i = first; i < end; ++i)
            exchange(depths + i * kCellPixels, depths + (i + d) * kCellPixels);
        }
        if (q == p) break;
      }
    }
  }

  [[gnu::always_inline]] static void exchange(float* nearer, float* farther) {
    repeat<kVectors>([&](auto i) __attribute__((always_inline)) {
      const Float a = Float::load(nearer + i * kLanes), b = Float::load(farther + i * kLanes);
      min(a, b).store(nearer + i * kLanes);
      max(a, b).store(farther + i * kLanes);
    });
  }

  // Sorts any number of splats, pixel by pixel, and leaves the bits of their numbers.
  void merge(int cell) {
    const int64_t count = counts_[cell];
    float *depths = rows(work_.depths, cell), *of_pixel = work_.of_pixel.reserve(count);
    uint32_t *order = work_.order.reserve(count), *merged = work_.merged.reserve(count);
    for (int lane = 0; lane < kCellPixels; ++lane) {
      for (int64_t k = 0; k < count; ++k) {
        of_pixel[k] = depths[k * kCellPixels + lane];
        order[k] = static_cast<uint32_t>(k);
      }
      for (int64_t half = 1; half < count; half *= 2) {
        for (int64_t first = 0; first < count; first += 2 * half) {
          const int64_t middle = first + half < count ? first + half : count;
          const int64_t end = middle + half < count ? middle + half : count;
          int64_t a = first, b = middle;
          for (int64_t k = first; k < end; ++k) {
            const bool second = a == middle || (b < end && of_pixel[order[b]] < of_pixel[order[a]]);
            merged[k] = order[second ? b++ : a++];
          }
        }
        std::swap(order, merged);
      }
      for (int64_t k = 0; k < count; ++k) depths[k * kCellPixels + lane] = std::bit_cast<float>(order[k]);
    }
  }

  // What the pixels of a cell see next, as if it were one splat.
  struct NextResponse {
    Float uncapped[kVectors];
  };

  // Blends the splats of a cell front to back; the bits of `order` chosen by `mask` are the numbers of the
  // pairs.
  template <class Visit>
  void blend(int cell, const float* order, uint32_t mask, Visit&& visit) {
    const Float zero(0.0f), one(1.0f), infinity(PixelState::kInfinity);
    const float *alphas = rows(work_.alphas, cell),
                *gradients = kBackward ? rows(work_.gradients, cell) : nullptr;
    const int32_t* places = work_.places.data() + first_[cell];
    for (int at = 0; at < counts_[cell] && (state_.unfinished >> cell & 1u) != 0; ++at) {
      alignas(64) uint32_t numbers[kCellPixels];
      alignas(64) float alpha[kCellPixels], gradient[kCellPixels], found[kFound];
      std::memcpy(numbers, order + int64_t{at} * kCellPixels, sizeof(numbers));
      repeat<kCellPixels>([&](auto lane) __attribute__((always_inline)) {
        const int64_t k = int64_t{numbers[lane] & mask} * kCellPixels + lane;
        alpha[lane] = alphas[k];
        if constexpr (kBackward) gradient[lane] = gradients[k];
      });
      NextResponse next;
      Float front[kVectors], most = zero;
      repeat<kVectors>([&](auto i) __attribute__((always_inline)) {
        const int first = cell * kCellPixels + i * kLanes;
        next.uncapped[i] =
            zero_unless(Float::load(state_.threshold + first) < infinity, Float::load(alpha + i * kLanes));
        front[i] = Float::load(state_.transmittance + first);
        most = max(most, Float::load(alpha + i * kLanes));
      });
      if (!any(most > zero)) break;  // so is all that follows
      const CellBlend blend(next, state_, cell, one);
      repeat<kVectors>([&](auto i) __attribute__((always_inline)) {
        blend.weight[i].store(found + i * kLanes);
        if constexpr (kBackward) {
          float* left = left_ + cell * kCellPixels + i * kLanes;
          const Float rest = fma(-blend.weight[i], Float::load(gradient + i * kLanes), Float::load(left));
          rest.store(left);
          rest.store(found + kRest + i * kLanes);
        }
      });
      repeat<kCellPixels>([&](auto lane) __attribute__((always_inline)) {
        float* of_pair = work_.found.data() + places[numbers[lane] & mask] + lane;
        of_pair[0] = found[lane];
        if constexpr (kBackward) of_pair[kRest] = found[kRest + lane];
      });
      if constexpr (!std::is_same_v<std::remove_cvref_t<Visit>, std::nullptr_t>) {
        alignas(64) int32_t splats[kCellPixels];
        for (int lane = 0; lane < kCellPixels; ++lane) {
          splats[lane] = work_.splats.data()[first_[cell] + (numbers[lane] & mask)];
        }
        visit(cell, front, blend.weight, splats);
      }
    }
  }

  Work& work_;
  BlockPixels<Response>& state_;
  float* left_;            // E - R in front of what is blended next
  int64_t first_[kCells];  // pair of each cell
  int32_t counts_[kCells];
};

}  // namespace gsplat::GSPLAT_ISA
