// The rays of the pixels of a block, for responses along them (math/response/along_rays.h).
#pragma once

#include "cpu/simd/tile_splats.h"
#include "raster/rays.h"

namespace gsplat::GSPLAT_ISA {

// The column and the row of every pixel of a cell, and also of every cell of a block.
alignas(64) inline constexpr float kColumnOf[kCellPixels] = {0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3};
alignas(64) inline constexpr float kRowOf[kCellPixels] = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3};
static_assert(kCellSide == 4 && kCellsPerRow == 4);

// Directions that are affine in the pixel, as those of a pinhole camera are: fitted to a few of an image's
// rays, whatever they are. Whether they are those of a pixel is found out there.
class AffineRays {
public:
  AffineRays(const CompositeInputs& in, int64_t image)
      : middle_x_(0.5f * static_cast<float>(in.image.width - 1)),
        middle_y_(0.5f * static_cast<float>(in.image.height - 1)) {
    // Least squares; on a grid whose middle is the origin, each coefficient stands alone.
    double at[3] = {}, by_x[3] = {}, by_y[3] = {}, squares_x = 0.0, squares_y = 0.0;
    for (int i = 0; i < kSamples; ++i) {
      const int row = sample(i, in.image.height);
      for (int j = 0; j < kSamples; ++j) {
        const int column = sample(j, in.image.width);
        const float* numbers =
            in.rays.rays + ((image * in.image.height + row) * in.image.width + column) * in.rays.numbers;
        const double x = column - double{middle_x_}, y = row - double{middle_y_};
        squares_x += x * x;
        squares_y += y * y;
        for (int k = 0; k < 3; ++k) {
          at[k] += numbers[k];
          by_x[k] += numbers[k] * x;
          by_y[k] += numbers[k] * y;
        }
      }
    }
    const auto fitted = [](const double (&sums)[3], double squares) {
      const double scale = squares > 0.0 ? 1.0 / squares : 0.0;
      return Vec3<float>{static_cast<float>(scale * sums[0]), static_cast<float>(scale * sums[1]),
                         static_cast<float>(scale * sums[2])};
    };
    middle_ = fitted(at, kSamples * kSamples);
    per_column_ = fitted(by_x, squares_x);
    per_row_ = fitted(by_y, squares_y);
  }

  // At a column and a row of the image.
  Vec3<Float> at(const Float& column, const Float& row) const {
    const Vec3<Float> moved = per_pixel(column - Float(middle_x_), row - Float(middle_y_));
    return {Float(middle_.x) + moved.x, Float(middle_.y) + moved.y, Float(middle_.z) + moved.z};
  }
  // From one pixel to another.
  Vec3<Float> per_pixel(const Float& columns, const Float& rows) const {
    return {fma(Float(per_column_.x), columns, Float(per_row_.x) * rows),
            fma(Float(per_column_.y), columns, Float(per_row_.y) * rows),
            fma(Float(per_column_.z), columns, Float(per_row_.z) * rows)};
  }

private:
  static constexpr int kSamples = 4;

  // The i-th of some that lie symmetrically in a row of `count`.
  static int sample(int i, int count) {
    const int last = kSamples - 1;
    return i <= last / 2 ? (count - 1) * i / last : count - 1 - (count - 1) * (last - i) / last;
  }

  float middle_x_, middle_y_;
  Vec3<float> middle_, per_column_, per_row_;
};

// Cell by cell, like all numbers of the pixels of a block; directions have the length 1. Pixels without a ray
// have any.
struct BlockRays {
  alignas(64) float direction[3][kBlockPixels];
  alignas(64) float origin[3][kBlockPixels];       // not set if from_centre
  alignas(64) float inverse_length[kBlockPixels];  // of the directions as they were given; 0: no ray
  bool from_centre;
  // The cells in which directions as they are given are affine in the pixel, up to rounding: that of a pixel
  // is the sum of one of its cell and one of its place in the cell. Pixels without a ray do not matter.
  CellSet affine = 0;
  alignas(64) float of_cell[3][kCells], in_cell[3][kCellPixels];
  alignas(64) float length[kBlockPixels];  // of these directions; else 1

