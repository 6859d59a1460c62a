// Blocks of pixels out of images [images, height, width, channels], and into them.
#pragma once

#include "cpu/simd/pixel_block.h"

namespace gsplat::GSPLAT_ISA {

// Planes [kBlockPixels], one per channel.
inline float* zero_planes(Buffer<float>& buffer, int channels) {
  const int64_t count = static_cast<int64_t>(channels) * kBlockPixels;
  float* planes = buffer.reserve(count);
  for (int64_t i = 0; i < count; ++i) planes[i] = 0.0f;
  return planes;
}

inline int64_t first_pixel(ImageSize size, const BlockPlace& place, int row) {
  return (place.image * size.height + place.y + row) * size.width + place.x;
}

// Fetches what load_planes() will read, while there is something else to do: no processor guesses rows that
// lie far apart. (Inlined, because GCC leaves out calls of functions that do nothing but prefetch.)
[[gnu::always_inline]] inline void prefetch_planes(const float* image, int channels, ImageSize size,
                                                   const BlockPlace& place) {
  constexpr uintptr_t kLine = 64;
  for (int row = 0; row < place.rows; ++row) {
    const float* first = image + first_pixel(size, place, row) * channels;
    const auto end = reinterpret_cast<uintptr_t>(first + place.columns * channels);
    for (auto line = reinterpret_cast<uintptr_t>(first) / kLine * kLine; line < end; line += kLine) {
      __builtin_prefetch(reinterpret_cast<const void*>(line));
    }
  }
}

// Reads one plane [kBlockPixels] per channel; zero outside the image.
inline void load_planes(const float* image, int channels, ImageSize size, const BlockPlace& place,
                        float* planes) {
  if (place.columns < kBlockSide || place.rows < kBlockSide) {
    for (int i = 0; i < channels * kBlockPixels; ++i) planes[i] = 0.0f;
  }
  for (int row = 0; row < place.rows; ++row) {
    const float* pixel = image + first_pixel(size, place, row) * channels;
    for (int column = 0; column < place.columns; ++column, pixel += channels) {
      const int i = pixel_index(column, row);
      for (int c = 0; c < channels; ++c) planes[c * kBlockPixels + i] = pixel[c];
    }
  }
}

// Writes blended colours, given as planes, over the background that they leave visible.
template <int kChannels>
void write_colors(const CompositeInputs& in, const BlockPlace& place, const float* planes,
                  const float* transmittance, float* colors) {
  const int channels = kChannels == kDynamic ? in.channels : kChannels;
  const float* background = in.backgrounds == nullptr ? nullptr : in.backgrounds + place.image * channels;
  for (int row = 0; row < place.rows; ++row) {
    float* pixel = colors + first_pixel(in.image, place, row) * channels;
    for (int column = 0; column < place.columns; ++column, pixel += channels) {
      const int i = pixel_index(column, row);
      for (int c = 0; c < channels; ++c) {
        const float sum = planes[c * kBlockPixels + i];
        pixel[c] = background == nullptr ? sum : fma(transmittance[i], background[c], sum);
      }
    }
  }
}

// Writes planes [kBlockPixels], one per channel.
inline void write_planes(const float* planes, int channels, ImageSize size, const BlockPlace& place,
                         float* image) {
  for (int row = 0; row < place.rows; ++row) {
    float* pixel = image + first_pixel(size, place, row) * channels;
    for (int column = 0; column < place.columns; ++column, pixel += channels) {
      const int i = pixel_index(column, row);
      for (int c = 0; c < channels; ++c) pixel[c] = planes[c * kBlockPixels + i];
    }
  }
}

// Writes one number per pixel.
inline void write_plane(const float* plane, ImageSize size, const BlockPlace& place, float* image) {
  for (int row = 0; row < place.rows; ++row) {
    float* pixel = image + first_pixel(size, place, row);
    for (int column = 0; column < place.columns; ++column) pixel[column] = plane[pixel_index(column, row)];
  }
}

}  // namespace gsplat::GSPLAT_ISA
