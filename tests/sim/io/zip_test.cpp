// Zip archives: sound ones are read, and each way of being wrong is refused before anything is
// allocated for it.
#include "sim/io/zip.h"

#include <doctest/doctest.h>

#include "sim/core/error.h"
#include "sim/io/files.h"
#include "tests/sim/io/zip_bytes.h"
#include "tests/source_dir.h"

using namespace moesim;
using moesim::test::bytes_of;
using moesim::test::zip_of;
using moesim::test::ZipPart;

namespace {

std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Reads every member; the message of the InputError, or "" when there is none.
std::string zip_refusal(const std::string& file, const ZipLimits& limits = {}) {
  try {
    const ZipArchive archive(bytes_of(file), "a.zip", limits);
    for (const ZipMember& member : archive.members()) archive.read(member);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

bool names(const std::string& message, const std::string& part) {
  return message.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("A zip archive gives its members in order, by name and whole") {
  const std::string file = zip_of({{"one", "first"}, {"folder/two", ""}, {"three", "third"}});
  const ZipArchive archive(bytes_of(file), "a.zip");
  REQUIRE(archive.members().size() == 3);
  CHECK(archive.members()[1].name == "folder/two");
  CHECK(archive.members()[1].bytes == 0);
  CHECK(text_of(archive.read(*archive.find("three"))) == "third");
  CHECK(text_of(archive.read(*archive.find("one"))) == "first");
  CHECK(archive.find("four") == nullptr);
  CHECK(looks_like_zip(bytes_of(file)));
  CHECK_FALSE(looks_like_zip(bytes_of("PK")));
}

TEST_CASE("A deflated member is unpacked") {
  const MappedFile file(test::source_dir() + "/tests/data/imports/vllm.npz");
  const ZipArchive archive(file.bytes(), "vllm.npz");
  const ZipMember* member = archive.find("b.npy");
  REQUIRE(member != nullptr);
  CHECK(member->packed_bytes < member->bytes);
  CHECK(text_of(archive.read(*member)).substr(1, 5) == "NUMPY");
}

TEST_CASE("An archive cut anywhere is refused") {
  const std::string file = zip_of({{"one", "first"}, {"two", "second"}});
  for (std::size_t length = 0; length < file.size(); ++length) {
    CAPTURE(length);
    CHECK(names(zip_refusal(file.substr(0, length)), "a.zip"));
  }
  CHECK(names(zip_refusal(file.substr(0, file.size() - 1)), "truncated"));
  CHECK(names(zip_refusal(""), "byte 0"));
}

TEST_CASE("A member whose bytes do not match their CRC is refused by name") {
  ZipPart part("data", "content");
  part.crc ^= 1U;
  const std::string message = zip_refusal(zip_of({{"sound", "x"}, part}));
  CHECK(names(message, "member 1 \"data\""));
  CHECK(names(message, "CRC"));
}

TEST_CASE("A member that declares other sizes than it has is refused") {
  ZipPart larger("data", "content");
  larger.bytes = larger.data.size() + 1;
  CHECK(names(zip_refusal(zip_of({larger})), "declares 8 bytes and holds 7"));
  ZipPart bomb("data", "content");
  bomb.method = 8;  // deflate: 7 bytes hold at most 7 x 1032
  bomb.bytes = 4'000'000'000;
  CHECK(names(zip_refusal(zip_of({bomb})), "more than its 7 packed bytes can hold"));
}

TEST_CASE("Encryption, other packings and repeated names are refused") {
  ZipPart secret("data", "content");
  secret.flags = 1;
  CHECK(names(zip_refusal(zip_of({secret})), "encrypted"));
  ZipPart packed("data", "content");
  packed.method = 14;  // LZMA
  CHECK(names(zip_refusal(zip_of({packed})), "packed by method 14"));
  CHECK(names(zip_refusal(zip_of({{"same", "a"}, {"same", "b"}})), "two members bear one name"));
}

TEST_CASE("An archive beyond the limits is refused") {
  const std::string file = zip_of({{"one", "first"}, {"two", "second"}});
  ZipLimits limits;
  limits.members = 1;
  CHECK(names(zip_refusal(file, limits), "2 members, allowed: 1"));
  limits = {};
  limits.member_bytes = 5;
  CHECK(names(zip_refusal(file, limits), "member 1 \"two\": it declares 6 bytes, allowed: 5"));
  limits = {};
  limits.total_bytes = 10;
  CHECK(names(zip_refusal(file, limits), "declare 11 bytes, allowed: 10"));
}

TEST_CASE("A changed byte is refused or harmless, never more") {
  const std::string file = zip_of({{"one", "first"}, {"two", "second"}});
  for (std::size_t i = 0; i < file.size(); ++i) {
    std::string changed = file;
    changed[i] = static_cast<char>(changed[i] ^ 0x55);
    CHECK_NOTHROW(zip_refusal(changed));
  }
}