  BlockRays(const CompositeInputs& in, const BlockPlace& place) : from_centre(in.rays.numbers == 3) {
    // Pixels outside the image have none.
    if (place.columns < kBlockSide || place.rows < kBlockSide) {
      std::memset(direction, 0, sizeof(direction));
      if (!from_centre) std::memset(origin, 0, sizeof(origin));
    }
    for (int row = 0; row < place.rows; ++row) {
      const int64_t first =
          (place.image * in.image.height + place.y + row) * static_cast<int64_t>(in.image.width) + place.x;
      const float* numbers = in.rays.rays + first * in.rays.numbers;
      for (int column = 0; column < place.columns; ++column, numbers += in.rays.numbers) {
        const int i = pixel_index(column, row);
        for (int k = 0; k < 3; ++k) direction[k][i] = numbers[k];
        if (from_centre) continue;
        for (int k = 0; k < 3; ++k) origin[k][i] = numbers[3 + k];
      }
    }
    for (int i = 0; i < kBlockPixels; i += kLanes) {
      Vec3<Float> d = {Float::load(direction[0] + i), Float::load(direction[1] + i),
                       Float::load(direction[2] + i)};
      unit_direction_of(d).store(inverse_length + i);
      d.x.store(direction[0] + i);
      d.y.store(direction[1] + i);
      d.z.store(direction[2] + i);
    }
    if (from_centre) {
      find_affine(AffineRays(in, place.image), place);
    } else {
      for (float& l : length) l = 1.0f;
    }
  }

  // Gives directions back the lengths that they were given with.
  void keep_lengths() {
    const Float zero(0.0f), one(1.0f);
    for (int i = 0; i < kBlockPixels; i += kLanes) {
      const Float inverse = Float::load(inverse_length + i);
      const Float given = select(inverse > zero, one / select(inverse > zero, inverse, one), one);
      given.store(length + i);
      for (float (&plane)[kBlockPixels] : direction) (given * Float::load(plane + i)).store(plane + i);
    }
  }

  // How far along their rays something is, from what it is along the directions that are affine.
  [[gnu::always_inline]] Float distance(const Float& along, int first) const {
    return along * Float::load(length + first);
  }

  template <bool kFromCentre>
  [[gnu::always_inline]] Ray<Float> at(int first) const {
    Ray<Float> ray;
    ray.direction = {Float::load(direction[0] + first), Float::load(direction[1] + first),
                     Float::load(direction[2] + first)};
    ray.from_centre = kFromCentre;
    if constexpr (kFromCentre) return ray;
    ray.origin = {Float::load(origin[0] + first), Float::load(origin[1] + first),
                  Float::load(origin[2] + first)};
    return ray;
  }

private:
  // What is rounding, of directions of the length 1: a few units in their last place.
  static constexpr float kRounding = 4e-7f;

  void find_affine(const AffineRays& rays, const BlockPlace& place) {
    const Float side(static_cast<float>(kCellSide)), zero(0.0f), rounding(kRounding);
    const Float x(static_cast<float>(place.x)), y(static_cast<float>(place.y));
    for (int i = 0; i < kCellPixels; i += kLanes) {
      const Float column = Float::load(kColumnOf + i), row = Float::load(kRowOf + i);
      store(rays.at(fma(side, column, x), fma(side, row, y)), of_cell, i);
      store(rays.per_pixel(column, row), in_cell, i);
    }
    for (int cell = 0; cell < kCells; ++cell) {
      bool holds = true;
      for (int i = 0; i < kCellPixels; i += kLanes) {
        const int first = cell * kCellPixels + i;
        const Vec3<Float> found = {Float(of_cell[0][cell]) + Float::load(in_cell[0] + i),
                                   Float(of_cell[1][cell]) + Float::load(in_cell[1] + i),
                                   Float(of_cell[2][cell]) + Float::load(in_cell[2] + i)};
        const Float scale = Float::load(inverse_length + first);
        const Vec3<Float> error = scale * found - at<true>(first).direction;
        const Float most = max(abs(error.x), max(abs(error.y), abs(error.z)));
        holds = holds && !any((scale > zero) & !(most <= rounding));
        sqrt(dot(found, found)).store(length + first);
      }
      if (holds) {
        affine |= CellSet{1} << cell;
      } else {
        for (int i = 0; i < kCellPixels; ++i) length[cell * kCellPixels + i] = 1.0f;
      }
    }
  }
  static void store(const Vec3<Float>& v, float (&planes)[3][kCellPixels], int first) {
    v.x.store(planes[0] + first);
    v.y.store(planes[1] + first);
    v.z.store(planes[2] + first);
  }
};

