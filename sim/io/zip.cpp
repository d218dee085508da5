// libzip over a buffer; every size is checked here before libzip or we allocate for it.
#include "sim/io/zip.h"

#include <fmt/format.h>
#include <zip.h>

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "sim/core/error.h"

namespace moesim {
namespace {

constexpr std::uint64_t kDeflateFold = 1032;  // zlib's technical notes: the most it can expand
constexpr std::array<std::byte, 4> kLocalHeader{std::byte{'P'}, std::byte{'K'}, std::byte{3},
                                                std::byte{4}};

struct Closer {
  void operator()(zip_t* archive) const { zip_discard(archive); }
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};

std::string text_of(zip_error_t& error) {
  std::string text = zip_error_strerror(&error);
  zip_error_fini(&error);
  return text;
}

}  // namespace

struct ZipArchive::State {
  std::string name;
  std::unique_ptr<zip_t, Closer> archive;
  std::vector<ZipMember> members;
  std::map<std::string, std::size_t> by_name;

  [[noreturn]] void fail(const ZipMember& member, const std::string& message) const {
    throw InputError(
        fmt::format("{}: member {} \"{}\": {}", name, member.number, member.name, message));
  }

  void open(std::span<const std::byte> bytes) {
    if (bytes.empty()) throw InputError(name + ": byte 0: the file is empty, no zip archive");
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t* source = zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error);
    if (source == nullptr) throw MachineError(name + ": " + text_of(error));
    archive.reset(zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error));
    if (archive) return;
    const int code = zip_error_code_zip(&error);
    zip_source_free(source);
    const std::string reason = text_of(error);
    if (code == ZIP_ER_NOZIP)
      throw InputError(
          fmt::format("{}: no zip directory ends the file's {} bytes: it is truncated, or no zip "
                      "archive",
                      name, bytes.size()));
    if (code == ZIP_ER_EXISTS) throw InputError(name + ": two members bear one name");
    throw InputError(fmt::format("{}: the zip directory of the file's {} bytes is not sound: {}",
                                 name, bytes.size(), reason));
  }

  void check(const ZipMember& member, const zip_stat_t& stat, const ZipLimits& limits) const {
    if ((stat.valid & ZIP_STAT_ENCRYPTION_METHOD) != 0 && stat.encryption_method != ZIP_EM_NONE)
      fail(member, "it is encrypted");
    const bool stored = stat.comp_method == ZIP_CM_STORE;
    if (!stored && stat.comp_method != ZIP_CM_DEFLATE)
      fail(member,
           fmt::format("packed by method {}; read: 0 (stored), 8 (deflate)", stat.comp_method));
    if (stored && member.bytes != member.packed_bytes)
      fail(member, fmt::format("it is stored, but declares {} bytes and holds {}", member.bytes,
                               member.packed_bytes));
    if (member.bytes > limits.member_bytes)
      fail(member,
           fmt::format("it declares {} bytes, allowed: {}", member.bytes, limits.member_bytes));
    if (member.bytes / kDeflateFold > member.packed_bytes)
      fail(member, fmt::format("it declares {} bytes, more than its {} packed bytes can hold",
                               member.bytes, member.packed_bytes));
  }

  void list(std::size_t archive_bytes, const ZipLimits& limits) {
    const auto count = static_cast<std::uint64_t>(zip_get_num_entries(archive.get(), 0));
    if (count > limits.members)
      throw InputError(fmt::format("{}: {} members, allowed: {}", name, count, limits.members));
    members.reserve(count);
    std::uint64_t total = 0;
    std::uint64_t packed = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
      zip_stat_t stat;
      zip_stat_init(&stat);
      if (zip_stat_index(archive.get(), i, 0, &stat) != 0 ||
          (stat.valid & (ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE)) !=
              (ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE))
        throw InputError(fmt::format("{}: member {}: {}", name, i, zip_strerror(archive.get())));
      members.push_back({stat.name, stat.size, stat.comp_size, i});
      check(members.back(), stat, limits);
      by_name.emplace(stat.name, i);
      total += stat.size;
      packed += stat.comp_size;
      // Members that share bytes are how a small file unpacks to petabytes.
      if (packed > archive_bytes)
        fail(members.back(), fmt::format("members up to here take {} bytes of an archive of {}",
                                         packed, archive_bytes));
      if (total > limits.total_bytes)
        fail(members.back(), fmt::format("members up to here declare {} bytes, allowed: {}", total,
                                         limits.total_bytes));
    }
  }
};

ZipArchive::ZipArchive(std::span<const std::byte> bytes, std::string name, const ZipLimits& limits)
    : state_(std::make_unique<State>()) {
  state_->name = std::move(name);
  state_->open(bytes);
  state_->list(bytes.size(), limits);
}

ZipArchive::~ZipArchive() = default;
ZipArchive::ZipArchive(ZipArchive&& other) noexcept = default;
ZipArchive& ZipArchive::operator=(ZipArchive&& other) noexcept = default;

const std::vector<ZipMember>& ZipArchive::members() const { return state_->members; }
const std::string& ZipArchive::name() const { return state_->name; }

const ZipMember* ZipArchive::find(const std::string& name) const {
  const auto found = state_->by_name.find(name);
  return found == state_->by_name.end() ? nullptr : &state_->members[found->second];
}

std::vector<std::byte> ZipArchive::read(const ZipMember& member) const {
  const std::unique_ptr<zip_file_t, Closer> file(
      zip_fopen_index(state_->archive.get(), member.number, 0));
  if (!file) state_->fail(member, zip_strerror(state_->archive.get()));
  std::vector<std::byte> bytes(member.bytes);
  std::size_t done = 0;
  while (done < bytes.size()) {
    const zip_int64_t got = zip_fread(file.get(), bytes.data() + done, bytes.size() - done);
    if (got < 0) state_->fail(member, zip_file_strerror(file.get()));
    if (got == 0)
      state_->fail(member, fmt::format("its bytes end at {} of {}", done, bytes.size()));
    done += static_cast<std::size_t>(got);
  }
  std::byte more{};  // reading past the end is also what makes libzip compare the CRC
  const zip_int64_t beyond = zip_fread(file.get(), &more, 1);
  if (beyond < 0) state_->fail(member, zip_file_strerror(file.get()));
  if (beyond > 0)
    state_->fail(member, fmt::format("it holds more than its {} bytes", bytes.size()));
  return bytes;
}

bool looks_like_zip(std::span<const std::byte> bytes) {
  return bytes.size() > kLocalHeader.size() &&
         std::equal(kLocalHeader.begin(), kLocalHeader.end(), bytes.begin());
}

}  // namespace moesim
