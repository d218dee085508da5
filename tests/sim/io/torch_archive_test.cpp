// Torch archives: values that torch.save wrote come back, and a pickle that is malformed or asks
// for code is refused with its byte.
#include "sim/io/torch_archive.h"

#include <doctest/doctest.h>

#include "sim/core/error.h"
#include "sim/io/files.h"
#include "tests/sim/io/zip_bytes.h"
#include "tests/source_dir.h"

using namespace moesim;
using moesim::test::bytes_of;
using moesim::test::little_endian;
using moesim::test::zip_of;
using moesim::test::ZipPart;

namespace {

using Integers = std::vector<std::int64_t>;
const std::string kImports = test::source_dir() + "/tests/data/imports/";

// A pickle with a storage "0" of `data` beside it.
std::string archive_of(const std::string& pickle, const std::string& data = std::string(24, '\0')) {
  return zip_of({{"t/data.pkl", pickle}, {"t/data/0", data}});
}

std::string torch_refusal(const std::string& file) {
  try {
    TorchArchive(bytes_of(file), "a.pt").root();
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

std::string pickle_refusal(const std::string& pickle) { return torch_refusal(archive_of(pickle)); }

bool holds(const std::string& message, const std::string& part) {
  return message.find(part) != std::string::npos;
}

std::string small_integer(int value) { return std::string("K") + static_cast<char>(value); }

// The pickle of a tensor of int64 in storage "0" of `elements`.
std::string tensor_pickle(int elements,
                          int offset,
                          const Integers& shape,
                          const Integers& strides) {
  const auto tuple = [](const Integers& values) {
    std::string text = "(";
    for (const std::int64_t value : values)
      text += std::string("\x8a\x08") + little_endian(static_cast<std::uint64_t>(value), 8);
    return text + "t";
  };
  const auto text = [](const std::string& value) {
    return "X" + little_endian(value.size(), 4) + value;
  };
  return "\x80\x02"
         "ctorch._utils\n_rebuild_tensor_v2\n((" +
         text("storage") + "ctorch\nLongStorage\n" + text("0") + text("cpu") +
         small_integer(elements) + "tQ" + small_integer(offset) + tuple(shape) + tuple(strides) +
         "\x89" + "ccollections\nOrderedDict\n)RtR.";
}

}  // namespace

TEST_CASE("Values that torch.save wrote come back") {
  const MappedFile file(kImports + "values.pt");
  const TorchValue root = TorchArchive(file.bytes(), "values.pt").root();
  Integers whole(24);
  for (std::size_t i = 0; i < whole.size(); ++i) whole[i] = static_cast<std::int64_t>(i);
  CHECK(root.at("whole").tensor_integers() == whole);
  CHECK(root.at("whole").as_tensor().shape == Integers{2, 3, 4});
  // base[:, 1:, ::2]: element (i, j, k) of the slice is 12 i + 4 (j + 1) + 2 k.
  CHECK(root.at("slice").tensor_integers() == Integers{4, 6, 8, 10, 16, 18, 20, 22});
  const Integers turned = root.at("turned").tensor_integers();  // [4][3][2]
  CHECK(turned[(1 * 3 + 2) * 2 + 1] == 12 * 1 + 4 * 2 + 1);
  CHECK(root.at("scalar").tensor_integers() == Integers{-5});
  CHECK(root.at("flags").tensor_integers() == Integers{1, 0});
  CHECK(root.at("none").tensor_integers().empty());
  CHECK_THROWS_WITH_AS(root.at("reals").tensor_integers(),
                       "values.pt: reals: is a tensor of float32, expected integers", InputError);
  const TorchValue list = root.at("7");
  REQUIRE(list.size() == 8);
  CHECK(list.item(1).as_integer(-2, -2) == -2);
  CHECK(list.item(2).as_integer(0, 70000) == 70000);
  CHECK(list.item(3).as_integer(0, std::int64_t{1} << 40U) == std::int64_t{1} << 40U);
  CHECK(list.item(4).as_integer(-(std::int64_t{1} << 40U), 0) == -(std::int64_t{1} << 40U));
  CHECK(list.item(6).is_none());
  CHECK(root.at("tuple").item(0).as_text() == "a");
  CHECK(root.at("tuple").item(1).item(0).as_text() == "b");
}

TEST_CASE("A value of another type is refused by its path") {
  const MappedFile file(kImports + "values.pt");
  const TorchValue root = TorchArchive(file.bytes(), "values.pt").root();
  CHECK_THROWS_WITH_AS(root.at("7").as_integers(),
                       "values.pt: 7[5]: is a float, expected an integer", InputError);
  CHECK_THROWS_WITH_AS(root.at("7").item(0).as_integer(2, 3),
                       "values.pt: 7[0]: is 1, allowed: 2 to 3", InputError);
  CHECK_THROWS_WITH_AS(root.at("7").item(8), "values.pt: 7: has 8 items, no item 8", InputError);
  CHECK_THROWS_WITH_AS(root.as_tensor(), "values.pt: the root: is a dictionary, expected a tensor",
                       InputError);
  try {
    root.at("whol");
    FAIL("a key that is not there was found");
  } catch (const InputError& error) {
    CHECK(holds(error.what(), "did you mean \"whole\"?"));
  }
}

TEST_CASE("A pickle that asks for code is refused by name and byte, and nothing runs") {
  const MappedFile file(kImports + "os_system.pt");
  const std::string text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  CHECK(holds(torch_refusal(text), "byte 19: the pickle asks for \"posix system\""));
  CHECK(holds(pickle_refusal("\x80\x02"
                             "cos\nsystem\nX\x01\x00\x00\x00"
                             "a\x85R."),
              "a.pt: t/data.pkl, byte 2: the pickle asks for \"os system\""));
  for (const char* name : {"builtins\neval", "torch\nload", "torch._utils\n_rebuild_tensor",
                           "numpy.core.multiarray\nscalar"}) {
    CAPTURE(name);
    CHECK(holds(pickle_refusal("c" + std::string(name) + "\n."), "nothing is ever executed"));
  }
}

TEST_CASE("An opcode torch.save does not write is refused with its byte") {
  CHECK(holds(pickle_refusal("\x80\x02}b."), "byte 3: opcode 0x62"));    // BUILD
  CHECK(holds(pickle_refusal("\x80\x02\x93."), "byte 2: opcode 0x93"));  // STACK_GLOBAL
  CHECK(holds(pickle_refusal("I1\n."), "byte 0: opcode 0x49"));          // INT, of protocol 0
  CHECK(holds(pickle_refusal("\x80\x04N."), "byte 0: pickle protocol 4; torch.save writes 2"));
}

TEST_CASE("A pickle whose stack or memo does not fit is refused") {
  CHECK(holds(pickle_refusal("."), "0 values"));
  CHECK(holds(pickle_refusal("NN."), "2 values"));
  CHECK(holds(pickle_refusal("(N."), "1 marks"));
  CHECK(holds(pickle_refusal("N.N"), "1 bytes follow"));
  CHECK(holds(pickle_refusal("t."), "no mark"));
  CHECK(holds(pickle_refusal("\x85."), "the stack is empty"));
  CHECK(holds(pickle_refusal("N(\x85."), "the stack is empty"));  // not beyond the mark
  CHECK(holds(pickle_refusal("h\x05."), "memo 5 is read before"));
  CHECK(holds(pickle_refusal("Nr\xff\xff\xff\xff."), "memo 4294967295 in a pickle of 7 bytes"));
  CHECK(holds(pickle_refusal("NNa."), "no list"));
  CHECK(holds(pickle_refusal("NNNs."), "no dictionary"));
  CHECK(holds(pickle_refusal("}NNs."), "neither a text nor an integer"));
  CHECK(holds(pickle_refusal("}(Nu."), "a key without a value"));
  CHECK(holds(pickle_refusal("N)R."), "REDUCE of what is no name"));
  CHECK(holds(pickle_refusal("ctorch\nIntStorage\n)R."), "which is no function"));
  CHECK(holds(pickle_refusal("\x8a\x09"
                             "123456789."),
              "an integer of 9 bytes"));
  CHECK(holds(pickle_refusal("NQ."), "is no tuple"));
  CHECK(holds(pickle_refusal(")Q."), "a persistent id"));
}

TEST_CASE("A tensor must lie in its storage, and the storage in the archive") {
  constexpr int kElements = 3;  // 24 bytes of int64
  const auto refusal = [](int offset, const Integers& shape, const Integers& strides) {
    return pickle_refusal(tensor_pickle(kElements, offset, shape, strides));
  };
  CHECK(refusal(0, {3}, {1}).empty());
  CHECK(refusal(2, {1}, {1}).empty());
  CHECK(refusal(0, {0, 100}, {1, 1}).empty());
  CHECK(holds(refusal(1, {3}, {1}), "beyond its storage of 3 elements"));
  CHECK(holds(refusal(0, {2}, {3}), "beyond its storage"));
  CHECK(holds(refusal(0, {2, 2}, {0, 1}), "more elements than its storage's 3"));
  constexpr std::int64_t kHuge = std::int64_t{1} << 62U;
  CHECK(holds(refusal(0, {2, kHuge}, {kHuge, 2}), "more elements"));
  CHECK(holds(refusal(0, {2}, {kHuge}), "beyond its storage"));
  CHECK(holds(refusal(0, {-1}, {1}), "the shape holds what is no integer from 0 up"));
  CHECK(holds(refusal(0, {1, 1}, {1}), "2 extents but 1 strides"));
  CHECK(holds(pickle_refusal(tensor_pickle(4, 0, {3}, {1})),
              "a storage of 4 int64 elements, but member \"t/data/0\" holds 24 bytes"));
  CHECK(holds(torch_refusal(zip_of({{"t/data.pkl", tensor_pickle(3, 0, {3}, {1})}})),
              "member \"t/data/0\" is missing"));
}

TEST_CASE("An archive without one pickle, or of big-endian data, is refused") {
  CHECK(holds(torch_refusal(zip_of({{"a", "b"}})), "none of its 1 members is a data.pkl"));
  CHECK(holds(torch_refusal(zip_of({{"a/data.pkl", "N."}, {"b/data.pkl", "N."}})), "two pickles"));
  CHECK(torch_refusal(zip_of({{"a/data.pkl", "N."}, {"a/byteorder", "little"}})).empty());
  CHECK(holds(torch_refusal(zip_of({{"a/data.pkl", "N."}, {"a/byteorder", "big"}})),
              "\"a/byteorder\" is not \"little\""));
}

TEST_CASE("A pickle cut anywhere is refused, and one with a changed byte does no harm") {
  const std::string pickle = tensor_pickle(3, 0, {3}, {1});
  for (std::size_t length = 0; length < pickle.size(); ++length) {
    CAPTURE(length);
    CHECK_FALSE(pickle_refusal(pickle.substr(0, length)).empty());
    for (const int change : {1, 0x55, 0xFF}) {
      std::string changed = pickle;
      changed[length] = static_cast<char>(changed[length] ^ change);
      CHECK_NOTHROW(pickle_refusal(changed));
    }
  }
}
