// Anchors that networks decode: a block takes the visible ones of a window, one lane of each of its warps per
// anchor, and the warps share the outputs of a layer among them. The numbers of an anchor stay in shared
// memory, one column of 32 after the other.
#include "cuda/anchors.h"
#include "cuda/warp.cuh"
#include "math/anchors.h"

namespace gsplat::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarp;
constexpr int kTile = 4;              // outputs that a thread computes at a time
constexpr int64_t kMostBlocks = 512;  // going backward, each of which sums up gradients of the networks
constexpr int kAnchorSums = 9;        // of the gradients of what the splats of an anchor have in common

int64_t windows_of(int64_t count) { return (count + kThreads - 1) / kThreads; }
int64_t blocks_backward(int64_t count) {
  return windows_of(count) < kMostBlocks ? windows_of(count) : kMostBlocks;
}

// Columns of 32 numbers in shared memory.
struct TileColumns {
  float *inputs, *encoded[kAnchorNetworks], *hidden, *v_inputs, *anchor_sums;

  static __host__ __device__ int of_networks(const DecoderShape& shape) {
    return shape.inputs() + 11 * shape.splats;
  }
  static int forward(const DecoderShape& shape) { return of_networks(shape) + shape.hidden; }
  static int backward(const DecoderShape& shape) {
    const int layers = shape.hidden + shape.inputs(), sums = kWarps * kAnchorSums;
    return of_networks(shape) + (layers > sums ? layers : sums);
  }

  __device__ TileColumns(const DecoderShape& shape, float* memory) {
    inputs = memory;
    encoded[kOpacityNetwork] = inputs + shape.inputs() * kWarp;
    encoded[kColorNetwork] = encoded[kOpacityNetwork] + shape.splats * kWarp;
    encoded[kCovarianceNetwork] = encoded[kColorNetwork] + 3 * shape.splats * kWarp;
    // The sums are made before the layers are gone back through.
    anchor_sums = hidden = memory + of_networks(shape) * kWarp;
    v_inputs = hidden + shape.hidden * kWarp;
  }
};
// With the list of a window's visible anchors it fits what every device has.
static_assert((2 * (kMostAnchorFeatures + 3) + 11 * kMostSplatsOfAnchor + kMostHiddenUnits) * kWarp * 4 +
                  kThreads + kWarps * 4 <=
              48 * 1024);

__device__ float& at(float* columns, int column) { return columns[column * kWarp + lane_index()]; }

__device__ Vec3<float> read3(const float* from) { return {from[0], from[1], from[2]}; }
__device__ void write3(const Vec3<float>& v, float* to) {
  to[0] = v.x;
  to[1] = v.y;
  to[2] = v.z;
}
__device__ Vec3<float> read_columns3(float* columns) {
  return {at(columns, 0), at(columns, 1), at(columns, 2)};
}
__device__ void write_columns3(const Vec3<float>& v, float* columns) {
  at(columns, 0) = v.x;
  at(columns, 1) = v.y;
  at(columns, 2) = v.z;
}

__device__ DecoderFrame<float> read_frame(const float* m) {
  const Mat3<float> inverse = {{{m[0], m[3], m[6]}, {m[1], m[4], m[7]}, {m[2], m[5], m[8]}}};
  return {{{{m[0], m[1], m[2]}, {m[3], m[4], m[5]}, {m[6], m[7], m[8]}}}, quaternion_of(inverse)};
}

__device__ Anchor<float> read_anchor(const AnchorArrays& in, int64_t i) {
  const auto exponentials = [](const float* x) {
    return Vec3<float>{scale_of_logarithm(x[0]), scale_of_logarithm(x[1]), scale_of_logarithm(x[2])};
  };
  return {read3(in.positions + 3 * i), exponentials(in.offset_scales + 3 * i),
          exponentials(in.scales + 3 * i)};
}

// The visible anchors of a window of kThreads, in their order.
struct Window {
  int64_t first;
  const uint8_t* list;
  int count;

  // The number of this lane's anchor in a run of 32 of them; negative beyond the last.
  __device__ int64_t anchor(int begin) const {
    const int i = begin + lane_index();
    return i < count ? first + list[i] : -1;
  }
};

