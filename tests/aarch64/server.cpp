// Runs operators for a process of another architecture: a call comes in on the standard input, its results go
// out on the standard output, until the input ends. operators.py has the other end.
//
// A call is the operator's name, the number of its arguments, these, and the types of its results; the answer
// is 'r' with the results and with those arguments that the operator changed, or 'e' with the text of an
// error. Values begin with their type: 't' and 'm' tensors (dtype, dimensions, sizes, numbers), those that
// the operator changes marked 'm'; 'i' integers and truth values, 'd' floats, 's' strings, 'l' lists; 'n'
// None, and 'o' before a value of an optional argument. Sizes and integers have 64 bits.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <stdexcept>

#include "torch_stand_in.h"

namespace {

void read(void* to, size_t size) {
  if (size > 0 && std::fread(to, size, 1, stdin) != 1) std::exit(1);
}

void write(const void* from, size_t size) { std::fwrite(from, size, 1, stdout); }

int64_t read_integer() {
  int64_t value;
  read(&value, sizeof(value));
  return value;
}

void write_integer(int64_t value) { write(&value, sizeof(value)); }

std::string read_string() {
  std::string text(read_integer(), ' ');
  read(text.data(), text.size());
  return text;
}

void write_string(const std::string& text) {
  write_integer(static_cast<int64_t>(text.size()));
  write(text.data(), text.size());
}

AtenTensorHandle read_tensor() {
  const int64_t dtype = read_integer();
  std::vector<int64_t> sizes(read_integer());
  read(sizes.data(), sizes.size() * sizeof(int64_t));
  const AtenTensorHandle tensor = torch_stand_in::make_tensor(static_cast<int32_t>(dtype), std::move(sizes));
  read(tensor->data.get(), tensor->bytes());
  return tensor;
}

void write_tensor(const AtenTensorOpaque& tensor) {
  write_integer(tensor.dtype);
  write_integer(static_cast<int64_t>(tensor.sizes.size()));
  write(tensor.sizes.data(), tensor.sizes.size() * sizeof(int64_t));
  write(tensor.data.get(), tensor.bytes());
}

// What the operator owns from now on; of tensors that it changes, `changed` keeps a handle.
StableIValue read_value(std::vector<AtenTensorOpaque>& changed) {
  char type;
  read(&type, 1);
  switch (type) {
    case 'n':
      return 0;
    case 'o':
      return reinterpret_cast<StableIValue>(new StableIValue(read_value(changed)));
    case 'i':
    case 'd':
      return static_cast<StableIValue>(read_integer());  // the bits of a float, too
    case 's':
      return reinterpret_cast<StableIValue>(new StringOpaque{read_string()});
    case 'l': {
      auto* list = new StableListOpaque{std::vector<StableIValue>(read_integer())};
      for (StableIValue& item : list->items) item = read_value(changed);
      return reinterpret_cast<StableIValue>(list);
    }
    default: {
      const AtenTensorHandle tensor = read_tensor();
      if (type == 'm') changed.push_back(*tensor);
      return reinterpret_cast<StableIValue>(tensor);
    }
  }
}

void write_value(char type, StableIValue value) {
  if (type == 't') {
    const std::unique_ptr<AtenTensorOpaque> tensor(reinterpret_cast<AtenTensorHandle>(value));
    write_tensor(*tensor);
  } else if (type == 's') {
    const std::unique_ptr<StringOpaque> string(reinterpret_cast<StringHandle>(value));
    write_string(string->text);
  } else {
    write_integer(static_cast<int64_t>(value));
  }
}

void answer_call() {
  const std::string name = read_string();
  const size_t arguments = static_cast<size_t>(read_integer());
  std::vector<AtenTensorOpaque> changed;
  std::vector<StableIValue> stack;
  for (size_t i = 0; i < arguments; ++i) stack.push_back(read_value(changed));
  const std::string results = read_string();
  if (stack.size() < results.size()) stack.resize(results.size());
  try {
    const auto found = torch_stand_in::operators().find(name);
    if (found == torch_stand_in::operators().end()) throw std::runtime_error("no operator '" + name + "'");
    found->second(stack.data(), arguments, results.size());
  } catch (const std::exception& error) {
    write("e", 1);
    write_string(error.what());
    return;
  }
  write("r", 1);
  for (size_t i = 0; i < results.size(); ++i) write_value(results[i], stack[i]);
  for (const AtenTensorOpaque& tensor : changed) write_tensor(tensor);
}

}  // namespace

int main() {
  for (int next = std::getchar(); next != EOF; next = std::getchar()) {
    std::ungetc(next, stdin);
    answer_call();
    std::fflush(stdout);
  }
}
