// The opcodes torch.save emits (pickle protocol 2), read into plain tables. Nothing is imported or
// called: a GLOBAL is compared with a short list, and REDUCE knows what each name on it makes.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>

#include "sim/io/pickle_machine.h"
#include "sim/io/torch_tree.h"

namespace moesim {
namespace {

using Kind = PickleValue::Kind;

constexpr std::string_view kTensor = "torch._utils _rebuild_tensor_v2";
constexpr std::string_view kParameter = "torch._utils _rebuild_parameter";
constexpr std::string_view kOrderedDict = "collections OrderedDict";
constexpr std::string_view kSize = "torch Size";
constexpr int kProtocol = 2;

bool is_storage_name(std::string_view name) {
  static constexpr std::array<std::string_view, 10> names{
      "torch ByteStorage",   "torch CharStorage", "torch ShortStorage",    "torch IntStorage",
      "torch LongStorage",   "torch HalfStorage", "torch BFloat16Storage", "torch FloatStorage",
      "torch DoubleStorage", "torch BoolStorage"};
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_known_name(std::string_view name) {
  return name == kTensor || name == kParameter || name == kOrderedDict || name == kSize ||
         is_storage_name(name);
}

// A name for messages: what a hostile file wrote there must not garble the terminal.
std::string printable(std::string_view text) {
  constexpr std::size_t kShown = 80;
  std::string out(text.substr(0, kShown));
  for (char& letter : out)
    if (letter < ' ' || letter == '\x7f') letter = '?';
  return out + (text.size() > kShown ? "..." : "");
}

class Parser : private PickleMachine {
 public:
  explicit Parser(TorchTree& tree) : PickleMachine(tree), tree_(tree) {}

  void run() {
    while (true) {
      const int opcode = next_opcode();
      if (opcode == '.') break;
      if (!constant(opcode) && !container(opcode) && !memo(opcode) && !named(opcode))
        fail(fmt::format("opcode 0x{:02x} is none of those torch.save writes", opcode));
    }
    tree_.root = last_value();
  }

 private:
  void push_sequence(Kind kind, std::vector<PickleValue> values) {
    push(kind, static_cast<std::int64_t>(tree_.sequences.size()));
    tree_.sequences.push_back(std::move(values));
  }
  void push_dictionary() {
    push(Kind::dictionary, static_cast<std::int64_t>(tree_.dictionaries.size()));
    tree_.dictionaries.emplace_back();
  }

  void push_long(std::size_t bytes) {
    if (bytes > sizeof(std::int64_t))
      fail(fmt::format("an integer of {} bytes; at most 8 are read", bytes));
    std::uint64_t value = little_endian(bytes);
    const bool negative = bytes > 0 && (value >> (8 * bytes - 1)) != 0;
    if (negative && bytes < sizeof(value)) value |= ~std::uint64_t{0} << (8 * bytes);
    push(Kind::integer, static_cast<std::int64_t>(value));
  }

  void push_real() {
    std::uint64_t bits = 0;
    for (const char letter : take(sizeof(bits)))  // big-endian, unlike all else in a pickle
      bits = bits << 8U | static_cast<unsigned char>(letter);
    push(Kind::real, static_cast<std::int64_t>(tree_.reals.size()));
    tree_.reals.push_back(std::bit_cast<double>(bits));
  }

  bool constant(int opcode) {
    switch (opcode) {
      case 0x80:  // PROTO
        if (const int protocol = byte(); protocol != kProtocol)
          fail(fmt::format("pickle protocol {}; torch.save writes {}", protocol, kProtocol));
        return true;
      case 'N':
        push(Kind::none);
        return true;
      case 0x88:  // NEWTRUE
      case 0x89:  // NEWFALSE
        push(Kind::boolean, opcode == 0x88 ? 1 : 0);
        return true;
      case 'K':  // BININT1
        push(Kind::integer, byte());
        return true;
      case 'M':  // BININT2
        push(Kind::integer, static_cast<std::int64_t>(little_endian(2)));
        return true;
      case 'J':  // BININT
        push(Kind::integer, static_cast<std::int32_t>(little_endian(4)));
        return true;
      case 0x8a:  // LONG1
        push_long(static_cast<std::size_t>(byte()));
        return true;
      case 'G':  // BINFLOAT
        push_real();
        return true;
      case 'X':  // BINUNICODE
        tree_.texts.push_back(take(little_endian(4)));
        push(Kind::text, static_cast<std::int64_t>(tree_.texts.size()) - 1);
        return true;
      default:
        return false;
    }
  }

  bool container(int opcode) {
    switch (opcode) {
      case '(':
        mark();
        return true;
      case '}':
        push_dictionary();
        return true;
      case ']':
        push_sequence(Kind::list, {});
        return true;
      case ')':
        push_sequence(Kind::tuple, {});
        return true;
      case 't':
        push_sequence(Kind::tuple, pop_to_mark());
        return true;
      case 0x85:  // TUPLE1
      case 0x86:  // TUPLE2
      case 0x87:  // TUPLE3
        push_sequence(Kind::tuple, pop_count(static_cast<std::size_t>(opcode - 0x84)));
        return true;
      case 'a':  // APPEND
        append(pop_count(1));
        return true;
      case 'e':  // APPENDS
        append(pop_to_mark());
        return true;
      case 's':  // SETITEM
        set_items(pop_count(2));
        return true;
      case 'u':  // SETITEMS
        set_items(pop_to_mark());
        return true;
      default:
        return false;
    }
  }

  void append(const std::vector<PickleValue>& values) {
    const PickleValue list = pop();
    if (list.kind != Kind::list) fail("items are appended to what is no list");
    std::vector<PickleValue>& items = tree_.sequences[static_cast<std::size_t>(list.payload)];
    items.insert(items.end(), values.begin(), values.end());
    push(list);
  }

  void set_items(const std::vector<PickleValue>& values) {
    const PickleValue dictionary = pop();
    if (dictionary.kind != Kind::dictionary) fail("keys are set in what is no dictionary");
    if (values.size() % 2 != 0) fail("a key without a value");
    auto& items = tree_.dictionaries[static_cast<std::size_t>(dictionary.payload)];
    for (std::size_t i = 0; i < values.size(); i += 2) {
      if (values[i].kind != Kind::text && values[i].kind != Kind::integer)
        fail("a dictionary's key is neither a text nor an integer");
      items.emplace_back(values[i], values[i + 1]);
    }
    push(dictionary);
  }

  bool memo(int opcode) {
    switch (opcode) {
      case 'q':  // BINPUT
        remember(static_cast<std::uint64_t>(byte()));
        return true;
      case 'r':  // LONG_BINPUT
        remember(little_endian(4));
        return true;
      case 'h':  // BINGET
        recall(static_cast<std::uint64_t>(byte()));
        return true;
      case 'j':  // LONG_BINGET
        recall(little_endian(4));
        return true;
      default:
        return false;
    }
  }

  bool named(int opcode) {
    switch (opcode) {
      case 'c': {  // GLOBAL
        const std::string_view module = line();
        const std::string name = std::string(module) + " " + std::string(line());
        if (!is_known_name(name))
          fail(
              fmt::format("the pickle asks for \"{}\"; only torch tensors, their storages and "
                          "OrderedDict are read, and nothing is ever executed",
                          printable(name)));
        push(Kind::name, static_cast<std::int64_t>(tree_.names.size()));
        tree_.names.push_back(name);
        return true;
      }
      case 'Q': {  // BINPERSID
        const std::vector<PickleValue>& id = tuple(pop(), "a persistent id");
        TorchStorage storage = find_storage(tree_, id, place());
        push(Kind::storage, static_cast<std::int64_t>(tree_.storages.size()));
        tree_.storages.push_back(std::move(storage));
        return true;
      }
      case 'R': {  // REDUCE
        const std::vector<PickleValue> arguments = tuple(pop(), "what a name is called with");
        reduce(pop(), arguments);
        return true;
      }
      default:
        return false;
    }
  }

  const std::vector<PickleValue>& tuple(const PickleValue& value, const char* what) const {
    if (value.kind != Kind::tuple) fail(std::string(what) + " is no tuple");
    return tree_.sequences[static_cast<std::size_t>(value.payload)];
  }

  void reduce(const PickleValue& callee, const std::vector<PickleValue>& arguments) {
    if (callee.kind != Kind::name) fail("REDUCE of what is no name");
    const std::string& name = tree_.names[static_cast<std::size_t>(callee.payload)];
    if (name == kOrderedDict) {
      if (!arguments.empty()) fail("OrderedDict made with arguments");
      push_dictionary();
    } else if (name == kTensor) {
      TorchTensor tensor = rebuild_tensor(tree_, arguments, place());
      push(Kind::tensor, static_cast<std::int64_t>(tree_.tensors.size()));
      tree_.tensors.push_back(std::move(tensor));
    } else if (name == kParameter) {
      if (arguments.empty() || arguments[0].kind != Kind::tensor) fail("a parameter of no tensor");
      push(arguments[0]);
    } else if (name == kSize) {
      if (arguments.size() != 1 || arguments[0].kind != Kind::tuple) fail("a size of no tuple");
      push(arguments[0]);
    } else {
      fail("REDUCE of " + name + ", which is no function");
    }
  }

  TorchTree& tree_;
};

}  // namespace

void parse_torch_pickle(TorchTree& tree) { Parser(tree).run(); }

}  // namespace moesim
