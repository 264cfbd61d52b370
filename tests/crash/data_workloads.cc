// SPDX-License-Identifier: BSD-3-Clause
#include "crash/data_workloads.h"

#include <functional>

namespace daxpin::crash {

namespace {

using volume::FallocateMode;

constexpr std::uint64_t block = block_size;
constexpr std::uint64_t edges[] = {0, 1, 7, 8, 63, 64, 4095, 4096};
constexpr std::uint64_t few_offsets[] = {0, 1, 4095};
constexpr std::uint64_t few_lengths[] = {1, 64, 4095};

struct Shape {
    std::string name;
    std::vector<Operation> setup;    // makes "foo"
    std::vector<Operation> ending{}; // after what is done to it
};

// A file with data, a hole and a partly used last block.
const Shape mixed{"mixed",
                  {create("foo"), write("foo", 0, 2 * block), write("foo", 3 * block, 100)}};
constexpr std::uint64_t mixed_size = 3 * block + 100;

std::vector<Shape> other_shapes() {
    Shape extents{"extents", {create("foo")}};
    for (std::uint64_t i = 0; i < 24; ++i)
        extents.setup.push_back(write("foo", 2 * i * block, 100));
    return {{"empty", {create("foo")}},
            {"small", {create("foo"), write("foo", 0, 100)}},
            {"block", {create("foo"), write("foo", 0, block)}},
            {"hole", {create("foo"), truncate("foo", 3 * block)}},
            {"unwritten", {create("foo"), fallocate("foo", FallocateMode::allocate, 0, 3 * block)}},
            extents};
}

// One operation on data, made of a path, an offset and a length.
struct Kind {
    std::string name;
    std::function<Operation(std::string path, std::uint64_t offset, std::uint64_t length)> make;
};

std::vector<Kind> range_kinds() {
    std::vector<Kind> kinds{{"write", write}};
    kinds.push_back({"copy", [](std::string path, std::uint64_t offset, std::uint64_t length) {
                         return copy("bar", 5, std::move(path), offset, length);
                     }});
    const std::pair<const char *, FallocateMode> modes[] = {
        {"allocate", FallocateMode::allocate},
        {"keep-size", FallocateMode::allocate_keep_size},
        {"punch", FallocateMode::punch},
        {"zero", FallocateMode::zero},
        {"zero-keep-size", FallocateMode::zero_keep_size}};
    for (const auto &[name, mode] : modes) {
        kinds.push_back(
            {name, [mode = mode](std::string path, std::uint64_t offset, std::uint64_t length) {
                 return fallocate(std::move(path), mode, offset, length);
             }});
    }
    return kinds;
}

std::vector<Kind> size_kinds() {
    return {{"truncate", [](std::string path, std::uint64_t,
                            std::uint64_t length) { return truncate(std::move(path), length); }},
            {"append", [](std::string path, std::uint64_t, std::uint64_t length) {
                 return append(std::move(path), length);
             }}};
}

// Workloads of one kind on one shape; with a second descriptor, the first one changes the file
// between its opening and its use.
class Group {
  public:
    Group(const Shape &shape, const Kind &kind, bool second) : kind_(kind), second_(second) {
        setup_ = shape.setup;
        ending_ = shape.ending;
        if (kind.name == "copy") {
            setup_.push_back(create("bar"));
            setup_.push_back(write("bar", 0, 3 * block));
        }
        if (second) {
            setup_.push_back(open("foo", "x"));
            setup_.push_back(append("foo", 50));
            setup_.push_back(truncate("foo", mixed_size));
        }
        name_ = "data." + kind.name + "." + shape.name + (second ? "-second" : "");
    }

    void add(const std::string &at, std::uint64_t offset, std::uint64_t length) {
        std::vector<Operation> steps{kind_.make(second_ ? "@x" : "foo", offset, length)};
        steps.insert(steps.end(), ending_.begin(), ending_.end());
        workloads_.push_back({name_ + "." + at, setup_, std::move(steps)});
    }
    void add(std::uint64_t offset, std::uint64_t length) {
        add(std::to_string(offset) + "." + std::to_string(length), offset, length);
    }
    std::vector<Workload> take() { return std::move(workloads_); }

  private:
    const Kind &kind_;
    const bool second_;
    std::string name_;
    std::vector<Operation> setup_;
    std::vector<Operation> ending_;
    std::vector<Workload> workloads_;
};

std::vector<Workload> range_group(const Kind &kind, bool second) {
    Group group(mixed, kind, second);
    for (const std::uint64_t offset : edges) {
        for (const std::uint64_t length : edges) {
            group.add(offset, length);
            if (kind.name == "write")
                group.add("end+" + std::to_string(offset) + "." + std::to_string(length),
                          mixed_size + offset, length);
        }
    }
    return group.take();
}

std::vector<Workload> size_group(const Kind &kind, bool second) {
    Group group(mixed, kind, second);
    for (const std::uint64_t length : edges)
        group.add(0, length);
    return group.take();
}

std::vector<Workload> shape_group(const Shape &shape, const Kind &kind) {
    Group group(shape, kind, false);
    for (const std::uint64_t offset : few_offsets) {
        for (const std::uint64_t length : few_lengths)
            group.add(offset, length);
    }
    return group.take();
}

// Stores through a mapping of a pinned file; the second descriptor holds a lease.
std::vector<Workload> mapped_group(bool second) {
    const Kind kind{"mapped", mapped_write};
    Shape pinned{"pinned", {create("foo"), write("foo", 0, 3 * block), pin("foo", 0, 0, false)}};
    if (second) {
        pinned.name += "-leased";
        pinned.setup.push_back(open("foo", "x"));
        pinned.setup.push_back(lease("x", true));
        pinned.ending.push_back(close("x")); // a step of its own: the end of a lease sets times
    }
    Group group(pinned, kind, false);
    for (const std::uint64_t offset : edges) {
        for (const std::uint64_t length : edges) {
            if (length > 0)
                group.add(offset, length);
        }
    }
    return group.take();
}

} // namespace

std::vector<std::vector<Workload>> data_workloads() {
    std::vector<std::vector<Workload>> groups;
    const auto kinds = range_kinds();
    const auto sizes = size_kinds();
    for (const bool second : {false, true}) {
        for (const Kind &kind : kinds)
            groups.push_back(range_group(kind, second));
        for (const Kind &kind : sizes) {
            if (!second || kind.name != "append") // a slot is not open for appending
                groups.push_back(size_group(kind, second));
        }
        groups.push_back(mapped_group(second));
    }
    for (const Shape &shape : other_shapes()) {
        for (const Kind &kind : kinds)
            groups.push_back(shape_group(shape, kind));
    }
    return groups;
}

} // namespace daxpin::crash
