// Numbers that name things, one type each: a rank is not an expert.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace moesim {

enum class Rank : std::int32_t {};           // a GPU's index in the pool, 0-based
enum class LogicalExpert : std::int32_t {};  // an expert as the router numbers it
enum class PhysicalExpert : std::int32_t {
};  // a slot: one resident copy of an expert, numbered over the EP group
enum class LinkId : std::int32_t {};  // index into Fabric::links
enum class TaskId : std::int32_t {};  // index into StepGraph::tasks

// The id as an array index.
template <class Id>
constexpr std::size_t index(Id id) {
  static_assert(std::is_enum_v<Id>);
  return static_cast<std::size_t>(static_cast<std::int32_t>(id));
}

// The id of array index `i`.
template <class Id>
constexpr Id id_of(std::size_t i) {
  static_assert(std::is_enum_v<Id>);
  return static_cast<Id>(static_cast<std::int32_t>(i));
}

}  // namespace moesim
