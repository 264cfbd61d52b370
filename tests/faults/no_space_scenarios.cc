// SPDX-License-Identifier: BSD-3-Clause
//
// Volumes that fill up with one kind of thing. When nothing more goes in, the volume is what the
// oracle says it is, and stays so while much is moved about in it; then everything must go.
#include "crash/oracle.h"
#include "crash/usability.h"
#include "faults/no_space.h"
#include "tools/fsck/check.h"

#include <cstdio>

namespace daxpin::faults {

using crash::Op;
using crash::Operation;

namespace {

constexpr std::uint64_t block = block_size;
constexpr std::uint64_t operations_max = 100'000;
using Make = std::function<Operation(std::uint64_t i)>;

std::string numbered(const std::string &stem, std::uint64_t i) {
    return stem + std::to_string(10'000 + i);
}

// A volume and the oracle that knows what must be on it.
class Room {
  public:
    Room(std::string about, Short what, Counts &counts)
        : about_(std::move(about)), what_(what), counts_(counts),
          media_(test::make_media(shape_of(what), env_)),
          volume_(*volume::Volume::open(test::open_table(media_), env_, crash::mount_options())),
          executor_(std::make_unique<crash::Executor>(*volume_)) {}

    void wrong(const std::string &text) {
        if (!failed_)
            std::printf("FAILED %s: %s\n", about_.c_str(), text.c_str());
        std::fflush(stdout);
        failed_ = true;
    }
    bool failed() const { return failed_; }

    // True unless there was no space.
    bool may(Operation operation) {
        operation.version = ++version_;
        ++counts_.operations;
        const auto outcome = executor_->run(operation);
        if (auto text = oracle_.apply(operation, outcome); !text.empty())
            wrong(crash::describe(operation) + ": " + text);
        const bool refused = !outcome && outcome.code() == Errc::no_space;
        counts_.shortages += refused ? 1 : 0;
        return !refused;
    }
    void must(const Operation &operation) {
        if (!may(operation))
            wrong(crash::describe(operation) + ": no space");
    }

    // Goes on until there is no space; returns how many went in.
    std::uint64_t fill(const Make &make) {
        std::uint64_t count = 0;
        while (count < operations_max && !failed_ && may(make(count)))
            ++count;
        if (count == operations_max)
            wrong("it never fills up");
        compare("full");
        return count;
    }
    void may_all(std::uint64_t count, const Make &make) {
        for (std::uint64_t i = 0; i < count && !failed_; ++i)
            may(make(i));
        compare("moved about");
    }
    void must_all(std::uint64_t count, const Make &make) {
        for (std::uint64_t i = 0; i < count && !failed_; ++i)
            must(make(i));
        compare("released");
    }

    // Everything goes, and leaves nothing behind.
    void empty() {
        executor_.reset();
        if (auto text = release_everything(*volume_); !text.empty())
            wrong(text);
        volume_.reset();
        if (auto text = compare_with_new(what_, media_, env_); !text.empty())
            wrong(text);
        counts_.wrong += failed_ ? 1 : 0;
    }

  private:
    void compare(const std::string &when) {
        const auto dump = crash::take_dump(*volume_);
        if (!dump)
            return wrong(when + ": " + daxpin::describe(dump.error()));
        if (auto text = oracle_.difference(*dump); !text.empty())
            wrong(when + ": " + text);
        check_media(when);
    }
    void check_media(const std::string &when) {
        for (const auto &finding : fsck::check(test::open_table(media_)).findings)
            if (finding.severity == fsck::Severity::error)
                wrong(when + ": fsck: " + finding.text);
    }

    const std::string about_;
    const Short what_;
    Counts &counts_;
    test::TestEnv env_;
    const crash::MediaList media_;
    std::unique_ptr<volume::Volume> volume_;
    std::unique_ptr<crash::Executor> executor_;
    crash::Oracle oracle_;
    std::uint64_t version_ = 0;
    bool failed_ = false;
};

const Make new_file = [](std::uint64_t i) { return crash::create(numbered("f", i)); };
const Make unlinked = [](std::uint64_t i) { return crash::unlink(numbered("f", i)); };

void inodes(Room &room) {
    const auto count = room.fill(new_file);
    room.must_all(count / 2, [](std::uint64_t i) { return crash::unlink(numbered("f", 2 * i)); });
    room.fill([](std::uint64_t i) { return crash::create(numbered("g", i)); });
}

void directories(Room &room) {
    room.fill([](std::uint64_t i) {
        return crash::mkdir(i < 3 ? numbered("d", i) : numbered("d", i % 3) + numbered("/d", i));
    });
}

void names(Room &room) {
    room.must(crash::create("f"));
    room.fill([](std::uint64_t i) { return crash::link("f", numbered(std::string(249, 'n'), i)); });
}

void attributes(Room &room) {
    room.must(crash::create("f"));
    const auto count = room.fill([](std::uint64_t i) {
        return crash::set_xattr("f", numbered("user.", i), i * 997 % 9000 + 1);
    });
    // Other values of the same length need no more room, but while they change.
    room.may_all(count, [](std::uint64_t i) {
        return crash::set_xattr("f", numbered("user.", i), i * 997 % 9000 + 1);
    });
    room.must_all(count / 2, [](std::uint64_t i) {
        return crash::remove_xattr("f", numbered("user.", 2 * i));
    });
}

void symbolic_links(Room &room) {
    room.fill([](std::uint64_t i) {
        return crash::symlink(std::string(i * 997 % 4000 + 1, 't'), numbered("l", i));
    });
}

void extents(Room &room) {
    room.must(crash::create("f"));
    const auto count =
        room.fill([](std::uint64_t i) { return crash::write("f", 2 * i * block, 100); });
    room.must_all(count / 2, [count](std::uint64_t i) {
        return crash::truncate("f", (2 * (count - i) - 1) * block + 50);
    });
}

// Much is renamed to where it needs more room, as long as it can be had.
void renames(Room &room) {
    room.must(crash::mkdir("d"));
    const auto count = room.fill(new_file);
    room.may_all(count, [](std::uint64_t i) {
        return crash::rename(numbered("f", i), numbered("d/" + std::string(200, 'n'), i));
    });
}

void whiteouts(Room &room) {
    room.must(crash::mkdir("d"));
    const auto count = room.fill(new_file);
    room.may_all(count, [](std::uint64_t i) {
        return crash::rename(numbered("f", i), numbered("d/f", i), volume::RenameMode::whiteout);
    });
}

// Holes need no data, but places in the tree.
void holes(Room &room) {
    room.must(crash::create("large"));
    room.may(crash::fallocate("large", volume::FallocateMode::allocate, 0, 120 * block));
    room.fill(new_file);
    room.may_all(60, [](std::uint64_t i) {
        return crash::fallocate("large", volume::FallocateMode::punch, 2 * i * block, block);
    });
}

void pins(Room &room) {
    room.must(crash::create("large"));
    room.may(crash::write("large", 0, 100 * block));
    room.fill(new_file);
    room.may_all(50,
                 [](std::uint64_t i) { return crash::pin("large", 2 * i * block, block, false); });
    room.must(crash::unpin("large", 0, 0));
}

// What is unlinked while it is open stays until it is closed.
void open_files(Room &room) {
    constexpr std::uint64_t open_count = 200;
    room.must_all(open_count, new_file);
    room.must_all(open_count,
                  [](std::uint64_t i) { return crash::open(numbered("f", i), numbered("s", i)); });
    room.fill([](std::uint64_t i) { return crash::create(numbered("g", i)); });
    room.must_all(open_count, unlinked);
    room.must_all(open_count, [](std::uint64_t i) { return crash::close(numbered("s", i)); });
}

// All that fit, open and without a name: the reserve bears only so many.
void open_inodes(Room &room) {
    constexpr std::uint64_t orphans_min = 300;
    const auto count = room.fill(new_file);
    room.must_all(count,
                  [](std::uint64_t i) { return crash::open(numbered("f", i), numbered("s", i)); });
    std::uint64_t orphans = 0;
    while (orphans < count && room.may(unlinked(orphans)))
        ++orphans;
    if (orphans < orphans_min)
        room.wrong("only " + std::to_string(orphans) + " files could be unlinked while open");
    room.must_all(count, [](std::uint64_t i) { return crash::close(numbered("s", i)); });
}

// What a lease keeps is not to be had until it ends.
void leases(Room &room) {
    constexpr std::uint64_t kept = 32;
    room.must(crash::create("leased"));
    room.must(crash::write("leased", 0, kept * block));
    room.must(crash::open("leased", "x"));
    room.must(crash::lease("x", false));
    room.must(crash::create("f"));
    const Make append = [](std::uint64_t) { return crash::append("f", block); };
    room.fill(append);
    room.must(crash::truncate("leased", 0));
    if (room.fill(append) >= kept / 2)
        room.wrong("blocks under a lease were given out");
    room.must(crash::close("x"));
    if (room.fill(append) < kept / 2)
        room.wrong("blocks were kept beyond the end of their lease");
}

} // namespace

void run_no_space_scenarios(std::string_view only, Counts &counts) {
    const std::pair<std::string, void (*)(Room &)> scenarios[] = {
        {"full-of-inodes", inodes},
        {"full-of-directories", directories},
        {"full-of-names", names},
        {"full-of-attributes", attributes},
        {"full-of-symlinks", symbolic_links},
        {"full-of-extents", extents},
        {"full-renames", renames},
        {"full-whiteouts", whiteouts},
        {"full-holes", holes},
        {"full-pins", pins},
        {"full-open-files", open_files},
        {"full-open-inodes", open_inodes},
        {"full-leases", leases}};
    for (const auto &[name, run] : scenarios)
        for (const Short what : {Short::everything, Short::data, Short::metadata}) {
            if (!only.empty() && only != name)
                continue;
            Room room(name + to_string(what), what, counts);
            run(room);
            room.empty();
        }
}

} // namespace daxpin::faults
