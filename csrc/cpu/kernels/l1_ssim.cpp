// L1 and SSIM of one tile, and their gradient with respect to the image; see math/ssim.h.
//
// The tile is walked downward in blocks of four rows. Each filter runs down the columns first, where four
// output rows share the loads of fourteen input rows and stay in registers, and then along the rows, where
// the neighbour of a channel is three floats away, so that the interleaved image needs no rearrangement.
// Rings of sixteen rows hold what a later block needs; everything stays in the second-level cache.
#include "cpu/l1_ssim.h"

#include <cstring>

namespace gsplat::GSPLAT_ISA {
namespace {

#if defined(GSPLAT_ISA_AVX512)
constexpr int kLanes = 16;
#elif defined(GSPLAT_ISA_AVX2)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif
typedef float Vec __attribute__((vector_size(kLanes * sizeof(float))));

inline Vec load(const float* from) {
  Vec v;
  std::memcpy(&v, from, sizeof(Vec));
  return v;
}
inline void store(float* to, Vec v) { std::memcpy(to, &v, sizeof(Vec)); }
inline float sum_of_lanes(Vec v) {
  float sum = 0.0f;
  for (int lane = 0; lane < kLanes; ++lane) sum += v[lane];
  return sum;
}

constexpr int kTaps = kSsimTaps;
constexpr int kBlock = 4;                  // rows that are filtered together
constexpr int kSpan = kBlock + kTaps - 1;  // rows that they need
constexpr int kRing = 16;                  // rows kept: a power of two, at least kSpan
constexpr int kBorder = 32;                // floats left and right of a tile: two window radii, rounded up
constexpr int kReach = 3 * kSsimRadius;    // floats to the end of the window
constexpr int kStride = 3 * kLossTileWidth + 2 * kBorder;
static_assert(kBorder >= 2 * kReach && kRing >= kSpan && 3 * kLossTileWidth % 16 == 0);

struct Ring {
  float* rows;
  float* row(int64_t y) const { return rows + (y & (kRing - 1)) * kStride; }
};
struct RowSpan {
  const float* rows[kSpan];
  RowSpan(Ring ring, int64_t first) {
    for (int i = 0; i < kSpan; ++i) rows[i] = ring.row(first + i);
  }
};

// Adds `value`, which belongs to row `row` of a span, to the filtered rows of the block that see it.
inline void spread_down(Vec (&sums)[kBlock], Vec value, int row) {
#pragma GCC unroll 4
  for (int j = 0; j < kBlock; ++j) {
    if (row - j >= 0 && row - j < kTaps) sums[j] += ssim_window(row - j) * value;
  }
}

inline Vec filter_along_row(const float* centre) {
  Vec sum = ssim_window(kSsimRadius) * load(centre);
#pragma GCC unroll 5
  for (int k = 1; k <= kSsimRadius; ++k) {
    sum += ssim_window(kSsimRadius + k) * (load(centre - 3 * k) + load(centre + 3 * k));
  }
  return sum;
}

// Column-filtered rows of one block: x, y, x^2 + y^2 and x y in the forward pass, three derivatives backward.
struct FilteredBlock {
  float* floats;
  float* row(int map, int j) const { return floats + (map * kBlock + j) * kStride; }
};

void filter_moments_down(const RowSpan& image, const RowSpan& target, const FilteredBlock& out, float pivot,
                         int64_t end) {
  for (int64_t i = 0; i < end; i += kLanes) {
    Vec x_sums[kBlock] = {}, y_sums[kBlock] = {}, square_sums[kBlock] = {}, product_sums[kBlock] = {};
#pragma GCC unroll 14
    for (int r = 0; r < kSpan; ++r) {
      const Vec x = load(image.rows[r] + i) - pivot;
      const Vec y = load(target.rows[r] + i) - pivot;
      spread_down(x_sums, x, r);
      spread_down(y_sums, y, r);
      spread_down(square_sums, x * x + y * y, r);
      spread_down(product_sums, x * y, r);
    }
#pragma GCC unroll 4
    for (int j = 0; j < kBlock; ++j) {
      store(out.row(0, j) + i, x_sums[j]);
      store(out.row(1, j) + i, y_sums[j]);
      store(out.row(2, j) + i, square_sums[j]);
      store(out.row(3, j) + i, product_sums[j]);
    }
  }
}

void filter_down(const RowSpan& in, const FilteredBlock& out, int map, int64_t end) {
  for (int64_t i = 0; i < end; i += kLanes) {
    Vec sums[kBlock] = {};
#pragma GCC unroll 14
    for (int r = 0; r < kSpan; ++r) spread_down(sums, load(in.rows[r] + i), r);
#pragma GCC unroll 4
    for (int j = 0; j < kBlock; ++j) store(out.row(map, j) + i, sums[j]);
  }
}

struct DerivativeRows {
  float *mean, *variance, *covariance;
};

// SSIM of one row of windows, and its derivatives.
template <bool kWithDerivatives>
void ssim_row(const FilteredBlock& moments, int j, float pivot, int64_t begin, int64_t end, float* ssim,
              const DerivativeRows& out) {
  const float* x = moments.row(0, j);
  const float* y = moments.row(1, j);
  const float* squares = moments.row(2, j);
  const float* products = moments.row(3, j);
  for (int64_t i = begin; i < end; i += kLanes) {
    const Ssim<Vec> at({filter_along_row(x + i), filter_along_row(y + i), filter_along_row(squares + i),
                        filter_along_row(products + i)},
                       pivot);
    store(ssim + i, at.value);
    if constexpr (kWithDerivatives) {
      const SsimDerivatives<Vec> by = at.derivatives();
      store(out.mean + i, by.mean);
      store(out.variance + i, by.variance);
      store(out.covariance + i, by.covariance);
    }
  }
}

double sum_of(const float* values, int64_t count) {
  Vec sums = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) sums += load(values + i);
  float rest = 0.0f;
  for (; i < count; ++i) rest += values[i];
  return static_cast<double>(sum_of_lanes(sums)) + rest;
}

double sum_of_absolute_differences(const float* x, const float* y, int64_t count) {
  Vec sums = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const Vec difference = load(x + i) - load(y + i);
    sums += difference < 0.0f ? -difference : difference;
  }
  float rest = 0.0f;
  for (; i < count; ++i) rest += __builtin_fabsf(x[i] - y[i]);
  return static_cast<double>(sum_of_lanes(sums)) + rest;
}

