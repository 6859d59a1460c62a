// The rays of the pixels of a block, for responses along them (math/response/along_rays.h).
#pragma once

#include "cpu/simd/tile_splats.h"
#include "raster/rays.h"

namespace gsplat::GSPLAT_ISA {

// Cell by cell, like all numbers of the pixels of a block; directions have the length 1. Pixels without a ray
// have any.
struct BlockRays {
  alignas(64) float direction[3][kBlockPixels];
  alignas(64) float origin[3][kBlockPixels];       // not set if from_centre
  alignas(64) float inverse_length[kBlockPixels];  // of the directions as they were given; 0: no ray
  bool from_centre;

  BlockRays(const CompositeInputs& in, const BlockPlace& place) : from_centre(in.rays.numbers == 3) {
    // Pixels outside the image have a ray, so that nothing is done about them.
    if (place.columns < kBlockSide || place.rows < kBlockSide) {
      for (float& d : direction[0]) d = 1.0f;
      for (float& d : direction[1]) d = 0.0f;
      for (float& d : direction[2]) d = 0.0f;
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
