// What stands behind a TorchValue: the tables of values that the pickle's parser fills. Only
// torch_*.cpp include this.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/io/torch_archive.h"
#include "sim/io/zip.h"

namespace moesim {

// A storage the pickle names: `elements` of one type in member data/<key>.
struct TorchStorage {
  TorchType type{};
  std::string key;
  std::int64_t elements = 0;
};

class TorchTree {
 public:
  TorchTree(ZipArchive zip, std::string file_name)
      : archive(std::move(zip)), name(std::move(file_name)) {}

  ZipArchive archive;
  std::string name;               // of the file, for messages
  std::string folder;             // of data.pkl in the archive, with its slash
  std::vector<std::byte> pickle;  // texts point into it
  std::vector<std::string_view> texts;
  std::vector<double> reals;
  std::vector<std::vector<PickleValue>> sequences;  // lists and tuples
  std::vector<std::vector<std::pair<PickleValue, PickleValue>>> dictionaries;
  std::vector<TorchTensor> tensors;
  std::vector<TorchStorage> storages;
  std::vector<std::string> names;  // what GLOBAL asked for, all of them on the list
  PickleValue root;

  // The bytes of a storage; the last one read is kept, for tensors that share it.
  const std::vector<std::byte>& storage(const std::string& key) const;

 private:
  mutable std::string kept_key_;
  mutable std::vector<std::byte> kept_;
};

// Parses tree.pickle into the tables and the root. InputError as TorchArchive says.
void parse_torch_pickle(TorchTree& tree);

// The tensor that torch's _rebuild_tensor_v2 would make of these arguments, checked against its
// storage; the message of an InputError begins with `place`.
TorchTensor rebuild_tensor(const TorchTree& tree,
                           const std::vector<PickleValue>& arguments,
                           const std::string& place);

// The storage that a persistent id ("storage", type, key, location, elements) names, checked
// against the archive.
TorchStorage find_storage(const TorchTree& tree,
                          const std::vector<PickleValue>& id,
                          const std::string& place);

}  // namespace moesim