void zero(float* begin, float* end) {
  if (begin < end) std::memset(begin, 0, (end - begin) * sizeof(float));
}

void copy_pixels(float* to, const float* from, int64_t count) {
  std::memcpy(to, from, count * sizeof(float));
}
void copy_pixels(float* to, const uint8_t* from, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] = static_cast<float>(from[i]) / 255.0f;
}

// The working rows of a tile, and its place in the coordinates of these rows.
struct Tile {
  const LossInputs& inputs;
  const LossGradient& gradient;
  const LossTile& place;
  Ring image, target;
  Ring by_mean, by_variance, by_covariance;
  FilteredBlock filtered;
  float* ssim;
  int64_t own_end;             // the tile's own floats are [kBorder, own_end)
  int64_t map_begin, map_end;  // the floats where the SSIM map counts, may lie outside the tile
  float pivot = 0.0f;

  Tile(const LossInputs& inputs, const LossGradient& gradient, const LossTile& place, float* scratch)
      : inputs(inputs), gradient(gradient), place(place) {
    const auto take = [&scratch](int rows) {
      float* const start = scratch;
      scratch += rows * kStride;
      return start;
    };
    static_assert((5 * kRing + 4 * kBlock + 1) * kStride <= static_cast<int>(kLossScratchFloats));
    image = {take(kRing)};
    target = {take(kRing)};
    by_mean = {take(kRing)};
    by_variance = {take(kRing)};
    by_covariance = {take(kRing)};
    filtered = {take(4 * kBlock)};
    ssim = take(1);
    own_end = kBorder + 3 * place.width;
    map_begin = kBorder + 3 * (inputs.margin - place.x);
    map_end = kBorder + 3 * (inputs.width - inputs.margin - place.x);
  }

