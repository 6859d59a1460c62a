// The part of PyTorch's stable C interface (torch/csrc/stable/c/shim.h) that the operators of csrc/ops call,
// on one thread and with packed tensors only: what a library of theirs needs where PyTorch is not there.
#pragma once

#include <torch/csrc/stable/c/shim.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

// What a handle of a tensor points to; several handles may share the memory.
struct AtenTensorOpaque {
  int32_t dtype;  // as torch::headeronly::ScalarType
  std::vector<int64_t> sizes;
  std::shared_ptr<std::byte> data;

  int64_t count() const;
  size_t bytes() const;
};

struct StableListOpaque {
  std::vector<StableIValue> items;
};

struct StringOpaque {
  std::string text;
};

namespace torch_stand_in {

using Operator = void (*)(StableIValue* stack, uint64_t arguments, uint64_t results);

// Those for the CPU by their names, without that of the library.
std::map<std::string, Operator>& operators();

// A tensor with undefined contents, in memory aligned as PyTorch aligns it.
AtenTensorHandle make_tensor(int32_t dtype, std::vector<int64_t> sizes);

}  // namespace torch_stand_in
