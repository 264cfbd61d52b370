// SPDX-License-Identifier: BSD-3-Clause
#include "faults/specimen.h"

#include "base/assert.h"
#include "crash/executor.h"
#include "device/label.h"
#include "support/volume_fixture.h"
#include "tools/reader/tree_walk.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace daxpin::faults {

namespace {

using crash::Operation;
using format::ItemType;

constexpr std::uint64_t device_bytes = std::uint64_t{1} << 20;

template <typename T> T require(Result<T> result, const std::string &what) {
    if (!result) {
        std::fprintf(stderr, "specimen: %s: %s\n", what.c_str(), describe(result.error()).c_str());
        DAXPIN_ASSERT(false);
    }
    return std::move(*result);
}

// Directories and files of every shape, attributes and names of every kind.
std::vector<Operation> content() {
    using volume::FallocateMode;
    std::vector<Operation> all{
        crash::mkdir("A"),
        crash::mkdir("A/C"),
        crash::mkdir("B"),
        crash::write("written", 0, 9000),
        crash::write("holes", 0, 100),
        crash::write("holes", 20000, 5000),
        crash::write("fragments", 0, 4096),
        crash::write("A/between", 0, 4096),
        crash::write("fragments", 4096, 4096),
        crash::write("A/between", 4096, 4096),
        crash::write("fragments", 12288, 100),
        crash::fallocate("A/unwritten", FallocateMode::allocate, 0, 16384),
        crash::fallocate("A/beyond", FallocateMode::allocate_keep_size, 0, 8192),
        crash::link("written", "A/C/again"),
        crash::symlink("written", "short"),
        crash::symlink(std::string(3000, 'x'), "A/long"),
        crash::mknod("A/fifo", 010644),
        crash::mknod("A/device", 020600, 0x0107),
        crash::set_xattr("written", "user.small", 20),
        crash::set_xattr("written", "user.large", 9000),
        crash::set_xattr("A", "user.directory", 700),
        crash::set_xattr("A/long", "trusted.link", 300),
        crash::set_list("B", "system.posix_acl_default", 75575),
        crash::write("A/C/pinned", 0, 8192),
        crash::pin("A/C/pinned", 0, 0, true),
        crash::write("A/C/part", 0, 8192),
        crash::pin("A/C/part", 0, 4096, true),
        crash::chmod("holes", 04711),
        crash::chown("fragments", 1000, 1001),
        crash::utimens("B", 1'000'000'000, 2'000'000'000),
    };
    for (unsigned i = 0; i < 8; ++i) {
        const std::string path = "B/file " + std::to_string(i) + std::string(i * 8, '.');
        all.push_back(crash::write(path, 0, 10 + i));
        all.push_back(crash::set_xattr(path, "user.filler", 400 + 80 * i));
    }
    return all;
}

// What the ring holds when the power fails.
std::vector<Operation> last_operations() {
    return {
        crash::rename("B/file 0", "A/C/moved"),
        crash::write("A/C/late", 0, 6000),
        crash::set_xattr("A/C/late", "user.late", 2000),
        crash::open("A/between", "gone"),
        crash::unlink("A/between"), // open: the removal is left to the next mount
        crash::truncate("holes", 300),
        crash::chmod("short", 0777),
        crash::mkdir("A/new"),
    };
}

void run_all(crash::Executor &executor, std::vector<Operation> operations, std::uint64_t version) {
    for (auto &operation : operations) {
        if (operation.op == crash::Op::write || operation.op == crash::Op::fallocate) {
            const auto made = executor.run(crash::create(operation.path));
            DAXPIN_ASSERT(made || made.code() == Errc::exists);
        }
        operation.version = ++version;
        require(executor.run(operation), crash::describe(operation));
    }
}

volume::Options build_options() {
    volume::Options options;
    options.atime = volume::Atime::none;
    return options;
}

using Media = std::shared_ptr<test::SimMedia>;

// The blocks of device 0 that records change.
std::set<std::uint64_t> patched_blocks(const Media &media) {
    const auto table = test::open_table({media});
    const auto superblock = require(device::read_superblock(table.metadata()), "superblock");
    const reader::View view(table, superblock, true);
    std::set<std::uint64_t> blocks;
    for (const auto &patch : view.patches())
        blocks.insert(MediaBlock{patch.block}.block());
    return blocks;
}

bool is_unit(std::span<const std::byte> block) {
    reader::UnitBytes bytes;
    std::ranges::copy(block, bytes.begin());
    return reader::unit_checksum_holds(bytes);
}

// Power fails: no home of the last records has been written back, all else has.
Media without_homes(const Media &media, const crash::Bytes &before) {
    const Media crashed = media->clone();
    for (const std::uint64_t block : patched_blocks(media)) {
        const auto was = std::span(before).subspan(block * block_size, block_size);
        if (is_unit(was)) // else the unit is new since then
            std::ranges::copy(was, crashed->bytes().begin() +
                                       static_cast<std::ptrdiff_t>(block * block_size));
    }
    return crashed;
}

Media build(State state, std::uint64_t seed) {
    test::VolumeShape shape;
    shape.device_bytes = device_bytes;
    shape.seed = seed;
    test::VolumeFixture fixture(shape, build_options());
    {
        crash::Executor executor(fixture.volume());
        run_all(executor, content(), 100);
    }
    if (state == State::unmounted) {
        fixture.unmount();
        return fixture.all_media().front();
    }
    fixture.remount();
    const crash::Bytes before(fixture.media().bytes().begin(), fixture.media().bytes().end());
    crash::Executor executor(fixture.volume());
    run_all(executor, last_operations(), 200);
    return without_homes(fixture.all_media().front(), before);
}

crash::Dump dump_of(const Media &media) {
    test::TestEnv env;
    const auto copy = media->clone();
    const auto volume = require(
        volume::Volume::open(test::open_table({copy}), env, build_options()), "mount for the dump");
    return require(crash::take_dump(*volume), "dump");
}

// ---- where the metadata stands ------------------------------------------------------------------

class Surveyor : public reader::TreeVisitor {
  public:
    Surveyor(const reader::View &view, Specimen &specimen) : view_(view), specimen_(specimen) {}