// For a whole block. `hidden(anchor)` is called for those that are not visible.
template <class Hidden>
__device__ Window visible_of(const AnchorArrays& in, int64_t window, int64_t count, Hidden&& hidden) {
  __shared__ uint8_t list[kThreads];
  __shared__ int found[kWarps];
  static_assert(kThreads <= 256);
  const int64_t first = window * kThreads, i = first + threadIdx.x;
  const bool visible = i < count && (in.visible == nullptr || in.visible[i] != 0);
  if (i < count && !visible) hidden(i);
  const uint32_t lanes = __ballot_sync(kAllLanes, visible);
  if (lane_index() == 0) found[warp_index()] = __popc(lanes);
  __syncthreads();
  int before = 0, all = 0;
  for (int warp = 0; warp < kWarps; ++warp) {
    if (warp < warp_index()) before += found[warp];
    all += found[warp];
  }
  if (visible) list[before + __popc(lanes & ((1u << lane_index()) - 1))] = static_cast<uint8_t>(threadIdx.x);
  __syncthreads();
  return {first, list, all};
}

// A matrix of weights, or its transpose, as csrc/cpu/simd/layer_products.h has it.
struct Weights {
  const float* numbers;
  int outputs, inputs;
  int of_output, of_input;  // steps from one number to the next
};

// write(output, begin(output) + sum over the inputs) for columns x of inputs.
template <class Begin, class Write>
__device__ void multiply(const Weights& weights, float* x, Begin&& begin, Write&& write) {
  for (int first = warp_index() * kTile; first < weights.outputs; first += kWarps * kTile) {
    float sums[kTile];
    const float* weight[kTile];
#pragma unroll
    for (int o = 0; o < kTile; ++o) {
      // The last tile computes its last output more than once.
      const int output = first + o < weights.outputs ? first + o : weights.outputs - 1;
      sums[o] = begin(output);
      weight[o] = weights.numbers + output * weights.of_output;
    }
    for (int i = 0; i < weights.inputs; ++i) {
      const float value = at(x, i);
#pragma unroll
      for (int o = 0; o < kTile; ++o) sums[o] = ::fmaf(weight[o][i * weights.of_input], value, sums[o]);
    }
#pragma unroll
    for (int o = 0; o < kTile; ++o) {
      if (first + o < weights.outputs) write(first + o, sums[o]);
    }
  }
}

// Adds the gradients of weights and biases of a layer to those in memory: sums over the anchors of products
// of columns v of its outputs and x of its inputs.
__device__ void add_outer_products(const float* v, int outputs, const float* x, int inputs, float* weights,
                                   float* biases) {
  const int tiles = (outputs + kTile - 1) / kTile;
  for (int i = static_cast<int>(threadIdx.x); i < tiles * (inputs + 1); i += kThreads) {
    const int first = i / (inputs + 1) * kTile, input = i % (inputs + 1);
    float sums[kTile] = {};
    for (int r = 0; r < kWarp; ++r) {
      // Each lane begins with another anchor, so that none waits for the other's bank.
      const int row = (r + lane_index()) % kWarp;
      const float value = input < inputs ? x[input * kWarp + row] : 1.0f;
#pragma unroll
      for (int o = 0; o < kTile; ++o) {
        const int output = first + o < outputs ? first + o : outputs - 1;
        sums[o] = ::fmaf(v[output * kWarp + row], value, sums[o]);
      }
    }
#pragma unroll
    for (int o = 0; o < kTile; ++o) {
      if (first + o >= outputs) break;
      float& sum = input < inputs ? weights[(first + o) * inputs + input] : biases[first + o];
      sum += sums[o];
    }
  }
}

// What the blocks of both directions know of 32 anchors.
struct TileDecoder {
  const AnchorArrays& in;
  TileColumns columns;
  DecoderFrame<float> frame;
  Vec3<float> centre;

  __device__ TileDecoder(const AnchorArrays& arrays, float* memory)
      : in(arrays),
        columns(arrays.shape, memory),
        frame(read_frame(arrays.frame)),
        centre(read3(arrays.centre)) {}

