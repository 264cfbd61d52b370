// SPDX-License-Identifier: BSD-3-Clause
#include "crash/concurrent_workloads.h"

namespace daxpin::crash {

using volume::FallocateMode;
using volume::RenameMode;

namespace {

constexpr std::uint64_t block = block_size;
using Steps = std::vector<Operation>;

const Steps one_file{create("foo"), write("foo", 0, 3 * block)};
const Steps two_files{mkdir("A"), create("foo"), write("foo", 0, 5000), create("A/bar"),
                      write("A/bar", 0, 100)};
const Steps two_directories{mkdir("A"), mkdir("B")};
const Steps open_directories{open("A", "a"), open("B", "b")};
const Steps two_names{create("foo"), write("foo", 0, block), link("foo", "bar")};
const Steps two_pinned_names{create("foo"), write("foo", 0, block), link("foo", "bar"),
                             pin("foo", 0, 0, false)};
const Steps open_file{open("foo", "x")};

class List {
  public:
    // `opened`: by the steps before, as no descriptor outlives the mount of the setup.
    void add(std::string name, Steps setup, std::vector<Steps> threads, Steps opened = {}) {
        workloads_.push_back(
            {std::move(name), std::move(setup), std::move(opened), std::move(threads)});
    }
    std::vector<Workload> take() { return std::move(workloads_); }

