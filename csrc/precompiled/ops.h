// What the operators include of PyTorch and of the standard library: parsed once for all of them, see
// csrc/build_ops.py. A source includes what it uses all the same, as if this did not exist.
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>
#include <torch/headeronly/util/Exception.h>

#include <optional>
#include <string>
#include <tuple>
#include <vector>