  __device__ void read_inputs(int64_t anchor) const {
    const int features = in.shape.features;
    for (int i = warp_index(); i < features; i += kWarps) {
      at(columns.inputs, i) = anchor >= 0 ? in.features[anchor * features + i] : 0.0f;
    }
    if (warp_index() == 0) {
      const Vec3<float> direction =
          anchor >= 0 ? anchor_direction(frame, read3(in.positions + 3 * anchor) - centre) : Vec3<float>{};
      write_columns3(direction, columns.inputs + features * kWarp);
    }
  }

  __device__ void evaluate_hidden(int network) const {
    const NetworkPlaces places = in.shape.places(network);
    const int inputs = in.shape.inputs();
    const float* const biases = in.networks + places.hidden_biases;
    multiply(
        Weights{in.networks + places.hidden_weights, in.shape.hidden, inputs, inputs, 1}, columns.inputs,
        [&](int o) { return biases[o]; }, [&](int o, float sum) { at(columns.hidden, o) = max(0.0f, sum); });
  }

  // What the networks say of anchors whose inputs are there. Ends with a barrier.
  __device__ void evaluate() const {
    for (int n = 0; n < kAnchorNetworks; ++n) {
      const NetworkPlaces places = in.shape.places(n);
      evaluate_hidden(n);
      __syncthreads();
      const float* const biases = in.networks + places.biases;
      multiply(
          Weights{in.networks + places.weights, in.shape.outputs(n), in.shape.hidden, in.shape.hidden, 1},
          columns.hidden, [&](int o) { return biases[o]; },
          [&](int o, float sum) { at(columns.encoded[n], o) = sum; });
      __syncthreads();
    }
  }

  __device__ EncodedSplat<float> encoded(int64_t splat, int k) const {
    float* const covariance = columns.encoded[kCovarianceNetwork] + 7 * k * kWarp;
    return {read3(in.offsets + 3 * splat),
            at(columns.encoded[kOpacityNetwork], k),
            read_columns3(columns.encoded[kColorNetwork] + 3 * k * kWarp),
            read_columns3(covariance),
            {at(covariance, 3), at(covariance, 4), at(covariance, 5), at(covariance, 6)}};
  }

  // Puts the gradient of what the networks said in its place.
  __device__ void replace(const EncodedSplat<float>& v, int k) const {
    float* const covariance = columns.encoded[kCovarianceNetwork] + 7 * k * kWarp;
    at(columns.encoded[kOpacityNetwork], k) = v.opacity;
    write_columns3(v.color, columns.encoded[kColorNetwork] + 3 * k * kWarp);
    write_columns3(v.scales, covariance);
    at(covariance, 3) = v.rotation.w;
    at(covariance, 4) = v.rotation.x;
    at(covariance, 5) = v.rotation.y;
    at(covariance, 6) = v.rotation.z;
  }
};

__global__ void __launch_bounds__(kThreads)
    decode_windows(AnchorArrays in, SplatsOfAnchors<float> out, int64_t count) {
  extern __shared__ float memory[];
  const TileDecoder decoder(in, memory);
  const int splats = in.shape.splats;
  const Window window = visible_of(in, blockIdx.x, count, [&](int64_t i) {
    for (int64_t s = i * splats; s < (i + 1) * splats; ++s) {
      write3(read3(in.positions + 3 * i), out.means + 3 * s);
      out.quats[4 * s] = 1.0f;
      write3({}, out.quats + 4 * s + 1);
      write3({}, out.scales + 3 * s);
      out.opacities[s] = 0.0f;
      write3({}, out.colors + 3 * s);
    }
  });
  for (int begin = 0; begin < window.count; begin += kWarp) {
    const int64_t i = window.anchor(begin);
    decoder.read_inputs(i);
    __syncthreads();
    decoder.evaluate();
    if (i >= 0) {
      const Anchor<float> anchor = read_anchor(in, i);
      for (int k = warp_index(); k < splats; k += kWarps) {
        const int64_t s = i * splats + k;
        const DecodedSplat<float> splat = decode_splat(decoder.frame, anchor, decoder.encoded(s, k));
        write3(splat.mean, out.means + 3 * s);
        out.quats[4 * s] = splat.rotation.w;
        write3({splat.rotation.x, splat.rotation.y, splat.rotation.z}, out.quats + 4 * s + 1);
        write3(splat.scales, out.scales + 3 * s);
        out.opacities[s] = splat.opacity;
        write3(splat.color, out.colors + 3 * s);
      }
    }
    // The next anchors' inputs and hidden layers do not touch what was read here, and a barrier follows them.
  }
}

