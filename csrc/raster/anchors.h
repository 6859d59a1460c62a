// The arrays of anchors and of the networks that decode them (math/anchors.h), the same for all backends.
#pragma once

#include <cstdint>

namespace gsplat {

// As many numbers as the working memory of a block of CUDA threads has room for.
inline constexpr int kMostAnchorFeatures = 64, kMostHiddenUnits = 64, kMostSplatsOfAnchor = 16;

// Three networks, of opacities, of colours and of covariances, each of which has one hidden layer.
inline constexpr int kAnchorNetworks = 3;
enum AnchorNetwork { kOpacityNetwork, kColorNetwork, kCovarianceNetwork };

// Where the tensors of a network lie in the list of all numbers: [hidden, inputs], [hidden], [outputs,
// hidden], [outputs].
struct NetworkPlaces {
  int64_t hidden_weights, hidden_biases, weights, biases, end;
};

struct DecoderShape {
  int features, hidden, splats;

  // Features and a direction.
  constexpr int inputs() const { return features + 3; }
  // An opacity, a colour, three scales and a quaternion of each splat.
  constexpr int outputs(int network) const {
    return splats * (network == kOpacityNetwork ? 1 : network == kColorNetwork ? 3 : 7);
  }
  constexpr NetworkPlaces places(int network) const {
    int64_t begin = 0;
    for (int before = 0; before < network; ++before) begin += numbers_of(before);
    const int64_t biases = begin + static_cast<int64_t>(hidden) * inputs(), weights = biases + hidden;
    return {begin, biases, weights, weights + static_cast<int64_t>(outputs(network)) * hidden,
            begin + numbers_of(network)};
  }
  constexpr int64_t numbers() const { return places(kAnchorNetworks - 1).end; }

private:
  constexpr int64_t numbers_of(int network) const {
    return static_cast<int64_t>(hidden) * (inputs() + 1) +
           static_cast<int64_t>(outputs(network)) * (hidden + 1);
  }
};

struct AnchorArrays {
  const float* positions;      // [N, 3]
  const float* features;       // [N, F]
  const float* offsets;        // [N, K, 3]
  const float* offset_scales;  // [N, 3] logarithms
  const float* scales;         // [N, 3] logarithms
  const float* centre;         // [3] of the camera
  const float* frame;          // [3, 3]
  const uint8_t* visible;      // [N]; null: all
  const float* networks;       // all numbers of the three
  DecoderShape shape;
};

// Of N K splats, or their gradients.
template <class Number>
struct SplatsOfAnchors {
  Number* means;      // [N, K, 3]
  Number* quats;      // [N, K, 4]
  Number* scales;     // [N, K, 3]
  Number* opacities;  // [N, K]
  Number* colors;     // [N, K, 3]
};

struct AnchorGradients {
  float* positions;
  float* features;
  float* offsets;
  float* offset_scales;
  float* scales;
  float* along;  // [N, 3] the part of the positions' that comes through the direction; null where not wanted
  float* networks;
};

}  // namespace gsplat