  bool owns_row(int64_t y) const { return y >= place.y && y < place.y + place.height; }
  bool map_has_row(int64_t y) const { return y >= inputs.margin && y < inputs.height - inputs.margin; }
};

// Copies a row of an image, with its neighbours left and right, into the working row; zeros outside.
template <class Pixel>
void copy_row(const Tile& tile, const Pixel* image, int64_t y, float* to) {
  const int64_t end = tile.own_end + kBorder;
  if (y < 0 || y >= tile.inputs.height) return zero(to, to + end);
  const int64_t offset = 3 * tile.place.x - kBorder;  // of the working row's first float in the image row
  const int64_t row_floats = 3 * tile.inputs.width;
  const int64_t first = offset < 0 ? -offset : 0;
  const int64_t last = row_floats - offset < end ? row_floats - offset : end;
  zero(to, to + first);
  copy_pixels(to + first, image + y * row_floats + offset + first, last - first);
  zero(to + last, to + end);
}

void copy_target_row(const Tile& tile, int64_t y) {
  if (tile.inputs.target_bytes != nullptr) {
    copy_row(tile, tile.inputs.target_bytes, y, tile.target.row(y));
  } else {
    copy_row(tile, tile.inputs.target, y, tile.target.row(y));
  }
}

void copy_rows(const Tile& tile, int64_t begin, int64_t end) {
  for (int64_t y = begin; y < end; ++y) {
    copy_row(tile, tile.inputs.image, y, tile.image.row(y));
    copy_target_row(tile, y);
  }
}

// Variances do not change when both images are shifted by a constant. Around a value that is common in the
// tile the squares are small, and the difference of large numbers in E[x^2] - E[x]^2 loses fewer digits.
float common_value(const Tile& tile) {
  const int64_t bottom = tile.place.y + tile.place.height;
  double sum = 0.0;
  int64_t rows = 0;
  for (int64_t y = tile.place.y; y < bottom; y += 8, ++rows) {
    copy_target_row(tile, y);
    sum += sum_of(tile.target.row(y) + kBorder, tile.own_end - kBorder);
  }
  return static_cast<float>(sum / (rows * (tile.own_end - kBorder)));
}

// The SSIM map of rows m .. m + 3, its sum over the tile and, where wanted, its derivatives around the tile.
template <bool kWithGradient>
void map_block(const Tile& tile, int64_t m, LossSums& sums) {
  constexpr int64_t kBegin = kWithGradient ? kBorder - 16 : kBorder;
  const int64_t end = kWithGradient ? tile.own_end + kReach : tile.own_end;
  filter_moments_down({tile.image, m - kSsimRadius}, {tile.target, m - kSsimRadius}, tile.filtered,
                      tile.pivot, tile.own_end + kBorder);
  for (int j = 0; j < kBlock; ++j) {
    const int64_t y = m + j;
    const DerivativeRows rows = {tile.by_mean.row(y), tile.by_variance.row(y), tile.by_covariance.row(y)};
    float* const derivatives[] = {rows.mean, rows.variance, rows.covariance};
    if (tile.map_has_row(y)) {
      ssim_row<kWithGradient>(tile.filtered, j, tile.pivot, kBegin, end, tile.ssim, rows);
      if constexpr (kWithGradient) {
        for (float* row : derivatives) {
          zero(row + kBegin, row + (tile.map_begin < end ? tile.map_begin : end));
          zero(row + (tile.map_end > kBegin ? tile.map_end : kBegin), row + end);
        }
      }
    } else if constexpr (kWithGradient) {
      for (float* row : derivatives) zero(row + kBegin, row + end);
    }
    if (!tile.owns_row(y)) continue;
    sums.absolute_difference += sum_of_absolute_differences(
        tile.image.row(y) + kBorder, tile.target.row(y) + kBorder, tile.own_end - kBorder);
    if (tile.map_has_row(y)) {
      const int64_t first = tile.map_begin > kBorder ? tile.map_begin : kBorder;
      const int64_t last = tile.map_end < tile.own_end ? tile.map_end : tile.own_end;
      sums.ssim += sum_of(tile.ssim + first, last - first);
    }
  }
}