// Gradients of what the networks said, of offsets, and of what an anchor's splats have in common; that of its
// position lacks the part that comes through the direction.
__device__ void splat_gradients(const TileDecoder& decoder, int64_t i,
                                const SplatsOfAnchors<const float>& v_out, const AnchorGradients& v) {
  const int splats = decoder.in.shape.splats;
  Anchor<float> anchor = {}, v_anchor = {};
  if (i >= 0) anchor = read_anchor(decoder.in, i);
  for (int k = warp_index(); k < splats; k += kWarps) {
    EncodedSplat<float> v_encoded = {};
    if (i >= 0) {
      const int64_t s = i * splats + k;
      const float* const q = v_out.quats + 4 * s;
      const DecodedSplat<float> v_splat = {read3(v_out.means + 3 * s),
                                           {q[0], q[1], q[2], q[3]},
                                           read3(v_out.scales + 3 * s),
                                           v_out.opacities[s],
                                           read3(v_out.colors + 3 * s)};
      v_encoded = decode_splat_vjp(decoder.frame, anchor, decoder.encoded(s, k), v_splat, v_anchor);
      write3(v_encoded.offset, v.offsets + 3 * s);
    }
    decoder.replace(v_encoded, k);
  }
  float* const mine = decoder.columns.anchor_sums + warp_index() * kAnchorSums * kWarp;
  write_columns3(v_anchor.place, mine);
  write_columns3(each_times(v_anchor.steps, anchor.steps), mine + 3 * kWarp);
  write_columns3(each_times(v_anchor.spans, anchor.spans), mine + 6 * kWarp);
  __syncthreads();
  float* const rows[] = {v.positions, v.offset_scales, v.scales};
  for (int sum = warp_index(); sum < kAnchorSums; sum += kWarps) {
    float total = 0.0f;
    for (int warp = 0; warp < kWarps; ++warp) {
      total += at(decoder.columns.anchor_sums, warp * kAnchorSums + sum);
    }
    if (i >= 0) rows[sum / 3][3 * i + sum % 3] = total;
  }
  __syncthreads();
}

// From gradients of what a network said to those of its numbers and of its inputs.
__device__ void network_gradients(const TileDecoder& decoder, int network, float* sums) {
  const AnchorArrays& in = decoder.in;
  const TileColumns& c = decoder.columns;
  const NetworkPlaces places = in.shape.places(network);
  const int inputs = in.shape.inputs(), outputs = in.shape.outputs(network), hidden = in.shape.hidden;
  decoder.evaluate_hidden(network);
  __syncthreads();
  add_outer_products(c.encoded[network], outputs, c.hidden, hidden, sums + places.weights,
                     sums + places.biases);
  __syncthreads();
  multiply(
      Weights{in.networks + places.weights, hidden, outputs, 1, hidden}, c.encoded[network],
      [](int) { return 0.0f; },
      [&](int o, float sum) { at(c.hidden, o) = at(c.hidden, o) > 0.0f ? sum : 0.0f; });
  __syncthreads();
  add_outer_products(c.hidden, hidden, c.inputs, inputs, sums + places.hidden_weights,
                     sums + places.hidden_biases);
  multiply(
      Weights{in.networks + places.hidden_weights, inputs, hidden, 1, inputs}, c.hidden,
      [&](int o) { return at(c.v_inputs, o); }, [&](int o, float sum) { at(c.v_inputs, o) = sum; });
  __syncthreads();
}

