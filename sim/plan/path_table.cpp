// Threads take columns of tiles and number the blocks they meet by themselves; their blocks are
// then laid one thread's after the other's, with some of them kept twice.
#include "sim/plan/path_table.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <memory>
#include <string_view>
#include <unordered_set>

#include "sim/core/on_threads.h"

namespace moesim {
namespace {

// Blocks, each once, numbered as they come.
class MetBlocks {
 public:
  MetBlocks() : known_(0, Hash{blocks_}, Same{blocks_}) {}
  MetBlocks(const MetBlocks&) = delete;

  std::uint32_t number_of(const PathTable::Block& block) {
    blocks_.push_back(block);
    const auto [found, fresh] = known_.insert(static_cast<std::uint32_t>(blocks_.size() - 1));
    if (!fresh) blocks_.pop_back();
    return *found;
  }
  const std::vector<PathTable::Block>& all() const { return blocks_; }

 private:
  static std::string_view bytes(const PathTable::Block& block) {
    static_assert(sizeof(PathTable::Block) == 4 * PathTable::kBlock);  // no padding
    return {reinterpret_cast<const char*>(block.data()), sizeof(block)};
  }
  struct Hash {
    const std::vector<PathTable::Block>& blocks;
    std::size_t operator()(std::uint32_t at) const {
      return std::hash<std::string_view>()(bytes(blocks[at]));
    }
  };
  struct Same {
    const std::vector<PathTable::Block>& blocks;
    bool operator()(std::uint32_t a, std::uint32_t b) const {
      return bytes(blocks[a]) == bytes(blocks[b]);
    }
  };
  std::vector<PathTable::Block> blocks_;
  std::unordered_set<std::uint32_t, Hash, Same> known_;
};

}  // namespace

void PathTable::fill(std::size_t ranks, bool narrow, std::size_t threads, const TileOf& tile_of) {
  ranks_ = ranks;
  blocks_of_row_ = (ranks + kBlock - 1) / kBlock;
  from_.resize(ranks * blocks_of_row_);
  into_.resize(ranks * blocks_of_row_);
  std::deque<MetBlocks> met(threads);
  std::vector<std::size_t> thread_of(blocks_of_row_);  // by column of tiles
  std::atomic<std::size_t> next{0};
  on_threads(threads, [&](std::size_t thread) {
    const auto number_of = [&](const Block& block) { return met[thread].number_of(block); };
    const auto tile = std::make_unique<Tile>();
    for (std::size_t column; (column = next.fetch_add(1)) < blocks_of_row_;) {
      thread_of[column] = thread;
      for (std::size_t row = 0; row < blocks_of_row_; ++row) {
        *tile = {};
        tile_of(row * kBlock, column * kBlock, *tile);
        set_blocks(row, column, *tile, number_of);
      }
    }
  });
  std::vector<std::uint32_t> first;  // by thread: number of its first block
  std::uint32_t count = 0;
  for (const MetBlocks& of_thread : met) {
    first.push_back(count);
    count += static_cast<std::uint32_t>(of_thread.all().size());
    keep(of_thread.all(), narrow);
  }
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    for (std::size_t block = 0; block < blocks_of_row_; ++block) {
      from_[rank * blocks_of_row_ + block] += first[thread_of[block]];
      into_[rank * blocks_of_row_ + block] += first[thread_of[rank / kBlock]];
    }
  }
}

// Of the tile's sources and destinations.
template <class NumberOf>
void PathTable::set_blocks(std::size_t row,
                           std::size_t column,
                           const Tile& tile,
                           const NumberOf& number_of) {
  for (std::size_t i = 0; i < std::min(kBlock, ranks_ - row * kBlock); ++i)
    from_[(row * kBlock + i) * blocks_of_row_ + column] = number_of(tile[i]);
  for (std::size_t i = 0; i < std::min(kBlock, ranks_ - column * kBlock); ++i) {
    Block turned;
    for (std::size_t source = 0; source < kBlock; ++source) turned[source] = tile[source][i];
    into_[(column * kBlock + i) * blocks_of_row_ + row] = number_of(turned);
  }
}

void PathTable::keep(const std::vector<Block>& blocks, bool narrow) {
  for (const Block& block : blocks) {
    for (const PathHalves& path : block) {
      if (narrow) {
        narrow_.push_back(static_cast<std::uint8_t>(path.leaving));
        narrow_.push_back(static_cast<std::uint8_t>(path.entering));
      } else {
        wide_.insert(wide_.end(), {path.leaving, path.entering});
      }
    }
  }
}

}  // namespace moesim