    void fixed_regions() {
        const auto &superblock = view_.superblock();
        for (const std::uint64_t block : {std::uint64_t{0}, device_bytes / block_size - 1}) {
            add(Place::label, block, sizeof(format::DeviceLabel));
            specimen_.in_use.push_back({Place::superblock,
                                        block * block_size + format::superblock_offset,
                                        sizeof(format::Superblock)});
        }
        add(Place::tail_cell, superblock.tail_cell_a, sizeof(format::TailCell));
        add(Place::tail_cell, superblock.tail_cell_b, sizeof(format::TailCell));
        for (std::uint64_t i = 0; i < superblock.devices[0].group_count; ++i)
            add(Place::bitmap, superblock.devices[0].bitmap_start + i, block_size);
    }

    void records() {
        const std::uint64_t ring = view_.superblock().ring_start * block_size;
        for (const auto &record : view_.walk().records) {
            specimen_.newest = {Place::record, ring + record.sequence % view_.ring().bytes(),
                                record.length};
            specimen_.in_use.push_back(specimen_.newest);
        }
        if (specimen_.newest.length != 0)
            specimen_.in_use.pop_back();
    }

    bool enter(const reader::NodePlace &, double) override { return true; }

    void node(MediaBlock block, const reader::Node &node) override {
        while (!path_.empty() && path_.back().level <= node.level())
            path_.pop_back();
        path_.push_back({block.block(), node.level()});
        add(Place::node, block.block(), block_size);
    }

    void item(const reader::Item &item, MediaBlock) override {
        const bool unfinished = item.key.inode == format::unfinished_table;
        const std::uint64_t inode = unfinished ? item.key.offset() : item.key.inode;
        for (const Step &step : path_)
            specimen_.inodes_in[step.block].insert(inode);
        const auto type = static_cast<ItemType>(item.key.type());
        if (type == ItemType::xattr || type == ItemType::symlink)
            blob(inode, item.value);
    }

    void broken(const reader::NodePlace &, bool, const std::string &) override {
        DAXPIN_ASSERT(false);
    }

  private:
    struct Step {
        std::uint64_t block;
        unsigned level;
    };

    void add(Place place, std::uint64_t block, std::uint64_t length) {
        specimen_.in_use.push_back({place, block * block_size, length});
    }

    void blob(std::uint64_t inode, std::span<const std::byte> value) {
        format::BlobItem item;
        std::memcpy(&item, value.data(), sizeof item);
        const std::size_t addresses = sizeof item + (item.name_length + 7U) / 8 * 8;
        for (std::size_t i = 0; i < item.block_count; ++i) {
            le64 address;
            std::memcpy(&address, value.data() + addresses + i * sizeof address, sizeof address);
            // Behind the content nothing has a meaning.
            const std::uint64_t left = item.length - i * block_size;
            add(Place::blob, address, std::min<std::uint64_t>(left, block_size));
            specimen_.inodes_in[address].insert(inode);
        }
    }

    const reader::View &view_;
    Specimen &specimen_;
    std::vector<Step> path_; // from the root
};

void survey(Specimen &specimen, const Media &media) {
    const auto table = test::open_table({media});
    const auto superblock = require(device::read_superblock(table.metadata()), "superblock");
    const reader::View view(table, superblock, true);
    Surveyor surveyor(view, specimen);
    surveyor.fixed_regions();
    surveyor.records();
    reader::walk_tree(view, surveyor);
    std::ranges::sort(specimen.in_use, {}, &Span::offset);
}

} // namespace

const char *to_string(State state) noexcept {
    return state == State::unmounted ? "unmounted" : "crashed";
}

const char *to_string(Place place) noexcept {
    switch (place) {
    case Place::label:
        return "label";
    case Place::superblock:
        return "superblock";
    case Place::tail_cell:
        return "tail cell";
    case Place::record:
        return "record";
    case Place::bitmap:
        return "bitmap";
    case Place::node:
        return "node";
    case Place::blob:
        return "blob";
    }
    return "?";
}

Specimen make_specimen(State state, std::uint64_t seed) {
    const Media media = build(state, seed);
    Specimen specimen;
    specimen.name = to_string(state);
    specimen.options = {media->options()};
    specimen.images.emplace_back(media->bytes().begin(), media->bytes().end());
    specimen.dump = dump_of(media);
    survey(specimen, media);
    return specimen;
}

} // namespace daxpin::faults