__global__ void __launch_bounds__(kThreads)
    decode_windows_backward(AnchorArrays in, SplatsOfAnchors<const float> v_out, AnchorGradients v,
                            int64_t count, float* sums_of_blocks) {
  extern __shared__ float memory[];
  const TileDecoder decoder(in, memory);
  const TileColumns& c = decoder.columns;
  const int features = in.shape.features, splats = in.shape.splats;
  const int64_t numbers = in.shape.numbers(), windows = (count + kThreads - 1) / kThreads;
  float* const sums = sums_of_blocks + blockIdx.x * numbers;
  for (int64_t n = threadIdx.x; n < numbers; n += kThreads) sums[n] = 0.0f;
  for (int64_t w = blockIdx.x; w < windows; w += gridDim.x) {
    const Window window = visible_of(in, w, count, [&](int64_t i) {
      for (float* rows : {v.positions, v.offset_scales, v.scales, v.along}) {
        if (rows != nullptr) write3({}, rows + 3 * i);
      }
      for (int f = 0; f < features; ++f) v.features[i * features + f] = 0.0f;
      for (int o = 0; o < 3 * splats; ++o) v.offsets[3 * i * splats + o] = 0.0f;
    });
    for (int begin = 0; begin < window.count; begin += kWarp) {
      const int64_t i = window.anchor(begin);
      decoder.read_inputs(i);
      __syncthreads();
      decoder.evaluate();
      splat_gradients(decoder, i, v_out, v);
      for (int n = warp_index(); n < in.shape.inputs(); n += kWarps) at(c.v_inputs, n) = 0.0f;
      for (int n = 0; n < kAnchorNetworks; ++n) network_gradients(decoder, n, sums);
      if (i < 0) continue;
      for (int f = warp_index(); f < features; f += kWarps) v.features[i * features + f] = at(c.v_inputs, f);
      if (warp_index() == 0) {
        const Vec3<float> along =
            anchor_direction_vjp(decoder.frame, read3(in.positions + 3 * i) - decoder.centre,
                                 read_columns3(c.v_inputs + features * kWarp));
        write3(read3(v.positions + 3 * i) + along, v.positions + 3 * i);
        if (v.along != nullptr) write3(along, v.along + 3 * i);
      }
    }
  }
}

__global__ void __launch_bounds__(kThreads)
    add_network_gradients(const float* sums_of_blocks, int64_t blocks, int64_t numbers, float* networks) {
  const int64_t n = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (n >= numbers) return;
  double sum = 0.0;
  for (int64_t b = 0; b < blocks; ++b) sum += sums_of_blocks[b * numbers + n];
  networks[n] = static_cast<float>(sum);
}

size_t bytes_of(int columns) { return sizeof(float) * kWarp * static_cast<size_t>(columns); }

}  // namespace

void decode_anchors(const AnchorArrays& in, const SplatsOfAnchors<float>& out, int64_t count, Stream stream) {
  if (count == 0) return;
  decode_windows<<<blocks_of(kThreads, count), kThreads, bytes_of(TileColumns::forward(in.shape)), stream>>>(
      in, out, count);
  check_launch("decode_windows");
}

size_t decode_anchors_backward_workspace(const DecoderShape& shape, int64_t count) {
  return sizeof(float) * static_cast<size_t>(blocks_backward(count) * shape.numbers());
}

void decode_anchors_backward(const AnchorArrays& in, const SplatsOfAnchors<const float>& v_out,
                             const AnchorGradients& v, int64_t count, void* workspace, Stream stream) {
  float* const sums = static_cast<float*>(workspace);
  const int64_t blocks = blocks_backward(count), numbers = in.shape.numbers();
  if (count > 0) {
    decode_windows_backward<<<static_cast<unsigned>(blocks), kThreads,
                              bytes_of(TileColumns::backward(in.shape)), stream>>>(in, v_out, v, count, sums);
    check_launch("decode_windows_backward");
  }
  add_network_gradients<<<blocks_of(kThreads, numbers), kThreads, 0, stream>>>(sums, blocks, numbers,
                                                                               v.networks);
  check_launch("add_network_gradients");
}

}  // namespace gsplat::cuda