  private:
    std::vector<Workload> workloads_;
};

void add_names(List &list) {
    list.add("create+create", {}, {{create("foo"), create("bar")}, {create("baz")}});
    list.add("create+same", {}, {{create("foo")}, {create("foo")}, {mkdir("foo")}});
    list.add("create+unlink", two_files, {{create("bar"), mkdir("B")}, {unlink("foo")}});
    list.add("create+rename", two_files, {{create("bar")}, {rename("foo", "bar")}});
    list.add("create+rmdir", two_directories, {{create("@a/x")}, {rmdir("A")}}, open_directories);
    list.add("mkdir+rmdir", two_directories, {{mkdir("@a/C"), rmdir("@a/C")}, {rmdir("A")}},
             open_directories);
    list.add("create-4", {mkdir("A")},
             {{create("a")}, {create("A/b")}, {symlink("target", "c")}, {mkdir("d")}});
    list.add("unlink+same", two_files, {{unlink("foo")}, {unlink("foo")}});
    list.add("unlink+last-name", two_names, {{unlink("foo")}, {unlink("bar")}});
    list.add("unlink+link", two_names, {{unlink("foo"), unlink("bar")}, {link("foo", "baz")}});
    list.add("unlink+write", one_file, {{unlink("foo")}, {write("@x", block, 3 * block)}},
             open_file);
    list.add("unlink+close", one_file, {{unlink("foo")}, {close("x")}, {background()}}, open_file);
    list.add(
        "unnamed+unnamed", {mkdir("A")},
        {{open_unnamed("A", "x"), link("@x", "foo")}, {open_unnamed("A", "y"), link("@y", "foo")}});
}

void add_renames(List &list) {
    list.add("rename+back", two_files, {{rename("foo", "bar")}, {rename("bar", "foo")}});
    list.add("rename+same", two_files, {{rename("foo", "bar")}, {rename("foo", "A/x")}});
    list.add("rename+unlink", two_files, {{rename("foo", "A/bar")}, {unlink("A/bar")}});
    list.add("rename+target", two_names,
             {{rename("foo", "baz"), unlink("baz")}, {rename("bar", "baz")}});
    list.add("rename+write", one_file,
             {{create("bar"), rename("bar", "foo")}, {write("@x", 100, 2 * block)}}, open_file);
    list.add("rename+cycle", two_directories, {{rename("A", "@b/A")}, {rename("B", "@a/B")}},
             open_directories);
    list.add("rename+rmdir", two_directories, {{rename("A", "@b/A")}, {rmdir("B")}},
             open_directories);
    list.add("rename+exchange", two_files,
             {{rename("foo", "A/bar", RenameMode::exchange)},
              {rename("A/bar", "foo", RenameMode::no_replace), unlink("foo")}});
    list.add("exchange+exchange", {mkdir("A"), create("foo"), create("A/bar"), create("baz")},
             {{rename("foo", "A/bar", RenameMode::exchange)},
              {rename("A/bar", "baz", RenameMode::exchange)},
              {rename("baz", "foo", RenameMode::exchange)}});
    list.add("whiteout+create", two_files,
             {{rename("foo", "A/x", RenameMode::whiteout)}, {create("A/x"), unlink("foo")}});
}

void add_data(List &list) {
    list.add("write+write", one_file, {{write("foo", 100, 300)}, {write("foo", 204, 300)}});
    list.add("write+truncate", one_file,
             {{write("foo", 2 * block, 2 * block)}, {truncate("foo", block + 10)}});
    list.add(
        "write+punch", one_file,
        {{write("foo", block - 50, 100)}, {fallocate("foo", FallocateMode::punch, 10, 2 * block)}});
    list.add("write+hole", {create("foo"), truncate("foo", 4 * block)},
             {{write("foo", block, 100)}, {write("foo", block + 200, 100)}});
    list.add("append+append", one_file,
             {{append("foo", 10), append("foo", block)}, {append("foo", 3000)}});
    list.add("append+truncate", one_file, {{append("foo", block)}, {truncate("foo", 100)}});
    list.add("truncate+truncate", one_file,
             {{truncate("foo", 100), truncate("foo", 2 * block)}, {open_truncate("foo")}});
    list.add("copy+write", {create("foo"), write("foo", 0, 2 * block), create("bar")},
             {{copy("foo", 0, "bar", 0, 2 * block)}, {write("bar", 0, 100), append("foo", 20)}});
    list.add("write-3", {create("a"), create("b"), create("c")},
             {{write("a", 0, 2 * block)}, {write("b", 0, 2 * block)}, {append("c", 5000)}});
    list.add("reuse", {create("foo"), write("foo", 0, 8 * block), create("bar")},
             {{unlink("foo"), background(), checkpoint()},
              {write("bar", 0, 2 * block), write("bar", 2 * block, 2 * block)}});
}

void add_attributes(List &list) {
    list.add("chmod+chown", one_file,
             {{chmod("foo", 0600), utimens("foo", 1000, 2000)}, {chown("foo", 7, 8)}});
    list.add("utimens+write", one_file, {{utimens("foo", 1000, 2000)}, {write("foo", 5, 10)}});
    list.add("xattr+xattr", one_file,
             {{set_xattr("foo", "user.a", 100), remove_xattr("foo", "user.a")},
              {set_xattr("foo", "user.a", 5000), set_xattr("foo", "user.b", 30)}});
    list.add("xattr+unlink", two_names,
             {{set_xattr("foo", "user.big", 9000)}, {unlink("foo"), unlink("bar")}});
    list.add("xattr+create", two_files,
             {{set_xattr("A/bar", "user.a", 500)}, {create("x"), chmod("x", 0600)}});
}

void add_pins(List &list) {
    list.add("truncate+pin", one_file,
             {{truncate("foo", block)}, {pin("foo", 0, 3 * block, false)}});
    list.add("append+pin", one_file, {{append("foo", 100)}, {pin("foo", 0, 0, true)}});
    list.add("write+prepare", {create("foo"), write("foo", 2 * block, block)},
             {{write("foo", block - 8, 16)}, {pin("foo", 0, 0, true)}});
    list.add("punch+prepare", one_file,
             {{fallocate("foo", FallocateMode::punch, block, block)}, {pin("foo", 0, 0, true)}});
    list.add("write+align",
             {create("foo"), write("foo", 2 * block, 2 * block), write("foo", 0, 2 * block)},
             {{write("foo", 100, 5000)}, {pin("foo", 0, 4 * block, true, 4 * block)}});
    list.add("prezero+prepare", {create("foo"), truncate("foo", 4 * block)},
             {{prezero()}, {pin("foo", 0, 0, true)}});
    list.add("prezero+reuse",
             {create("foo"), truncate("foo", 4 * block), create("bar"), write("bar", 0, 8 * block)},
             {{prezero(), pin("foo", 0, 0, true)},
              {unlink("bar"), checkpoint(), create("baz"), write("baz", 0, 3 * block)}});
    list.add("unlink+pin", two_names, {{unlink("foo"), unlink("bar")}, {pin("@x", 0, 0, false)}},
             open_file);
    list.add("unlink+pinned-names", two_pinned_names, {{unlink("foo")}, {unlink("bar")}});
    list.add("rename+pinned-names", two_pinned_names,
             {{create("x"), rename("x", "foo")}, {unlink("bar")}});
    list.add("unpin+unlink", two_pinned_names,
             {{unpin("foo", 0, 0)}, {unlink("bar"), unlink("foo")}});
    list.add("unpin+truncate", two_pinned_names, {{unpin("foo", 0, 0)}, {truncate("bar", 10)}});
    list.add("extend+write", two_pinned_names,
             {{extend("foo", 2 * block)}, {write("bar", block, 10)}});
    list.add("lease+truncate", one_file, {{lease("x", true), close("x")}, {truncate("foo", block)}},
             open_file);
    list.add("lease+unlink", one_file, {{lease("x", false)}, {unlink("foo"), background()}},
             open_file);
    list.add("lease+reuse", {create("foo"), write("foo", 0, 3 * block), create("bar")},
             {{truncate("foo", 0), checkpoint()}, {write("bar", 0, 3 * block)}, {close("x")}},
             {open("foo", "x"), lease("x", false)});
}

void add_housekeeping(List &list) {
    list.add("checkpoint+create", two_files,
             {{checkpoint(), checkpoint()}, {create("x"), chmod("foo", 0600)}});
    list.add("checkpoint+write", one_file,
             {{checkpoint()}, {append("foo", block)}, {chmod("foo", 0600), checkpoint()}});
    list.add("background+unlink", two_files,
             {{background(), background()}, {unlink("foo")}, {unlink("A/bar"), rmdir("A")}});
    list.add("background+truncate", one_file,
             {{background(), checkpoint(), background()}, {truncate("foo", 10), append("foo", 9)}});
}

} // namespace

const std::vector<Workload> &concurrent_workloads() {
    static const std::vector<Workload> all = [] {
        List list;
        add_names(list);
        add_renames(list);
        add_data(list);
        add_attributes(list);
        add_pins(list);
        add_housekeeping(list);
        return list.take();
    }();
    return all;
}

} // namespace daxpin::crash