// The directions of the pixels of a block in the turned frame of a splat, where they are affine: those of its
// cells, plus those of the places in a cell.
struct SplatDirections {
  alignas(64) float of_cell[3][kCells];
  Vec3<Float> in_cell[kVectors];

  template <class Frame>
  [[gnu::always_inline]] void find(const Frame& frame, const BlockRays& rays) {
    if (__builtin_expect(rays.affine == 0, 0)) return;
    repeat<kVectors>([&](auto i) __attribute__((always_inline)) {
      constexpr int first = i * kLanes;
      in_cell[i] = frame.of(loaded(rays.in_cell, first));
      const Vec3<Float> cells = frame.of(loaded(rays.of_cell, first));
      cells.x.store(of_cell[0] + first);
      cells.y.store(of_cell[1] + first);
      cells.z.store(of_cell[2] + first);
    });
    asm("" : "+m"(of_cell));  // as in BlockSplat
  }
  [[gnu::always_inline]] Vec3<Float> at(int cell, int i) const {
    return {Float(of_cell[0][cell]) + in_cell[i].x, Float(of_cell[1][cell]) + in_cell[i].y,
            Float(of_cell[2][cell]) + in_cell[i].z};
  }

private:
  [[gnu::always_inline]] static Vec3<Float> loaded(const float (&planes)[3][kCellPixels], int first) {
    return {Float::load(planes[0] + first), Float::load(planes[1] + first), Float::load(planes[2] + first)};
  }
};

// What block kernels sum up of the pixels' rays, or know of their tangents: planes like those of BlockRays,
// of the rays as they are given.
struct RayPlanes {
  alignas(64) float direction[3][kBlockPixels] = {};
  alignas(64) float origin[3][kBlockPixels] = {};

  [[gnu::always_inline]] void add(int first, const Ray<Float>& ray) {
    add_vector(direction, first, ray.direction);
    if (!ray.from_centre) add_vector(origin, first, ray.origin);
  }

  // Of an image like RayInputs::rays. The length of a direction does not matter, only what turns it.
  void load(const float* image, int numbers, ImageSize size, const BlockPlace& place, const BlockRays& rays) {
    each_pixel(size, place, [&](int64_t pixel, int i) {
      for (int k = 0; k < 3; ++k) direction[k][i] = image[pixel * numbers + k] * rays.inverse_length[i];
      for (int k = 3; k < numbers; ++k) origin[k - 3][i] = image[pixel * numbers + k];
    });
  }
  void write(float* image, int numbers, ImageSize size, const BlockPlace& place,
             const BlockRays& rays) const {
    each_pixel(size, place, [&](int64_t pixel, int i) {
      for (int k = 0; k < 3; ++k) image[pixel * numbers + k] = direction[k][i] * rays.inverse_length[i];
      for (int k = 3; k < numbers; ++k) image[pixel * numbers + k] = origin[k - 3][i];
    });
  }

  [[gnu::always_inline]] Ray<Float> at(int first, bool from_centre) const {
    Ray<Float> ray;
    ray.direction = {Float::load(direction[0] + first), Float::load(direction[1] + first),
                     Float::load(direction[2] + first)};
    ray.origin = {Float::load(origin[0] + first), Float::load(origin[1] + first),
                  Float::load(origin[2] + first)};
    ray.from_centre = from_centre;
    return ray;
  }

private:
  template <class Body>
  static void each_pixel(ImageSize size, const BlockPlace& place, const Body& body) {
    for (int row = 0; row < place.rows; ++row) {
      const int64_t first =
          (place.image * size.height + place.y + row) * static_cast<int64_t>(size.width) + place.x;
      for (int column = 0; column < place.columns; ++column) body(first + column, pixel_index(column, row));
    }
  }
  [[gnu::always_inline]] static void add_vector(float (&planes)[3][kBlockPixels], int first,
                                                const Vec3<Float>& v) {
    (Float::load(planes[0] + first) + v.x).store(planes[0] + first);
    (Float::load(planes[1] + first) + v.y).store(planes[1] + first);
    (Float::load(planes[2] + first) + v.z).store(planes[2] + first);
  }
};

}  // namespace gsplat::GSPLAT_ISA
