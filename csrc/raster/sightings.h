// Which splats the pixels of an image see, and how much of the splats is seen under which label.
#pragma once

#include <cstdint>

namespace gsplat {

// Numbers of Gaussians in their scene, -1 where a pixel sees none; a null pointer means "not wanted".
struct SightingOutputs {
  int32_t* first;      // [images, height, width]: the nearest splat
  int32_t* median;     // the last one in front of which more than half of the light comes through
  int32_t* strongest;  // that of the largest weight, the nearest of several
  int32_t* counts;     // how many splats
  int32_t* top_ids;    // [images, height, width, top]: those of the `top` largest weights, front to back ...
  float* top_weights;  // ... and the weights, zero at first
  int top;
};

// Labels per pass of label_weights(): a bit each.
inline constexpr int kMostLabels = 32;

// Counts the labels from `first` on, `count` of them; others are as if there was none.
struct LabelInputs {
  const int32_t* labels;  // [images, height, width]
  int first, count;
};

}  // namespace gsplat
