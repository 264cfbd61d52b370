// SPDX-License-Identifier: BSD-3-Clause
#include "golden/scenes.h"

#include "base/assert.h"
#include "crash/executor.h"
#include "device/label.h"
#include "faults/power_failure.h"
#include "tools/reader/view.h"

#include <cstdio>

namespace daxpin::golden {

namespace {

using crash::Operation;
using volume::FallocateMode;

constexpr std::uint64_t device_bytes = std::uint64_t{1} << 20;

void require(const Result<void> &result, const std::string &what) {
    if (result)
        return;
    std::fprintf(stderr, "golden: %s: %s\n", what.c_str(), describe(result.error()).c_str());
    DAXPIN_ASSERT(false);
}

// Every kind of file, attribute and item; enough names for a tree of two levels.
std::vector<Operation> content() {
    std::vector<Operation> all{
        crash::mkdir("directory"),
        crash::mkdir("directory/below"),
        crash::create("empty"),
        crash::create("written"),
        crash::write("written", 0, 4100),
        crash::create("holes"),
        crash::write("holes", 100, 20),
        crash::write("holes", 50000, 7),
        crash::create("unwritten"),
        crash::fallocate("unwritten", FallocateMode::allocate, 0, 16384),
        crash::create("beyond"),
        crash::fallocate("beyond", FallocateMode::allocate_keep_size, 0, 8192),
        crash::link("written", "directory/below/again"),
        crash::symlink("directory/below", "short"),
        crash::symlink(std::string(3000, 'x'), "directory/long"),
        crash::mknod("fifo", 010644),
        crash::mknod("device", 020600, 0x0107),
        crash::mknod("socket", 0140600),
        crash::set_xattr("written", "user.small", 20),
        crash::set_xattr("written", "user.large", 4100),
        crash::set_xattr("directory", "trusted.directory", 100),
        crash::set_list("directory", "system.posix_acl_default", 75575),
        crash::create("pinned"),
        crash::fallocate("pinned", FallocateMode::allocate, 0, 8192),
        crash::pin("pinned", 0, 0, true),
        crash::create("pinned in part"),
        crash::fallocate("pinned in part", FallocateMode::allocate, 0, 5000),
        crash::pin("pinned in part", 0, 4096, true),
        crash::chmod("empty", 04711),
        crash::chown("empty", 1000, 100'001),
        crash::utimens("empty", 1'000'000'000, 2'000'000'000),
        crash::set_flags("fifo", format::inode_flag_nodump),
    };
    for (unsigned i = 0; i < 40; ++i)
        all.push_back(crash::create("directory/name number " + std::to_string(i)));
    return all;
}

// What is in the ring when the power fails.
std::vector<Operation> last_operations() {
    return {
        crash::rename("directory/name number 7", "directory/below/renamed"),
        crash::create("late"),
        crash::write("late", 0, 100),
        crash::set_xattr("late", "user.late", 1500),
        crash::truncate("holes", 300),
        crash::unlink("directory/name number 8"),
        crash::mkdir("directory/new"),
    };
}

class Stage {
  public:
    explicit Stage(const Scene &scene, std::uint64_t bytes_before_wrap = 0)
        : fixture_(shape_of(scene, bytes_before_wrap), {}) {
        executor_.emplace(fixture_.volume());
        run(content());
    }

    void run(const std::vector<Operation> &operations) {
        for (Operation operation : operations) {
            operation.version = ++version_;
            const auto done = executor_->run(operation);
            require(done ? Result<void>{} : done.error(), crash::describe(operation));
        }
    }

    void remount() {
        executor_.reset();
        fixture_.remount();
        executor_.emplace(fixture_.volume());
        at_mount_ = faults::clones(fixture_.all_media());
    }

    // The block at `offset` cannot be read any more, which somebody finds out.
    void lose(const std::string &path, std::uint64_t offset) {
        run({crash::spoil(path, offset)});
        DAXPIN_ASSERT(executor_->run(crash::read(path)).code() == Errc::io);
        run({crash::background()});
        fixture_.media().poison(0, 0);
    }

    // Devices count power losses without a flush from the next mount on.
    void count_shutdowns(std::uint64_t first) {
        for (const auto &media : fixture_.all_media())
            media->tell_unsafe_shutdowns(first++);
    }

    Media unmounted() {
        executor_.reset();
        fixture_.unmount();
        return fixture_.all_media();
    }

    // The daemon was killed: everything that was stored is there.
    Media killed() const { return faults::clones(fixture_.all_media()); }

    // Power failed, and no home of a record since the mount has been written.
    Media without_homes() const { return faults::without_homes(fixture_.all_media(), at_mount_); }

  private:
    static test::VolumeShape shape_of(const Scene &scene, std::uint64_t bytes_before_wrap) {
        test::VolumeShape shape;
        shape.device_bytes = shape.data_bytes = device_bytes;
        shape.data_devices = scene.data_devices;
        shape.bytes_before_wrap = bytes_before_wrap;
        return shape;
    }

    test::VolumeFixture fixture_;
    std::optional<crash::Executor> executor_;
    Media at_mount_;
    std::uint64_t version_ = 0;
};

Media clean(const Scene &scene) {
    return Stage(scene).unmounted();
}

Media dirty(const Scene &scene) {
    Stage stage(scene);
    stage.remount();
    stage.run(last_operations());
    return stage.without_homes();
}

// The records go over the end of the ring.
Media wrapped(const Scene &scene) {
    for (std::uint64_t before_wrap = 2048;; before_wrap += 1024) {
        Stage stage(scene, before_wrap);
        stage.remount();
        stage.run(last_operations());
        const Media media = stage.killed();
        const auto table = test::open_table(media);
        const auto superblock = device::read_superblock(table.metadata());
        DAXPIN_ASSERT(superblock);
        const reader::View view(table, *superblock, true);
        const auto &records = view.walk().records;
        const std::uint64_t lap = view.ring().bytes();
        if (!records.empty() && records.front().sequence / lap != records.back().sequence / lap)
            return media;
    }
}

// Files that were unlinked while they were open, and an unnamed one.
Media orphans(const Scene &scene) {
    Stage stage(scene);
    stage.run({
        crash::open("written", "one"),
        crash::unlink("written"),
        crash::unlink("directory/below/again"),
        crash::open("beyond", "two"),
        crash::unlink("beyond"),
        crash::open_unnamed("directory", "three"),
        crash::write("@three", 0, 100),
        crash::checkpoint(),
    });
    return stage.killed();
}

// A file is unlinked that a client has mapped.
Media leased(const Scene &scene) {
    Stage stage(scene);
    stage.run({
        crash::open("written", "mapped"),
        crash::lease("mapped", true),
        crash::create("removed"),
        crash::write("removed", 0, 50),
        crash::open("removed", "mapped, too"),
        crash::lease("mapped, too", false),
        crash::unlink("removed"),
    });
    return stage.killed();
}

// Clients have mapped files that were then truncated, or removed; one of them is gone.
Media quarantined(const Scene &scene) {
    Stage stage(scene);
    stage.run({
        crash::create("truncated"),
        crash::write("truncated", 0, 20000),
        crash::open("truncated", "reader"),
        crash::lease("reader", false),
        crash::truncate("truncated", 4096),
        crash::create("removed"),
        crash::write("removed", 0, 9000),
        crash::open("removed", "last"),
        crash::lease("last", false),
        crash::unlink("removed"),
        crash::close("last"),
        crash::create("released"),
        crash::write("released", 0, 5000),
        crash::open("released", "done"),
        crash::lease("done", false),
        crash::truncate("released", 0),
        crash::release("done"),
        crash::background(),
    });
    return stage.killed();
}

// A block of a file was unreadable, and so was one that nobody has.
Media bad_blocks(const Scene &scene) {
    Stage stage(scene);
    for (const char *path : {"damaged", "removed"}) {
        stage.run({crash::create(path), crash::write(path, 0, 12288)});
        stage.lose(path, 4096);
    }
    stage.run({crash::unlink("removed"), crash::background()});
    return stage.unmounted();
}

Media shutdowns(const Scene &scene) {
    Stage stage(scene);
    stage.count_shutdowns(7);
    stage.remount();
    stage.run(last_operations());
    return stage.killed();
}

} // namespace

const std::vector<Scene> &scenes() {
    static const std::vector<Scene> all = {
        {"clean", "unmounted", 0, clean},
        {"clean-two-devices", "unmounted; metadata and data apart", 1, clean},
        {"dirty", "power failed, records are not at home", 0, dirty},
        {"dirty-two-devices", "the same, metadata and data apart", 1, dirty},
        {"wrapped", "killed, the records go over the end of the ring", 0, wrapped},
        {"orphans", "killed, files without a name wait to be removed", 0, orphans},
        {"leased", "killed, files under leases", 0, leased},
        {"quarantined", "killed, what clients map is in quarantine", 0, quarantined},
        {"bad-blocks", "unmounted, with a list of bad blocks", 0, bad_blocks},
        {"shutdowns", "killed, on devices that count unsafe shutdowns", 1, shutdowns},
    };
    return all;
}

} // namespace daxpin::golden
