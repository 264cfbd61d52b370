// SPDX-License-Identifier: BSD-3-Clause
//
// hashtable: a table of strings in a pinned file; every update is one aligned store of 8 bytes.
//
//   hashtable create FILE ENTRIES     makes a table for up to so many entries
//   hashtable set FILE KEY VALUE      inserts or replaces; durable when the command returns
//   hashtable get FILE KEY            prints the value
//   hashtable delete FILE KEY
//   hashtable list FILE               prints "KEY VALUE" for each entry, after checking them all
//   hashtable churn FILE SEED COUNT   random updates: each printed before it is done, "ok" after
//
// The file: a header, an array of buckets (8 bytes each), an array of cells (256 bytes each). A
// bucket is empty, deleted, or says which cell holds the entry. To insert or replace, the entry is
// made durable in a cell that no bucket names, and then the bucket is stored, which is the update:
// a crash leaves the old entry or the new one. Which cells are free is not stored; it follows from
// the buckets and is found again when the table is opened.
#include <bit>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <daxpin/daxpin.hpp>
#include <fcntl.h>
#include <functional>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

namespace {

class File {
  public:
    File(const std::string &path, int flags) : fd_(open(path.c_str(), flags | O_DIRECT, 0644)) {
        if (fd_ < 0)
            throw std::system_error(errno, std::generic_category(), path);
    }
    ~File() { close(fd_); }
    File(const File &) = delete;
    File &operator=(const File &) = delete;
    int fd() const { return fd_; }

    // One process at a time; the lock ends with the process.
    void lock() const {
        struct flock lock {};
        lock.l_type = F_WRLCK;
        lock.l_whence = SEEK_SET;
        if (fcntl(fd_, F_OFD_SETLK, &lock) != 0)
            throw std::system_error(errno, std::generic_category(), "the table is in use");
    }

  private:
    int fd_;
};

class HashTable {
  public:
    static void create(const std::string &path, std::uint64_t entries) {
        if (entries == 0 || entries > max_entries)
            throw std::invalid_argument("not a number of entries");
        const File file(path, O_RDWR | O_CREAT | O_EXCL);
        // Half of the buckets stay empty, and one more cell takes what replaces the last one.
        const Header header{magic, std::bit_ceil(2 * entries), entries + 1, entries};
        const auto size =
            sizeof header + header.buckets * sizeof(Bucket) + header.cells * sizeof(Cell);
        if (pwrite(file.fd(), &header, sizeof header, 0) != sizeof header ||
            ftruncate(file.fd(), static_cast<off_t>(size)) != 0)
            throw std::system_error(errno, std::generic_category(), path);
        daxpin::pin(file.fd());
    }

    explicit HashTable(const std::string &path) : file_(path, O_RDWR), map_(file_.fd()) {
        file_.lock();
        header_ = &map_.at<Header>(0);
        const auto room = map_.bytes().size() - sizeof(Header);
        if (header_->magic != magic || !std::has_single_bit(header_->buckets) ||
            header_->buckets > room / sizeof(Bucket) ||
            header_->cells > (room - header_->buckets * sizeof(Bucket)) / sizeof(Cell))
            throw std::runtime_error(path + ": not a table: make one with 'hashtable create'");
        auto *const first = map_.bytes().data() + sizeof(Header);
        buckets_ = {reinterpret_cast<Bucket *>(first), header_->buckets};
        cells_ = {reinterpret_cast<Cell *>(first + buckets_.size_bytes()), header_->cells};
        find_free_cells();
    }

    void set(std::string_view key, std::string_view value) {
        const auto place = find(key);
        if (!place.found && free_.size() <= header_->cells - header_->entries)
            throw std::runtime_error("the table is full");
        const auto cell = free_.back();
        cells_[cell] = make_cell(key, value);
        map_.persist(cells_[cell]);
        const auto before = buckets_[place.bucket];
        commit(place.bucket, cell + first_cell);
        free_.pop_back();
        if (place.found)
            free_.push_back(before - first_cell);
    }

    std::optional<std::string> get(std::string_view key) const {
        const auto place = find(key);
        if (!place.found)
            return std::nullopt;
        return std::string(cells_[buckets_[place.bucket] - first_cell].value());
    }

    bool remove(std::string_view key) {
        const auto place = find(key);
        if (!place.found)
            return false;
        const auto cell = buckets_[place.bucket] - first_cell;
        // A search goes on over a deleted bucket; it may end here if it would end at the next.
        const bool last = buckets_[next(place.bucket)] == empty;
        commit(place.bucket, last ? empty : deleted);
        free_.push_back(cell);
        for (auto at = previous(place.bucket); last && buckets_[at] == deleted; at = previous(at))
            commit(at, empty);
        return true;
    }

    void each(const std::function<void(std::string_view, std::string_view)> &visit) const {
        for (const auto bucket : buckets_)
            if (bucket >= first_cell)
                visit(cells_[bucket - first_cell].key(), cells_[bucket - first_cell].value());
    }

  private:
    static constexpr std::uint64_t magic = 0x31454c424154; // "TABLE1"
    static constexpr std::uint64_t max_entries = std::uint64_t{1} << 32;

    struct Header {
        std::uint64_t magic;
        std::uint64_t buckets; // a power of two
        std::uint64_t cells;
        std::uint64_t entries;  // at most
        char reserved[32] = {}; // whole cache lines
    };

    using Bucket = std::uint64_t;
    static constexpr Bucket empty = 0, deleted = 1, first_cell = 2; // else: cell + first_cell

