// The halves of the path between every two ranks, small: what rows have in common is kept once.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace moesim {

struct PathHalves {
  std::uint16_t leaving = 0, entering = 0;  // numbers within those of the two ranks
};

// The paths from each rank and those into each, a row each way, by the rank at the other end. A row
// is cut in blocks of 64 paths, and ranks at like places of a fabric have like blocks: 2048 ranks
// on rails have 1,045 and 1,635 different ones of 65,536 each way. A path takes 2 bytes of a block,
// 4 where a rank has more than 256 halves of one kind.
class PathTable {
 public:
  static constexpr std::size_t kBlock = 64;
  using Block = std::array<PathHalves, kBlock>;
  using Tile = std::array<Block, kBlock>;  // [source][destination]

  class Row {
   public:
    Row(const std::uint32_t* blocks, const std::uint8_t* narrow, const std::uint16_t* wide)
        : blocks_(blocks), narrow_(narrow), wide_(wide) {}
    PathHalves operator[](std::size_t other) const {
      const std::size_t at = 2 * (blocks_[other / kBlock] * kBlock + other % kBlock);
      if (wide_ != nullptr) return {wide_[at], wide_[at + 1]};
      return {narrow_[at], narrow_[at + 1]};
    }

   private:
    const std::uint32_t* blocks_;
    const std::uint8_t* narrow_;
    const std::uint16_t* wide_;  // null: the numbers are narrow
  };

  // Fills in the paths from 64 sources to 64 destinations, from the two ranks named on; the tile is
  // all zero. Threads ask at once, but never two for the same destinations.
  using TileOf = std::function<void(std::size_t source, std::size_t destination, Tile& tile)>;

  // narrow: whether no number is above 255. The rows do not depend on `threads`.
  void fill(std::size_t ranks, bool narrow, std::size_t threads, const TileOf& tile_of);

  Row from(std::size_t source) const { return row(from_, source); }
  Row into(std::size_t destination) const { return row(into_, destination); }

 private:
  template <class NumberOf>
  void set_blocks(std::size_t row, std::size_t column, const Tile& tile, const NumberOf& number_of);
  void keep(const std::vector<Block>& blocks, bool narrow);
  Row row(const std::vector<std::uint32_t>& blocks, std::size_t rank) const {
    return {blocks.data() + rank * blocks_of_row_, narrow_.data(),
            wide_.empty() ? nullptr : wide_.data()};
  }

  std::size_t ranks_ = 0, blocks_of_row_ = 0;
  std::vector<std::uint32_t> from_, into_;  // [rank][block of the row]: number of a block
  // [block][path][leaving, entering]; one of the two is empty.
  std::vector<std::uint8_t> narrow_;
  std::vector<std::uint16_t> wide_;
};

}  // namespace moesim
