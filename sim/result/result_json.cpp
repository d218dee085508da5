// Results to and from JSON. Each struct lists its fields once; a writer and a reader walk the same
// list, so what is written is what is read.
#include <cmath>
#include <concepts>
#include <nlohmann/json.hpp>
#include <string_view>
#include <type_traits>
#include <utility>

#include "sim/core/error.h"
#include "sim/result/result_fields.h"

namespace moesim {
namespace {

using nlohmann::json;

template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};
template <class T>
struct IsPair : std::false_type {};
template <class A, class B>
struct IsPair<std::pair<A, B>> : std::true_type {};

class Writer {
 public:
  template <class T>
  static json write(const T& value, const std::string& key) {
    if constexpr (std::same_as<T, double>) {
      // JSON has no such number: it would come back as null.
      if (!std::isfinite(value)) throw CheckError("result: " + key + " is not a finite number");
      return value;
    } else if constexpr (std::same_as<T, Basis>) {
      return to_text(value);
    } else if constexpr (std::is_arithmetic_v<T> || std::same_as<T, std::string>) {
      return value;
    } else if constexpr (IsPair<T>::value) {
      return json::array({write(value.first, key + "[0]"), write(value.second, key + "[1]")});
    } else if constexpr (IsVector<T>::value) {
      json array = json::array();
      for (std::size_t i = 0; i < value.size(); ++i)
        array.push_back(write(value[i], key + "[" + std::to_string(i) + "]"));
      return array;
    } else {
      Writer writer(key);
      stored::fields(writer, value);
      return std::move(writer.object_);
    }
  }

  template <class T>
  void operator()(const char* name, const T& value) {
    object_[name] = write(value, key_.empty() ? name : key_ + "." + name);
  }

 private:
  explicit Writer(std::string key) : key_(std::move(key)) {}
  json object_ = json::object();
  std::string key_;
};

Location at_key(const std::string& key) {
  Location where;
  where.key = key;
  return where;
}

[[noreturn]] void wrong_type(const json& value, const std::string& key, const std::string& wanted) {
  throw InputError(at_key(key), "should be " + wanted + ", is " + value.type_name());
}

class Reader {
 public:
  // NOLINTNEXTLINE(readability-function-cognitive-complexity): one branch a kind of type
  template <class T>
  static void read(const json& value, const std::string& key, T& target) {
    if constexpr (std::same_as<T, bool>) {
      if (!value.is_boolean()) wrong_type(value, key, "true or false");
      target = value.get<bool>();
    } else if constexpr (std::is_integral_v<T>) {
      read_integer(value, key, target);
    } else if constexpr (std::is_floating_point_v<T>) {
      if (!value.is_number()) wrong_type(value, key, "a number");
      target = value.get<T>();
    } else if constexpr (std::same_as<T, std::string>) {
      if (!value.is_string()) wrong_type(value, key, "a text");
      target = value.get<std::string>();
    } else if constexpr (std::same_as<T, Basis>) {
      std::string text;
      read(value, key, text);
      try {
        target = parse_basis(text);
      } catch (const InputError& error) {
        throw InputError(at_key(key), error.what());
      }
    } else if constexpr (IsPair<T>::value) {
      if (!value.is_array() || value.size() != 2) wrong_type(value, key, "an array of two");
      read(value[0], key + "[0]", target.first);
      read(value[1], key + "[1]", target.second);
    } else if constexpr (IsVector<T>::value) {
      if (!value.is_array()) wrong_type(value, key, "an array");
      target.resize(value.size());
      for (std::size_t i = 0; i < value.size(); ++i)
        read(value[i], key + "[" + std::to_string(i) + "]", target[i]);
    } else {
      if (!value.is_object()) wrong_type(value, key, "an object");
      Reader reader(value, key);
      stored::fields(reader, target);
    }
  }

  Reader(const json& object, std::string key) : object_(object), key_(std::move(key)) {}

  template <class T>
  void operator()(const char* name, T& target) {
    const std::string key = key_.empty() ? name : key_ + "." + name;
    const auto found = object_.find(name);
    if (found == object_.end()) throw InputError(at_key(key), "is missing");
    read(*found, key, target);
    if constexpr (std::same_as<T, int>) check_version(name, key, target);
  }

 private:
  // The first field of a point: nothing of another version is read any further.
  static void check_version(std::string_view name, const std::string& key, int version) {
    if (name != "schema_version" || version == kResultSchemaVersion) return;
    throw InputError(at_key(key),
                     "is " + std::to_string(version) + ", this program reads version " +
                         std::to_string(kResultSchemaVersion) + "; run the study again");
  }

  template <class T>
  static void read_integer(const json& value, const std::string& key, T& target) {
    if (!value.is_number_integer()) wrong_type(value, key, "a whole number");
    const bool in_range = value.is_number_unsigned() ? std::in_range<T>(value.get<std::uint64_t>())
                                                     : std::in_range<T>(value.get<std::int64_t>());
    if (!in_range) throw InputError(at_key(key), value.dump() + " is out of range");
    target = value.get<T>();
  }

  const json& object_;
  std::string key_;
};

}  // namespace

json to_json(const PointResult& result) { return Writer::write(result, ""); }

PointResult point_result_from_json(const json& value) {
  PointResult point;
  Reader::read(value, "", point);
  return point;
}

json to_json(const StudyResult& study) {
  return json{{"schema_version", kResultSchemaVersion},
              {"name", study.name},
              {"file", study.file},
              {"points", Writer::write(study.points, "points")}};
}

StudyResult study_result_from_json(const json& value) {
  if (!value.is_object()) wrong_type(value, "result", "an object");
  StudyResult study;
  int version = 0;
  Reader reader(value, "");
  reader("schema_version", version);
  reader("name", study.name);
  reader("file", study.file);
  reader("points", study.points);
  return study;
}

}  // namespace moesim