    struct Cell {
        std::uint32_t sum; // of what follows, so that list has something to check
        std::uint16_t key_length, value_length;
        char text[248]; // key, then value
        std::string_view key() const { return {text, key_length}; }
        std::string_view value() const { return {text + key_length, value_length}; }
    };

    static std::uint64_t hash(std::string_view text) {
        std::uint64_t sum = 14695981039346656037U; // FNV-1a
        for (const unsigned char byte : text)
            sum = (sum ^ byte) * 1099511628211U;
        return sum;
    }

    static std::uint32_t sum_of(const Cell &cell) {
        return static_cast<std::uint32_t>(
            hash({cell.text, std::size_t{cell.key_length} + cell.value_length}) + cell.key_length);
    }

    static Cell make_cell(std::string_view key, std::string_view value) {
        Cell cell{};
        if (key.empty() || key.size() + value.size() > sizeof cell.text)
            throw std::invalid_argument("a key and its value have 1 to 248 bytes together");
        cell.key_length = static_cast<std::uint16_t>(key.size());
        cell.value_length = static_cast<std::uint16_t>(value.size());
        key.copy(cell.text, key.size());
        value.copy(cell.text + key.size(), value.size());
        cell.sum = sum_of(cell);
        return cell;
    }

    // The only stores that change what the table holds.
    void commit(std::size_t bucket, Bucket value) {
        __atomic_store_n(&buckets_[bucket], value, __ATOMIC_RELEASE);
        map_.persist(buckets_[bucket]);
    }

    void find_free_cells() {
        std::vector<bool> used(cells_.size());
        for (const auto bucket : buckets_)
            if (bucket >= first_cell) {
                const auto cell = bucket - first_cell;
                if (cell >= cells_.size() || used[cell] || cells_[cell].sum != sum_of(cells_[cell]))
                    throw std::runtime_error("the table is damaged");
                used[cell] = true;
            }
        for (std::size_t cell = 0; cell < used.size(); ++cell)
            if (!used[cell])
                free_.push_back(cell);
    }

    std::size_t next(std::size_t bucket) const { return (bucket + 1) & (buckets_.size() - 1); }
    std::size_t previous(std::size_t bucket) const { return (bucket - 1) & (buckets_.size() - 1); }

    struct Place {
        std::size_t bucket; // of the key, or where it would go
        bool found;
    };

    // Ends, because half of the buckets hold no entry; the number of steps bounds it where those
    // are all deleted.
    Place find(std::string_view key) const {
        std::optional<std::size_t> vacant;
        auto at = hash(key) & (buckets_.size() - 1);
        for (std::size_t step = 0; step < buckets_.size(); ++step, at = next(at)) {
            const auto bucket = buckets_[at];
            if (bucket < first_cell && !vacant)
                vacant = at;
            if (bucket == empty)
                break;
            if (bucket >= first_cell && cells_[bucket - first_cell].key() == key)
                return {at, true};
        }
        return {vacant.value(), false};
    }

    File file_;
    daxpin::Map map_;
    Header *header_ = nullptr;
    std::span<Bucket> buckets_;
    std::span<Cell> cells_;
    std::vector<std::size_t> free_; // cells that no bucket names
};

void churn(HashTable &table, unsigned seed, unsigned count) {
    std::mt19937 random(seed);
    for (unsigned i = 0; i < count; ++i) {
        const auto key = "key" + std::to_string(random() % 200);
        const bool removes = random() % 3 == 0;
        const auto value = std::string(random() % 100, 'v') + std::to_string(i);
        std::printf("%s %s %s\n", removes ? "delete" : "set", key.c_str(), value.c_str());
        std::fflush(stdout);
        if (removes)
            table.remove(key);
        else
            table.set(key, value);
        std::puts("ok"); // told only when it is durable
        std::fflush(stdout);
    }
}

int run(const std::vector<std::string> &words) {
    const auto is = [&](const char *command, std::size_t arguments) {
        return words[0] == command && words.size() == 2 + arguments;
    };
    if (is("create", 1))
        return HashTable::create(words[1], std::stoull(words[2])), 0;
    HashTable table(words[1]);
    if (is("set", 2))
        table.set(words[2], words[3]);
    else if (is("delete", 1))
        return table.remove(words[2]) ? 0 : 1;
    else if (is("get", 1)) {
        const auto value = table.get(words[2]);
        if (value)
            std::puts(value->c_str());
        return value ? 0 : 1;
    } else if (is("list", 0))
        table.each([](std::string_view key, std::string_view value) {
            std::printf("%.*s %.*s\n", static_cast<int>(key.size()), key.data(),
                        static_cast<int>(value.size()), value.data());
        });
    else if (is("churn", 2))
        churn(table, static_cast<unsigned>(std::stoul(words[2])),
              static_cast<unsigned>(std::stoul(words[3])));
    else
        throw std::invalid_argument("unknown command, or something is missing");
    return 0;
}

} // namespace

int main(int argc, char **argv) {
    if (argc < 3) {
        std::fputs("usage: hashtable create FILE ENTRIES | set FILE KEY VALUE | get FILE KEY | "
                   "delete FILE KEY | list FILE | churn FILE SEED COUNT\n",
                   stderr);
        return 2;
    }
    try {
        return run({argv + 1, argv + argc});
    } catch (const std::exception &error) {
        std::fprintf(stderr, "hashtable: %s\n", error.what());
        return 1;
    }
}