// One row of the gradient from the column-filtered derivatives.
void gradient_row(const Tile& tile, int j, const float* image, const float* target, float* out) {
  const float l1_scale = tile.gradient.l1_scale;
  const float ssim_scale = tile.gradient.ssim_scale;
  const auto gradient_at = [&](int64_t i) {
    const Vec x = load(image + i);
    const Vec y = load(target + i);
    const SsimDerivatives<Vec> filtered = {filter_along_row(tile.filtered.row(0, j) + i),
                                           filter_along_row(tile.filtered.row(1, j) + i),
                                           filter_along_row(tile.filtered.row(2, j) + i)};
    return l1_pixel_gradient(x, y, l1_scale) +
           ssim_scale * ssim_pixel_gradient<Vec>(filtered, x - tile.pivot, y - tile.pivot);
  };
  int64_t i = kBorder;
  for (; i + kLanes <= tile.own_end; i += kLanes, out += kLanes) store(out, gradient_at(i));
  if (i < tile.own_end) {
    const Vec last = gradient_at(i);
    std::memcpy(out, &last, (tile.own_end - i) * sizeof(float));
  }
}

void gradient_block(const Tile& tile, int64_t first) {
  const int64_t end = tile.own_end + kReach;
  filter_down({tile.by_mean, first - kSsimRadius}, tile.filtered, 0, end);
  filter_down({tile.by_variance, first - kSsimRadius}, tile.filtered, 1, end);
  filter_down({tile.by_covariance, first - kSsimRadius}, tile.filtered, 2, end);
  for (int j = 0; j < kBlock; ++j) {
    const int64_t y = first + j;
    if (!tile.owns_row(y)) break;
    gradient_row(tile, j, tile.image.row(y), tile.target.row(y),
                 tile.gradient.pixels + 3 * (y * tile.inputs.width + tile.place.x));
  }
}

// Once the map is known to row m + 3, the gradient is to row m - 2. So the map starts before the tile, at a
// row from which blocks of four arrive at the tile's first gradient block, and ends after it.
template <bool kWithGradient>
LossSums walk_down(const Tile& tile) {
  constexpr int64_t kLag = kWithGradient ? kSsimRadius : 0;
  constexpr int64_t kLead = kWithGradient ? 3 * kBlock - kLag : 0;
  static_assert(!kWithGradient || kLead >= kSsimRadius);
  LossSums sums{0.0, 0.0};
  int64_t m = tile.place.y - kLead;
  copy_rows(tile, m - kSsimRadius, m + kSsimRadius);
  for (; m < tile.place.y + tile.place.height + kLag; m += kBlock) {
    copy_rows(tile, m + kSsimRadius, m + kSsimRadius + kBlock);
    map_block<kWithGradient>(tile, m, sums);
    if (kWithGradient && m - kLag >= tile.place.y) gradient_block(tile, m - kLag);
  }
  return sums;
}

}  // namespace

void l1_ssim_tile(const LossInputs& inputs, const LossGradient& gradient, const LossTile& place,
                  float* scratch, LossSums& sums) {
  Tile tile(inputs, gradient, place, scratch);
  tile.pivot = common_value(tile);
  sums = gradient.pixels != nullptr ? walk_down<true>(tile) : walk_down<false>(tile);
}

}  // namespace gsplat::GSPLAT_ISA
