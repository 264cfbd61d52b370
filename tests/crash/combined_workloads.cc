// SPDX-License-Identifier: BSD-3-Clause
#include "crash/combined_workloads.h"

#include <string>
#include <utility>

namespace daxpin::crash {

namespace {

using volume::FallocateMode;
using volume::RenameMode;

constexpr std::uint64_t block = block_size;
using Steps = std::vector<Operation>;
using Groups = std::vector<std::vector<Workload>>;

struct Named {
    std::string name;
    Steps steps;
};

Steps operator+(Steps left, const Steps &right) {
    left.insert(left.end(), right.begin(), right.end());
    return left;
}

void add_group(Groups &groups, const std::string &name, const Steps &setup,
               const std::vector<Named> &branches, const Steps &afterwards) {
    std::vector<Workload> group;
    for (const Named &branch : branches)
        group.push_back({name + "." + branch.name, setup, branch.steps + afterwards});
    groups.push_back(std::move(group));
}

// More runs of blocks than one transaction frees: truncations and removals take several steps. The
// blocks of another file lie between, for neighbours count as one.
Steps long_file(const std::string &path) {
    Steps steps{create(path), create("between")};
    for (std::uint64_t i = 0; i < 24; ++i) {
        steps.push_back(write(path, 2 * i * block, 100));
        steps.push_back(write("between", 2 * i * block, 100));
    }
    return steps;
}
constexpr std::uint64_t few_blocks = 5 * block;   // one step from there ...
constexpr std::uint64_t half_blocks = 10 * block; // ... but several to there
constexpr std::uint64_t many_blocks = 30 * block;

// ---- open without its name --------------------------------------------------------------------

// What happens to the name of "foo" while it is open.
std::vector<Named> losses() {
    return {{"unlink", {unlink("foo")}},
            {"replace", {rename("bar", "foo")}},
            {"replace-link", {link("foo", "A/foo"), rename("bar", "foo")}},
            {"exchange", {rename("foo", "bar", RenameMode::exchange)}},
            {"move", {rename("foo", "A/foo")}},
            {"whiteout", {rename("foo", "A/foo", RenameMode::whiteout)}}};
}

std::vector<Named> file_changes(const std::string &path) {
    const auto fall = [&](FallocateMode mode) { return fallocate(path, mode, 100, 2 * block); };
    return {{"write", {write(path, 10, 100)}},
            {"write-beyond", {write(path, 5 * block, 100)}},
            {"truncate", {truncate(path, 100)}},
            {"truncate-zero", {truncate(path, 0)}},
            {"truncate-up", {truncate(path, 5 * block)}},
            {"allocate", {fallocate(path, FallocateMode::allocate, 4 * block, block)}},
            {"punch", {fall(FallocateMode::punch)}},
            {"zero", {fall(FallocateMode::zero)}},
            {"copy", {copy(path, 0, path, 4 * block, block)}},
            {"chmod", {chmod(path, 0600)}},
            {"chown", {chown(path, 1, 2)}},
            {"utimens", {utimens(path, 1, 2)}},
            {"flags", {set_flags(path, format::inode_flag_nodump)}},
            {"xattr", {set_xattr(path, "user.a", 100)}},
            {"xattr-large", {set_xattr(path, "user.big", 9000)}},
            {"xattr-remove", {remove_xattr(path, "user.big")}},
            {"link", {link(path, "again")}}};
}

void add_open_files(Groups &groups) {
    const Steps files{mkdir("A"),
                      create("foo"),
                      write("foo", 0, 3 * block),
                      set_xattr("foo", "user.big", 5000),
                      create("bar"),
                      write("bar", 0, 100),
                      open("foo", "x")};
    for (const Named &loss : losses())
        add_group(groups, "open." + loss.name, files + loss.steps, file_changes("@x"),
                  {close("x"), background()});
    const Steps large{mkdir("A"), create("bar")};
    const std::vector<Named> cuts{
        {"truncate", {truncate("@x", half_blocks), background(), truncate("@x", few_blocks)}},
        {"truncate-write", {truncate("@x", few_blocks), write("@x", many_blocks, 100)}},
        {"truncate-zero", {truncate("@x", 0), background()}},
        {"punch", {fallocate("@x", FallocateMode::punch, 0, many_blocks)}}};
    for (const Named &loss : losses())
        add_group(groups, "open-long." + loss.name,
                  large + long_file("foo") + Steps{open("foo", "x")} + loss.steps, cuts,
                  {close("x"), background(), background(), remount(), background()});
}

void add_open_directories(Groups &groups) {
    const Steps directories{mkdir("A"), mkdir("A/C"), mkdir("B"), create("foo")};
    const std::vector<Named> changes{{"create", {create("@x/new")}},
                                     {"mkdir", {mkdir("@x/new")}},
                                     {"chmod", {chmod("@x", 0700)}},
                                     {"xattr", {set_xattr("@x", "user.a", 100)}},
                                     {"rename-into", {rename("foo", "@x/foo")}},
                                     {"link", {link("foo", "@x/foo")}}};
    std::vector<Named> moves_below = changes; // a directory must not come to lie below itself
    moves_below.push_back({"old-above-below", {rename("A", "@x/A")}});
    moves_below.push_back({"new-above-below", {rename("B", "@x/B")}});
    const auto add = [&](const char *name, const Steps &fate, const std::vector<Named> &branches) {
        add_group(groups, std::string("open-directory.") + name,
                  directories + Steps{open("A/C", "x")} + fate, branches,
                  {close("x"), background()});
    };
    add("move", {rename("A/C", "B/C")}, moves_below);
    add("exchange", {create("B/bar"), rename("A/C", "B/bar", RenameMode::exchange)}, moves_below);
    add("replace", {mkdir("D"), rename("D", "A/C")}, changes);
    add("rmdir", {rmdir("A/C")}, changes);
}

// ---- unfinished work ----------------------------------------------------------------------------

// What may come while a truncation to half_blocks goes on.
std::vector<Named> interruptions() {
    const auto fall = [](FallocateMode mode, std::uint64_t at) {
        return fallocate("foo", mode, at, 2 * block);
    };
    return {{"truncate", {truncate("foo", few_blocks)}},
            {"truncate-in-block", {truncate("foo", half_blocks - 4000)}},
            {"truncate-zero", {truncate("foo", 0)}},
            {"truncate-up", {truncate("foo", many_blocks)}},
            {"open-truncate", {open_truncate("foo")}},
            {"write", {write("foo", 4 * block, 5000)}},
            {"write-beyond", {write("foo", many_blocks, 5000)}},
            {"append", {append("foo", 5000)}},
            {"copy", {copy("foo", 0, "foo", many_blocks, 2 * block)}},
            {"allocate", {fall(FallocateMode::allocate, many_blocks)}},
            {"keep-size", {fall(FallocateMode::allocate_keep_size, many_blocks)}},
            {"zero", {fall(FallocateMode::zero, many_blocks)}},
            {"punch", {fall(FallocateMode::punch, 2 * block)}},
            {"pin", {pin("foo", 0, 0, true), unpin("foo", 0, 0)}},
            {"unlink", {unlink("foo")}},
            {"replace", {rename("bar", "foo")}},
            {"exchange", {rename("bar", "foo", RenameMode::exchange)}},
            {"link", {link("foo", "more"), unlink("foo"), rename("more", "foo")}}};
}

// The file is written again where it was cut, and must keep that whatever the background does: if
// it is looked up each time, and if memory remembers how far the truncation has come.
void add_unfinished(Groups &groups) {
    const Steps cut = Steps{create("bar")} + long_file("foo") + Steps{truncate("foo", half_blocks)};
    const Operation again = write("foo", many_blocks, 100);
    add_group(groups, "cut.at-once", cut, interruptions(),
              {background(), again, background(), remount(), background()});
    add_group(groups, "cut.later", cut + Steps{open("foo", "x"), background()}, interruptions(),
              {again, background(), close("x"), remount(), background()});
    const Steps gone = long_file("foo") + Steps{set_xattr("foo", "user.big", 9000), unlink("foo")};
    const std::vector<Named> others{{"create", {create("foo"), write("foo", 0, 5000)}},
                                    {"remount", {remount(), background(), background()}},
                                    {"reuse", {create("bar"), write("bar", 0, 40 * block)}}};
    add_group(groups, "gone.at-once", gone, others, {background(), background()});
}

// ---- behind the end -----------------------------------------------------------------------------

constexpr std::uint64_t tail_size = block + 4;

// How bytes come to stand behind the end of "foo" in its last block.
std::vector<Named> tails() {
    return {{"cut", {create("foo"), write("foo", 0, 3 * block), truncate("foo", tail_size)}},
            {"mapped",
             {create("foo"), write("foo", 0, tail_size), pin("foo", block, block, false),
              open("foo", "x"), lease("x", true), mapped_write("@x", tail_size, 1000), close("x"),
              unpin("foo", block, block)}}};
}

std::vector<Named> growths() {
    const auto fall = [](FallocateMode mode) {
        return fallocate("foo", mode, tail_size + 100, 2 * block);
    };
    const Operation pin_all = pin("foo", 0, 0, false);
    return {{"truncate", {truncate("foo", tail_size + 100)}},
            {"truncate-blocks", {truncate("foo", 3 * block)}},
            {"write", {write("foo", tail_size + 100, 10)}},
            {"write-blocks", {write("foo", 3 * block + 5, 10)}},
            {"append", {append("foo", 10)}},
            {"copy", {copy("foo", 0, "foo", tail_size + 100, 10)}},
            {"allocate", {fall(FallocateMode::allocate)}},
            {"zero", {fall(FallocateMode::zero)}},
            {"extend", {pin_all, extend("foo", tail_size + 100)}},
            {"extend-blocks", {pin_all, extend("foo", 3 * block + 1)}},
            {"extend-prepared", {pin("foo", 0, 0, true, 2 * block), extend("foo", 3 * block)}},
            {"extend-mapped",
             {pin_all, open("foo", "x"), lease("x", true), mapped_write("@x", tail_size, 1000),
              close("x"), extend("foo", tail_size + 500)}},
            {"pin-range-write", {pin("foo", 0, block, false), write("foo", 2 * block, 10)}}};
}

void add_tails(Groups &groups) {
    for (const Named &tail : tails())
        add_group(groups, "tail." + tail.name, tail.steps, growths(), {});
}

// ---- values -------------------------------------------------------------------------------------

// In the item; in the item, barely; in one block, barely; one block full; two blocks; ...
void add_values(Groups &groups) {
    constexpr std::uint64_t lengths[] = {10, 1024, 1025, 4096, 4097, 8000};
    for (const std::uint64_t from : lengths) {
        std::vector<Named> branches;
        for (const std::uint64_t to : lengths)
            branches.push_back({std::to_string(to), {set_xattr("foo", "user.v", to)}});
        add_group(
            groups, "value." + std::to_string(from),
            {create("foo"), set_xattr("foo", "user.other", 5000), set_xattr("foo", "user.v", from)},
            branches, {});
    }
}

// ---- media errors -------------------------------------------------------------------------------

// The block in the middle of "foo" fails; found: a program has read it; listed: the background has
// entered it.
std::vector<Named> failures() {
    const Steps file{mkdir("A"),    create("foo"),        write("foo", 0, 3 * block),
                     create("bar"), write("bar", 0, 100), spoil("foo", block)};
    return {{"unnoticed", file},
            {"found", file + Steps{read("foo")}},
            {"listed", file + Steps{read("foo"), background()}},
            {"remounted", file + Steps{read("foo"), background(), remount()}}};
}

std::vector<Named> uses() {
    const auto fall = [](FallocateMode mode) { return fallocate("foo", mode, block, block); };
    return {{"read", {read("foo"), background(), read("foo")}},
            {"write", {write("foo", block, block), read("foo")}},
            {"write-all", {write("foo", 0, 3 * block)}},
            {"write-part", {write("foo", block + 8, 100)}},
            {"copy", {copy("foo", block, "bar", 0, 100)}},
            {"copy-over", {copy("foo", 0, "foo", block, block)}},
            {"zero", {fall(FallocateMode::zero), read("foo")}},
            {"punch", {fall(FallocateMode::punch), write("foo", block, block)}},
            {"truncate", {truncate("foo", block), write("foo", 0, 2 * block)}},
            {"open-truncate", {open_truncate("foo"), write("foo", 0, 3 * block)}},
            {"unlink", {unlink("foo"), create("foo"), write("foo", 0, 4 * block)}},
            {"replace", {rename("bar", "foo"), write("foo", 0, 4 * block)}},
            {"rename", {rename("foo", "A/foo"), chmod("A/foo", 0600)}},
            {"pin", {pin("foo", 0, 0, false), write("foo", block, block)}}};
}

// Everything comes back: the list, and the block once the medium takes data again.
void add_media_errors(Groups &groups) {
    for (const Named &failure : failures())
        add_group(groups, "media." + failure.name, failure.steps, uses(),
                  {background(), background(), remount(), background(), background()});
}

} // namespace

Groups combined_workloads() {
    Groups groups;
    add_open_files(groups);
    add_open_directories(groups);
    add_unfinished(groups);
    add_tails(groups);
    add_values(groups);
    add_media_errors(groups);
    return groups;
}

// Leaves hold three pads each, behind some with the names: those about the middle child, where
// the new one may go to either half, and the first and the last leaf.
std::vector<Workload> full_root_workloads() {
    constexpr unsigned middle_begin = 180, middle_end = 255, leaf_pads = 3, last = 450;
    const auto split_leaf_of = [](unsigned pad) {
        const std::string name = std::to_string(1000 + pad);
        return Workload{"full-root." + name,
                        {},
                        {set_xattr("pads/" + name, "user.more", format::blob_inline_max)}};
    };
    std::vector<Workload> workloads{split_leaf_of(0), split_leaf_of(last)};
    for (unsigned pad = middle_begin; pad < middle_end; pad += leaf_pads)
        workloads.push_back(split_leaf_of(pad));
    return workloads;
}

} // namespace daxpin::crash
