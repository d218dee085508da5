// Mapping, whole-or-nothing writing by rename, and SHA-256 (OpenSSL).
#include "sim/io/files.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "sim/core/error.h"

namespace moesim {
namespace {

std::string reason() { return std::strerror(errno); }

// Machines that share a folder may have processes of the same number.
std::string host() {
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  return name.data();
}

// A file descriptor that closes itself.
struct Descriptor {
  int number;
  explicit Descriptor(int fd) : number(fd) {}
  ~Descriptor() {
    if (number >= 0) ::close(number);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
};

// The file that is being written: without a name where the file system knows O_TMPFILE, so that
// even a killed process leaves nothing; else under a temporary name beside the final one. Gone
// unless renamed into place.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::string path)
      : final_(std::move(path)),
        temporary_(final_ + ".tmp-" + host() + "-" + std::to_string(::getpid())),
        file_(open_unnamed()) {
    check_writable(final_);
    if (file_.number >= 0) return;
    file_.number = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    named_ = true;
    if (file_.number < 0) fail();
  }
  ~TemporaryFile() {
    if (named_) ::unlink(temporary_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  void write(std::span<const std::byte> data) {
    while (!data.empty()) {
      const ssize_t written = ::write(file_.number, data.data(), data.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail();
      data = data.subspan(static_cast<std::size_t>(written));
    }
  }

  void commit() {
    if (::fsync(file_.number) != 0 && errno != EINVAL) fail();
    if (!named_) {
      const std::string self = "/proc/self/fd/" + std::to_string(file_.number);
      ::unlink(temporary_.c_str());
      if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, temporary_.c_str(), AT_SYMLINK_FOLLOW) != 0)
        fail();
      named_ = true;
    }
    if (::rename(temporary_.c_str(), final_.c_str()) != 0) fail();
    named_ = false;
  }

 private:
  int open_unnamed() const {
    const std::string folder = std::filesystem::path(final_).parent_path().string();
    return ::open(folder.empty() ? "." : folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0644);
  }
  [[noreturn]] void fail() const { throw MachineError("cannot write " + final_ + ": " + reason()); }

  std::string final_, temporary_;
  Descriptor file_;
  bool named_ = false;  // temporary_ exists
};

}  // namespace

MappedFile::MappedFile(const std::string& path) : path_(path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.number < 0) throw InputError({path}, "cannot be read: " + reason());
  struct stat status {};
  if (::fstat(file.number, &status) != 0 || !S_ISREG(status.st_mode))
    throw InputError({path}, "is not a regular file");
  size_ = static_cast<std::size_t>(status.st_size);
  if (size_ == 0) return;
  void* mapping = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.number, 0);
  if (mapping == MAP_FAILED) throw MachineError("cannot map " + path + ": " + reason());
  data_ = static_cast<const std::byte*>(mapping);
}

MappedFile::~MappedFile() {
  // munmap wants a non-const pointer; the mapping itself is read-only.
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

std::string read_text_file(const std::string& path) {
  const MappedFile file(path);
  const auto bytes = file.bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void write_file(const std::string& path, std::string_view content) {
  write_file(path, [content](const Sink& sink) { sink(std::as_bytes(std::span(content))); });
}

void write_file(const std::string& path, const std::function<void(const Sink&)>& fill) {
  TemporaryFile file(path);
  fill([&file](std::span<const std::byte> data) { file.write(data); });
  file.commit();
}

void check_writable(const std::string& path, std::span<const std::string> inputs) {
  if (path.empty()) throw InputError("the name of the file to write is empty");
  const std::string failure = "cannot write " + path + ": ";
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (std::filesystem::is_directory(status)) throw MachineError(failure + std::strerror(EISDIR));
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
    throw MachineError(failure + "it is not a regular file");
  for (const std::string& input : inputs) {
    if (std::filesystem::equivalent(path, input, error))
      throw InputError(failure + "it is the file that is read");
  }
  const std::string folder = std::filesystem::path(path).parent_path().string();
  if (::access(folder.empty() ? "." : folder.c_str(), W_OK) != 0)
    throw MachineError(failure + reason());
}

void make_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) throw MachineError("cannot make the folder " + path + ": " + error.message());
  if (::access(path.c_str(), W_OK) != 0)
    throw MachineError("cannot write into the folder " + path + ": " + reason());
}

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr);
}
Sha256::~Sha256() = default;
void Sha256::add(std::span<const std::byte> data) {
  EVP_DigestUpdate(state_->context, data.data(), data.size());
}
void Sha256::add(std::string_view text) { add(std::as_bytes(std::span(text))); }

std::string Sha256::hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  EVP_DigestFinal_ex(state_->context, digest.data(), &length);
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (unsigned i = 0; i < length; ++i) {
    text += digits[digest[i] >> 4U];
    text += digits[digest[i] & 15U];
  }
  return text;
}

std::string sha256(std::string_view text) {
  Sha256 hash;
  hash.add(text);
  return hash.hex();
}

}  // namespace moesim
